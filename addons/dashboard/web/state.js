// SPDX-License-Identifier: Apache-2.0
// Where the page is: the address behind the "#" is all there is to it, so that it can be sent to others. And what the user
// has chosen on this machine (theme, columns), which is kept by the browser.
import {Signal} from "/assets/ui.js";

export const route = {path: [], query: new URLSearchParams(), changed: new Signal()};

function parse() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    const parts = path
        .split("/")
        .filter(Boolean)
        .map(part => {
            try {
                return decodeURIComponent(part);
            } catch {
                return part;
            }
        });
    const moved = parts.join("/") !== route.path.join("/");
    route.path = parts;
    route.query = new URLSearchParams(query || "");
    route.changed.emit(moved);
}
addEventListener("hashchange", parse);
parse();

export function href(path, query = {}) {
    const all = new URLSearchParams();
    const namespace = "ns" in query ? query.ns : route.query.get("ns");
    if (namespace) all.set("ns", namespace);
    for (const [key, value] of Object.entries(query)) if (key !== "ns" && value) all.set(key, value);
    const text = all.toString();
    return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}
export function go(path, query) {
    location.hash = href(path, query);
}
// Changes the query of this page, without a step in the browser's history.
export function setQuery(changes) {
    const query = Object.fromEntries(route.query);
    for (const [key, value] of Object.entries(changes)) query[key] = value;
    if (!("ns" in query)) query.ns = "";
    history.replaceState(null, "", href(route.path, query));
    parse();
}
export function listHref(kind, query) {
    return href(["list", kind.id], query);
}
export function objectHref(kind, namespace, name, query) {
    return href(["object", kind.id, kind.namespaced ? namespace || "default" : "-", name], query);
}

// --- choices ---
export const settings = {changed: new Signal()};
export function setting(name, fallback) {
    try {
        const text = localStorage.getItem(`dashboard.${name}`);
        return text === null ? fallback : JSON.parse(text);
    } catch {
        return fallback;
    }
}
export function setSetting(name, value) {
    try {
        localStorage.setItem(`dashboard.${name}`, JSON.stringify(value));
    } catch {
        /* not kept, then */
    }
    settings.changed.emit();
}
export function applyTheme() {
    const theme = setting("theme", "auto");
    const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
settings.changed.subscribe(applyTheme);
applyTheme();
