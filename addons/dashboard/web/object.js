// SPDX-License-Identifier: Apache-2.0
// The page of one object: how it is and why, what it is made of, what it belongs to, its events; its YAML, logs, terminal.
import {Age, Button, Chip, Command, Component, Copy, Empty, Failure, Icon, Loading, Menu, Tabs, View, h} from "/assets/ui.js";
import {kindOf, kinds, may, rights} from "/assets/api.js";
import {href, objectHref, setQuery} from "/assets/state.js";
import {liveList, liveObject} from "/assets/live.js";
import {explain, levelOfWord, quantity, stateOf, worst} from "/assets/why.js";
import {Sparkline, bytesText, cpuText} from "/assets/charts.js";
import {actionsOf} from "/assets/actions.js";
import {Related} from "/assets/related.js";
import {Editor} from "/assets/editor.js";
import {title} from "/assets/list.js";
import {current} from "/assets/palette.js";

export class Page extends View {
	constructor(props) {
		super(props);
		this.onKey = event => {
			if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, [role=menu], .xterm")) return;
			const action = this.actions().find(one => one.keys === event.key && !one.disabled);
			if (!action) return;
			event.preventDefault();
			action.run();
		};
	}
	dependsOn({kind, namespace, name}) { return `${kind.id} ${namespace} ${name}`; }
	watched({kind, namespace, name}) {
		this.last = null;
		this.list = liveObject(kind, namespace, name);
		return [this.list, rights];
	}
	componentDidMount() {
		document.addEventListener("keydown", this.onKey);
		current.actions = () => this.actions();
	}
	componentWillUnmount() {
		super.componentWillUnmount();
		document.removeEventListener("keydown", this.onKey);
		current.actions = () => [];
	}
	object() {
		const found = this.list.items[0];
		if (found) this.last = {...found, apiVersion: this.props.kind.apiVersion, kind: this.props.kind.kind};
		return this.last;
	}
	actions() {
		const object = this.object();
		return object && this.list.items.length ? actionsOf(this.props.kind, object) : [];
	}
	render({kind, namespace, name, tab}) {
		const {list} = this, object = this.object();
		if (list.state === "failed" && !object) return h(Failure, {error: list.error, what: `see ${kind.kind} ${name}`, retry: () => list.retry()});
		if (!object) return list.state === "loading" ? h(Loading) : list.state === "lost" ? h(Failure, {error: list.error, retry: () => list.retry()}) :
			h(Empty, {title: `There is no ${kind.kind} ${name}${namespace ? ` in ${namespace}` : ""}`, icon: "search"}, h("a", {href: href(["list", kind.id])}, `All ${title(kind)}`));
		const gone = list.state === "live" && !list.items.length, state = stateOf(object), actions = this.actions();
		const tabs = [{id: "", text: "Overview", icon: "info"}, {id: "yaml", text: "YAML", icon: "edit"}, actions.some(one => one.id === "logs") && {id: "logs", text: "Logs", icon: "text"}, kind.kind === "Pod" && {id: "terminal", text: "Terminal", icon: "terminal"}].filter(Boolean);
		const main = ["logs", "scale", "restart", "cordon", "trigger"].map(id => actions.find(action => action.id === id)).filter(Boolean).slice(0, 3);
		const shown = tabs.some(one => one.id === tab) ? tab : "";
		return h("div", {class: `page object-page ${shown === "logs" || shown === "terminal" ? "fill" : ""}`},
			h("nav", {class: "crumbs", "aria-label": "Where this is"}, h("a", {href: href(["list", kind.id])}, title(kind)), kind.namespaced && [h(Icon, {name: "chevron"}), h("a", {href: href(["list", kind.id], {ns: namespace})}, namespace)]),
			h("header", {class: "page-head"},
				h("div", {class: "page-title"}, h("h1", {title: name}, name), gone ? h(Chip, {level: "bad", text: "Deleted"}) : state && h(Chip, state), list.state === "lost" && h(Chip, {level: "warn", text: "Not live"})),
				h("div", {class: "page-tools"}, main.map(action => h(Button, {icon: action.icon, text: action.text, disabled: action.disabled, title: action.why, onClick: action.run, key: action.id})),
					actions.length > 0 && h(Menu, {text: "Actions", label: "Actions", items: actions}))),
			h(Tabs, {tabs, current: shown, onChange: id => setQuery({tab: id}), label: "Views of the object"}),
			h("div", {class: "tab-panel", id: "tab-panel", role: "tabpanel", "aria-labelledby": `tab-${shown}`, tabIndex: -1},
				shown === "yaml" ? h(Editor, {kind, object, key: object.metadata.uid}) : shown === "logs" ? h(LateView, {file: "/assets/logs.js", props: {kind, object}, key: `logs ${object.metadata.uid}`}) :
					shown === "terminal" ? h(LateView, {file: "/assets/terminal.js", props: {kind, object}, key: `terminal ${object.metadata.uid}`}) : h(About, {kind, object})));
	}
}
class LateView extends Component {
	componentDidMount() { import(this.props.file).then(module => this.setState({module}), error => this.setState({error})); }
	render({props}, {module, error}) { return error ? h(Failure, {error}) : module ? h(module.default, props) : h(Loading); }
}

