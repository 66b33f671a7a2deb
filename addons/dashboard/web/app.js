// SPDX-License-Identifier: Apache-2.0
// The frame: navigation, the namespace, how the connection stands, and the page that the address names.
import {
    Button,
    Component,
    Dialogs,
    Failure,
    Icon,
    Kbd,
    Loading,
    Menu,
    Sheet,
    Toasts,
    View,
    closeDialog,
    h,
    openDialog,
    render,
    toast,
} from "/assets/ui.js";
import {connection, kinds, loadKinds, loadSession, logOut, session} from "/assets/api.js";
import {go, href, route, setQuery, setSetting, setting, settings} from "/assets/state.js";
import {liveList} from "/assets/live.js";
import {Login} from "/assets/login.js";
import {AllKinds, ListPage, title} from "/assets/list.js";
import {Overview} from "/assets/overview.js";
import {openPalette} from "/assets/palette.js";

const sections = [
    [
        "Workloads",
        "cube",
        ["pods", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch"],
    ],
    ["Network", "net", ["services", "ingresses.networking.k8s.io", "networkpolicies.networking.k8s.io"]],
    ["Configuration", "gear", ["configmaps", "secrets", "horizontalpodautoscalers.autoscaling"]],
    ["Storage", "disk", ["persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"]],
    ["Cluster", "server", ["nodes", "namespaces", "events"]],
    ["Access", "key", ["serviceaccounts", "roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io"]],
];

// Where the name of the kind is too long for the navigation.
const short = {
    "horizontalpodautoscalers.autoscaling": "Autoscalers",
    persistentvolumeclaims: "Volume claims",
    persistentvolumes: "Volumes",
};

// Pages that are not needed at first come when they are.
const late = {object: "/assets/object.js", map: "/assets/map.js", create: "/assets/create.js"};
class Late extends Component {
    componentWillMount() {
        this.load(this.props.page);
    }
    componentWillReceiveProps({page}) {
        if (page !== this.props.page) this.load(page);
    }
    load(page) {
        this.setState({module: null, error: null});
        import(late[page]).then(
            module => {
                if (this.props.page === page) this.setState({module});
            },
            error => this.setState({error}),
        );
    }
    render(props, {module, error}) {
        if (error) return h(Failure, {error, what: "load this part of the page", retry: () => location.reload()});
        return module ? h(module.Page, props.pageProps) : h(Loading);
    }
}

class NamespacePicker extends View {
    dependsOn() {
        return String(kinds.loaded);
    }
    watched() {
        const kind = kinds.byId.get("namespaces");
        this.list = kind && liveList(kind, "", {form: "metadata"});
        return this.list ? [this.list, route.changed] : [route.changed];
    }
    render() {
        const now = route.query.get("ns") || "";
        const names =
            this.list && this.list.state !== "failed" ? this.list.items.map(item => item.metadata.name).sort() : null;
        const change = name => {
            setSetting("namespace", name);
            const [page, , namespace] = route.path;
            if (page === "object" && namespace !== "-") go(["list", route.path[1]], {ns: name});
            else setQuery({ns: name});
        };
        if (!names)
            // who may not list namespaces types one
            return h(
                "form",
                {
                    class: "namespace",
                    onSubmit: event => {
                        event.preventDefault();
                        change(event.target.querySelector("input").value.trim());
                    },
                },
                h("input", {
                    type: "text",
                    value: now,
                    placeholder: "Namespace",
                    "aria-label": "Namespace; enter goes there",
                }),
            );
        return h(
            "label",
            {class: "namespace"},
            h("span", {class: "visually-hidden"}, "Namespace"),
            h(
                "select",
                {value: now, onChange: event => change(event.target.value)},
                h("option", {value: "", selected: now === ""}, "All namespaces"),
                (now && !names.includes(now) ? [now, ...names] : names).map(name =>
                    h("option", {value: name, selected: name === now, key: name}, name),
                ),
            ),
        );
    }
}

class Nav extends View {
    watched() {
        return [kinds.changed, route.changed];
    }
    render({close}) {
        const [page, id] = route.path;
        const link = (path, text, icon, current) =>
            h(
                "a",
                {
                    href: href(path),
                    class: current ? "current" : "",
                    "aria-current": current ? "page" : null,
                    onClick: close,
                },
                icon && h(Icon, {name: icon}),
                h("span", null, text),
            );
        const custom = kinds.all.filter(
            kind => kind.group.includes(".") && !kind.group.endsWith(".k8s.io") && kind.verbs.includes("list"),
        );
        return h(
            "nav",
            {class: "nav", "aria-label": "Kinds"},
            link([], "Overview", "home", !page),
            link(["map"], "Map", "map", page === "map"),
            sections.map(([name, icon, ids]) => {
                const members = ids.map(one => kinds.byId.get(one)).filter(Boolean);
                return (
                    members.length > 0 &&
                    h(
                        "section",
                        {key: name},
                        h("h2", null, h(Icon, {name: icon}), name),
                        members.map(kind =>
                            link(["list", kind.id], short[kind.id] || title(kind), null, id === kind.id),
                        ),
                    )
                );
            }),
            custom.length > 0 &&
                h(
                    "section",
                    {key: "custom"},
                    h("h2", null, h(Icon, {name: "puzzle"}), "Custom"),
                    custom.slice(0, 12).map(kind => link(["list", kind.id], title(kind), null, id === kind.id)),
                ),
            h("section", {key: "all"}, link(["kinds"], "All kinds", "list", page === "kinds")),
        );
    }
}

class Connection extends View {
    watched() {
        return [connection.changed];
    }
    render() {
        const {state} = connection;
        if (state === "ok")
            return h(
                "span",
                {class: "connection ok", role: "status"},
                h("span", {class: "dot", "aria-hidden": "true"}),
                h("span", null, "Live"),
            );
        return h(
            "span",
            {class: `connection ${state}`, role: "status"},
            h(Icon, {name: state === "lost" ? "bad" : "wait"}),
            h("span", null, state === "lost" ? "Connection lost, trying again" : "The server is slow to answer"),
        );
    }
}

const shortcuts = [
    ["Ctrl K", "Search, jump, act"],
    ["/", "Filter the table"],
    ["g o", "Overview"],
    ["g p", "Pods"],
    ["g d", "Deployments"],
    ["g s", "Services"],
    ["g n", "Nodes"],
    ["g m", "Map"],
    ["j k", "Down and up in a table (arrows, too)"],
    ["Enter", "Open the row"],
    ["x", "Select the row"],
    ["l", "Logs of the object"],
    ["t", "Terminal of the pod"],
    ["e", "Edit its YAML"],
    ["s", "Scale it"],
    ["r", "Restart it"],
    ["u", "Undo a rollout"],
    ["d", "Delete it"],
    ["c", "Create from YAML"],
    ["?", "This list"],
];
function showShortcuts() {
    openDialog(() =>
        h(
            Sheet,
            {
                title: "Keyboard",
                onSubmit: closeDialog,
                actions: [h(Button, {text: "Close", kind: "primary", type: "submit"})],
            },
            h(
                "dl",
                {class: "shortcuts"},
                shortcuts.map(([keys, text]) => h("div", null, h("dt", null, h(Kbd, {keys})), h("dd", null, text))),
            ),
        ),
    );
}

const jumps = {
    o: [],
    m: ["map"],
    p: ["list", "pods"],
    d: ["list", "deployments.apps"],
    s: ["list", "services"],
    n: ["list", "nodes"],
    e: ["list", "events"],
    k: ["kinds"],
};
let pending = 0;
document.addEventListener("keydown", event => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        if (session.user) openPalette();
        return;
    }
    if (
        event.defaultPrevented ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        !session.user ||
        event.target.closest("input, textarea, select, dialog, [role=menu], .xterm")
    )
        return;
    const jump = Date.now() - pending < 1000 && jumps[event.key];
    pending = 0;
    if (jump) go(jump);
    else if (event.key === "g") pending = Date.now();
    else if (event.key === "?") showShortcuts();
    else if (event.key === "c") go(["create"]);
    else return;
    event.preventDefault();
});

