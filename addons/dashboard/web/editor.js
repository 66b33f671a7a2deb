// SPDX-License-Identifier: Apache-2.0
// YAML of an object, and of new ones. Nothing is saved before the server has tried it and its answer was shown as a
// difference. A change that somebody else made meanwhile is merged, or shown where it cannot be.
import {Button, Chip, Component, Copy, Icon, View, h, openDialog, toast} from "/assets/ui.js";
import {kindOf, kinds, listPath, loadSchema, may, objectPath, request, rights} from "/assets/api.js";
import {go} from "/assets/state.js";
import {Form} from "/assets/actions.js";
import {Diff, Highlighted, forPeople, merge, toYaml} from "/assets/yaml.js";
import {complete, pathAt} from "/assets/schema.js";

const STRICT = "fieldValidation=Strict";

async function parse(text) {
	const documents = await request("/yaml", {method: "POST", body: text, type: "application/yaml"});
	return documents.filter(one => one !== null);
}

// --- the field: a plain text area, so that the browser's own keys, undo and readers work; lines, keys and completion beside ---
export class Field extends Component {
	constructor(props) {
		super(props);
		this.state = {options: [], at: 0, doc: null};
	}
	componentDidMount() { this.look(); }
	insert(text, from = this.area.selectionStart, to = this.area.selectionEnd) {
		this.area.focus();
		this.area.setSelectionRange(from, to);
		// The browser's own undo knows of what is inserted this way.
		if (!document.execCommand("insertText", false, text)) {
			this.area.setRangeText(text, from, to, "end");
			this.props.onChange(this.area.value);
		}
	}
	// What may stand where the cursor is, and what it means.
	async look(open) {
		const {kind} = this.props, {value, selectionStart} = this.area, spot = pathAt(value, selectionStart), mine = this.round = {};
		if (!kind) return;
		try {
			const found = complete(await loadSchema(kind), kind, spot);
			if (mine !== this.round) return;
			this.setState({doc: found.doc, options: open || this.state.options.length ? found.options : [], at: 0, spot});
		} catch { /* without documentation, then */ }
	}
	choose(option) {
		const {spot} = this.state;
		this.setState({options: []});
		this.insert(option.text.slice(0) + (option.suffix || ""), spot.from, spot.to);
	}
	onKey(event) {
		const {options, at} = this.state, {area} = this;
		if (options.length) {
			const to = {ArrowDown: at + 1, ArrowUp: at - 1}[event.key];
			if (to !== undefined) { event.preventDefault(); this.setState({at: (to + options.length) % options.length}); return; }
			if (event.key === "Enter") { event.preventDefault(); this.choose(options[at]); return; }
			if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); this.setState({options: []}); return; }
		}
		if (event.key === " " && event.ctrlKey) { event.preventDefault(); this.look(true); }
		else if (event.key === "s" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); if (this.props.onSave) this.props.onSave(); }
		else if (event.key === "Enter") {
			event.preventDefault();
			const line = area.value.slice(0, area.selectionStart).split("\n").pop();
			const indent = /^\s*/.exec(line)[0] + (/^\s*- /.test(line) ? "  " : "") + (/:\s*$/.test(line) ? "  " : "");
			this.insert(`\n${indent}`);
		}
	}
	render({text, onChange, label, readOnly}, {options, at, doc}) {
		const lines = text.split("\n").length;
		return h("div", {class: "editor"},
			h("div", {class: "editor-field"},
				h("div", {class: "editor-lines", "aria-hidden": "true", ref: element => { this.gutter = element; }}, Array.from({length: lines}, (_, i) => h("span", null, String(i + 1)))),
				h("textarea", {class: "editor-text", spellcheck: false, autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": label, readOnly, value: text, ref: element => { this.area = element; },
					onInput: event => { onChange(event.target.value); this.look(/[\w]/.test(event.data || "") && this.state.options.length > 0); }, onKeyDown: event => this.onKey(event), onKeyUp: event => { if (/^Arrow|^Page|^Home|^End/.test(event.key) && !options.length) this.look(); }, onClick: () => { this.setState({options: []}); this.look(); },
					onScroll: event => { this.gutter.scrollTop = event.target.scrollTop; }})),
			h("aside", {class: "editor-help", "aria-live": "polite"},
				options.length ? h("ul", {class: "options", role: "listbox", "aria-label": "What may stand here"}, options.slice(0, 60).map((option, i) => h("li", {role: "option", "aria-selected": String(i === at), onMouseDown: event => { event.preventDefault(); this.choose(option); }},
					h("code", null, option.text), option.type && h("span", {class: "muted"}, option.type), i === at && option.doc && h("p", null, option.doc)))) :
					doc ? h("div", {class: "doc"}, h("p", null, h("code", null, doc.name), doc.type && h("span", {class: "muted"}, ` ${doc.type}`)), h("p", null, doc.text || "There is no documentation of it."), doc.values && h("p", {class: "muted"}, `One of: ${doc.values.join(", ")}`)) : h("p", {class: "muted"}, "Place the cursor on a field to read what it means."),
				h("p", {class: "muted small"}, h("kbd", null, "Ctrl"), " ", h("kbd", null, "Space"), " offers what may stand here.")));
	}
}