function Facts({rows}) {
	return h("dl", {class: "facts"}, rows.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false).map(([name, value]) => h("div", {key: name}, h("dt", null, name), h("dd", null, value))));
}
function Labels({labels}) {
	const all = Object.entries(labels || {});
	return all.length ? h("ul", {class: "labels"}, all.map(([key, value]) => h("li", {title: `${key}=${value}`}, h("span", {class: "label-key"}, key), value && h("span", {class: "label-value"}, value)))) : null;
}
function some(map) { return Object.keys(map || {}).some(key => key !== "kubectl.kubernetes.io/last-applied-configuration"); }
function selectorText(selector) {
	if (!selector) return null;
	return Object.entries(selector.matchLabels || (selector.matchExpressions ? {} : selector)).map(([key, value]) => `${key}=${value}`).join(", ");
}

// What is worth telling of a kind besides what every object has.
const facts = {
	Pod: ({spec, status = {}}) => [["Node", spec.nodeName && h("a", {href: objectHref(kinds.byId.get("nodes"), "", spec.nodeName)}, spec.nodeName)], ["Address", status.podIP], ["Quality of service", status.qosClass], ["Service account", spec.serviceAccountName], ["Priority", spec.priorityClassName], ["Restart policy", spec.restartPolicy]],
	Deployment: ({spec, status = {}}) => [["Replicas", `${status.readyReplicas || 0} ready, ${status.updatedReplicas || 0} up to date, of ${spec.replicas}`], ["Strategy", spec.strategy && spec.strategy.type], ["Selector", selectorText(spec.selector)]],
	ReplicaSet: ({spec, status = {}}) => [["Replicas", `${status.readyReplicas || 0} ready of ${spec.replicas}`], ["Selector", selectorText(spec.selector)]],
	StatefulSet: ({spec, status = {}}) => [["Replicas", `${status.readyReplicas || 0} ready of ${spec.replicas}`], ["Service", spec.serviceName], ["Selector", selectorText(spec.selector)]],
	DaemonSet: ({spec, status = {}}) => [["Pods", `${status.numberReady || 0} ready of ${status.desiredNumberScheduled || 0}`], ["Selector", selectorText(spec.selector)]],
	Job: ({spec, status = {}}) => [["Completions", `${status.succeeded || 0} of ${spec.completions ?? 1}`], ["Failed", status.failed], ["Parallelism", spec.parallelism]],
	CronJob: ({spec, status = {}}) => [["Schedule", `${spec.schedule}${spec.timeZone ? ` (${spec.timeZone})` : ""}`], ["Last run", status.lastScheduleTime && h(Age, {time: status.lastScheduleTime})], ["Concurrency", spec.concurrencyPolicy]],
	Service: ({spec, status = {}}) => [["Type", spec.type], ["Cluster address", spec.clusterIP], ["Ports", (spec.ports || []).map(port => `${port.name ? `${port.name} ` : ""}${port.port}→${port.targetPort}/${port.protocol}${port.nodePort ? ` (node port ${port.nodePort})` : ""}`).join(", ")], ["Selector", selectorText(spec.selector)], ["Outside", h(Outside, {spec, status})]],
	Ingress: ({spec}) => [["Class", spec.ingressClassName], ["Rules", (spec.rules || []).flatMap(rule => (rule.http && rule.http.paths || []).map(path => `${rule.host || "*"}${path.path || "/"} → ${path.backend.service ? path.backend.service.name : "?"}`)).join(", ")]],
	Node: ({spec, status = {}}) => [["Addresses", (status.addresses || []).map(one => `${one.address} (${one.type})`).join(", ")], ["Capacity", status.allocatable && `${cpuText(quantity(status.allocatable.cpu))}, ${bytesText(quantity(status.allocatable.memory))}, ${status.allocatable.pods} pods`], ["Kubelet", status.nodeInfo && status.nodeInfo.kubeletVersion], ["System", status.nodeInfo && `${status.nodeInfo.osImage}, Linux ${status.nodeInfo.kernelVersion}`], ["Taints", (spec.taints || []).map(one => `${one.key}${one.value ? `=${one.value}` : ""}:${one.effect}`).join(", ")]],
	PersistentVolumeClaim: ({spec, status = {}}) => [["Size", status.capacity ? status.capacity.storage : `${spec.resources.requests.storage} wanted`], ["Class", spec.storageClassName], ["Modes", (spec.accessModes || []).join(", ")], ["Volume", spec.volumeName]],
	PersistentVolume: ({spec}) => [["Size", spec.capacity && spec.capacity.storage], ["Class", spec.storageClassName], ["Reclaim", spec.persistentVolumeReclaimPolicy], ["Claim", spec.claimRef && `${spec.claimRef.namespace}/${spec.claimRef.name}`]],
	HorizontalPodAutoscaler: ({spec, status = {}}) => [["Scales", `${spec.scaleTargetRef.kind} ${spec.scaleTargetRef.name}`], ["Replicas", `${status.currentReplicas || 0}, from ${spec.minReplicas ?? 1} to ${spec.maxReplicas}`]],
};

