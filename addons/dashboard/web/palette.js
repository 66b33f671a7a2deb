// SPDX-License-Identifier: Apache-2.0
// One field for everything: pages, kinds, objects that are loaded, and what can be done to the object that is open.
import {Component, Icon, Kbd, closeDialog, h, openDialog} from "/assets/ui.js";
import {kinds, listPath, request} from "/assets/api.js";
import {go, route, setSetting} from "/assets/state.js";
import {title} from "/assets/list.js";

export const current = {actions: () => []}; // of the object page, when there is one

function score(text, words) {
    let sum = 0;
    for (const word of words) {
        const at = text.indexOf(word);
        if (at < 0) return -1;
        sum += at === 0 ? 0 : /[\s/.-]/.test(text[at - 1]) ? 1 : 2;
    }
    return sum + text.length / 1000;
}

const searched = [
    "pods",
    "deployments.apps",
    "services",
    "statefulsets.apps",
    "daemonsets.apps",
    "nodes",
    "configmaps",
    "secrets",
    "jobs.batch",
    "ingresses.networking.k8s.io",
    "persistentvolumeclaims",
    "namespaces",
];

class Palette extends Component {
    constructor(props) {
        super(props);
        this.state = {text: "", at: 0, objects: []};
        this.fixed = [
            ...current
                .actions()
                .filter(action => !action.disabled)
                .map(action => ({
                    icon: action.icon,
                    text: action.text.replace("…", ""),
                    hint: "this object",
                    keys: action.keys,
                    run: action.run,
                    first: true,
                })),
            {icon: "home", text: "Overview", hint: "page", keys: "g o", run: () => go([])},
            {icon: "map", text: "Map", hint: "page", keys: "g m", run: () => go(["map"])},
            {icon: "plus", text: "Create from YAML", hint: "page", keys: "c", run: () => go(["create"])},
            {icon: "list", text: "All kinds", hint: "page", run: () => go(["kinds"])},
            {icon: "moon", text: "Dark colours", hint: "setting", run: () => setSetting("theme", "dark")},
            {icon: "sun", text: "Light colours", hint: "setting", run: () => setSetting("theme", "light")},
            ...kinds.all
                .filter(kind => kind.verbs.includes("list"))
                .map(kind => ({
                    icon: "cube",
                    text: title(kind),
                    more: `${kind.id} ${kind.shortNames.join(" ")}`,
                    hint: kind.group || "core",
                    run: () => go(["list", kind.id]),
                })),
        ];
        this.load();
    }
    async load() {
        const namespace = route.query.get("ns") || "";
        await Promise.all(
            searched.map(async id => {
                const kind = kinds.byId.get(id);
                if (!kind) return;
                try {
                    const list = await request(`${listPath(kind, namespace)}?limit=1000`, {
                        accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
                    });
                    const found = list.items.map(({metadata}) => ({
                        icon: "cube",
                        text: metadata.name,
                        hint: `${kind.kind}${metadata.namespace ? ` in ${metadata.namespace}` : ""}`,
                        more: `${kind.kind.toLowerCase()} ${metadata.namespace || ""}`,
                        run: () => go(["object", kind.id, kind.namespaced ? metadata.namespace : "-", metadata.name]),
                    }));
                    this.setState({objects: [...this.state.objects, ...found]});
                } catch {
                    /* what the user may not list is not found */
                }
            }),
        );
    }
    results() {
        const words = this.state.text.toLowerCase().trim().split(/\s+/).filter(Boolean);
        if (!words.length) return this.fixed.slice(0, 14);
        return [...this.fixed, ...this.state.objects]
            .map(item => [score(`${item.text} ${item.more || ""} ${item.hint}`.toLowerCase(), words), item])
            .filter(([value]) => value >= 0)
            .sort(([a, x], [b, y]) => (y.first ? 1 : 0) - (x.first ? 1 : 0) || a - b)
            .slice(0, 40)
            .map(([, item]) => item);
    }
    choose(item) {
        closeDialog();
        if (item) item.run();
    }
    onKey(event, results) {
        const to = {ArrowDown: this.state.at + 1, ArrowUp: this.state.at - 1}[event.key];
        if (to !== undefined) {
            event.preventDefault();
            this.setState({at: (to + results.length) % (results.length || 1)}, () => {
                const now = this.base.querySelector("[aria-selected=true]");
                if (now) now.scrollIntoView({block: "nearest"});
            });
        } else if (event.key === "Enter") {
            event.preventDefault();
            this.choose(results[this.state.at]);
        }
    }
    render(props, {text, at}) {
        const results = this.results();
        return h(
            "div",
            {class: "palette"},
            h("h2", {id: "dialog-title", class: "visually-hidden"}, "Search, jump or act"),
            h(
                "label",
                {class: "palette-input"},
                h(Icon, {name: "search"}),
                h("input", {
                    type: "text",
                    value: text,
                    placeholder: "A kind, a name, an action…",
                    "aria-label": "Search, jump or act",
                    role: "combobox",
                    "aria-expanded": "true",
                    "aria-controls": "palette-list",
                    "aria-activedescendant": results.length ? `palette-${at}` : null,
                    autocomplete: "off",
                    spellcheck: false,
                    onInput: event => this.setState({text: event.target.value, at: 0}),
                    onKeyDown: event => this.onKey(event, results),
                }),
            ),
            h(
                "ul",
                {id: "palette-list", role: "listbox", "aria-label": "Results"},
                results.map((item, i) =>
                    h(
                        "li",
                        {
                            id: `palette-${i}`,
                            role: "option",
                            "aria-selected": String(i === at),
                            onMouseMove: () => {
                                if (i !== at) this.setState({at: i});
                            },
                            onClick: () => this.choose(item),
                        },
                        h(Icon, {name: item.icon}),
                        h("span", {class: "palette-text"}, item.text),
                        h("span", {class: "muted"}, item.hint),
                        item.keys && h(Kbd, {keys: item.keys}),
                    ),
                ),
            ),
            !results.length && h("p", {class: "palette-none muted"}, "Nothing is called that."),
        );
    }
}
export function openPalette() {
    openDialog(() => h(Palette));
}
