// SPDX-License-Identifier: Apache-2.0
// The cards of an object's page that only some kinds have.
import {Age, Button, Chip, Component, Copy, View, h} from "/assets/ui.js";
import {kinds} from "/assets/api.js";
import {objectHref} from "/assets/state.js";
import {liveList} from "/assets/live.js";
import {levelOfWord, quantity} from "/assets/why.js";
import {Sparkline, bytesText, cpuText} from "/assets/charts.js";
import {Facts} from "/assets/facts.js";
import {Ports} from "/assets/ports.js";

function containerState(status) {
    if (!status) return {level: "wait", text: "Waiting"};
    const {waiting, running, terminated} = status.state || {};
    if (running) return status.ready ? {level: "ok", text: "Running"} : {level: "warn", text: "Not ready"};
    if (terminated)
        return terminated.exitCode === 0
            ? {level: "done", text: "Completed"}
            : {level: "bad", text: terminated.reason || "Failed"};
    return {
        level: waiting && /BackOff|Err|Error|Invalid/.test(waiting.reason) ? "bad" : "wait",
        text: (waiting && waiting.reason) || "Waiting",
    };
}
function amounts(resources = {}) {
    const parts = [];
    for (const [name, text] of [
        ["requests", "asks for"],
        ["limits", "at most"],
    ])
        if (resources[name])
            parts.push(
                `${text} ${Object.entries(resources[name])
                    .map(([key, value]) => `${key} ${value}`)
                    .join(", ")}`,
            );
    return parts.join("; ");
}
export function Containers({object}) {
    const {spec, status = {}} = object;
    const all = [
        ...(spec.initContainers || []).map(one => [one, "Init container", status.initContainerStatuses]),
        ...spec.containers.map(one => [one, "Container", status.containerStatuses]),
        ...(spec.ephemeralContainers || []).map(one => [one, "Debug container", status.ephemeralContainerStatuses]),
    ];
    return h(
        "section",
        {class: "card", "aria-labelledby": "containers"},
        h("h2", {id: "containers"}, "Containers"),
        h(
            "ul",
            {class: "containers"},
            all.map(([container, what, statuses]) => {
                const one = (statuses || []).find(candidate => candidate.name === container.name),
                    state = containerState(one);
                return h(
                    "li",
                    {key: container.name},
                    h(
                        "div",
                        {class: "container-head"},
                        h("h3", null, container.name),
                        h(Chip, state),
                        what !== "Container" && h("span", {class: "muted"}, what),
                        one &&
                            one.restartCount > 0 &&
                            h(
                                "span",
                                {class: "muted"},
                                `${one.restartCount} ${one.restartCount === 1 ? "restart" : "restarts"}`,
                            ),
                    ),
                    h(Facts, {
                        rows: [
                            ["Image", container.image],
                            ["Command", [...(container.command || []), ...(container.args || [])].join(" ")],
                            [
                                "Ports",
                                container.ports && h(Ports, {object, ports: container.ports}),
                            ],
                            ["Resources", amounts(container.resources)],
                            [
                                "Last run",
                                one &&
                                    one.lastState &&
                                    one.lastState.terminated &&
                                    `exit code ${one.lastState.terminated.exitCode}${one.lastState.terminated.reason ? ` (${one.lastState.terminated.reason})` : ""}`,
                            ],
                        ],
                    }),
                );
            }),
        ),
    );
}

