// SPDX-License-Identifier: Apache-2.0
// The cluster as it lies: nodes with their pods and load; the pods of a service stand out when it is pointed at.
import {Empty, Failure, Icon, Loading, View, h} from "/assets/ui.js";
import {kinds} from "/assets/api.js";
import {objectHref} from "/assets/state.js";
import {liveList} from "/assets/live.js";
import {cells, explain, podLevel, quantity, stateOf, worst} from "/assets/why.js";
import {Gauge, bytesText, cpuText} from "/assets/charts.js";

const levelNames = {ok: "runs", done: "completed", wait: "on its way", warn: "not ready", bad: "failing"};

export class Page extends View {
    constructor(props) {
        super(props);
        this.state = {by: "health", service: null};
    }
    dependsOn({namespace}) {
        return `${namespace} ${kinds.byId.has("pods.metrics.k8s.io")}`;
    }
    watched({namespace}) {
        const get = (id, form, ns) => kinds.byId.get(id) && liveList(kinds.byId.get(id), ns, {form});
        this.nodes = get("nodes", "object", "");
        this.pods = get("pods", "table", namespace);
        this.services = get("services", "object", namespace);
        this.nodeUsage = get("nodes.metrics.k8s.io", "object", "");
        this.podUsage = get("pods.metrics.k8s.io", "object", namespace);
        return [this.nodes, this.pods, this.services, this.nodeUsage, this.podUsage].filter(Boolean);
    }
    usage() {
        const found = new Map();
        for (const item of this.podUsage && this.podUsage.state !== "failed" ? this.podUsage.items : [])
            found.set(`${item.metadata.namespace}/${item.metadata.name}`, {
                cpu: item.containers.reduce((sum, one) => sum + quantity(one.usage.cpu), 0),
                memory: item.containers.reduce((sum, one) => sum + quantity(one.usage.memory), 0),
            });
        return found;
    }
    render({namespace}, {by, service}) {
        if (this.pods.state === "failed")
            return h(Failure, {error: this.pods.error, what: "list pods", retry: () => this.pods.retry()});
        if (!this.pods.columns || this.nodes.state === "loading") return h(Loading, {text: "Reading nodes and pods…"});
        const usage = this.usage(),
            byNode = new Map(this.nodes.items.map(node => [node.metadata.name, []]));
        const selected = service && service.spec.selector && Object.keys(service.spec.selector).length ? service : null;
        const pods = this.pods.items.map(row => {
            const values = cells(this.pods, row),
                {metadata} = row.object;
            return {
                row,
                metadata,
                status: values.Status,
                level: podLevel(values),
                node: values.Node && values.Node !== "<none>" ? values.Node : "",
                load: usage.get(`${metadata.namespace}/${metadata.name}`),
                lit:
                    selected &&
                    metadata.namespace === selected.metadata.namespace &&
                    Object.entries(selected.spec.selector).every(
                        ([key, value]) => (metadata.labels || {})[key] === value,
                    ),
            };
        });
        const most = by === "health" ? 0 : Math.max(1e-9, ...pods.map(pod => (pod.load ? pod.load[by] : 0)));
        for (const pod of pods) {
            if (!byNode.has(pod.node)) byNode.set(pod.node, []);
            byNode.get(pod.node).push(pod);
        }
        const services =
            this.services && this.services.state !== "failed"
                ? this.services.items
                      .filter(one => one.spec.selector)
                      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
                : [];
        const choice = (id, text) =>
            h(
                "button",
                {
                    type: "button",
                    role: "radio",
                    "aria-checked": String(by === id),
                    onClick: () => this.setState({by: id}),
                },
                text,
            );
        const point = one => ({
            onMouseEnter: () => this.setState({service: one}),
            onMouseLeave: () => this.setState({service: null}),
            onFocus: () => this.setState({service: one}),
            onBlur: () => this.setState({service: null}),
        });
        return h(
            "div",
            {class: "page map-page"},
            h(
                "header",
                {class: "page-head"},
                h(
                    "div",
                    {class: "page-title"},
                    h("h1", null, "Map"),
                    h("span", {class: "count"}, `${this.nodes.items.length} nodes, ${pods.length} pods`),
                ),
                h(
                    "div",
                    {class: "page-tools"},
                    usage.size > 0 &&
                        h(
                            "div",
                            {class: "segments", role: "radiogroup", "aria-label": "Colour of the pods"},
                            choice("health", "Health"),
                            choice("cpu", "CPU"),
                            choice("memory", "Memory"),
                        ),
                ),
            ),
            by === "health"
                ? h(
                      "ul",
                      {class: "map-legend", "aria-label": "Legend"},
                      Object.entries(levelNames).map(([level, text]) =>
                          h("li", null, h("span", {class: `pod pod-${level}`}, h(Icon, {name: level})), text),
                      ),
                  )
                : h(
                      "p",
                      {class: "map-legend"},
                      h("span", {class: "pod-scale", "aria-hidden": "true"}),
                      `from nothing to ${by === "cpu" ? cpuText(most) : bytesText(most)}`,
                  ),
            h(
                "div",
                {class: "map"},
                h(
                    "div",
                    {class: "map-nodes"},
                    [...byNode]
                        .sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1))
                        .filter(([name, members]) => name || members.length)
                        .map(([name, members]) =>
                            h(
                                "section",
                                {class: "card map-node", key: name, "aria-label": name || "Without a node"},
                                this.nodeHead(name),
                                members.length
                                    ? h(
                                          "ul",
                                          {class: "pods"},
                                          members
                                              .sort((a, b) =>
                                                  a.metadata.namespace < b.metadata.namespace
                                                      ? -1
                                                      : a.metadata.namespace > b.metadata.namespace
                                                        ? 1
                                                        : a.metadata.name < b.metadata.name
                                                          ? -1
                                                          : 1,
                                              )
                                              .map(pod => this.pod(pod, by, most, selected)),
                                      )
                                    : h("p", {class: "muted"}, "No pods"),
                            ),
                        ),
                    !byNode.size && h(Empty, {title: "There are no nodes", icon: "server"}),
                ),
                services.length > 0 &&
                    h(
                        "aside",
                        {class: "card map-services", "aria-labelledby": "services"},
                        h("h2", {id: "services"}, "Services"),
                        h(
                            "ul",
                            null,
                            services.slice(0, 100).map(one =>
                                h(
                                    "li",
                                    {key: one.metadata.uid},
                                    h(
                                        "a",
                                        {
                                            href: objectHref(
                                                this.services.kind,
                                                one.metadata.namespace,
                                                one.metadata.name,
                                            ),
                                            ...point(one),
                                        },
                                        h("span", null, one.metadata.name),
                                        !namespace && h("span", {class: "muted"}, one.metadata.namespace),
                                    ),
                                ),
                            ),
                        ),
                    ),
            ),
        );
    }
    nodeHead(name) {
        const node = this.nodes.items.find(one => one.metadata.name === name);
        if (!node)
            return h(
                "header",
                null,
                h("h2", null, name || "Without a node"),
                !name && h("p", {class: "muted"}, "They wait for a node that can take them."),
            );
        const state = stateOf({...node, kind: "Node"}),
            usage = this.nodeUsage && this.nodeUsage.items.find(one => one.metadata.name === name),
            {allocatable} = node.status;
        return h(
            "header",
            null,
            h(
                "h2",
                null,
                h(Icon, {name: worst(explain({...node, kind: "Node"})) === "ok" ? "done" : state.level}),
                h("a", {href: objectHref(this.nodes.kind, "", name)}, name),
                state.level !== "ok" && h("span", {class: "muted"}, state.text),
            ),
            usage &&
                h(
                    "div",
                    {class: "gauges"},
                    h(Gauge, {
                        label: "CPU",
                        value: quantity(usage.usage.cpu),
                        of: quantity(allocatable.cpu),
                        text: `${cpuText(quantity(usage.usage.cpu))} of ${cpuText(quantity(allocatable.cpu))}`,
                    }),
                    h(Gauge, {
                        label: "Memory",
                        value: quantity(usage.usage.memory),
                        of: quantity(allocatable.memory),
                        text: `${bytesText(quantity(usage.usage.memory))} of ${bytesText(quantity(allocatable.memory))}`,
                    }),
                ),
        );
    }
    pod(pod, by, most, selected) {
        const {namespace, name} = pod.metadata,
            load = pod.load ? `, CPU ${cpuText(pod.load.cpu)}, memory ${bytesText(pod.load.memory)}` : "";
        const share = by !== "health" && pod.load ? pod.load[by] / most : 0;
        return h(
            "li",
            {key: pod.metadata.uid},
            h(
                "a",
                {
                    class: `pod ${by === "health" ? `pod-${pod.level}` : "pod-load"} ${selected ? (pod.lit ? "lit" : "dim") : ""}`,
                    ref: element => {
                        if (element) element.style.setProperty("--share", String(share));
                    },
                    href: objectHref(kinds.byId.get("pods"), namespace, name),
                    title: `${name}\n${namespace}\n${pod.status}${load}`,
                    "aria-label": `${name} in ${namespace}: ${pod.status}${load}`,
                },
                by === "health" && h(Icon, {name: pod.level}),
            ),
        );
    }
}