// Addresses that a browser outside the cluster may reach.
function Outside({spec, status}) {
	const list = kinds.byId.get("nodes") && liveList(kinds.byId.get("nodes"), "");
	const host = list && list.items[0] && (list.items[0].status.addresses || []).find(one => one.type === "InternalIP");
	const balancers = status.loadBalancer && status.loadBalancer.ingress || [];
	const links = balancers.flatMap(one => spec.ports.map(port => `http://${one.ip || one.hostname}:${port.port}`));
	if (!links.length && host) for (const port of spec.ports || []) if (port.nodePort) links.push(`http://${host.address}:${port.nodePort}`);
	return links.length ? h("span", {class: "links"}, links.map(link => h("a", {href: link, target: "_blank", rel: "noopener noreferrer"}, link))) : null;
}
function portForward(kind, object) {
	const port = kind.kind === "Service" ? (object.spec.ports || [])[0] && object.spec.ports[0].port : (object.spec.containers || []).flatMap(one => one.ports || []).map(one => one.containerPort)[0];
	return port ? `kubectl port-forward ${kind.kind === "Service" ? "service" : "pod"}/${object.metadata.name} -n ${object.metadata.namespace} ${port < 1024 ? port + 8000 : port}:${port}` : null;
}

class About extends View {
	watched() { return [kinds.byId.get("nodes") && may("list", kinds.byId.get("nodes")) ? liveList(kinds.byId.get("nodes"), "") : null].filter(Boolean); }
	render({kind, object}) {
		const {metadata} = object, found = explain(object), level = worst(found), make = facts[kind.kind];
		const forward = ["Service", "Pod"].includes(kind.kind) && portForward(kind, object);
		return h("div", {class: "about"},
			found.length > 0 && h("section", {class: `why why-${level}`, "aria-label": "Why"}, found.map(one => h("div", {class: "why-one"}, h(Icon, {name: one.level === "ok" ? "done" : one.level}), h("div", null, h("p", null, h("strong", null, `${one.title}.`)), one.detail && h("p", null, one.detail), one.command && h(Command, {text: one.command}))))),
			h("div", {class: "columns"},
				h("div", {class: "grow stack"},
					h("section", {class: "card", "aria-labelledby": "facts"}, h("h2", {id: "facts"}, "At a glance"), h(Facts, {rows: [...(make ? make(object) : []), ["Age", h("span", null, h(Age, {time: metadata.creationTimestamp}), h("span", {class: "muted"}, ` · since ${new Date(metadata.creationTimestamp).toLocaleString()}`))],
						["Owner", metadata.ownerReferences && h("span", {class: "links"}, metadata.ownerReferences.map(owner => { const of = kindOf(owner.apiVersion, owner.kind); return of ? h("a", {href: objectHref(of, metadata.namespace, owner.name)}, `${owner.kind} ${owner.name}`) : `${owner.kind} ${owner.name}`; }))],
						["Labels", some(metadata.labels) && h(Labels, {labels: metadata.labels})], ["Annotations", some(metadata.annotations) && h(Annotations, {annotations: metadata.annotations})], ["Finalizers", (metadata.finalizers || []).join(", ")], ["Reach it", forward && h(Command, {text: forward})]]})),
					kind.kind === "Pod" && h(Containers, {object}),
					kind.kind === "Node" && h(NodePods, {object}),
					h(Related, {kind, object}),
					kind.kind === "Deployment" && h(Rollout, {object}),
					(kind.kind === "ConfigMap" || kind.kind === "Secret") && h(Data, {object, secret: kind.kind === "Secret"}),
					h(Conditions, {object})),
				h("div", {class: "side stack"}, (kind.kind === "Pod" || kind.kind === "Node") && h(Usage, {kind, object}), h(Events, {kind, object}))));
	}
}

