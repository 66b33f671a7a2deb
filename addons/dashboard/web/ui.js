// SPDX-License-Identifier: Apache-2.0
// The parts that pages are made of. Texts of objects only ever become text nodes or attributes that cannot run.
import preact from "/assets/preact.js";

export const {h, render, Component} = preact;

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
	watched() { return []; }
	dependsOn() { return ""; }
	hook(props) {
		this.unhook();
		this.key = this.dependsOn(props);
		this.ends = this.watched(props).map(signal => signal.subscribe(() => this.setState({})));
	}
	unhook() {
		for (const end of this.ends || []) end();
		this.ends = [];
	}
	componentWillMount() { this.hook(this.props); }
	componentWillReceiveProps(next) {
		if (this.dependsOn(next) !== this.key) this.hook(next);
	}
	componentWillUnmount() { this.unhook(); }
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
	user: "M8 2.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM2.8 13.8c.4-2.6 2.5-4 5.2-4s4.800 1.400 5.200 4",
	chevron: "M6 3.500l4.500 4.500L6 12.500",
	down: "M3.500 6L8 10.500 12.500 6",
	up: "M3.500 10L8 5.500 12.500 10",
	home: "M2 7.500L8 2.300l6 5.200M3.800 6.500v7h8.400v-7",
	map: "M2 2.500h5v5H2zM9 2.500h5v5H9zM2 9.500h5v4H2zM9 9.500h5v4H9z",
	cube: "M8 1.800l5.500 3v6.400L8 14.200l-5.500-3V4.800zM2.500 4.800L8 7.800l5.500-3M8 7.800v6.400",
	net: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c2 2 2.500 4 2.500 6S10 12 8 14M8 2C6 4 5.500 6 5.500 8S6 12 8 14",
	gear: "M8 5.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5zM8 1.800v2M8 12.200v2M1.800 8h2M12.200 8h2M3.600 3.600L5 5M11 11l1.400 1.400M12.400 3.600L11 5M5 11l-1.400 1.400",
	disk: "M2.500 4c0-1 2.500-1.800 5.500-1.800S13.500 3 13.500 4 11 5.800 8 5.800 2.500 5 2.500 4zM2.500 4v8c0 1 2.500 1.800 5.500 1.800s5.500-.8 5.500-1.800V4M2.500 8c0 1 2.500 1.800 5.500 1.800S13.500 9 13.500 8",
	server: "M2 2.800h12v4.200H2zM2 9h12v4.200H2zM4.500 4.900h.2M4.500 11.100h.2",
	key: "M10.300 2.500a3.200 3.200 0 1 0 0 6.400 3.200 3.200 0 0 0 0-6.400zM8 8l-5.500 5.500M4.500 11.500l1.500 1.500",
	puzzle: "M2.500 5.500h3a1.600 1.600 0 1 1 3.200 0h3v3a1.600 1.600 0 1 1 0 3.200v2h-9.200z",
	play: "M4.500 2.800v10.400l8-5.200z",
	terminal: "M2 3h12v10H2zM4.500 6l2 2-2 2M8.500 10h3",
	text: "M3 3.500h10M3 6.500h10M3 9.500h7M3 12.500h9",
	edit: "M3 13l.600-2.800 7-7 2.200 2.200-7 7zM9.500 4.300l2.200 2.200",
	trash: "M3 4.500h10M6.500 4.500v-2h3v2M4.300 4.500l.6 9h6.200l.6-9M6.800 7v4M9.200 7v4",
	restart: "M13 8a5 5 0 1 1-1.700-3.800M13.200 2v3h-3",
	pause: "M5.500 3v10M10.500 3v10",
	scale: "M3 13V9M6.500 13V6M10 13V8M13.500 13V3",
	undo: "M3 6h6.500a3.500 3.500 0 0 1 0 7H6M3 6l3-3M3 6l3 3",
	eye: "M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8zM8 6.200a1.800 1.800 0 1 0 0 3.600 1.800 1.800 0 0 0 0-3.600z",
	copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
	download: "M8 2v8M4.500 7L8 10.500 11.500 7M2.500 13.500h11",
	lock: "M3.500 7.200h9v6.300h-9zM5.500 7.200V5a2.500 2.500 0 0 1 5 0v2.200",
	list: "M5.500 4H14M5.500 8H14M5.500 12H14M2.200 4h.2M2.200 8h.2M2.200 12h.2",
	drain: "M2.500 3h11M2.500 6h11M8 8.500v5M5.500 11L8 13.500 10.500 11",
	link: "M6.500 9.500l3-3M7 4.500l1.200-1.200a3 3 0 0 1 4.300 4.300L11.300 8.800M9 11.500l-1.200 1.200a3 3 0 0 1-4.300-4.300L4.700 7.200",
};

