// SPDX-License-Identifier: Apache-2.0
// What is asked before something is done: how far to scale, what goes along with a deletion, which revision to go back to, what
// a drained node would lose. An error leaves the input as it is.
import {Button, Component, Command, Icon, Loading, Sheet, closeDialog, h, openDialog, toast} from "/assets/ui.js";
import {kinds, listPath, objectPath, request} from "/assets/api.js";
import {Diff, toYaml} from "/assets/yaml.js";

const MERGE = "application/merge-patch+json";
const JSON_PATCH = "application/json-patch+json";

export async function patch(kind, object, body, {type = MERGE, subresource} = {}) {
    return request(objectPath(kind, object.metadata.namespace, object.metadata.name, subresource), {
        method: "PATCH",
        body,
        type,
    });
}
// Says what became of it; the error stays where the input is.
export async function attempt(what, done) {
    try {
        const result = await what();
        if (done) toast(done);
        return result;
    } catch (error) {
        toast(error.message, "bad");
        return null;
    }
}

// A dialog whose input survives an error.
export class Form extends Component {
    async submit() {
        if (this.state.busy) return;
        this.setState({busy: true, error: null});
        try {
            await this.props.run(this.state);
            closeDialog();
            if (this.props.done) toast(this.props.done);
        } catch (error) {
            this.setState({busy: false, error});
        }
    }
    render({title, submit, danger, body, wide, children, initial}, state) {
        const values = {...initial, ...state};
        return h(
            Sheet,
            {
                title,
                wide,
                onSubmit: () => this.submit(),
                actions: [
                    h(Button, {text: "Cancel", autofocus: true, onClick: closeDialog}),
                    h(Button, {
                        text: state.busy ? "Working…" : submit,
                        kind: danger ? "danger" : "primary",
                        type: "submit",
                        disabled: state.busy,
                    }),
                ],
            },
            state.error &&
                h(
                    "div",
                    {class: "notice bad", role: "alert"},
                    h(Icon, {name: "bad"}),
                    h("span", null, state.error.message),
                ),
            body ? body(values, change => this.setState(change)) : children,
        );
    }
}

// --- scale ---
export class Scale extends Component {
    render({kind, object}) {
        const now = object.spec.replicas ?? 1;
        return h(Form, {
            title: `Scale ${object.metadata.name}`,
            submit: "Scale",
            initial: {replicas: now},
            done: `${object.metadata.name} is being scaled`,
            run: async state => {
                const replicas = Number(state.replicas ?? now);
                if (!Number.isInteger(replicas) || replicas < 0 || replicas > 100000)
                    throw new Error("Replicas: a whole number from 0 to 100000 is needed.");
                await patch(kind, object, {spec: {replicas}}, {subresource: "scale"});
            },
            body: (values, set) =>
                h(
                    "div",
                    null,
                    h(
                        "label",
                        {class: "field"},
                        h("span", null, "Replicas"),
                        h("input", {
                            type: "number",
                            min: 0,
                            max: 100000,
                            required: true,
                            value: values.replicas,
                            onInput: event => set({replicas: event.target.value}),
                        }),
                    ),
                    h(
                        "p",
                        {class: "muted"},
                        `Now ${now}. A HorizontalPodAutoscaler that owns it would change it again.`,
                    ),
                    h(Command, {
                        text: `kubectl scale ${kind.singular || kind.resource} ${object.metadata.name} -n ${object.metadata.namespace} --replicas=${values.replicas}`,
                    }),
                ),
        });
    }
}