class App extends View {
    watched() {
        return [session.changed, kinds.changed, settings.changed];
    }
    componentDidMount() {
        this.end = route.changed.subscribe(moved => {
            this.setState({nav: false});
            if (moved) {
                closeDialog();
                const main = document.getElementById("main");
                if (main) main.focus({preventScroll: true});
            }
        });
    }
    page() {
        const [page, id, namespace, name] = route.path,
            chosen = route.query.get("ns") || "";
        if (kinds.error && !kinds.loaded)
            return h(Failure, {error: kinds.error, what: "ask the API server which kinds it has", retry: loadKinds});
        if (!kinds.loaded) return h(Loading, {text: "Asking which kinds there are…"});
        if (!page) return h(Overview, {namespace: chosen, key: chosen});
        if (page === "kinds") return h(AllKinds);
        if (page === "map") return h(Late, {page, pageProps: {namespace: chosen}});
        if (page === "create") return h(Late, {page, pageProps: {kindId: route.query.get("kind"), namespace: chosen}});
        const kind = kinds.byId.get(id);
        if ((page === "list" || page === "object") && !kind)
            return h(Failure, {
                error: new Error(`The server has no kind “${id}”.`),
                what: "show the page",
                retry: loadKinds,
            });
        if (page === "list")
            return h(ListPage, {kind, namespace: kind.namespaced ? chosen : "", key: `${id} ${chosen}`});
        if (page === "object" && name)
            return h(Late, {
                page,
                pageProps: {
                    kind,
                    namespace: namespace === "-" ? "" : namespace,
                    name,
                    tab: route.query.get("tab") || "",
                    key: route.path.join("/"),
                },
            });
        return h(Failure, {error: new Error("There is no such page."), what: "show the page"});
    }
    render(props, {nav}) {
        const theme = setting("theme", "auto"),
            dark = document.documentElement.dataset.theme === "dark";
        if (!session.known) return h(Loading);
        if (session.user === null)
            return h(
                "div",
                null,
                h(Login, {
                    code: route.path[0] === "login" ? route.query.get("code") : "",
                    key: route.path[0] === "login" ? "code" : "form",
                    error: this.linkError,
                    after: () => {
                        if (route.path[0] === "login") location.replace("#/");
                    },
                    failed: error => {
                        this.linkError = error;
                        location.replace("#/");
                    },
                }),
                h(Toasts),
            );
        if (route.path[0] === "login") {
            location.replace("#/");
            return h(Loading);
        }
        return h(
            "div",
            {class: `app ${nav ? "nav-open" : ""}`},
            h(
                "a",
                {
                    class: "skip",
                    href: "#main",
                    onClick: event => {
                        event.preventDefault();
                        document.getElementById("main").focus();
                    },
                },
                "Skip to the content",
            ),
            h(
                "header",
                {class: "top"},
                h(Button, {
                    icon: "menu",
                    kind: "quiet only-small",
                    label: "Navigation",
                    pressed: !!nav,
                    onClick: () => this.setState({nav: !nav}),
                }),
                h(
                    "a",
                    {class: "brand", href: href([]), "aria-label": "Coxswain: overview"},
                    h("img", {src: "/assets/logo.svg", alt: "", width: 26, height: 26}),
                    h("span", null, "Coxswain"),
                ),
                h(NamespacePicker, {loaded: kinds.loaded}),
                h(
                    "button",
                    {type: "button", class: "jump", onClick: openPalette},
                    h(Icon, {name: "search"}),
                    h("span", {class: "jump-text"}, "Search or jump to…"),
                    h(Kbd, {keys: "Ctrl K"}),
                ),
                h(
                    "div",
                    {class: "top-end"},
                    h(Connection),
                    h(
                        "a",
                        {
                            class: "button bare",
                            href: href(["create"]),
                            title: "Create from YAML",
                            "aria-label": "Create from YAML",
                        },
                        h(Icon, {name: "plus"}),
                    ),
                    h(Button, {
                        icon: dark ? "sun" : "moon",
                        kind: "quiet",
                        label: dark ? "Light colours" : "Dark colours",
                        onClick: () => setSetting("theme", dark ? "light" : "dark"),
                    }),
                    h(Menu, {
                        icon: "user",
                        kind: "quiet",
                        label: `Logged in as ${session.user}`,
                        header: [h("span", {class: "muted"}, "Logged in as"), h("strong", null, session.user)],
                        items: [
                            theme !== "auto" && {
                                icon: "gear",
                                text: "Colours of the system",
                                run: () => setSetting("theme", "auto"),
                            },
                            {icon: "info", text: "Keyboard", keys: "?", run: showShortcuts},
                            {
                                icon: "close",
                                text: "Log out",
                                run: () => logOut().catch(error => toast(error.message, "bad")),
                            },
                        ],
                    }),
                ),
            ),
            h(Nav, {close: () => this.setState({nav: false})}),
            nav && h("div", {class: "shade", onClick: () => this.setState({nav: false})}),
            h("main", {id: "main", tabIndex: -1}, h(Routed, {page: () => this.page()})),
            h(Dialogs),
            h(Toasts),
            session.expired && h(Login, {over: true, after: () => {}}),
        );
    }
}
// The page alone changes with the address.
class Routed extends View {
    watched() {
        return [route.changed, kinds.changed];
    }
    componentDidUpdate() {
        document.title = `${[...route.path].slice(-1)[0] || "Overview"} – Dashboard`;
    }
    render({page}) {
        return page();
    }
}

// Kinds come and go while the page is open.
function watchKinds() {
    let timer;
    for (const id of ["customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io"]) {
        const kind = kinds.byId.get(id);
        let seen = null;
        if (kind)
            liveList(kind, "", {form: "metadata"}).subscribe(list => {
                if (list.state !== "live") return;
                const now = list.items
                    .map(item => item.metadata.uid + item.metadata.resourceVersion)
                    .sort()
                    .join();
                if (seen !== null && seen !== now) {
                    clearTimeout(timer);
                    timer = setTimeout(loadKinds, 1000);
                }
                seen = now;
            });
    }
}

let begun = false;
session.changed.subscribe(() => {
    if (!session.user || begun) return;
    begun = true;
    loadKinds().then(watchKinds);
});
session.renewed.subscribe(() => {
    if (!kinds.loaded) loadKinds();
});
if (!route.query.has("ns") && setting("namespace", "") && route.path[0] !== "login")
    setQuery({ns: setting("namespace", "")});
const root = document.getElementById("app");
render(h(App), root, root.firstElementChild);
function start() {
    loadSession().catch(() => setTimeout(start, 2000));
}
start();
