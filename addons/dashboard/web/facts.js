// SPDX-License-Identifier: Apache-2.0
// What is worth telling of an object at a glance.
import {Age, Button, Component, h} from "/assets/ui.js";
import {kinds} from "/assets/api.js";
import {objectHref} from "/assets/state.js";
import {liveList} from "/assets/live.js";
import {quantity} from "/assets/why.js";
import {bytesText, cpuText} from "/assets/charts.js";

export function Facts({rows}) {
    return h(
        "dl",
        {class: "facts"},
        rows
            .filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false)
            .map(([name, value]) => h("div", {key: name}, h("dt", null, name), h("dd", null, value))),
    );
}
export function Labels({labels}) {
    const all = Object.entries(labels || {});
    return all.length
        ? h(
              "ul",
              {class: "labels"},
              all.map(([key, value]) =>
                  h(
                      "li",
                      {title: `${key}=${value}`},
                      h("span", {class: "label-key"}, key),
                      value && h("span", {class: "label-value"}, value),
                  ),
              ),
          )
        : null;
}
export function some(map) {
    return Object.keys(map || {}).some(key => key !== "kubectl.kubernetes.io/last-applied-configuration");
}
function selectorText(selector) {
    if (!selector) return null;
    return Object.entries(selector.matchLabels || (selector.matchExpressions ? {} : selector))
        .map(([key, value]) => `${key}=${value}`)
        .join(", ");
}

// What is worth telling of a kind besides what every object has.
export const factsOf = {
    Pod: ({spec, status = {}}) => [
        [
            "Node",
            spec.nodeName && h("a", {href: objectHref(kinds.byId.get("nodes"), "", spec.nodeName)}, spec.nodeName),
        ],
        ["Address", status.podIP],
        ["Quality of service", status.qosClass],
        ["Service account", spec.serviceAccountName],
        ["Priority", spec.priorityClassName],
        ["Restart policy", spec.restartPolicy],
    ],
    Deployment: ({spec, status = {}}) => [
        [
            "Replicas",
            `${status.readyReplicas || 0} ready, ${status.updatedReplicas || 0} up to date, of ${spec.replicas}`,
        ],
        ["Strategy", spec.strategy && spec.strategy.type],
        ["Selector", selectorText(spec.selector)],
    ],
    ReplicaSet: ({spec, status = {}}) => [
        ["Replicas", `${status.readyReplicas || 0} ready of ${spec.replicas}`],
        ["Selector", selectorText(spec.selector)],
    ],
    StatefulSet: ({spec, status = {}}) => [
        ["Replicas", `${status.readyReplicas || 0} ready of ${spec.replicas}`],
        ["Service", spec.serviceName],
        ["Selector", selectorText(spec.selector)],
    ],
    DaemonSet: ({spec, status = {}}) => [
        ["Pods", `${status.numberReady || 0} ready of ${status.desiredNumberScheduled || 0}`],
        ["Selector", selectorText(spec.selector)],
    ],
    Job: ({spec, status = {}}) => [
        ["Completions", `${status.succeeded || 0} of ${spec.completions ?? 1}`],
        ["Failed", status.failed],
        ["Parallelism", spec.parallelism],
    ],
    CronJob: ({spec, status = {}}) => [
        ["Schedule", `${spec.schedule}${spec.timeZone ? ` (${spec.timeZone})` : ""}`],
        ["Last run", status.lastScheduleTime && h(Age, {time: status.lastScheduleTime})],
        ["Concurrency", spec.concurrencyPolicy],
    ],
    Service: ({spec, status = {}}) => [
        ["Type", spec.type],
        ["Cluster address", spec.clusterIP],
        [
            "Ports",
            (spec.ports || [])
                .map(
                    port =>
                        `${port.name ? `${port.name} ` : ""}${port.port}→${port.targetPort}/${port.protocol}${port.nodePort ? ` (node port ${port.nodePort})` : ""}`,
                )
                .join(", "),
        ],
        ["Selector", selectorText(spec.selector)],
        ["Outside", h(Outside, {spec, status})],
    ],
    Ingress: ({spec}) => [
        ["Class", spec.ingressClassName],
        [
            "Rules",
            (spec.rules || [])
                .flatMap(rule =>
                    ((rule.http && rule.http.paths) || []).map(
                        path =>
                            `${rule.host || "*"}${path.path || "/"} → ${path.backend.service ? path.backend.service.name : "?"}`,
                    ),
                )
                .join(", "),
        ],
    ],
    Node: ({spec, status = {}}) => [
        ["Addresses", (status.addresses || []).map(one => `${one.address} (${one.type})`).join(", ")],
        [
            "Capacity",
            status.allocatable &&
                `${cpuText(quantity(status.allocatable.cpu))}, ${bytesText(quantity(status.allocatable.memory))}, ${status.allocatable.pods} pods`,
        ],
        ["Kubelet", status.nodeInfo && status.nodeInfo.kubeletVersion],
        ["System", status.nodeInfo && `${status.nodeInfo.osImage}, Linux ${status.nodeInfo.kernelVersion}`],
        [
            "Taints",
            (spec.taints || []).map(one => `${one.key}${one.value ? `=${one.value}` : ""}:${one.effect}`).join(", "),
        ],
    ],
    PersistentVolumeClaim: ({spec, status = {}}) => [
        ["Size", status.capacity ? status.capacity.storage : `${spec.resources.requests.storage} wanted`],
        ["Class", spec.storageClassName],
        ["Modes", (spec.accessModes || []).join(", ")],
        ["Volume", spec.volumeName],
    ],
    PersistentVolume: ({spec}) => [
        ["Size", spec.capacity && spec.capacity.storage],
        ["Class", spec.storageClassName],
        ["Reclaim", spec.persistentVolumeReclaimPolicy],
        ["Claim", spec.claimRef && `${spec.claimRef.namespace}/${spec.claimRef.name}`],
    ],
    HorizontalPodAutoscaler: ({spec, status = {}}) => [
        ["Scales", `${spec.scaleTargetRef.kind} ${spec.scaleTargetRef.name}`],
        ["Replicas", `${status.currentReplicas || 0}, from ${spec.minReplicas ?? 1} to ${spec.maxReplicas}`],
    ],
};