// --- what goes along with a deletion ---
const ownedKinds = {
    Deployment: ["replicasets.apps", "pods"],
    ReplicaSet: ["pods"],
    StatefulSet: ["pods", "controllerrevisions.apps"],
    DaemonSet: ["pods", "controllerrevisions.apps"],
    Job: ["pods"],
    CronJob: ["jobs.batch", "pods"],
    Service: ["endpointslices.discovery.k8s.io"],
};
async function dependents(object, most = 200) {
    const found = [],
        uids = new Set([object.metadata.uid]);
    for (const id of ownedKinds[object.kind] || []) {
        const kind = kinds.byId.get(id);
        if (!kind) continue;
        const list = await request(`${listPath(kind, object.metadata.namespace)}?limit=2000`, {
            accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
        });
        for (const item of list.items)
            if ((item.metadata.ownerReferences || []).some(owner => uids.has(owner.uid)) && found.length < most) {
                uids.add(item.metadata.uid);
                found.push({kind, metadata: item.metadata});
            }
    }
    return found;
}
async function namespaceContents(name) {
    const counts = [];
    for (const id of [
        "pods",
        "deployments.apps",
        "statefulsets.apps",
        "daemonsets.apps",
        "services",
        "persistentvolumeclaims",
        "configmaps",
        "secrets",
    ]) {
        const kind = kinds.byId.get(id),
            list = await request(`${listPath(kind, name)}?limit=500`, {
                accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
            });
        if (list.items.length)
            counts.push(`${list.items.length}${list.metadata.continue ? " or more" : ""} ${kind.resource}`);
    }
    return counts;
}
class Delete extends Component {
    constructor(props) {
        super(props);
        const one = props.objects.length === 1 && props.objects[0];
        this.state = {};
        if (one && props.kind.id === "namespaces")
            namespaceContents(one.metadata.name).then(
                counts => this.setState({counts}),
                error => this.setState({error}),
            );
        else if (one)
            dependents({...one, kind: props.kind.kind}).then(
                along => this.setState({along}),
                error => this.setState({error}),
            );
        else this.state.along = [];
    }
    render({kind, objects, after}, {along, counts, error}) {
        const one = objects.length === 1 ? objects[0] : null,
            dangerous = kind.id === "namespaces" && one;
        return h(Form, {
            title: one ? `Delete ${kind.kind} ${one.metadata.name}?` : `Delete ${objects.length} ${kind.resource}?`,
            submit: "Delete",
            danger: true,
            initial: {policy: "Background"},
            done: one
                ? `${one.metadata.name} is being deleted`
                : `${objects.length} ${kind.resource} are being deleted`,
            run: async state => {
                if (dangerous && state.typed !== one.metadata.name)
                    throw new Error("Type the namespace's name to delete it with all that is in it.");
                const failed = [];
                for (const object of objects)
                    await request(objectPath(kind, object.metadata.namespace, object.metadata.name), {
                        method: "DELETE",
                        body: {
                            kind: "DeleteOptions",
                            apiVersion: "v1",
                            propagationPolicy: state.policy || "Background",
                            preconditions: object.metadata.uid ? {uid: object.metadata.uid} : undefined,
                        },
                    }).catch(problem => {
                        if (problem.code !== 404) failed.push(problem);
                    });
                if (failed.length)
                    throw failed.length === 1
                        ? failed[0]
                        : new Error(`${failed.length} of ${objects.length} could not be deleted: ${failed[0].message}`);
                if (after) after();
            },
            body: (values, set) =>
                h(
                    "div",
                    null,
                    !one &&
                        h(
                            "ul",
                            {class: "plain-list"},
                            objects
                                .slice(0, 12)
                                .map(object =>
                                    h(
                                        "li",
                                        null,
                                        object.metadata.namespace
                                            ? `${object.metadata.namespace}/${object.metadata.name}`
                                            : object.metadata.name,
                                    ),
                                ),
                            objects.length > 12 && h("li", {class: "muted"}, `and ${objects.length - 12} more`),
                        ),
                    error
                        ? h("p", {class: "muted"}, `What goes along could not be found out: ${error.message}`)
                        : dangerous
                          ? counts
                              ? h(
                                    "p",
                                    null,
                                    counts.length
                                        ? `With it goes all that is in it: ${counts.join(", ")}.`
                                        : "It is empty.",
                                )
                              : h(Loading, {text: "Looking what is in it…"})
                          : one && !along
                            ? h(Loading, {text: "Looking what goes along…"})
                            : one && along.length
                              ? h(
                                    "div",
                                    null,
                                    h(
                                        "p",
                                        null,
                                        `${along.length} ${along.length === 1 ? "object that it owns goes" : "objects that it owns go"} along:`,
                                    ),
                                    h(
                                        "ul",
                                        {class: "plain-list"},
                                        along
                                            .slice(0, 10)
                                            .map(item =>
                                                h(
                                                    "li",
                                                    null,
                                                    h("span", {class: "muted"}, item.kind.kind),
                                                    " ",
                                                    item.metadata.name,
                                                ),
                                            ),
                                        along.length > 10 && h("li", {class: "muted"}, `and ${along.length - 10} more`),
                                    ),
                                    h(
                                        "label",
                                        {class: "check"},
                                        h("input", {
                                            type: "checkbox",
                                            checked: values.policy === "Orphan",
                                            onClick: event =>
                                                set({policy: event.target.checked ? "Orphan" : "Background"}),
                                        }),
                                        h("span", null, "Leave them, without an owner"),
                                    ),
                                )
                              : one && h("p", {class: "muted"}, "It owns nothing that would go along."),
                    dangerous &&
                        h(
                            "label",
                            {class: "field"},
                            h("span", null, `Type ${one.metadata.name} to confirm`),
                            h("input", {
                                type: "text",
                                autocomplete: "off",
                                value: values.typed || "",
                                onInput: event => set({typed: event.target.value}),
                            }),
                        ),
                ),
        });
    }
}
export function askDelete(kind, objects, after) {
    openDialog(() => h(Delete, {kind, objects, after}));
}