export class NodePods extends View {
    dependsOn({object}) {
        return object.metadata.uid;
    }
    watched({object}) {
        this.list = liveList(kinds.byId.get("pods"), "", {
            form: "table",
            field: `spec.nodeName=${object.metadata.name}`,
        });
        return [this.list];
    }
    render() {
        const {list} = this,
            at = name => (list.columns || []).findIndex(column => column.name === name);
        if (list.state === "failed") return null;
        const rows = list.items.sort((a, b) =>
            `${a.object.metadata.namespace}/${a.object.metadata.name}` <
            `${b.object.metadata.namespace}/${b.object.metadata.name}`
                ? -1
                : 1,
        );
        return h(
            "section",
            {class: "card", "aria-labelledby": "node-pods"},
            h("h2", {id: "node-pods"}, `Pods here (${rows.length})`),
            rows.length
                ? h(
                      "ul",
                      {class: "node-pods"},
                      rows.slice(0, 200).map(row => {
                          const status = String(row.cells[at("Status")]);
                          return h(
                              "li",
                              {key: row.object.metadata.uid},
                              h(
                                  "a",
                                  {
                                      href: objectHref(
                                          list.kind,
                                          row.object.metadata.namespace,
                                          row.object.metadata.name,
                                      ),
                                  },
                                  row.object.metadata.name,
                              ),
                              h("span", {class: "muted"}, row.object.metadata.namespace),
                              h(Chip, {level: levelOfWord(status) || "warn", text: status}),
                          );
                      }),
                  )
                : h("p", {class: "muted"}, list.state === "loading" ? "Loading…" : "There are none."),
            rows.length > 200 && h("p", {class: "muted"}, `and ${rows.length - 200} more`),
        );
    }
}

export function Conditions({object}) {
    const all = object.status && Array.isArray(object.status.conditions) ? object.status.conditions : [];
    if (!all.length) return null;
    const good = one =>
        /Pressure$|Unavailable$|^(ReplicaFailure|Failed|Disruption|PodResize)/.test(one.type)
            ? one.status === "False"
            : one.status === "True";
    return h(
        "section",
        {class: "card", "aria-labelledby": "conditions"},
        h("h2", {id: "conditions"}, "Conditions"),
        h(
            "div",
            {class: "scroll", tabIndex: 0, role: "group", "aria-label": "Table of conditions"},
            h(
                "table",
                {class: "plain"},
                h(
                    "thead",
                    null,
                    h(
                        "tr",
                        null,
                        ["Condition", "Status", "Since", "Reason"].map(text => h("th", {scope: "col"}, text)),
                    ),
                ),
                h(
                    "tbody",
                    null,
                    all.map(one =>
                        h(
                            "tr",
                            {key: one.type},
                            h("td", null, one.type),
                            h(
                                "td",
                                null,
                                h(Chip, {
                                    level: good(one)
                                        ? "ok"
                                        : one.status === "Unknown"
                                          ? "wait"
                                          : /^(Progressing|Complete|Suspended|AbleToScale|ScalingActive|ScalingLimited|SuccessCriteriaMet)$/.test(
                                                  one.type,
                                              )
                                            ? "info"
                                            : "warn",
                                    text: one.status,
                                }),
                            ),
                            h("td", null, h(Age, {time: one.lastTransitionTime})),
                            h("td", null, one.reason, one.message && h("p", {class: "muted"}, one.message)),
                        ),
                    ),
                ),
            ),
        ),
    );
}

export class Events extends View {
    dependsOn({object}) {
        return object.metadata.uid;
    }
    watched({object}) {
        const kind = kinds.byId.get("events"),
            {namespace, name, uid} = object.metadata;
        this.list = liveList(kind, namespace || "", {
            field: `involvedObject.name=${name}${namespace ? `,involvedObject.uid=${uid}` : ""}`,
        });
        return [this.list];
    }
    render({object}) {
        const {list} = this,
            time = event => event.lastTimestamp || event.eventTime || event.metadata.creationTimestamp;
        const events = list.items
            .filter(event => event.involvedObject.kind === object.kind)
            .sort((a, b) => Date.parse(time(b)) - Date.parse(time(a)));
        return h(
            "section",
            {class: "card", "aria-labelledby": "events"},
            h("h2", {id: "events"}, "Events"),
            list.state === "failed"
                ? h(
                      "p",
                      {class: "muted"},
                      list.error.code === 403 ? "You may not see events here." : list.error.message,
                  )
                : events.length
                  ? h(
                        "ul",
                        {class: "event-list"},
                        events.slice(0, 30).map(event =>
                            h(
                                "li",
                                {key: event.metadata.uid},
                                h(
                                    "p",
                                    null,
                                    h(Chip, {
                                        level: event.type === "Warning" ? "warn" : "info",
                                        text: event.reason,
                                    }),
                                    h(
                                        "span",
                                        {class: "muted"},
                                        h(Age, {time: time(event)}),
                                        event.count > 1 && ` · ${event.count} times`,
                                    ),
                                ),
                                h("p", {class: "event-text"}, event.message),
                            ),
                        ),
                    )
                  : h(
                        "p",
                        {class: "muted"},
                        list.state === "loading" ? "Loading…" : "There were none in the last hour.",
                    ),
        );
    }
}