class Annotations extends Component {
	render({annotations}, {all}) {
		const entries = Object.entries(annotations).filter(([key]) => key !== "kubectl.kubernetes.io/last-applied-configuration");
		const shown = all ? entries : entries.slice(0, 4);
		return entries.length ? h("div", null, h("dl", {class: "annotations"}, shown.map(([key, value]) => h("div", null, h("dt", null, key), h("dd", null, value.length > 400 && !all ? `${value.slice(0, 400)}…` : value)))),
			(entries.length > 4 || entries.some(([, value]) => value.length > 400)) && h(Button, {text: all ? "Show less" : `Show all ${entries.length}`, small: true, kind: "quiet", onClick: () => this.setState({all: !all})})) : null;
	}
}

function containerState(status) {
	if (!status) return {level: "wait", text: "Waiting"};
	const {waiting, running, terminated} = status.state || {};
	if (running) return status.ready ? {level: "ok", text: "Running"} : {level: "warn", text: "Not ready"};
	if (terminated) return terminated.exitCode === 0 ? {level: "done", text: "Completed"} : {level: "bad", text: terminated.reason || "Failed"};
	return {level: waiting && /BackOff|Err|Error|Invalid/.test(waiting.reason) ? "bad" : "wait", text: waiting && waiting.reason || "Waiting"};
}
function amounts(resources = {}) {
	const parts = [];
	for (const [name, text] of [["requests", "asks for"], ["limits", "at most"]])
		if (resources[name]) parts.push(`${text} ${Object.entries(resources[name]).map(([key, value]) => `${key} ${value}`).join(", ")}`);
	return parts.join("; ");
}
function Containers({object}) {
	const {spec, status = {}} = object;
	const all = [...(spec.initContainers || []).map(one => [one, "Init container", status.initContainerStatuses]), ...spec.containers.map(one => [one, "Container", status.containerStatuses]), ...(spec.ephemeralContainers || []).map(one => [one, "Debug container", status.ephemeralContainerStatuses])];
	return h("section", {class: "card", "aria-labelledby": "containers"}, h("h2", {id: "containers"}, "Containers"), h("ul", {class: "containers"}, all.map(([container, what, statuses]) => {
		const one = (statuses || []).find(candidate => candidate.name === container.name), state = containerState(one);
		return h("li", {key: container.name}, h("div", {class: "container-head"}, h("h3", null, container.name), h(Chip, state), what !== "Container" && h("span", {class: "muted"}, what), one && one.restartCount > 0 && h("span", {class: "muted"}, `${one.restartCount} ${one.restartCount === 1 ? "restart" : "restarts"}`)),
			h(Facts, {rows: [["Image", container.image], ["Command", [...(container.command || []), ...(container.args || [])].join(" ")], ["Ports", (container.ports || []).map(port => `${port.name ? `${port.name} ` : ""}${port.containerPort}/${port.protocol}`).join(", ")], ["Resources", amounts(container.resources)],
				["Last run", one && one.lastState && one.lastState.terminated && `exit code ${one.lastState.terminated.exitCode}${one.lastState.terminated.reason ? ` (${one.lastState.terminated.reason})` : ""}`]]}));
	})));
}