// Addresses that a browser outside the cluster may reach.
function Outside({spec, status}) {
    const list = kinds.byId.get("nodes") && liveList(kinds.byId.get("nodes"), "");
    const host = list && list.items[0] && (list.items[0].status.addresses || []).find(one => one.type === "InternalIP");
    const balancers = (status.loadBalancer && status.loadBalancer.ingress) || [];
    const links = balancers.flatMap(one => spec.ports.map(port => `http://${one.ip || one.hostname}:${port.port}`));
    if (!links.length && host)
        for (const port of spec.ports || []) if (port.nodePort) links.push(`http://${host.address}:${port.nodePort}`);
    return links.length
        ? h(
              "span",
              {class: "links"},
              links.map(link => h("a", {href: link, target: "_blank", rel: "noopener noreferrer"}, link)),
          )
        : null;
}
export function portForward(kind, object) {
    const port =
        kind.kind === "Service"
            ? (object.spec.ports || [])[0] && object.spec.ports[0].port
            : (object.spec.containers || []).flatMap(one => one.ports || []).map(one => one.containerPort)[0];
    return port
        ? `kubectl port-forward ${kind.kind === "Service" ? "service" : "pod"}/${object.metadata.name} -n ${object.metadata.namespace} ${port < 1024 ? port + 8000 : port}:${port}`
        : null;
}

export class Annotations extends Component {
    render({annotations}, {all}) {
        const entries = Object.entries(annotations).filter(
            ([key]) => key !== "kubectl.kubernetes.io/last-applied-configuration",
        );
        const shown = all ? entries : entries.slice(0, 4);
        return entries.length
            ? h(
                  "div",
                  null,
                  h(
                      "dl",
                      {class: "annotations"},
                      shown.map(([key, value]) =>
                          h(
                              "div",
                              null,
                              h("dt", null, key),
                              h("dd", null, value.length > 400 && !all ? `${value.slice(0, 400)}…` : value),
                          ),
                      ),
                  ),
                  (entries.length > 4 || entries.some(([, value]) => value.length > 400)) &&
                      h(Button, {
                          text: all ? "Show less" : `Show all ${entries.length}`,
                          small: true,
                          kind: "quiet",
                          onClick: () => this.setState({all: !all}),
                      }),
              )
            : null;
    }
}