// Figures are kept from when the page was opened.
const histories = new Map();
export class Usage extends View {
    dependsOn({object}) {
        return `${object.metadata.uid} ${kinds.byId.has("pods.metrics.k8s.io")}`;
    }
    watched({kind, object}) {
        const metrics = kinds.byId.get(kind.kind === "Pod" ? "pods.metrics.k8s.io" : "nodes.metrics.k8s.io");
        this.list = metrics && liveList(metrics, object.metadata.namespace || "", {});
        return this.list ? [this.list] : [];
    }
    render({kind, object}) {
        if (!this.list || this.list.state === "failed") return null;
        const {uid, name} = object.metadata,
            item = this.list.items.find(one => one.metadata.name === name);
        if (!histories.has(uid)) histories.set(uid, []);
        const history = histories.get(uid);
        if (item && (!history.length || history[history.length - 1].stamp !== item.timestamp)) {
            const usage = kind.kind === "Pod" ? item.containers.map(one => one.usage) : [item.usage];
            history.push({
                stamp: item.timestamp,
                at: Date.parse(item.timestamp),
                cpu: usage.reduce((sum, one) => sum + quantity(one.cpu), 0),
                memory: usage.reduce((sum, one) => sum + quantity(one.memory), 0),
            });
            if (history.length > 240) history.shift();
        }
        if (!history.length) return null;
        const of = (what, resource) =>
            kind.kind === "Pod"
                ? object.spec.containers.reduce(
                      (sum, one) => sum + quantity(((one.resources || {})[what] || {})[resource]),
                      0,
                  )
                : 0;
        const marks = resource =>
            kind.kind === "Pod"
                ? [
                      {value: of("requests", resource), text: "request"},
                      {value: of("limits", resource), text: "limit"},
                  ]
                : [{value: quantity(object.status.allocatable[resource]), text: "allocatable"}];
        return h(
            "section",
            {class: "card", "aria-labelledby": "usage"},
            h("h2", {id: "usage"}, "Load"),
            h(
                "div",
                {class: "sparks"},
                h(Sparkline, {
                    label: "CPU",
                    points: history.map(one => ({at: one.at, value: one.cpu})),
                    marks: marks("cpu"),
                    format: cpuText,
                }),
                h(Sparkline, {
                    label: "Memory",
                    points: history.map(one => ({at: one.at, value: one.memory})),
                    marks: marks("memory"),
                    format: bytesText,
                }),
            ),
        );
    }
}

