// SPDX-License-Identifier: Apache-2.0
// The parts that pages are made of. Texts of objects only ever become text nodes or attributes that cannot run.
import preact from "/assets/preact.js";

export const {render, Component} = preact;

// An object of the API may hold an object where a text belongs, and preact takes any object for an element that somebody
// made, with the attributes that it names. Only what h() made is one; others are shown as the text that they are.
const Made = preact.h("i").constructor;
function asChild(child) {
    if (Array.isArray(child)) return child.map(asChild);
    return child && typeof child === "object" && !(child instanceof Made) ? JSON.stringify(child) : child;
}
export function h(name, attributes, ...children) {
    return preact.h(name, attributes, ...children.map(asChild));
}

// A set of functions to call; subscribe() returns what ends it.
export class Signal {
    constructor() {
        this.listeners = new Set();
    }
    subscribe(listener) {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }
    emit(value) {
        for (const listener of [...this.listeners]) listener(value);
    }
}

// A component that subscribes to things while it is shown: override watched(props) to say which. It is called again when
// `dependsOn(props)` changes.
export class View extends Component {
    watched() {
        return [];
    }
    dependsOn() {
        return "";
    }
    hook(props) {
        this.unhook();
        this.key = this.dependsOn(props);
        this.ends = this.watched(props).map(signal => signal.subscribe(() => this.setState({})));
    }
    unhook() {
        for (const end of this.ends || []) end();
        this.ends = [];
    }
    componentWillMount() {
        this.hook(this.props);
    }
    componentWillReceiveProps(next) {
        if (this.dependsOn(next) !== this.key) this.hook(next);
    }
    componentWillUnmount() {
        this.unhook();
    }
}

// --- icons: 16 by 16, strokes ---
const paths = {
    ok: "M3.5 8.5l3 3 6-7",
    warn: "M8 2.2L14.5 13.5H1.5zM8 6.5v3M8 11.5v.2",
    bad: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6",
    wait: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 4.6V8l2.3 1.6",
    info: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.3v3.6M8 5v.2",
    done: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM5.3 8.2l1.9 1.9 3.5-4",
    search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3l3.4 3.4",
    menu: "M2 4h12M2 8h12M2 12h12",
    close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
    plus: "M8 3v10M3 8h10",
    moon: "M13.2 9.6A5.7 5.7 0 0 1 6.4 2.8a5.7 5.7 0 1 0 6.8 6.8z",
    sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.2v1.4M8 13.4v1.4M1.2 8h1.4M13.4 8h1.4M3.2 3.2l1 1M11.8 11.8l1 1M12.8 3.2l-1 1M4.2 11.8l-1 1",
    user: "M8 2.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM2.8 13.8c.4-2.6 2.5-4 5.2-4s4.8 1.4 5.2 4",
    chevron: "M6 3.5l4.5 4.5L6 12.5",
    down: "M3.5 6L8 10.5 12.5 6",
    up: "M3.5 10L8 5.5 12.5 10",
    home: "M2 7.5L8 2.3l6 5.2M3.8 6.5v7h8.4v-7",
    map: "M2 2.5h5v5H2zM9 2.5h5v5H9zM2 9.5h5v4H2zM9 9.5h5v4H9z",
    cube: "M8 1.8l5.5 3v6.4L8 14.2l-5.5-3V4.8zM2.5 4.8L8 7.8l5.5-3M8 7.8v6.4",
    net: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c2 2 2.5 4 2.5 6S10 12 8 14M8 2C6 4 5.5 6 5.5 8S6 12 8 14",
    gear: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6L5 5M11 11l1.4 1.4M12.4 3.6L11 5M5 11l-1.4 1.4",
    disk: "M2.5 4c0-1 2.5-1.8 5.5-1.8S13.5 3 13.5 4 11 5.8 8 5.8 2.5 5 2.5 4zM2.5 4v8c0 1 2.5 1.8 5.5 1.8s5.5-.8 5.5-1.8V4M2.5 8c0 1 2.5 1.8 5.5 1.8S13.5 9 13.5 8",
    server: "M2 2.8h12v4.2H2zM2 9h12v4.2H2zM4.5 4.9h.2M4.5 11.1h.2",
    key: "M10.3 2.5a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4zM8 8l-5.5 5.5M4.5 11.5l1.5 1.5",
    puzzle: "M2.5 5.5h3a1.6 1.6 0 1 1 3.2 0h3v3a1.6 1.6 0 1 1 0 3.2v2h-9.2z",
    play: "M4.5 2.8v10.4l8-5.2z",
    terminal: "M2 3h12v10H2zM4.5 6l2 2-2 2M8.5 10h3",
    text: "M3 3.5h10M3 6.5h10M3 9.5h7M3 12.5h9",
    edit: "M3 13l.6-2.8 7-7 2.2 2.2-7 7zM9.5 4.3l2.2 2.2",
    trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.3 4.5l.6 9h6.2l.6-9M6.8 7v4M9.2 7v4",
    restart: "M13 8a5 5 0 1 1-1.7-3.8M13.2 2v3h-3",
    pause: "M5.5 3v10M10.5 3v10",
    scale: "M3 13V9M6.5 13V6M10 13V8M13.5 13V3",
    undo: "M3 6h6.5a3.5 3.5 0 0 1 0 7H6M3 6l3-3M3 6l3 3",
    eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6z",
    copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
    download: "M8 2v8M4.5 7L8 10.5 11.5 7M2.5 13.5h11",
    lock: "M3.5 7.2h9v6.3h-9zM5.5 7.2V5a2.5 2.5 0 0 1 5 0v2.2",
    list: "M5.5 4H14M5.5 8H14M5.5 12H14M2.2 4h.2M2.2 8h.2M2.2 12h.2",
    drain: "M2.5 3h11M2.5 6h11M8 8.5v5M5.5 11L8 13.5 10.5 11",
    link: "M6.5 9.5l3-3M7 4.5l1.2-1.2a3 3 0 0 1 4.3 4.3L11.3 8.8M9 11.5l-1.2 1.2a3 3 0 0 1-4.3-4.3L4.7 7.2",
};