class NodePods extends View {
	dependsOn({object}) { return object.metadata.uid; }
	watched({object}) {
		this.list = liveList(kinds.byId.get("pods"), "", {form: "table", field: `spec.nodeName=${object.metadata.name}`});
		return [this.list];
	}
	render() {
		const {list} = this, at = name => (list.columns || []).findIndex(column => column.name === name);
		if (list.state === "failed") return null;
		const rows = list.items.sort((a, b) => `${a.object.metadata.namespace}/${a.object.metadata.name}` < `${b.object.metadata.namespace}/${b.object.metadata.name}` ? -1 : 1);
		return h("section", {class: "card", "aria-labelledby": "node-pods"}, h("h2", {id: "node-pods"}, `Pods here (${rows.length})`), rows.length ? h("ul", {class: "node-pods"}, rows.slice(0, 200).map(row => {
			const status = String(row.cells[at("Status")]);
			return h("li", {key: row.object.metadata.uid}, h("a", {href: objectHref(list.kind, row.object.metadata.namespace, row.object.metadata.name)}, row.object.metadata.name), h("span", {class: "muted"}, row.object.metadata.namespace), h(Chip, {level: levelOfWord(status) || "warn", text: status}));
		})) : h("p", {class: "muted"}, list.state === "loading" ? "Loading…" : "There are none."), rows.length > 200 && h("p", {class: "muted"}, `and ${rows.length - 200} more`));
	}
}

function Conditions({object}) {
	const all = object.status && Array.isArray(object.status.conditions) ? object.status.conditions : [];
	if (!all.length) return null;
	const good = one => /Pressure$|Unavailable$|^(ReplicaFailure|Failed|Disruption|PodResize)/.test(one.type) ? one.status === "False" : one.status === "True";
	return h("section", {class: "card", "aria-labelledby": "conditions"}, h("h2", {id: "conditions"}, "Conditions"), h("div", {class: "scroll", tabIndex: 0, role: "group", "aria-label": "Table of conditions"}, h("table", {class: "plain"}, h("thead", null, h("tr", null, ["Condition", "Status", "Since", "Reason"].map(text => h("th", {scope: "col"}, text)))),
		h("tbody", null, all.map(one => h("tr", {key: one.type}, h("td", null, one.type), h("td", null, h(Chip, {level: good(one) ? "ok" : one.status === "Unknown" ? "wait" : /^(Progressing|Complete|Suspended|AbleToScale|ScalingActive|ScalingLimited|SuccessCriteriaMet)$/.test(one.type) ? "info" : "warn", text: one.status})), h("td", null, h(Age, {time: one.lastTransitionTime})), h("td", null, one.reason, one.message && h("p", {class: "muted"}, one.message))))))));
}

