// SPDX-License-Identifier: Apache-2.0
// What can be done to an object. What the user may not do is shown, and says so.
import {Button, h, openDialog} from "/assets/ui.js";
import {kinds, listPath, may, request} from "/assets/api.js";
import {go} from "/assets/state.js";
import {Drain, Scale, Undo, askDelete, attempt, patch} from "/assets/dialogs.js";

const rollouts = ["Deployment", "StatefulSet", "DaemonSet"];

export function actionsOf(kind, object) {
    const {namespace, name} = object.metadata,
        canPatch = may("patch", kind, namespace, {name});
    const list = [];
    const add = (condition, allowed, action) => {
        if (condition)
            list.push({...action, disabled: allowed === false, why: allowed === false ? "You may not do this" : null});
    };
    const toTab = tab => () => go(["object", kind.id, kind.namespaced ? namespace : "-", name], {tab});
    const pods = kinds.byId.get("pods");
    const runs = ["Pod", "Job", "ReplicaSet", ...rollouts].includes(object.kind);
    add(runs, may("get", pods, namespace, {subresource: "log"}), {
        id: "logs",
        text: "Logs",
        icon: "text",
        keys: "l",
        run: toTab("logs"),
    });
    add(object.kind === "Pod", may("create", pods, namespace, {subresource: "exec"}), {
        id: "terminal",
        text: "Terminal",
        icon: "terminal",
        keys: "t",
        run: toTab("terminal"),
    });
    add(kind.verbs.includes("update"), null, {
        id: "yaml",
        text: "Edit YAML",
        icon: "edit",
        keys: "e",
        run: toTab("yaml"),
    });
    add(
        kind.subresources.includes("scale") && object.kind !== "DaemonSet",
        may("patch", kind, namespace, {name, subresource: "scale"}),
        {id: "scale", text: "Scale…", icon: "scale", keys: "s", run: () => openDialog(() => h(Scale, {kind, object}))},
    );
    add(rollouts.includes(object.kind), canPatch, {
        id: "restart",
        text: "Restart",
        icon: "restart",
        keys: "r",
        run: () =>
            attempt(
                () =>
                    patch(kind, object, {
                        spec: {
                            template: {
                                metadata: {
                                    annotations: {"kubectl.kubernetes.io/restartedAt": new Date().toISOString()},
                                },
                            },
                        },
                    }),
                `${name} restarts, pod by pod`,
            ),
    });
    add(object.kind === "Deployment", canPatch, {
        id: "pause",
        text: object.spec && object.spec.paused ? "Resume rollout" : "Pause rollout",
        icon: object.spec && object.spec.paused ? "play" : "pause",
        run: () =>
            attempt(
                () => patch(kind, object, {spec: {paused: !object.spec.paused}}),
                object.spec.paused ? `${name} rolls out again` : `Rollouts of ${name} are paused`,
            ),
    });
    add(rollouts.includes(object.kind), canPatch, {
        id: "undo",
        text: "Undo rollout…",
        icon: "undo",
        keys: "u",
        run: () => openDialog(() => h(Undo, {kind, object})),
    });
    add(["CronJob", "Job"].includes(object.kind), canPatch, {
        id: "suspend",
        text: object.spec && object.spec.suspend ? "Resume" : "Suspend",
        icon: object.spec && object.spec.suspend ? "play" : "pause",
        run: () =>
            attempt(
                () => patch(kind, object, {spec: {suspend: !object.spec.suspend}}),
                object.spec.suspend ? `${name} goes on` : `${name} is suspended`,
            ),
    });
    add(
        object.kind === "CronJob",
        kinds.byId.get("jobs.batch") && may("create", kinds.byId.get("jobs.batch"), namespace),
        {
            id: "trigger",
            text: "Run now",
            icon: "play",
            run: () => attempt(() => runNow(object), `A job of ${name} was started`),
        },
    );
    add(object.kind === "Node", canPatch, {
        id: "cordon",
        text: object.spec && object.spec.unschedulable ? "Uncordon" : "Cordon",
        icon: object.spec && object.spec.unschedulable ? "play" : "pause",
        run: () =>
            attempt(
                () => patch(kind, object, {spec: {unschedulable: object.spec.unschedulable ? null : true}}),
                object.spec.unschedulable ? `${name} takes pods again` : `${name} takes no new pods`,
            ),
    });
    add(object.kind === "Node", may("create", pods, "", {subresource: "eviction"}), {
        id: "drain",
        text: "Drain…",
        icon: "drain",
        run: () => openDialog(() => h(Drain, {kind, object})),
    });
    add(kind.verbs.includes("delete"), may("delete", kind, namespace, {name}), {
        id: "delete",
        text: "Delete…",
        icon: "trash",
        keys: "d",
        danger: true,
        run: () => askDelete(kind, [object], () => go(["list", kind.id])),
    });
    return list;
}
async function runNow(cronJob) {
    const {namespace, name, uid} = cronJob.metadata,
        template = cronJob.spec.jobTemplate;
    await request(listPath(kinds.byId.get("jobs.batch"), namespace), {
        method: "POST",
        body: {
            apiVersion: "batch/v1",
            kind: "Job",
            spec: template.spec,
            metadata: {
                name: `${name.slice(0, 40)}-manual-${Math.random().toString(36).slice(2, 7)}`,
                labels: (template.metadata || {}).labels,
                annotations: {"cronjob.kubernetes.io/instantiate": "manual", ...(template.metadata || {}).annotations},
                ownerReferences: [{apiVersion: "batch/v1", kind: "CronJob", name, uid, controller: true}],
            },
        },
    });
}

export function bulkActions(kind, objects, after) {
    const restart = ["deployments.apps", "statefulsets.apps", "daemonsets.apps"].includes(kind.id);
    const namespace = objects[0].metadata.namespace;
    const mayDelete = may("delete", kind, namespace),
        mayPatch = restart && may("patch", kind, namespace);
    return [
        restart &&
            h(Button, {
                icon: "restart",
                text: "Restart",
                disabled: mayPatch === false,
                onClick: () =>
                    attempt(async () => {
                        for (const object of objects)
                            await patch(kind, object, {
                                spec: {
                                    template: {
                                        metadata: {
                                            annotations: {
                                                "kubectl.kubernetes.io/restartedAt": new Date().toISOString(),
                                            },
                                        },
                                    },
                                },
                            });
                        after();
                    }, `${objects.length} restart`),
            }),
        kind.verbs.includes("delete") &&
            h(Button, {
                icon: "trash",
                text: "Delete…",
                kind: "danger",
                disabled: mayDelete === false,
                title: mayDelete === false ? "You may not do this" : null,
                onClick: () => askDelete(kind, objects, after),
            }),
    ];
}
