// SPDX-License-Identifier: Apache-2.0
// Health at a glance: what is not well comes first, with its reason.
import {Age, Chip, Command, Empty, Icon, View, h} from "/assets/ui.js";
import {kindOf, kinds, request} from "/assets/api.js";
import {href, objectHref} from "/assets/state.js";
import {liveList, liveObject} from "/assets/live.js";
import {cells, explain, podLevel, quantity, worst} from "/assets/why.js";
import {Gauge, Parts, bytesText, cpuText} from "/assets/charts.js";

const EXPLAINED = 25; // so many pods are looked at closely

// Why one pod is not well; its object is read only for that.
class PodFinding extends View {
    watched({row}) {
        this.list = liveObject(kinds.byId.get("pods"), row.object.metadata.namespace, row.object.metadata.name);
        return [this.list];
    }
    dependsOn({row}) {
        return row.object.metadata.uid;
    }
    render({row, status, level, tell}) {
        const pod = this.list.items[0];
        const found = pod ? explain({...pod, kind: "Pod"}) : [];
        if (found.length && worst(found) !== level) setTimeout(() => tell(worst(found)));
        return h(Finding, {
            kind: kinds.byId.get("pods"),
            metadata: row.object.metadata,
            finding: found.find(one => one.level === worst(found)) || {
                level,
                title: `The pod's status is ${status}`,
                detail: "",
            },
        });
    }
}
export function Finding({kind, metadata, finding}) {
    return h(
        "li",
        {class: `finding finding-${finding.level}`},
        h(Icon, {name: {bad: "bad", warn: "warn", wait: "wait", info: "info"}[finding.level]}),
        h(
            "div",
            {class: "finding-text"},
            h(
                "p",
                {class: "finding-head"},
                h("span", {class: "finding-kind"}, kind.kind),
                h("a", {href: objectHref(kind, metadata.namespace, metadata.name)}, metadata.name),
                metadata.namespace && h("span", {class: "muted"}, `in ${metadata.namespace}`),
            ),
            h("p", null, h("strong", null, `${finding.title}.`), finding.detail && ` ${finding.detail}`),
            finding.command && h(Command, {text: finding.command}),
        ),
    );
}

const workloads = ["deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch"];

// The state of it all in a few words, with its icon.
function sayHow({loading, bad, warn, nodeless, coming, blind}) {
    if (loading) return ["wait", "Looking how things are…"];
    if (bad) return ["bad", `${bad} ${bad === 1 ? "thing needs" : "things need"} attention`];
    if (warn) return ["warn", `${warn} ${warn === 1 ? "thing is" : "things are"} not quite well`];
    if (blind) return ["warn", "Nothing can be seen here"];
    if (nodeless) return ["warn", "There are no nodes"];
    return ["done", coming ? "All is well, and some things are on their way" : "All is well"];
}