class Events extends View {
	dependsOn({object}) { return object.metadata.uid; }
	watched({object}) {
		const kind = kinds.byId.get("events"), {namespace, name, uid} = object.metadata;
		this.list = liveList(kind, namespace || "", {field: `involvedObject.name=${name}${namespace ? `,involvedObject.uid=${uid}` : ""}`});
		return [this.list];
	}
	render({object}) {
		const {list} = this, time = event => event.lastTimestamp || event.eventTime || event.metadata.creationTimestamp;
		const events = list.items.filter(event => event.involvedObject.kind === object.kind).sort((a, b) => Date.parse(time(b)) - Date.parse(time(a)));
		return h("section", {class: "card", "aria-labelledby": "events"}, h("h2", {id: "events"}, "Events"), list.state === "failed" ? h("p", {class: "muted"}, list.error.code === 403 ? "You may not see events here." : list.error.message) : events.length ? h("ul", {class: "event-list"}, events.slice(0, 30).map(event =>
			h("li", {key: event.metadata.uid}, h("p", null, h(Chip, {level: event.type === "Warning" ? "warn" : "info", text: event.reason}), h("span", {class: "muted"}, h(Age, {time: time(event)}), event.count > 1 && ` · ${event.count} times`)), h("p", {class: "event-text"}, event.message)))) :
			h("p", {class: "muted"}, list.state === "loading" ? "Loading…" : "There were none in the last hour."));
	}
}

// Figures are kept from when the page was opened.
const histories = new Map();
class Usage extends View {
	dependsOn({object}) { return `${object.metadata.uid} ${kinds.byId.has("pods.metrics.k8s.io")}`; }
	watched({kind, object}) {
		const metrics = kinds.byId.get(kind.kind === "Pod" ? "pods.metrics.k8s.io" : "nodes.metrics.k8s.io");
		this.list = metrics && liveList(metrics, object.metadata.namespace || "", {});
		return this.list ? [this.list] : [];
	}
	render({kind, object}) {
		if (!this.list || this.list.state === "failed") return null;
		const {uid, name} = object.metadata, item = this.list.items.find(one => one.metadata.name === name);
		if (!histories.has(uid)) histories.set(uid, []);
		const history = histories.get(uid);
		if (item && (!history.length || history[history.length - 1].stamp !== item.timestamp)) {
			const usage = kind.kind === "Pod" ? item.containers.map(one => one.usage) : [item.usage];
			history.push({stamp: item.timestamp, at: Date.parse(item.timestamp), cpu: usage.reduce((sum, one) => sum + quantity(one.cpu), 0), memory: usage.reduce((sum, one) => sum + quantity(one.memory), 0)});
			if (history.length > 240) history.shift();
		}
		if (!history.length) return null;
		const of = (what, resource) => kind.kind === "Pod" ? object.spec.containers.reduce((sum, one) => sum + quantity(((one.resources || {})[what] || {})[resource]), 0) : 0;
		const marks = resource => kind.kind === "Pod" ? [{value: of("requests", resource), text: "request"}, {value: of("limits", resource), text: "limit"}] : [{value: quantity(object.status.allocatable[resource]), text: "allocatable"}];
		return h("section", {class: "card", "aria-labelledby": "usage"}, h("h2", {id: "usage"}, "Load"), h("div", {class: "sparks"},
			h(Sparkline, {label: "CPU", points: history.map(one => ({at: one.at, value: one.cpu})), marks: marks("cpu"), format: cpuText}), h(Sparkline, {label: "Memory", points: history.map(one => ({at: one.at, value: one.memory})), marks: marks("memory"), format: bytesText})));
	}
}