// --- undo: earlier templates of a Deployment, StatefulSet or DaemonSet ---
async function revisions(object) {
    const {namespace, uid} = object.metadata;
    const id = object.kind === "Deployment" ? "replicasets.apps" : "controllerrevisions.apps";
    const list = await request(`${listPath(kinds.byId.get(id), namespace)}?limit=1000`);
    const own = list.items.filter(item => (item.metadata.ownerReferences || []).some(owner => owner.uid === uid));
    return own
        .map(item => {
            const number =
                object.kind === "Deployment"
                    ? Number((item.metadata.annotations || {})["deployment.kubernetes.io/revision"])
                    : item.revision;
            const template = structuredClone(
                object.kind === "Deployment" ? item.spec.template : item.data.spec.template,
            );
            delete template.$patch;
            if (template.metadata && template.metadata.labels) delete template.metadata.labels["pod-template-hash"];
            return {number, template, time: item.metadata.creationTimestamp};
        })
        .filter(one => one.number)
        .sort((a, b) => b.number - a.number);
}
export class Undo extends Component {
    constructor(props) {
        super(props);
        revisions(props.object).then(
            all => this.setState({all, chosen: all[1]}),
            error => this.setState({error}),
        );
    }
    render({kind, object}, {all, chosen, error}) {
        const now = toYaml(object.spec.template);
        return h(Form, {
            title: `Undo a rollout of ${object.metadata.name}`,
            submit: chosen ? `Go back to revision ${chosen.number}` : "Undo",
            wide: true,
            done: `${object.metadata.name} goes back to an earlier revision`,
            run: async () => {
                if (!chosen) throw new Error("There is no earlier revision to go back to.");
                await patch(
                    kind,
                    object,
                    [
                        {op: "test", path: "/metadata/generation", value: object.metadata.generation},
                        {op: "replace", path: "/spec/template", value: chosen.template},
                    ],
                    {type: JSON_PATCH},
                );
            },
            body: () =>
                error
                    ? h("div", {class: "notice bad", role: "alert"}, error.message)
                    : !all
                      ? h(Loading, {text: "Reading revisions…"})
                      : all.length < 2
                        ? h("p", null, "There is no earlier revision.")
                        : h(
                              "div",
                              null,
                              h(
                                  "div",
                                  {class: "choices", role: "radiogroup", "aria-label": "Revision"},
                                  all.map((one, i) =>
                                      h(
                                          "label",
                                          {class: "check"},
                                          h("input", {
                                              type: "radio",
                                              name: "revision",
                                              disabled: i === 0,
                                              checked: one === chosen,
                                              onClick: () => this.setState({chosen: one}),
                                          }),
                                          h("span", null, `Revision ${one.number}${i === 0 ? " (now)" : ""}`),
                                          h("span", {class: "muted"}, new Date(one.time).toLocaleString()),
                                      ),
                                  ),
                              ),
                              chosen &&
                                  h(Diff, {
                                      before: now,
                                      after: toYaml(chosen.template),
                                      label: "What would change in the pod template",
                                  }),
                              h(Command, {
                                  text: `kubectl rollout undo ${kind.singular || kind.resource} ${object.metadata.name} -n ${object.metadata.namespace}${chosen ? ` --to-revision=${chosen.number}` : ""}`,
                              }),
                          ),
        });
    }
}

