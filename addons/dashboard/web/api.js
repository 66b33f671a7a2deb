// SPDX-License-Identifier: Apache-2.0
// What the page asks its server: the session, and the Kubernetes API as the user.
import {Signal} from "/assets/ui.js";

export class ApiError extends Error {
    constructor(code, status, text) {
        super((status && status.message) || text || `HTTP ${code}`);
        this.code = code;
        this.reason = (status && status.reason) || "";
        this.details = (status && status.details) || {};
    }
}

// How things stand between this page, its server and the API: "ok", "slow", "lost".
export const connection = {state: "ok", since: Date.now(), changed: new Signal()};
const waiting = new Map();
function setConnection(state) {
    if (connection.state === state) return;
    connection.state = state;
    connection.since = Date.now();
    connection.changed.emit();
}
setInterval(() => {
    if (connection.state === "lost") return;
    const slow = [...waiting.values()].some(since => performance.now() - since > 2000);
    setConnection(slow ? "slow" : "ok");
}, 500);
export function reportLost() {
    setConnection("lost");
}
export function reportFound() {
    setConnection("ok");
}

// The half of the session's key that is ours to keep; the other one is a cookie that no script can read.
function proof() {
    try {
        return localStorage.getItem("dashboard.proof") || "none";
    } catch {
        return kept || "none";
    }
}
let kept = "";
function setProof(text) {
    kept = text;
    try {
        localStorage.setItem("dashboard.proof", text);
    } catch {
        /* for this page only, then */
    }
}

export const session = {user: null, known: false, expired: false, changed: new Signal(), renewed: new Signal()};

function toError(code, text) {
    try {
        return new ApiError(code, JSON.parse(text));
    } catch {
        return new ApiError(code, null, text.slice(0, 500));
    }
}

// Browsers resolve "." and ".." before they ask, however they are written: a name that is one of these, in the address of a
// page or in somebody's YAML, would have another object read, changed or deleted than the one that is shown.
function check(path) {
    if (/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(path.split("?")[0]))
        throw new ApiError(400, null, '"." and ".." are no names.');
}
// One request. The answer is JSON where it says so, else text.
export async function request(
    path,
    {method = "GET", body, type = "application/json", accept = "application/json", signal, raw} = {},
) {
    check(path);
    const token = {};
    const asWhom = proof();
    waiting.set(token, performance.now());
    try {
        const headers = {"X-Dashboard-Request": asWhom, Accept: accept};
        if (body !== undefined) headers["Content-Type"] = type;
        let response;
        try {
            response = await fetch(path, {
                method,
                headers,
                body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
                signal,
                credentials: "same-origin",
                cache: "no-store",
                redirect: "error",
            });
        } catch (error) {
            if (error.name === "AbortError") throw error;
            reportLost();
            throw new ApiError(0, null, "The dashboard's server cannot be reached.");
        }
        const text = await response.text();
        if (response.status === 503 && path !== "/session") reportLost();
        else reportFound();
        // What was asked in a session that has been replaced meanwhile says nothing of the one that there is.
        if (response.status === 401 && path !== "/session" && asWhom === proof()) {
            session.expired = session.user !== null;
            session.changed.emit();
        }
        if (!response.ok) throw toError(response.status, text);
        return raw || !(response.headers.get("Content-Type") || "").includes("json") ? text : JSON.parse(text);
    } finally {
        waiting.delete(token);
    }
}

export async function loadSession() {
    const answer = await request("/session");
    Object.assign(session, {user: answer.user, known: true, expired: false});
    session.changed.emit();
}
// A WebSocket that is refused does not say why: the session may be over.
let asked = 0;
async function checkSession() {
    if (Date.now() - asked < 1000 || session.user === null || session.expired) return;
    asked = Date.now();
    const asWhom = proof();
    try {
        const answer = await request("/session");
        if (answer.user !== null || asWhom !== proof()) return;
        session.expired = true;
        session.changed.emit();
    } catch {
        /* the server is away: that is told elsewhere */
    }
}
export async function logIn(credentials) {
    const before = session.user;
    const answer = await request("/session", {method: "POST", body: credentials});
    setProof(answer.proof);
    Object.assign(session, {user: answer.user, known: true, expired: false});
    if (before !== null && before !== answer.user) {
        location.reload(); // what is on the page was somebody else's
        return;
    }
    session.changed.emit();
    session.renewed.emit();
}
// Somebody has logged in in another window: it is the same session for all.
addEventListener("storage", async ({key}) => {
    if (key !== "dashboard.proof" || !session.known) return;
    const before = session.user;
    await loadSession().catch(() => {});
    if (before !== null && before !== session.user) location.reload();
    else session.renewed.emit();
});
export async function logOut() {
    await request("/session", {method: "DELETE"});
    location.hash = "#/";
    location.reload();
}