export function Icon({name, label}) {
    return h(
        "svg",
        {
            class: `icon icon-${name}`,
            viewBox: "0 0 16 16",
            "aria-hidden": label ? null : "true",
            role: label ? "img" : null,
            "aria-label": label || null,
        },
        h("path", {d: paths[name] || paths.info}),
    );
}

// --- small parts ---
const levelIcons = {ok: "ok", warn: "warn", bad: "bad", wait: "wait", info: "info", done: "done"};

// A state: colour, shape and word say the same.
export function Chip({level, text, title}) {
    return h(
        "span",
        {class: `chip chip-${level}`, title: title || null},
        h(Icon, {name: levelIcons[level] || "info"}),
        h("span", null, text),
    );
}

export function Button({icon, text, kind, onClick, disabled, title, label, type, small, pressed, autofocus}) {
    return h(
        "button",
        {
            class: `button ${kind || ""} ${small ? "small" : ""} ${text ? "" : "bare"}`,
            type: type || "button",
            onClick,
            disabled,
            title: title || label || null,
            "aria-label": label || (text ? null : title),
            "aria-pressed": pressed === undefined ? null : String(pressed),
            autofocus,
        },
        icon && h(Icon, {name: icon}),
        text && h("span", null, text),
    );
}

export function Loading({text}) {
    return h(
        "div",
        {class: "state", role: "status"},
        h("div", {class: "spinner", "aria-hidden": "true"}),
        h("p", null, text || "Loading…"),
    );
}

export function Empty({title, children, icon}) {
    return h(
        "div",
        {class: "state"},
        h(Icon, {name: icon || "list"}),
        h("p", {class: "state-title"}, title),
        h("div", {class: "state-text"}, children),
    );
}

export function Failure({error, retry, what}) {
    const forbidden = error.code === 403;
    return h(
        "div",
        {class: "state", role: "alert"},
        h(Icon, {name: forbidden ? "lock" : "bad"}),
        h(
            "p",
            {class: "state-title"},
            forbidden ? `You may not ${what || "see this"}` : `This did not work${what ? `: ${what}` : ""}`,
        ),
        h("p", {class: "state-text"}, error.message || String(error)),
        retry && h("p", null, h(Button, {text: "Try again", onClick: retry})),
    );
}

export function Kbd({keys}) {
    return h(
        "span",
        {class: "keys"},
        keys.split(" ").map(key => h("kbd", null, key)),
    );
}