export function Icon({name, label}) {
	return h("svg", {class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": label ? null : "true",
		role: label ? "img" : null, "aria-label": label || null},
		h("path", {d: paths[name] || paths.info}));
}

// --- small parts ---
const levelIcons = {ok: "ok", warn: "warn", bad: "bad", wait: "wait", info: "info", done: "done"};

// A state: colour, shape and word say the same.
export function Chip({level, text, title}) {
	return h("span", {class: `chip chip-${level}`, title: title || null}, h(Icon, {name: levelIcons[level] || "info"}), h("span", null, text));
}

export function Button({icon, text, kind, onClick, disabled, title, label, type, small, pressed, autofocus}) {
	return h("button", {class: `button ${kind || ""} ${small ? "small" : ""} ${text ? "" : "bare"}`, type: type || "button", onClick, disabled,
		title: title || label || null, "aria-label": label || (text ? null : title), "aria-pressed": pressed === undefined ? null : String(pressed),
		autofocus},
		icon && h(Icon, {name: icon}), text && h("span", null, text));
}

export function Loading({text}) {
	return h("div", {class: "state", role: "status"}, h("div", {class: "spinner", "aria-hidden": "true"}), h("p", null, text || "Loading…"));
}

export function Empty({title, children, icon}) {
	return h("div", {class: "state"}, h(Icon, {name: icon || "list"}), h("p", {class: "state-title"}, title), h("div", {class: "state-text"}, children));
}

export function Failure({error, retry, what}) {
	const forbidden = error.code === 403;
	return h("div", {class: "state", role: "alert"},
		h(Icon, {name: forbidden ? "lock" : "bad"}),
		h("p", {class: "state-title"}, forbidden ? `You may not ${what || "see this"}` : `This did not work${what ? `: ${what}` : ""}`),
		h("p", {class: "state-text"}, error.message || String(error)),
		retry && h("p", null, h(Button, {text: "Try again", onClick: retry})));
}

export function Kbd({keys}) {
	return h("span", {class: "keys"}, keys.split(" ").map(key => h("kbd", null, key)));
}

export function Copy({text, label}) {
	return h(Button, {icon: "copy", small: true, kind: "quiet", label: label || "Copy",
		onClick: () => navigator.clipboard.writeText(text).then(() => toast("Copied"), () => toast("The browser does not let this page copy", "bad"))});
}

export function Command({text}) {
	return h("div", {class: "command"}, h("code", {tabIndex: 0}, text), h(Copy, {text, label: "Copy the command"}));
}

// --- time ---
export const clock = new Signal();
setInterval(() => clock.emit(), 1000);

// As kubectl has it: 5s, 3m10s, 7h15m, 3d.
export function duration(ms) {
	const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), hours = Math.floor(m / 60), d = Math.floor(hours / 24);
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
	componentDidMount() { this.end = clock.subscribe(() => { if (age(this.props.time) !== this.shown) this.setState({}); }); }
	componentWillUnmount() { this.end(); }
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
	componentWillUnmount() { this.end(); }
	drop(item) { this.setState({items: this.state.items.filter(other => other !== item)}); }
	render(props, {items}) {
		return h("div", {class: "toasts", role: "status", "aria-live": "polite"}, (items || []).map(item =>
			h("div", {class: `toast toast-${item.level}`, key: item.id}, h(Icon, {name: levelIcons[item.level]}), h("span", null, item.text),
				h(Button, {icon: "close", kind: "quiet", small: true, label: "Dismiss", onClick: () => this.drop(item)}))));
	}
}