// --- drain ---
function sortPods(pods) {
    const evicted = [],
        stays = [],
        refused = [];
    for (const pod of pods) {
        const owner = (pod.metadata.ownerReferences || []).find(one => one.controller);
        if (owner && owner.kind === "DaemonSet") stays.push([pod, "of a DaemonSet, which would make it again"]);
        else if ((pod.metadata.annotations || {})["kubernetes.io/config.mirror"])
            stays.push([pod, "a static pod of the node"]);
        else if (["Succeeded", "Failed"].includes(pod.status.phase)) evicted.push([pod, "has ended"]);
        else if (!owner) refused.push([pod, "nothing would make it again elsewhere"]);
        else
            evicted.push([
                pod,
                (pod.spec.volumes || []).some(volume => volume.emptyDir) ? "loses what is in its emptyDir" : "",
            ]);
    }
    return {evicted, stays, refused};
}
export class Drain extends Component {
    constructor(props) {
        super(props);
        const pods = kinds.byId.get("pods");
        request(
            `${listPath(pods)}?fieldSelector=spec.nodeName%3D${encodeURIComponent(props.object.metadata.name)}`,
        ).then(
            list => this.setState(sortPods(list.items)),
            error => this.setState({error}),
        );
    }
    componentWillUnmount() {
        this.gone = true;
    }
    async run(state) {
        const {object, kind} = this.props,
            pods = kinds.byId.get("pods");
        const all = [...this.state.evicted, ...(state.force ? this.state.refused : [])].map(([pod]) => pod);
        if (this.state.refused.length && !state.force)
            throw new Error("Some pods belong to nobody. Say that they may be deleted for good, or move them first.");
        await patch(kind, object, {spec: {unschedulable: true}});
        let done = 0;
        const left = new Set(all);
        for (let round = 0; left.size && !this.gone; round++) {
            let blocked = "";
            for (const pod of [...left]) {
                const {namespace, name} = pod.metadata;
                try {
                    await request(objectPath(pods, namespace, name, "eviction"), {
                        method: "POST",
                        body: {apiVersion: "policy/v1", kind: "Eviction", metadata: {name, namespace}},
                    });
                } catch (error) {
                    if (error.code === 429) {
                        blocked = error.message;
                        continue;
                    }
                    if (error.code !== 404) throw error;
                }
                left.delete(pod);
                this.setState({progress: `${++done} of ${all.length} evicted`});
            }
            if (left.size) {
                this.setState({progress: `${done} of ${all.length} evicted; waiting: ${blocked}`});
                await new Promise(resolve => setTimeout(resolve, 3000));
            }
        }
    }
    render({object}, {evicted, stays, refused, error, progress}) {
        const group = (name, pods) =>
            pods.length > 0 &&
            h(
                "section",
                null,
                h("h3", null, `${name} (${pods.length})`),
                h(
                    "ul",
                    {class: "plain-list"},
                    pods
                        .slice(0, 40)
                        .map(([pod, why]) =>
                            h(
                                "li",
                                null,
                                `${pod.metadata.namespace}/${pod.metadata.name}`,
                                why && h("span", {class: "muted"}, ` – ${why}`),
                            ),
                        ),
                ),
            );
        return h(Form, {
            title: `Drain ${object.metadata.name}`,
            submit: "Drain",
            danger: true,
            wide: true,
            done: `${object.metadata.name} is drained`,
            run: state => this.run(state),
            body: (values, set) =>
                error
                    ? h("div", {class: "notice bad", role: "alert"}, error.message)
                    : !evicted
                      ? h(Loading, {text: "Looking what runs there…"})
                      : h(
                            "div",
                            null,
                            h(
                                "p",
                                null,
                                "The node takes no new pods, and these leave it. Disruption budgets are heeded: what they forbid now is tried again.",
                            ),
                            group("Evicted", evicted),
                            group("Stay", stays),
                            group("Belong to nobody", refused),
                            refused.length > 0 &&
                                h(
                                    "label",
                                    {class: "check"},
                                    h("input", {
                                        type: "checkbox",
                                        checked: !!values.force,
                                        onClick: event => set({force: event.target.checked}),
                                    }),
                                    h("span", null, "Delete those that belong to nobody, for good"),
                                ),
                            progress && h("p", {role: "status"}, progress),
                            h(Command, {
                                text: `kubectl drain ${object.metadata.name} --ignore-daemonsets --delete-emptydir-data${values.force ? " --force" : ""}`,
                            }),
                        ),
        });
    }
}