export function Copy({text, label}) {
    return h(Button, {
        icon: "copy",
        small: true,
        kind: "quiet",
        label: label || "Copy",
        onClick: () =>
            navigator.clipboard.writeText(text).then(
                () => toast("Copied"),
                () => toast("The browser does not let this page copy", "bad"),
            ),
    });
}

export function Command({text}) {
    return h("div", {class: "command"}, h("code", {tabIndex: 0}, text), h(Copy, {text, label: "Copy the command"}));
}

// --- time ---
export const clock = new Signal();
setInterval(() => clock.emit(), 1000);

// As kubectl has it: 5s, 3m10s, 7h15m, 3d.
export function duration(ms) {
    const s = Math.max(0, Math.floor(ms / 1000)),
        m = Math.floor(s / 60),
        hours = Math.floor(m / 60),
        d = Math.floor(hours / 24);
    if (s < 120) return `${s}s`;
    if (m < 10) return s % 60 ? `${m}m${s % 60}s` : `${m}m`;
    if (m < 180) return `${m}m`;
    if (hours < 8) return m % 60 ? `${hours}h${m % 60}m` : `${hours}h`;
    if (hours < 48) return `${hours}h`;
    if (d < 8) return hours % 24 ? `${d}d${hours % 24}h` : `${d}d`;
    if (d < 365 * 2) return `${d}d`;
    const y = Math.floor(d / 365);
    return y < 8 && d % 365 ? `${y}y${d % 365}d` : `${y}y`;
}
export function age(time) {
    const at = Date.parse(time);
    return isNaN(at) ? "–" : duration(Date.now() - at);
}
export class Age extends Component {
    componentDidMount() {
        this.end = clock.subscribe(() => {
            if (age(this.props.time) !== this.shown) this.setState({});
        });
    }
    componentWillUnmount() {
        this.end();
    }
    render({time}) {
        this.shown = age(time);
        return h("time", {datetime: time || "", title: time ? new Date(time).toLocaleString() : null}, this.shown);
    }
}

// --- messages ---
export const toasts = new Signal();
export function toast(text, level = "ok") {
    toasts.emit({text, level, id: Math.random()});
}
export class Toasts extends Component {
    componentDidMount() {
        this.setState({items: []});
        this.end = toasts.subscribe(item => {
            this.setState({items: [...this.state.items, item].slice(-4)});
            setTimeout(() => this.drop(item), item.level === "bad" ? 12000 : 5000);
        });
    }
    componentWillUnmount() {
        this.end();
    }
    drop(item) {
        this.setState({items: this.state.items.filter(other => other !== item)});
    }
    render(props, {items}) {
        return h(
            "div",
            {class: "toasts", role: "status", "aria-live": "polite"},
            (items || []).map(item =>
                h(
                    "div",
                    {class: `toast toast-${item.level}`, key: item.id},
                    h(Icon, {name: levelIcons[item.level]}),
                    h("span", null, item.text),
                    h(Button, {
                        icon: "close",
                        kind: "quiet",
                        small: true,
                        label: "Dismiss",
                        onClick: () => this.drop(item),
                    }),
                ),
            ),
        );
    }
}

// --- dialogs: one at a time, the browser keeps focus in them ---
export const dialogs = new Signal();
export function openDialog(make) {
    dialogs.emit(make);
}
export function closeDialog() {
    dialogs.emit(null);
}
export class Dialogs extends Component {
    componentDidMount() {
        this.end = dialogs.subscribe(make => {
            if (make && !this.state.make) this.before = document.activeElement;
            this.setState({make});
        });
    }
    componentWillUnmount() {
        this.end();
    }
    componentDidUpdate() {
        const element = this.element;
        if (this.state.make && element && !element.open) {
            element.showModal();
            const first = element.querySelector("[autofocus], input, textarea, select");
            if (first) first.focus();
        } else if (!this.state.make && this.before) {
            if (this.before.isConnected) this.before.focus();
            this.before = null;
        }
    }
    render(props, {make}) {
        return h(
            "div",
            null,
            make &&
                h(
                    "dialog",
                    {
                        ref: element => {
                            this.element = element;
                        },
                        class: "dialog",
                        onCancel: event => {
                            event.preventDefault();
                            closeDialog();
                        },
                        onMouseDown: event => {
                            if (event.target === this.element) closeDialog();
                        },
                        "aria-labelledby": "dialog-title",
                    },
                    make(),
                ),
        );
    }
}
// The frame of a dialog.
export function Sheet({title, children, actions, wide, onSubmit}) {
    return h(
        "form",
        {
            class: `sheet ${wide ? "wide" : ""}`,
            method: "dialog",
            onSubmit: event => {
                event.preventDefault();
                if (onSubmit) onSubmit(event);
            },
        },
        h(
            "header",
            null,
            h("h2", {id: "dialog-title"}, title),
            h(Button, {icon: "close", kind: "quiet", label: "Close", onClick: closeDialog}),
        ),
        h("div", {class: "sheet-body"}, children),
        actions && h("footer", null, actions),
    );
}