// --- dialogs: one at a time, the browser keeps focus in them ---
export const dialogs = new Signal();
export function openDialog(make) { dialogs.emit(make); }
export function closeDialog() { dialogs.emit(null); }
export class Dialogs extends Component {
	componentDidMount() {
		this.end = dialogs.subscribe(make => {
			if (make && !this.state.make) this.before = document.activeElement;
			this.setState({make});
		});
	}
	componentWillUnmount() { this.end(); }
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
		return h("div", null, make && h("dialog", {ref: element => { this.element = element; }, class: "dialog", onCancel: event => { event.preventDefault(); closeDialog(); },
			onMouseDown: event => { if (event.target === this.element) closeDialog(); }, "aria-labelledby": "dialog-title"}, make()));
	}
}
// The frame of a dialog.
export function Sheet({title, children, actions, wide, onSubmit}) {
	return h("form", {class: `sheet ${wide ? "wide" : ""}`, method: "dialog", onSubmit: event => { event.preventDefault(); if (onSubmit) onSubmit(event); }},
		h("header", null, h("h2", {id: "dialog-title"}, title), h(Button, {icon: "close", kind: "quiet", label: "Close", onClick: closeDialog})),
		h("div", {class: "sheet-body"}, children),
		actions && h("footer", null, actions));
}

// --- a menu under a button ---
export class Menu extends Component {
	constructor(props) {
		super(props);
		this.outside = event => { if (this.base && !this.base.contains(event.target)) this.close(); };
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
	componentWillUnmount() { document.removeEventListener("mousedown", this.outside); }
	onKey(event) {
		if (!this.state.open) return;
		const items = [...this.base.querySelectorAll("[role=menuitem]:not([disabled])")], at = items.indexOf(document.activeElement);
		const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1}[event.key];
		if (event.key === "Escape") this.close(true);
		else if (event.key === "Tab") this.close();
		else if (to !== undefined) items[(to + items.length) % items.length].focus();
		else return;
		if (event.key !== "Tab") event.preventDefault();
		event.stopPropagation();
	}
	render({text, icon, label, items, kind, header}, {open}) {
		return h("div", {class: "menu", onKeyDown: event => this.onKey(event)},
			h("button", {class: `button ${kind || ""} ${text ? "" : "bare"}`, type: "button", "aria-haspopup": "menu", "aria-expanded": String(!!open), "aria-label": label || null, title: label || null,
				onClick: () => open ? this.close() : this.open()}, icon && h(Icon, {name: icon}), text && h("span", null, text), text && h(Icon, {name: "down"})),
			open && h("div", {class: "menu-items"}, header && h("div", {class: "menu-header"}, header),
				h("div", {role: "menu"}, items.filter(Boolean).map(item =>
					h("button", {role: "menuitem", type: "button", tabIndex: -1, class: item.danger ? "danger" : "", disabled: item.disabled, title: item.why || null,
						onClick: () => { this.close(true); item.run(); }}, h(Icon, {name: item.icon || "chevron"}), h("span", null, item.text), item.keys && h(Kbd, {keys: item.keys}))))));
	}
}

export function Tabs({tabs, current, onChange, label}) {
	const move = event => {
		const at = tabs.findIndex(tab => tab.id === current), to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key];
		if (to === undefined) return;
		event.preventDefault();
		onChange(tabs[(to + tabs.length) % tabs.length].id);
		const list = event.currentTarget;
		requestAnimationFrame(() => { const now = list.querySelector("[aria-selected=true]"); if (now) now.focus(); });
	};
	return h("div", {class: "tabs", role: "tablist", "aria-label": label, onKeyDown: move}, tabs.map(tab =>
		h("button", {role: "tab", type: "button", id: `tab-${tab.id}`, "aria-selected": String(tab.id === current), "aria-controls": "tab-panel", tabIndex: tab.id === current ? 0 : -1,
			onClick: () => onChange(tab.id)}, tab.icon && h(Icon, {name: tab.icon}), h("span", null, tab.text))));
}