// How a rollout goes: old and new pods side by side.
export class Rollout extends View {
    dependsOn({object}) {
        return object.metadata.uid;
    }
    watched({object}) {
        this.list = liveList(kinds.byId.get("replicasets.apps"), object.metadata.namespace);
        return [this.list];
    }
    render({object}) {
        const revision = one => Number((one.metadata.annotations || {})["deployment.kubernetes.io/revision"]) || 0;
        const own = this.list.items
            .filter(one => (one.metadata.ownerReferences || []).some(owner => owner.uid === object.metadata.uid))
            .sort((a, b) => revision(b) - revision(a));
        if (own.length < 2) return null;
        return h(
            "section",
            {class: "card", "aria-labelledby": "rollout"},
            h("h2", {id: "rollout"}, "Revisions"),
            h(
                "ul",
                {class: "revisions"},
                own.slice(0, 8).map((one, i) => {
                    const ready = (one.status || {}).readyReplicas || 0,
                        wanted = one.spec.replicas || 0,
                        most = Math.max(object.spec.replicas || 1, 1);
                    return h(
                        "li",
                        {key: one.metadata.uid},
                        h(
                            "a",
                            {
                                href: objectHref(
                                    kinds.byId.get("replicasets.apps"),
                                    one.metadata.namespace,
                                    one.metadata.name,
                                ),
                            },
                            `Revision ${revision(one)}`,
                        ),
                        i === 0 && h(Chip, {level: ready >= most ? "ok" : "wait", text: "now"}),
                        h(
                            "span",
                            {
                                class: "muted revision-image",
                                title: one.spec.template.spec.containers.map(container => container.image).join(", "),
                            },
                            one.spec.template.spec.containers.map(container => container.image).join(", "),
                        ),
                        h(
                            "span",
                            {class: "bar", role: "img", "aria-label": `${ready} of ${wanted} ready`},
                            h("span", {
                                class: "part part-ok",
                                style: {width: `${Math.min(100, (ready / most) * 100)}%`},
                            }),
                            h("span", {
                                class: "part part-wait",
                                style: {width: `${Math.min(100, (Math.max(0, wanted - ready) / most) * 100)}%`},
                            }),
                        ),
                        h("span", {class: "numeral"}, `${ready}/${wanted}`),
                    );
                }),
            ),
        );
    }
}

// What a ConfigMap or Secret holds. A Secret's values are veiled until they are asked for, one by one.
export class Data extends Component {
    read(value) {
        try {
            return new TextDecoder("utf-8", {fatal: true}).decode(Uint8Array.from(atob(value), c => c.charCodeAt(0)));
        } catch {
            return null;
        }
    }
    render({object, secret}, {open = {}}) {
        const entries = Object.entries(object.data || {}),
            binary = Object.entries(object.binaryData || {});
        return h(
            "section",
            {class: "card", "aria-labelledby": "data"},
            h("h2", {id: "data"}, "Data"),
            entries.length + binary.length
                ? h(
                      "ul",
                      {class: "data"},
                      entries.map(([key, value]) => {
                          const shown = !secret || open[key],
                              text = secret ? (shown ? this.read(value) : null) : value;
                          return h(
                              "li",
                              {key},
                              h(
                                  "div",
                                  {class: "data-head"},
                                  h("h3", null, key),
                                  secret &&
                                      h(Button, {
                                          icon: shown ? "lock" : "eye",
                                          text: shown ? "Veil" : "Show",
                                          small: true,
                                          kind: "quiet",
                                          label: `${shown ? "Veil" : "Show"} ${key}`,
                                          onClick: () => this.setState({open: {...open, [key]: !shown}}),
                                      }),
                                  shown && text !== null && h(Copy, {text, label: `Copy ${key}`}),
                              ),
                              shown
                                  ? text === null
                                      ? h(
                                            "p",
                                            {class: "muted"},
                                            `${Math.floor((value.length * 3) / 4)} bytes that are no text`,
                                        )
                                      : h(
                                            "pre",
                                            {class: "code", tabIndex: 0, "aria-label": `Value of ${key}`},
                                            text || "(empty)",
                                        )
                                  : h("p", {class: "veil", "aria-label": "veiled"}, "••••••••••••"),
                          );
                      }),
                      binary.map(([key, value]) =>
                          h(
                              "li",
                              {key},
                              h("div", {class: "data-head"}, h("h3", null, key)),
                              h("p", {class: "muted"}, `${Math.floor((value.length * 3) / 4)} bytes that are no text`),
                          ),
                      ),
                  )
                : h("p", {class: "muted"}, "It is empty."),
        );
    }
}