export function openSocket(path, protocols) {
    return new WebSocket(`wss://${location.host}${path}`, [...protocols, `proof.${proof()}`]);
}
// An answer that goes on: form is "table", "object", "metadata" or "text". Calls onText with what comes, piece by piece, and
// onEnd(error or null) once. Returns what ends it.
export function stream(path, form, {onOpen, onText, onEnd}) {
    const socket = openSocket(path, [`${form}.dashboard`]);
    const decoder = new TextDecoder();
    let code = 0,
        refusal = "",
        over = false;
    const end = error => {
        if (over) return;
        over = true;
        onEnd(error);
    };
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({data}) => {
        if (over) return;
        if (typeof data === "string") {
            code = Number(data);
            if (code === 200 && onOpen) onOpen();
        } else {
            const text = decoder.decode(data, {stream: true});
            if (code === 200) onText(text);
            else if (refusal.length < 65536) refusal += text;
        }
    };
    socket.onclose = ({code: why}) => {
        if (code && code !== 200) return end(toError(code, refusal));
        if (!code && !over) checkSession();
        end(
            code === 200 && why === 1000
                ? null
                : Object.assign(new ApiError(0, null, "The connection was lost."), {busy: why === 1013}),
        );
    };
    return () => {
        over = true;
        socket.close();
    };
}

// --- kinds ---

export const kinds = {all: [], byId: new Map(), error: null, loaded: false, changed: new Signal()};

function addGroup(into, group) {
    const name = group.metadata.name || "";
    const seen = new Set();
    for (const version of group.versions || [])
        for (const resource of version.resources || []) {
            if (!resource.responseKind || seen.has(resource.resource)) continue;
            seen.add(resource.resource);
            const id = name ? `${resource.resource}.${name}` : resource.resource;
            into.push({
                id,
                group: name,
                version: version.version,
                resource: resource.resource,
                kind: resource.responseKind.kind,
                namespaced: resource.scope === "Namespaced",
                verbs: resource.verbs || [],
                shortNames: resource.shortNames || [],
                singular: resource.singularResource,
                subresources: (resource.subresources || []).map(sub => sub.subresource),
                base: name ? `/apis/${name}/${version.version}` : `/api/${version.version}`,
                apiVersion: name ? `${name}/${version.version}` : version.version,
            });
        }
}
export async function loadKinds() {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    try {
        const [core, groups] = await Promise.all([request("/api", {accept}), request("/apis", {accept})]);
        const all = [];
        for (const group of [...(core.items || []), ...(groups.items || [])]) addGroup(all, group);
        // The same kind in two groups (events): the one of the older group is shown.
        kinds.all = all;
        kinds.byId = new Map(all.map(kind => [kind.id, kind]));
        kinds.loaded = true;
        kinds.error = null;
    } catch (error) {
        kinds.error = error;
    }
    kinds.changed.emit();
}
export function kindOf(apiVersion, kind) {
    const group = (apiVersion || "").includes("/") ? apiVersion.split("/")[0] : "";
    return kinds.all.find(candidate => candidate.kind === kind && candidate.group === group);
}
export function listPath(kind, namespace) {
    return kind.namespaced && namespace
        ? `${kind.base}/namespaces/${encodeURIComponent(namespace)}/${kind.resource}`
        : `${kind.base}/${kind.resource}`;
}
export function objectPath(kind, namespace, name, subresource) {
    return `${listPath(kind, namespace)}/${encodeURIComponent(name)}${subresource ? `/${subresource}` : ""}`;
}
// Documentation of kinds, by group and version, as it is asked for.
const schemas = new Map();
export function loadSchema(kind) {
    const path = `/openapi/v3/${kind.base.slice(1)}`;
    if (!schemas.has(path))
        schemas.set(
            path,
            request(path).catch(error => {
                schemas.delete(path);
                throw error;
            }),
        );
    return schemas.get(path);
}

// --- may I? ---

const reviews = new Map();
session.renewed.subscribe(() => reviews.clear());
// Whether the user may; null while that is not known. `changed` is told when it is.
export const rights = new Signal();
export function may(verb, kind, namespace, {name, subresource} = {}) {
    const key = [verb, kind.id, namespace || "", name || "", subresource || ""].join(" ");
    const known = reviews.get(key);
    if (known !== undefined) return known;
    reviews.set(key, null);
    request("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        method: "POST",
        body: {
            apiVersion: "authorization.k8s.io/v1",
            kind: "SelfSubjectAccessReview",
            spec: {
                resourceAttributes: {
                    verb,
                    group: kind.group,
                    version: kind.version,
                    resource: kind.resource,
                    namespace: kind.namespaced ? namespace : undefined,
                    name,
                    subresource,
                },
            },
        },
    }).then(
        review => {
            reviews.set(key, !!review.status.allowed);
            rights.emit();
        },
        () => {
            reviews.delete(key);
        },
    );
    return null;
}