function Problem({error}) {
	const causes = error.details && error.details.causes || [];
	return h("div", {class: "notice bad", role: "alert"}, h(Icon, {name: "bad"}), h("div", null, h("p", null, error.message), causes.length > 1 && h("ul", null, causes.map(cause => h("li", null, h("code", null, cause.field), ` ${cause.message}`)))));
}

// --- an object that there is ---
// States: reading; editing; reviewing (what the server made of it, beside what there is).
export class Editor extends View {
	constructor(props) {
		super(props);
		const text = toYaml(forPeople(props.object));
		this.state = {mode: "read", base: props.object, baseText: text, text, full: false};
		this.onLeave = event => { if (this.changed()) event.preventDefault(); };
	}
	watched() { return [rights]; }
	componentDidMount() { addEventListener("beforeunload", this.onLeave); }
	componentWillUnmount() { super.componentWillUnmount(); removeEventListener("beforeunload", this.onLeave); }
	changed() { return this.state.mode !== "read" && this.state.text !== this.state.baseText; }
	begin() {
		const text = toYaml(forPeople(this.props.object));
		this.setState({mode: "edit", base: this.props.object, baseText: text, text, error: null, conflict: null});
	}
	path(query) {
		const {kind, object} = this.props;
		return `${objectPath(kind, object.metadata.namespace, object.metadata.name)}?${query}`;
	}
	async body() {
		const documents = await parse(this.state.text), {base} = this.state;
		if (documents.length !== 1 || typeof documents[0] !== "object" || Array.isArray(documents[0])) throw new Error("One YAML document is needed here.");
		const body = documents[0];
		if (!body.metadata || body.metadata.name !== base.metadata.name || (body.metadata.namespace || "") !== (base.metadata.namespace || "")) throw new Error("metadata.name and metadata.namespace cannot be changed: that would be another object. Create it instead.");
		body.metadata.resourceVersion = base.metadata.resourceVersion;
		return body;
	}
	async review() {
		this.setState({busy: true, error: null});
		try {
			const body = await this.body();
			const answer = await request(this.path(`dryRun=All&${STRICT}`), {method: "PUT", body});
			this.setState({busy: false, mode: "review", before: toYaml(forPeople(this.state.base)), after: toYaml(forPeople(answer))});
		} catch (error) {
			if (error.code === 409) await this.meet();
			else this.setState({busy: false, error});
		}
	}
	async save() {
		this.setState({busy: true, error: null});
		try {
			const body = await this.body();
			await request(this.path(STRICT), {method: "PUT", body});
			this.setState({busy: false, mode: "read"});
			toast(`${body.metadata.name} is saved`);
		} catch (error) {
			if (error.code === 409) await this.meet();
			else this.setState({busy: false, mode: "edit", error});
		}
	}
	// Somebody was faster: both changes in one text, from what they both began with.
	async meet() {
		try {
			const {kind, object} = this.props;
			const now = {...await request(objectPath(kind, object.metadata.namespace, object.metadata.name)), apiVersion: kind.apiVersion, kind: kind.kind};
			const theirs = toYaml(forPeople(now)), strip = text => text.replace(/^  (resourceVersion|generation): .*\n/gm, "");
			const {text, conflicts} = merge(strip(this.state.baseText), strip(this.state.text), strip(theirs));
			this.setState({busy: false, mode: "edit", base: now, baseText: theirs, text, error: null, conflict: conflicts || "merged"});
		} catch (error) {
			this.setState({busy: false, mode: "edit", error});
		}
	}
	render({kind, object}, {mode, text, error, busy, before, after, conflict, full}) {
		const shown = toYaml(forPeople(object, {status: full})), mayEdit = may("update", kind, object.metadata.namespace, {name: object.metadata.name});
		const marked = /^(<<<<<<<|=======|>>>>>>>)/m.test(text);
		if (mode === "read") return h("div", {class: "yaml-view"}, h("div", {class: "bar-tools"}, h(Button, {icon: "edit", text: "Edit", kind: "primary", disabled: mayEdit === false || !kind.verbs.includes("update"), title: mayEdit === false ? "You may not change it" : null, onClick: () => this.begin()}),
			h("label", {class: "check"}, h("input", {type: "checkbox", checked: full, onClick: () => this.setState({full: !full})}), h("span", null, "With its status")), h(Copy, {text: shown, label: "Copy the YAML"})),
		kind.kind === "Secret" ? h(Veiled, {text: shown}) : h(Highlighted, {text: shown}));
		return h("div", {class: "yaml-view"},
			h("div", {class: "bar-tools"}, mode === "edit" ? h(Button, {text: busy ? "The server tries it…" : "Review the change", kind: "primary", disabled: busy || marked || !this.changed(), onClick: () => this.review()}) : [h(Button, {text: busy ? "Saving…" : "Save", kind: "primary", disabled: busy, autofocus: true, onClick: () => this.save()}), h(Button, {text: "Back to the text", onClick: () => this.setState({mode: "edit"})})],
				h(Button, {text: "Discard", onClick: () => this.setState({mode: "read", error: null, conflict: null})}), mode === "review" && h(Chip, {level: "ok", text: "The server takes it"})),
			error && h(Problem, {error}),
			conflict && mode === "edit" && h("div", {class: `notice ${conflict === "merged" ? "" : "bad"}`, role: "alert"}, h(Icon, {name: conflict === "merged" ? "info" : "warn"}), h("span", null, conflict === "merged" ? "Somebody else changed it meanwhile. Their changes are in the text below, beside yours; look at it, and review again." : "Somebody else changed the same lines meanwhile. Both versions are in the text between <<<<<<< and >>>>>>>; leave what is right, and review again.")),
			mode === "edit" ? h(Field, {kind, text, label: `YAML of ${object.metadata.name}`, onChange: value => this.setState({text: value}), onSave: () => { if (this.changed() && !marked) this.review(); }}) :
				h("div", null, h("p", {class: "muted"}, "This is what the server would make of it:"), h(Diff, {before, after})));
	}
}
// The values of a Secret stay veiled in its YAML, too.
class Veiled extends Component {
	render({text}, {open}) {
		let inside = false;
		const veiled = text.split("\n").map(line => {
			if (/^\S/.test(line)) inside = /^(data|stringData):/.test(line);
			return inside && /^ +\S+:/.test(line) ? line.replace(/: .*/, ": ••••••••") : line;
		}).join("\n");
		return h("div", null, h("p", null, h(Button, {icon: open ? "lock" : "eye", text: open ? "Veil the values" : "Show the values", small: true, onClick: () => this.setState({open: !open})})), h(Highlighted, {text: open ? text : veiled}));
	}
}