// --- a menu under a button ---
export class Menu extends Component {
    constructor(props) {
        super(props);
        this.outside = event => {
            if (this.base && !this.base.contains(event.target)) this.close();
        };
    }
    open() {
        this.setState({open: true}, () => {
            const first = this.base.querySelector("[role=menuitem]:not([disabled])");
            if (first) first.focus();
        });
        document.addEventListener("mousedown", this.outside);
    }
    close(back) {
        this.setState({open: false});
        document.removeEventListener("mousedown", this.outside);
        if (back) this.base.querySelector("button").focus();
    }
    componentWillUnmount() {
        document.removeEventListener("mousedown", this.outside);
    }
    onKey(event) {
        if (!this.state.open) return;
        const items = [...this.base.querySelectorAll("[role=menuitem]:not([disabled])")],
            at = items.indexOf(document.activeElement);
        const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1}[event.key];
        if (event.key === "Escape") this.close(true);
        else if (event.key === "Tab") this.close();
        else if (to !== undefined) items[(to + items.length) % items.length].focus();
        else return;
        if (event.key !== "Tab") event.preventDefault();
        event.stopPropagation();
    }
    render({text, icon, label, items, kind, header}, {open}) {
        return h(
            "div",
            {class: "menu", onKeyDown: event => this.onKey(event)},
            h(
                "button",
                {
                    class: `button ${kind || ""} ${text ? "" : "bare"}`,
                    type: "button",
                    "aria-haspopup": "menu",
                    "aria-expanded": String(!!open),
                    "aria-label": label || null,
                    title: label || null,
                    onClick: () => (open ? this.close() : this.open()),
                },
                icon && h(Icon, {name: icon}),
                text && h("span", null, text),
                text && h(Icon, {name: "down"}),
            ),
            open &&
                h(
                    "div",
                    {class: "menu-items"},
                    header && h("div", {class: "menu-header"}, header),
                    h(
                        "div",
                        {role: "menu"},
                        items.filter(Boolean).map(item =>
                            h(
                                "button",
                                {
                                    role: "menuitem",
                                    type: "button",
                                    tabIndex: -1,
                                    class: item.danger ? "danger" : "",
                                    disabled: item.disabled,
                                    title: item.why || null,
                                    onClick: () => {
                                        this.close(true);
                                        item.run();
                                    },
                                },
                                h(Icon, {name: item.icon || "chevron"}),
                                h("span", null, item.text),
                                item.keys && h(Kbd, {keys: item.keys}),
                            ),
                        ),
                    ),
                ),
        );
    }
}

export function Tabs({tabs, current, onChange, label}) {
    const move = event => {
        const at = tabs.findIndex(tab => tab.id === current),
            to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key];
        if (to === undefined) return;
        event.preventDefault();
        onChange(tabs[(to + tabs.length) % tabs.length].id);
        const list = event.currentTarget;
        requestAnimationFrame(() => {
            const now = list.querySelector("[aria-selected=true]");
            if (now) now.focus();
        });
    };
    return h(
        "div",
        {class: "tabs", role: "tablist", "aria-label": label, onKeyDown: move},
        tabs.map(tab =>
            h(
                "button",
                {
                    role: "tab",
                    type: "button",
                    id: `tab-${tab.id}`,
                    "aria-selected": String(tab.id === current),
                    "aria-controls": "tab-panel",
                    tabIndex: tab.id === current ? 0 : -1,
                    onClick: () => onChange(tab.id),
                },
                tab.icon && h(Icon, {name: tab.icon}),
                h("span", null, tab.text),
            ),
        ),
    );
}
