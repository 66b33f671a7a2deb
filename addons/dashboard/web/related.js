// SPDX-License-Identifier: Apache-2.0
// What an object has to do with others: its owners, what it owns, what it selects, uses and is used by. As a graph of three
// columns: what is above it, the object, what is below.
import {Chip, Component, View, h} from "/assets/ui.js";
import {kindOf, kinds} from "/assets/api.js";
import {objectHref} from "/assets/state.js";
import {liveList} from "/assets/live.js";
import {stateOf} from "/assets/why.js";

const MOST = 12; // of a kind in a column

function matches(selector, labels = {}) {
    return (
        selector &&
        Object.keys(selector).length > 0 &&
        Object.entries(selector).every(([key, value]) => labels[key] === value)
    );
}
function backends(ingress) {
    const names = new Set();
    const add = backend => {
        if (backend && backend.service) names.add(backend.service.name);
    };
    add(ingress.spec.defaultBackend);
    for (const rule of ingress.spec.rules || [])
        for (const path of (rule.http && rule.http.paths) || []) add(path.backend);
    return names;
}
function uses(pod) {
    const found = [];
    for (const volume of pod.spec.volumes || []) {
        if (volume.persistentVolumeClaim)
            found.push(["persistentvolumeclaims", volume.persistentVolumeClaim.claimName]);
        if (volume.configMap) found.push(["configmaps", volume.configMap.name]);
        if (volume.secret) found.push(["secrets", volume.secret.secretName]);
    }
    for (const container of pod.spec.containers || [])
        for (const from of [...(container.envFrom || []), ...(container.env || []).map(one => one.valueFrom || {})]) {
            if (from.configMapRef || from.configMapKeyRef)
                found.push(["configmaps", (from.configMapRef || from.configMapKeyRef).name]);
            if (from.secretRef || from.secretKeyRef)
                found.push(["secrets", (from.secretRef || from.secretKeyRef).name]);
        }
    return [...new Map(found.map(one => [one.join("/"), one])).values()];
}

// Which lists are looked through for a kind.
const lists = {
    Deployment: ["replicasets.apps", "pods"],
    ReplicaSet: ["pods"],
    StatefulSet: ["pods"],
    DaemonSet: ["pods"],
    Job: ["pods"],
    CronJob: ["jobs.batch", "pods"],
    Service: ["endpointslices.discovery.k8s.io", "pods", "ingresses.networking.k8s.io"],
    Ingress: ["services"],
    Pod: ["services"],
    PersistentVolumeClaim: ["pods"],
    ConfigMap: ["pods"],
    Secret: ["pods"],
    HorizontalPodAutoscaler: [],
};

