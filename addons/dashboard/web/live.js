// SPDX-License-Identifier: Apache-2.0
// Lists that stay as the server has them: read in pages, then watched. A watch that breaks goes on where it was; one that
// fell behind is read anew while what was there is still shown.
import {Signal} from "/assets/ui.js";
import {listPath, reportFound, reportLost, request, session, stream} from "/assets/api.js";

const accepts = {
    table: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    object: "application/json",
    metadata: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
};
const PAGE = 500,
    LINGER = 4000;

class Live {
    constructor(kind, namespace, {form, label, field}) {
        Object.assign(this, {kind, namespace, form, label, field});
        this.rows = new Map(); // by uid
        this.columns = null;
        this.state = "loading"; // "live", "lost", "failed"
        this.error = null;
        this.version = ""; // resourceVersion
        this.changed = new Signal();
        this.users = 0;
        this.delay = 250;
        this.generation = 0;
        this.stamp = 0; // counts changes
    }
    subscribe(listener) {
        const end = this.changed.subscribe(listener);
        clearTimeout(this.linger);
        if (this.users++ === 0 && !this.running) this.start();
        let ended = false;
        return () => {
            if (ended) return;
            ended = true;
            end();
            if (--this.users === 0)
                this.linger = setTimeout(() => {
                    if (!this.users) this.stop();
                }, LINGER);
        };
    }
    start() {
        this.running = true;
        this.renewal = session.renewed.subscribe(() => {
            if (this.state !== "live") this.retry();
        });
        this.read();
    }
    stop() {
        this.running = false;
        this.generation++;
        if (this.renewal) this.renewal();
        if (this.cancel) this.cancel();
        clearTimeout(this.timer);
        live.delete(this.id);
    }
    retry() {
        if (!this.running) return;
        this.generation++;
        if (this.cancel) this.cancel();
        clearTimeout(this.timer);
        this.read();
    }
    tell() {
        if (this.told) return;
        this.told = true;
        setTimeout(
            () => {
                this.told = false;
                this.stamp++;
                this.changed.emit(this);
            },
            this.rows.size > 2000 ? 200 : 30,
        );
    }
    query(more) {
        const query = new URLSearchParams(more);
        if (this.label) query.set("labelSelector", this.label);
        if (this.field) query.set("fieldSelector", this.field);
        return `${listPath(this.kind, this.namespace)}?${query}`;
    }
    put(rows, item) {
        const object = this.form === "table" ? item.object : item;
        rows.set(object.metadata.uid || `${object.metadata.namespace}/${object.metadata.name}`, item);
    }
    take(answer, rows) {
        if (answer.columnDefinitions && answer.columnDefinitions.length) this.columns = answer.columnDefinitions;
        for (const item of (this.form === "table" ? answer.rows : answer.items) || []) this.put(rows, item);
    }
    async read() {
        const generation = this.generation,
            rows = new Map(),
            first = this.state === "loading";
        let more = "",
            answer;
        try {
            do {
                answer = await request(this.query(more ? {limit: PAGE, continue: more} : {limit: PAGE}), {
                    accept: accepts[this.form],
                });
                if (generation !== this.generation) return;
                this.take(answer, rows);
                more = answer.metadata.continue || "";
                if (first && more) {
                    this.rows = rows;
                    this.tell();
                }
            } while (more);
        } catch (error) {
            if (generation !== this.generation) return;
            if (error.code === 410 && more) return this.read(); // the pages grew too old
            this.error = error;
            const final = [403, 404, 405].includes(error.code) || (error.code === 401 && session.expired);
            this.state = final ? "failed" : "lost";
            if (!final || error.code === 404) this.again(() => this.read());
            this.tell();
            return;
        }
        this.rows = rows;
        this.version = answer.metadata.resourceVersion;
        this.error = null;
        this.state = "live";
        this.delay = 250;
        this.tell();
        if (this.kind.verbs.includes("watch")) this.watch();
        else this.timer = setTimeout(() => this.read(), 15000); // metrics can only be asked for again
    }
    again(what) {
        clearTimeout(this.timer);
        this.timer = setTimeout(what, this.delay * (0.75 + Math.random() / 2));
        this.delay = Math.min(this.delay * 2, 8000);
    }
    watch() {
        const generation = this.generation;
        let rest = "",
            stale = false;
        this.cancel = stream(
            this.query({watch: "1", allowWatchBookmarks: "true", resourceVersion: this.version}),
            this.form,
            {
                onOpen: () => {
                    reportFound();
                    this.delay = 250;
                    if (this.state !== "live") {
                        this.state = "live";
                        this.tell();
                    }
                },
                onText: text => {
                    const lines = (rest + text).split("\n");
                    rest = lines.pop();
                    for (const line of lines) if (line && this.event(JSON.parse(line))) stale = true;
                },
                onEnd: error => {
                    if (generation !== this.generation) return;
                    if (stale || (error && error.code === 410)) return this.again(() => this.read());
                    if (error && error.code) return this.again(() => this.read()); // the list tells what is wrong
                    if (error && error.busy) return this.again(() => this.watch());
                    if (error) {
                        this.state = "lost";
                        reportLost();
                        this.tell();
                    }
                    this.again(() => this.watch());
                },
            },
        );
    }
    // True when the watch can no longer go on from where it is.
    event({type, object}) {
        if (type === "ERROR") return true;
        const item = this.form === "table" ? object.rows && object.rows[0] : object;
        const version =
            (this.form === "table" ? item && item.object : object)?.metadata?.resourceVersion ||
            object.metadata?.resourceVersion;
        if (version) this.version = version;
        if (type === "BOOKMARK" || !item) return false;
        if (this.form === "table" && object.columnDefinitions && object.columnDefinitions.length)
            this.columns = object.columnDefinitions;
        const metadata = (this.form === "table" ? item.object : item).metadata;
        if (type === "DELETED") this.rows.delete(metadata.uid || `${metadata.namespace}/${metadata.name}`);
        else this.put(this.rows, item);
        this.tell();
        return false;
    }
    get items() {
        return [...this.rows.values()];
    }
}

const live = new Map();
// The list of a kind, shared by all who look at it.
export function liveList(kind, namespace, {form = "object", label = "", field = ""} = {}) {
    const id = [kind.id, namespace || "", form, label, field].join(" ");
    if (!live.has(id)) {
        const list = new Live(kind, namespace, {form, label, field});
        list.id = id;
        live.set(id, list);
    }
    return live.get(id);
}
// One object, as a list of it.
export function liveObject(kind, namespace, name) {
    return liveList(kind, namespace, {field: `metadata.name=${name}`});
}