export class Overview extends View {
    watched({namespace}) {
        this.looked = new Map();
        const get = (id, form, ns = namespace) => kinds.byId.get(id) && liveList(kinds.byId.get(id), ns, {form});
        this.pods = get("pods", "table");
        this.nodes = get("nodes", "object", "");
        this.work = workloads.map(id => get(id, "object")).filter(Boolean);
        this.claims = get("persistentvolumeclaims", "object");
        this.events = liveList(kinds.byId.get("events"), namespace, {form: "object", field: "type=Warning"});
        this.usage = kinds.byId.get("nodes.metrics.k8s.io") && liveList(kinds.byId.get("nodes.metrics.k8s.io"), "");
        if (!this.version)
            request("/version").then(
                version => this.setState({version}),
                () => {},
            );
        return [this.pods, this.nodes, ...this.work, this.claims, this.events, this.usage].filter(Boolean);
    }
    dependsOn({namespace}) {
        return `${namespace} ${kinds.byId.has("nodes.metrics.k8s.io")}`;
    }
    findings() {
        const found = [];
        const add = list => {
            for (const object of list.items) {
                const all = explain({...object, kind: list.kind.kind}),
                    level = worst(all);
                if (level !== "ok")
                    found.push({
                        level,
                        key: object.metadata.uid,
                        node: h(Finding, {
                            key: object.metadata.uid,
                            kind: list.kind,
                            metadata: object.metadata,
                            finding: all.find(one => one.level === level),
                        }),
                    });
            }
        };
        [this.nodes, ...this.work, this.claims].filter(Boolean).forEach(add);
        let explained = 0,
            left = 0;
        for (const row of this.pods.items) {
            const seen = podLevel(cells(this.pods, row)),
                {uid} = row.object.metadata;
            if (seen === "ok" || seen === "done") continue;
            const level = this.looked.get(uid) || seen; // what a close look found
            if (explained++ >= EXPLAINED) {
                left++;
                continue;
            }
            found.push({
                level,
                key: uid,
                node: h(PodFinding, {
                    key: uid,
                    row,
                    level,
                    status: cells(this.pods, row).Status,
                    tell: found => {
                        this.looked.set(uid, found);
                        this.setState({});
                    },
                }),
            });
        }
        const order = {bad: 0, warn: 1, wait: 2, info: 3};
        return {found: found.sort((a, b) => order[a.level] - order[b.level]), left};
    }
    render({namespace}, {version}) {
        const lists = [this.pods, this.nodes, ...this.work].filter(Boolean);
        const loading = lists.some(list => list.state === "loading"),
            {found, left} = this.findings();
        const bad = found.filter(one => one.level === "bad").length + left,
            warn = found.filter(one => one.level === "warn").length;
        const refused = lists.filter(list => list.state === "failed" && list.error.code === 403);
        const counts = {ok: 0, done: 0, wait: 0, warn: 0, bad: 0};
        for (const row of this.pods.items) counts[podLevel(cells(this.pods, row))]++;
        const nodeless = this.nodes && this.nodes.state === "live" && !this.nodes.rows.size;
        const [icon, headline] = sayHow({
            loading,
            bad,
            warn,
            nodeless,
            coming: found.length,
            blind: refused.length === lists.length,
        });
        return h(
            "div",
            {class: "page overview"},
            h(
                "header",
                {class: "page-head"},
                h("div", {class: "page-title"}, h("h1", null, h(Icon, {name: icon}), headline)),
                h(
                    "p",
                    {class: "muted"},
                    namespace ? `Namespace ${namespace}` : "All namespaces",
                    version && ` · Kubernetes ${version.gitVersion}`,
                ),
            ),
            refused.length > 0 &&
                h(
                    "div",
                    {class: "notice"},
                    h(Icon, {name: "lock"}),
                    h(
                        "span",
                        null,
                        `You may not list ${refused.map(list => list.kind.resource).join(", ")}${namespace ? " here" : " in all namespaces; choose one that is yours"}.`,
                    ),
                ),
            h("div", {class: "tiles"}, this.nodeTile(), this.podTile(counts), this.workTile(), this.usageTile()),
            h(
                "div",
                {class: "columns"},
                h(
                    "section",
                    {class: "card grow", "aria-labelledby": "attention"},
                    h("h2", {id: "attention"}, "Needs attention"),
                    found.length
                        ? h(
                              "ul",
                              {class: "findings"},
                              found.slice(0, 60).map(one => one.node),
                              left > 0 &&
                                  h(
                                      "li",
                                      {class: "muted finding-more"},
                                      h(
                                          "a",
                                          {href: href(["list", "pods"], {sort: "-Status"})},
                                          `and ${left} more pods`,
                                      ),
                                  ),
                          )
                        : loading
                          ? h("p", {class: "muted"}, "Loading…")
                          : h(Empty, {
                                icon: nodeless ? "server" : "done",
                                title: nodeless ? "There are no nodes" : "Nothing needs attention",
                                children: nodeless
                                    ? "Without nodes nothing can run."
                                    : "Nodes are ready, workloads have their pods, claims their volumes.",
                            }),
                ),
                this.eventCard(),
            ),
        );
    }
    nodeTile() {
        if (!this.nodes || this.nodes.state === "failed") return null;
        const nodes = this.nodes.items,
            levels = nodes.map(node => worst(explain({...node, kind: "Node"})));
        const count = level => levels.filter(one => one === level).length;
        return h(
            "a",
            {class: "tile", href: href(["list", "nodes"])},
            h("h2", null, "Nodes"),
            h(
                "p",
                {class: "figure"},
                String(nodes.length - count("bad")),
                h("span", null, ` of ${nodes.length} ready`),
            ),
            h(Parts, {
                label: "Nodes",
                parts: [
                    {level: "ok", count: count("ok"), text: "ready"},
                    {level: "info", count: count("info"), text: "cordoned"},
                    {level: "warn", count: count("warn"), text: "under pressure"},
                    {level: "bad", count: count("bad"), text: "not ready"},
                ],
            }),
        );
    }
    podTile(counts) {
        if (this.pods.state === "failed") return null;
        return h(
            "a",
            {class: "tile", href: href(["list", "pods"])},
            h("h2", null, "Pods"),
            h(
                "p",
                {class: "figure"},
                String(counts.ok),
                h("span", null, ` of ${this.pods.rows.size - counts.done} run well`),
            ),
            h(Parts, {
                label: "Pods",
                parts: [
                    {level: "ok", count: counts.ok, text: "run"},
                    {level: "done", count: counts.done, text: "completed"},
                    {level: "wait", count: counts.wait, text: "on their way"},
                    {level: "warn", count: counts.warn, text: "not ready"},
                    {level: "bad", count: counts.bad, text: "failing"},
                ],
            }),
        );
    }
    workTile() {
        const items = this.work
            .filter(list => list.kind.id !== "jobs.batch")
            .flatMap(list => list.items.map(item => worst(explain({...item, kind: list.kind.kind}))));
        const count = (...levels) => items.filter(one => levels.includes(one)).length;
        return h(
            "a",
            {class: "tile", href: href(["list", "deployments.apps"])},
            h("h2", null, "Workloads"),
            h("p", {class: "figure"}, String(count("ok", "info")), h("span", null, ` of ${items.length} complete`)),
            h(Parts, {
                label: "Workloads",
                parts: [
                    {level: "ok", count: count("ok", "info"), text: "complete"},
                    {level: "wait", count: count("wait"), text: "on their way"},
                    {level: "warn", count: count("warn"), text: "incomplete"},
                    {level: "bad", count: count("bad"), text: "not served"},
                ],
            }),
        );
    }
    usageTile() {
        if (!this.usage || this.usage.state === "failed" || !this.nodes.items.length || !this.usage.items.length)
            return null;
        const sum = (items, read) => items.reduce((all, item) => all + read(item), 0);
        const cpu = sum(this.usage.items, item => quantity(item.usage.cpu)),
            memory = sum(this.usage.items, item => quantity(item.usage.memory));
        const allCpu = sum(this.nodes.items, node => quantity(node.status.allocatable.cpu)),
            allMemory = sum(this.nodes.items, node => quantity(node.status.allocatable.memory));
        return h(
            "a",
            {class: "tile tile-usage", href: href(["map"])},
            h("h2", null, "Load"),
            h(Gauge, {label: "CPU", value: cpu, of: allCpu, text: `${cpuText(cpu)} of ${cpuText(allCpu)}`}),
            h(Gauge, {
                label: "Memory",
                value: memory,
                of: allMemory,
                text: `${bytesText(memory)} of ${bytesText(allMemory)}`,
            }),
        );
    }
    eventCard() {
        if (this.events.state === "failed") return null;
        const time = event => event.lastTimestamp || event.eventTime || event.metadata.creationTimestamp;
        const events = this.events.items.sort((a, b) => Date.parse(time(b)) - Date.parse(time(a))).slice(0, 12);
        return h(
            "section",
            {class: "card side", "aria-labelledby": "warnings"},
            h("h2", {id: "warnings"}, "Recent warnings"),
            events.length
                ? h(
                      "ul",
                      {class: "event-list"},
                      events.map(event => {
                          const kind = kindOf(event.involvedObject.apiVersion, event.involvedObject.kind);
                          return h(
                              "li",
                              {key: event.metadata.uid},
                              h(
                                  "p",
                                  null,
                                  h(Chip, {level: "warn", text: event.reason}),
                                  h(
                                      "span",
                                      {class: "muted"},
                                      h(Age, {time: time(event)}),
                                      event.count > 1 && ` · ${event.count} times`,
                                  ),
                              ),
                              h(
                                  "p",
                                  null,
                                  kind
                                      ? h(
                                            "a",
                                            {
                                                href: objectHref(
                                                    kind,
                                                    event.involvedObject.namespace,
                                                    event.involvedObject.name,
                                                ),
                                            },
                                            event.involvedObject.name,
                                        )
                                      : event.involvedObject.name,
                              ),
                              h("p", {class: "event-text"}, event.message),
                          );
                      }),
                  )
                : h(
                      "p",
                      {class: "muted"},
                      this.events.state === "loading" ? "Loading…" : "There were none in the last hour.",
                  ),
        );
    }
}