// How a rollout goes: old and new pods side by side.
class Rollout extends View {
	dependsOn({object}) { return object.metadata.uid; }
	watched({object}) {
		this.list = liveList(kinds.byId.get("replicasets.apps"), object.metadata.namespace);
		return [this.list];
	}
	render({object}) {
		const revision = one => Number((one.metadata.annotations || {})["deployment.kubernetes.io/revision"]) || 0;
		const own = this.list.items.filter(one => (one.metadata.ownerReferences || []).some(owner => owner.uid === object.metadata.uid)).sort((a, b) => revision(b) - revision(a));
		if (own.length < 2) return null;
		return h("section", {class: "card", "aria-labelledby": "rollout"}, h("h2", {id: "rollout"}, "Revisions"), h("ul", {class: "revisions"}, own.slice(0, 8).map((one, i) => {
			const ready = (one.status || {}).readyReplicas || 0, wanted = one.spec.replicas || 0, most = Math.max(object.spec.replicas || 1, 1);
			return h("li", {key: one.metadata.uid}, h("a", {href: objectHref(kinds.byId.get("replicasets.apps"), one.metadata.namespace, one.metadata.name)}, `Revision ${revision(one)}`), i === 0 && h(Chip, {level: ready >= most ? "ok" : "wait", text: "now"}),
				h("span", {class: "muted revision-image", title: one.spec.template.spec.containers.map(container => container.image).join(", ")}, one.spec.template.spec.containers.map(container => container.image).join(", ")),
				h("span", {class: "bar", role: "img", "aria-label": `${ready} of ${wanted} ready`}, h("span", {class: "part part-ok", style: {width: `${Math.min(100, ready / most * 100)}%`}}), h("span", {class: "part part-wait", style: {width: `${Math.min(100, Math.max(0, wanted - ready) / most * 100)}%`}})), h("span", {class: "numeral"}, `${ready}/${wanted}`));
		})));
	}
}

// What a ConfigMap or Secret holds. A Secret's values are veiled until they are asked for, one by one.
class Data extends Component {
	read(value) {
		try {
			return new TextDecoder("utf-8", {fatal: true}).decode(Uint8Array.from(atob(value), c => c.charCodeAt(0)));
		} catch {
			return null;
		}
	}
	render({object, secret}, {open = {}}) {
		const entries = Object.entries(object.data || {}), binary = Object.entries(object.binaryData || {});
		return h("section", {class: "card", "aria-labelledby": "data"}, h("h2", {id: "data"}, "Data"), entries.length + binary.length ? h("ul", {class: "data"}, entries.map(([key, value]) => {
			const shown = !secret || open[key], text = secret ? shown ? this.read(value) : null : value;
			return h("li", {key}, h("div", {class: "data-head"}, h("h3", null, key), secret && h(Button, {icon: shown ? "lock" : "eye", text: shown ? "Veil" : "Show", small: true, kind: "quiet", label: `${shown ? "Veil" : "Show"} ${key}`, onClick: () => this.setState({open: {...open, [key]: !shown}})}), shown && text !== null && h(Copy, {text, label: `Copy ${key}`})),
				shown ? text === null ? h("p", {class: "muted"}, `${Math.floor(value.length * 3 / 4)} bytes that are no text`) : h("pre", {class: "code", tabIndex: 0, "aria-label": `Value of ${key}`}, text || "(empty)") : h("p", {class: "veil", "aria-label": "veiled"}, "••••••••••••"));
		}), binary.map(([key, value]) => h("li", {key}, h("div", {class: "data-head"}, h("h3", null, key)), h("p", {class: "muted"}, `${Math.floor(value.length * 3 / 4)} bytes that are no text`)))) : h("p", {class: "muted"}, "It is empty."));
	}
}