// --- new objects ---
const templates = {
	"deployments.apps": namespace => `apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: ${namespace}\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app: web\n  template:\n    metadata:\n      labels:\n        app: web\n    spec:\n      containers:\n      - name: web\n        image: nginx:stable\n        ports:\n        - containerPort: 80\n`,
	services: namespace => `apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: ${namespace}\nspec:\n  selector:\n    app: web\n  ports:\n  - port: 80\n    targetPort: 80\n`,
	configmaps: namespace => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  namespace: ${namespace}\ndata:\n  key: value\n`,
	secrets: namespace => `apiVersion: v1\nkind: Secret\nmetadata:\n  name: credentials\n  namespace: ${namespace}\ntype: Opaque\nstringData:\n  password: change-me\n`,
	"cronjobs.batch": namespace => `apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: hello\n  namespace: ${namespace}\nspec:\n  schedule: "*/5 * * * *"\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: OnFailure\n          containers:\n          - name: hello\n            image: busybox:stable\n            command:\n            - date\n`,
	namespaces: () => "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team\n",
};
function template(kind, namespace) {
	const make = kind && templates[kind.id];
	return make ? make(namespace || "default") : kind ? `apiVersion: ${kind.apiVersion}\nkind: ${kind.kind}\nmetadata:\n  name: \n${kind.namespaced ? `  namespace: ${namespace || "default"}\n` : ""}` : "";
}

// A form that writes the YAML of a Deployment, and of a Service before it.
function written({name, namespace, image, replicas, port, exposed}) {
	const labels = {app: name}, container = {name, image, ...(port ? {ports: [{containerPort: Number(port)}]} : {})};
	const objects = [{apiVersion: "apps/v1", kind: "Deployment", metadata: {name, namespace}, spec: {replicas: Number(replicas), selector: {matchLabels: labels}, template: {metadata: {labels}, spec: {containers: [container]}}}}];
	if (port && exposed) objects.push({apiVersion: "v1", kind: "Service", metadata: {name, namespace}, spec: {selector: labels, ports: [{port: Number(port), targetPort: Number(port)}]}});
	return objects.map(toYaml).join("---\n");
}
function NewWorkload({namespace, onText}) {
	const number = (text, least, most) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most;
	return h(Form, {title: "Run an image", submit: "Write the YAML", initial: {name: "", image: "", replicas: "1", port: "", namespace, exposed: true},
		run: async state => {
			const values = {name: "", image: "", replicas: "1", port: "", namespace, exposed: true, ...state};
			if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(values.name)) throw new Error("Name: small letters, digits and hyphens, 63 at most.");
			if (!values.image.trim()) throw new Error("Image: say which.");
			if (!number(values.replicas, 0, 100000)) throw new Error("Replicas: a whole number is needed.");
			if (values.port && !number(values.port, 1, 65535)) throw new Error("Port: a number from 1 to 65535.");
			onText(written({...values, image: values.image.trim()}));
		},
		body: (values, set) => h("div", null, [["name", "Name", "web"], ["image", "Image", "nginx:stable"], ["namespace", "Namespace", "default"], ["replicas", "Replicas", "1"], ["port", "Port that it listens on", "none"]].map(([key, text, placeholder]) =>
			h("label", {class: "field", key}, h("span", null, text), h("input", {type: "text", value: values[key], placeholder, autocomplete: "off", onInput: event => set({[key]: event.target.value})}))),
		h("label", {class: "check"}, h("input", {type: "checkbox", checked: values.exposed, onClick: event => set({exposed: event.target.checked})}), h("span", null, "With a Service for the port")))});
}

export class Page extends View {
	constructor(props) {
		super(props);
		this.state = {text: template(kinds.byId.get(props.kindId), props.namespace), results: null};
	}
	watched() { return [rights]; }
	kindNow() {
		const apiVersion = /^apiVersion:\s*(\S+)/m.exec(this.state.text), kind = /^kind:\s*(\S+)/m.exec(this.state.text);
		return apiVersion && kind ? kindOf(apiVersion[1], kind[1]) : null;
	}
	// The objects of the text, each with where it goes.
	async plan() {
		const documents = (await parse(this.state.text)).flatMap(one => one.kind === "List" && Array.isArray(one.items) ? one.items : [one]);
		if (!documents.length) throw new Error("There is no object in the text.");
		return documents.map((object, i) => {
			const where = documents.length > 1 ? `Object ${i + 1}: ` : "";
			if (!object || typeof object !== "object" || !object.apiVersion || !object.kind) throw new Error(`${where}apiVersion and kind are needed.`);
			const kind = kindOf(object.apiVersion, object.kind);
			if (!kind || kind.apiVersion !== object.apiVersion) throw new Error(`${where}the server has no ${object.kind} of ${object.apiVersion}.`);
			if (!object.metadata || !object.metadata.name && !object.metadata.generateName) throw new Error(`${where}metadata.name is needed.`);
			if (kind.namespaced && !object.metadata.namespace) object.metadata.namespace = this.props.namespace || "default";
			return {object, kind, path: listPath(kind, object.metadata.namespace)};
		});
	}
	async run(dry) {
		this.setState({busy: true, error: null, results: null});
		try {
			const results = [];
			for (const item of await this.plan()) {
				const query = `${STRICT}${dry ? "&dryRun=All" : ""}`;
				try {
					const made = await request(`${item.path}?${query}`, {method: "POST", body: item.object});
					results.push({...item, made});
				} catch (error) {
					results.push({...item, error});
				}
			}
			const failed = results.some(one => one.error);
			this.setState({busy: false, results, dry, done: !dry && !failed});
			if (!dry && !failed) {
				toast(results.length === 1 ? `${results[0].made.metadata.name} is created` : `${results.length} objects are created`);
				if (results.length === 1) go(["object", results[0].kind.id, results[0].kind.namespaced ? results[0].made.metadata.namespace : "-", results[0].made.metadata.name]);
			}
		} catch (error) {
			this.setState({busy: false, error});
		}
	}
	async choose(file) {
		if (!file) return;
		if (file.size > 3 << 20) this.setState({error: new Error("The file is larger than 3 MiB.")});
		else this.setState({text: await file.text(), error: null, results: null});
	}
	render({namespace, kindId}, {text, error, busy, results, dry}) {
		const creatable = Object.keys(templates).map(id => kinds.byId.get(id)).filter(Boolean);
		return h("div", {class: "page fill"},
			h("header", {class: "page-head"}, h("div", {class: "page-title"}, h("h1", null, "Create")),
				h("div", {class: "page-tools"}, h("label", {class: "select"}, h("span", null, "Begin with"), h("select", {onChange: event => this.setState({text: template(kinds.byId.get(event.target.value), namespace), results: null, error: null})}, h("option", {value: ""}, "nothing"), creatable.map(kind => h("option", {value: kind.id, key: kind.id, selected: kind.id === kindId}, kind.kind)))),
					h(Button, {icon: "edit", text: "Form…", onClick: () => openDialog(() => h(NewWorkload, {namespace: namespace || "default", onText: written => this.setState({text: written, results: null, error: null})}))}),
					h("label", {class: "button file-button"}, h(Icon, {name: "download"}), h("span", null, "From a file"), h("input", {type: "file", accept: ".yaml,.yml,.json", class: "visually-hidden", onChange: event => this.choose(event.target.files[0])})),
					h(Button, {text: "Try it", disabled: busy || !text.trim(), title: "The server checks it, and keeps nothing", onClick: () => this.run(true)}), h(Button, {text: busy ? "Working…" : "Create", kind: "primary", disabled: busy || !text.trim(), onClick: () => this.run(false)}))),
			error && h(Problem, {error}),
			results && h("ul", {class: "results", role: "status"}, results.map(one => h("li", null, one.error ? h(Chip, {level: "bad", text: "Refused"}) : h(Chip, {level: "ok", text: dry ? "Would be created" : "Created"}), h("span", null, `${one.kind.kind} ${one.object.metadata.name || one.object.metadata.generateName}`), one.error && h("p", null, one.error.message)))),
			h(Field, {kind: this.kindNow(), text, label: "YAML of the new objects", onChange: value => this.setState({text: value, results: null}), onSave: () => this.run(true)}));
	}
}