export class Related extends View {
    watched({kind, object}) {
        this.lists = new Map(
            (lists[kind.kind] || [])
                .map(id => kinds.byId.get(id))
                .filter(Boolean)
                .map(one => [one.kind, liveList(one, object.metadata.namespace)]),
        );
        return [...this.lists.values()];
    }
    dependsOn({object}) {
        return object.metadata.uid;
    }
    items(kind) {
        return this.lists.has(kind) ? this.lists.get(kind).items.map(item => ({...item, kind})) : [];
    }
    // [{column, kind, namespace, name, object, from: [ids]}]
    graph() {
        const {kind, object} = this.props,
            {metadata, spec = {}} = object,
            {namespace} = metadata;
        const nodes = new Map(),
            edges = [];
        const add = (column, ofKind, name, inNamespace, thing) => {
            if (!ofKind) return null;
            const id = `${ofKind.id}/${name}`;
            if (!nodes.has(id)) nodes.set(id, {id, column, kind: ofKind, namespace: inNamespace, name, object: thing});
            return id;
        };
        const self = add(0, kind, metadata.name, namespace, {...object, kind: kind.kind});
        const join = (from, to) => {
            if (from && to) edges.push([from, to]);
        };
        for (const owner of metadata.ownerReferences || [])
            join(add(-1, kindOf(owner.apiVersion, owner.kind), owner.name, namespace), self);
        const owned = (of, parent, column) => {
            for (const [name, list] of this.lists)
                for (const item of list.items)
                    if ((item.metadata.ownerReferences || []).some(owner => owner.uid === of)) {
                        if (name === "ReplicaSet" && item.spec.replicas === 0 && !(item.status || {}).replicas)
                            continue; // an old revision
                        const id = add(column, list.kind, item.metadata.name, namespace, {...item, kind: name});
                        join(parent, id);
                        if (column < 2) owned(item.metadata.uid, id, column + 1);
                    }
        };
        owned(metadata.uid, self, 1);
        if (kind.kind === "Service") {
            for (const pod of this.items("Pod"))
                if (matches(spec.selector, pod.metadata.labels))
                    join(self, add(1, kinds.byId.get("pods"), pod.metadata.name, namespace, pod));
            for (const ingress of this.items("Ingress"))
                if (backends(ingress).has(metadata.name))
                    join(
                        add(
                            -1,
                            kinds.byId.get("ingresses.networking.k8s.io"),
                            ingress.metadata.name,
                            namespace,
                            ingress,
                        ),
                        self,
                    );
        }
        if (kind.kind === "Ingress")
            for (const name of backends(object)) join(self, add(1, kinds.byId.get("services"), name, namespace));
        if (kind.kind === "Pod") {
            for (const service of this.items("Service"))
                if (matches(service.spec.selector, metadata.labels))
                    join(add(-1, kinds.byId.get("services"), service.metadata.name, namespace, service), self);
            if (spec.nodeName) join(self, add(1, kinds.byId.get("nodes"), spec.nodeName, ""));
            for (const [id, name] of uses(object)) join(self, add(1, kinds.byId.get(id), name, namespace));
        }
        if (kind.kind === "PersistentVolumeClaim") {
            if (spec.volumeName) join(self, add(1, kinds.byId.get("persistentvolumes"), spec.volumeName, ""));
            if (spec.storageClassName)
                join(self, add(1, kinds.byId.get("storageclasses.storage.k8s.io"), spec.storageClassName, ""));
        }
        if (["PersistentVolumeClaim", "ConfigMap", "Secret"].includes(kind.kind))
            for (const pod of this.items("Pod"))
                if (uses(pod).some(([id, name]) => id === kind.id && name === metadata.name))
                    join(add(-1, kinds.byId.get("pods"), pod.metadata.name, namespace, pod), self);
        if (kind.kind === "PersistentVolume" && spec.claimRef)
            join(add(-1, kinds.byId.get("persistentvolumeclaims"), spec.claimRef.name, spec.claimRef.namespace), self);
        if (kind.kind === "HorizontalPodAutoscaler" && spec.scaleTargetRef)
            join(
                self,
                add(
                    1,
                    kindOf(spec.scaleTargetRef.apiVersion, spec.scaleTargetRef.kind),
                    spec.scaleTargetRef.name,
                    namespace,
                ),
            );
        return {nodes: [...nodes.values()], edges};
    }
    render() {
        const {nodes, edges} = this.graph();
        if (nodes.length < 2) return null;
        const columns = [...new Set(nodes.map(node => node.column))].sort((a, b) => a - b);
        return h(
            "section",
            {class: "card", "aria-labelledby": "related"},
            h("h2", {id: "related"}, "Related"),
            h(Graph, {
                columns: columns.map(column => nodes.filter(node => node.column === column)),
                edges,
                self: nodes[0].id,
            }),
        );
    }
}

class Graph extends Component {
    componentDidMount() {
        this.observer = new ResizeObserver(() => this.draw());
        this.observer.observe(this.base);
        this.draw();
    }
    componentDidUpdate() {
        this.draw();
    }
    componentWillUnmount() {
        this.observer.disconnect();
    }
    // Lines from box to box, where the boxes have come to stand.
    draw() {
        const box = this.base.getBoundingClientRect(),
            at = new Map(
                [...this.base.querySelectorAll("[data-node]")].map(element => [
                    element.dataset.node,
                    element.getBoundingClientRect(),
                ]),
            );
        const lines = this.props.edges
            .map(([from, to]) => {
                const a = at.get(from),
                    b = at.get(to);
                if (!a || !b) return "";
                if (b.left < a.right) {
                    // one below the other, on a small screen
                    const x = a.left - box.left + 14,
                        y = a.bottom - box.top;
                    return `M${x} ${y}V${b.top - box.top}`;
                }
                const x1 = a.right - box.left,
                    y1 = a.top + a.height / 2 - box.top,
                    x2 = b.left - box.left,
                    y2 = b.top + b.height / 2 - box.top,
                    middle = (x1 + x2) / 2;
                return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
            })
            .join("");
        if (lines !== this.state.lines) this.setState({lines});
    }
    render({columns, self}, {lines}) {
        return h(
            "div",
            {class: "graph"},
            h("svg", {"aria-hidden": "true"}, h("path", {d: lines || ""})),
            columns.map(nodes =>
                h(
                    "ul",
                    {class: "graph-column"},
                    nodes.slice(0, MOST).map(node => h("li", {key: node.id}, h(Box, {node, self: node.id === self}))),
                    nodes.length > MOST && h("li", {class: "muted"}, `and ${nodes.length - MOST} more`),
                ),
            ),
        );
    }
}
function Box({node, self}) {
    const state = node.object && stateOf(node.object);
    const inside = [
        h("span", {class: "graph-kind"}, node.kind.kind),
        h("span", {class: "graph-name", title: node.name}, node.name),
        state && h(Chip, {level: state.level, text: state.text}),
    ];
    return self
        ? h("div", {class: "graph-node self", "data-node": node.id}, inside)
        : h(
              "a",
              {class: "graph-node", "data-node": node.id, href: objectHref(node.kind, node.namespace, node.name)},
              inside,
          );
}
