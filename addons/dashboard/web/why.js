// SPDX-License-Identifier: Apache-2.0
// What is not well with an object, in plain words, and the command that would say the same. Each finding is
// {level: "bad" | "warn" | "wait" | "info", title, detail, command}.

const waiting = {
    CrashLoopBackOff: "ends soon after every start; the next start waits longer each time",
    ImagePullBackOff: "has an image that cannot be fetched",
    ErrImagePull: "has an image that cannot be fetched",
    ErrImageNeverPull: "has an image that is not on the node, and may not be fetched (imagePullPolicy: Never)",
    InvalidImageName: "has an image name that cannot be read",
    CreateContainerConfigError: "needs a ConfigMap or Secret, or a key of one, that is not there",
    CreateContainerError: "could not be created",
    RunContainerError: "could not be started",
};

export function quantity(text) {
    const match = /^([0-9.]+)([a-zA-Z]*)$/.exec(text || "");
    if (!match) return 0;
    const units = {
        n: 1e-9,
        u: 1e-6,
        m: 1e-3,
        "": 1,
        k: 1e3,
        M: 1e6,
        G: 1e9,
        T: 1e12,
        P: 1e15,
        E: 1e18,
        Ki: 2 ** 10,
        Mi: 2 ** 20,
        Gi: 2 ** 30,
        Ti: 2 ** 40,
        Pi: 2 ** 50,
        Ei: 2 ** 60,
    };
    return Number(match[1]) * (units[match[2]] || 1);
}

function describe(object) {
    const {namespace, name} = object.metadata;
    return `kubectl describe ${object.kind.toLowerCase()} ${name}${namespace ? ` -n ${namespace}` : ""}`;
}
function condition(object, type) {
    return ((object.status && object.status.conditions) || []).find(one => one.type === type);
}

function times(n) {
    return n === 1 ? "once" : n === 2 ? "twice" : `${n} times`;
}
function ended(state) {
    if (state.reason === "OOMKilled") return "it used more memory than its limit allows (OOMKilled)";
    if (state.signal) return `it was ended by signal ${state.signal}`;
    if (state.exitCode === 137) return "it was killed (exit code 137)";
    return `its last run ended with exit code ${state.exitCode}${state.message ? `: ${state.message}` : ""}`;
}

function explainContainers(pod, found) {
    const {namespace, name} = pod.metadata;
    const statuses = [...(pod.status.initContainerStatuses || []), ...(pod.status.containerStatuses || [])];
    for (const status of statuses) {
        const now = status.state && status.state.waiting,
            last = status.lastState && status.lastState.terminated;
        const over = status.state && status.state.terminated;
        const logs = `kubectl logs ${name} -n ${namespace} -c ${status.name}`;
        if (now && waiting[now.reason])
            found.push({
                level: "bad",
                title: `Container ${status.name} ${waiting[now.reason]}`,
                reason: now.reason,
                detail:
                    now.reason === "CrashLoopBackOff" && last
                        ? `It has restarted ${times(status.restartCount)}; ${ended(last)}.`
                        : now.message || "",
                command: now.reason === "CrashLoopBackOff" ? `${logs} --previous` : describe(pod),
            });
        else if (over && over.exitCode !== 0 && pod.status.phase !== "Succeeded")
            found.push({
                level: "bad",
                title: `Container ${status.name} failed`,
                reason: over.reason,
                detail: `${ended(over)[0].toUpperCase()}${ended(over).slice(1)}.`,
                command: logs,
            });
        else if (
            status.state &&
            status.state.running &&
            !status.ready &&
            pod.spec.containers.some(one => one.name === status.name)
        )
            found.push({
                level: status.started === false ? "wait" : "warn",
                reason: "NotReady",
                title:
                    status.started === false
                        ? `Container ${status.name} has not finished starting`
                        : `Container ${status.name} runs, but is not ready`,
                detail: "Its readiness probe does not succeed yet, so that Services send it no requests.",
                command: describe(pod),
            });
        else if (status.restartCount > 0 && last && Date.now() - Date.parse(last.finishedAt) < 600000)
            found.push({
                level: "warn",
                title: `Container ${status.name} restarted not long ago`,
                reason: last.reason,
                detail: `It has restarted ${times(status.restartCount)}; ${ended(last)}.`,
                command: `${logs} --previous`,
            });
    }
}

function explainPod(pod) {
    const found = [],
        status = pod.status || {};
    const scheduled = condition(pod, "PodScheduled");
    if (pod.metadata.deletionTimestamp) {
        const late = Date.now() - Date.parse(pod.metadata.deletionTimestamp) > 30000;
        found.push({
            level: late ? "warn" : "wait",
            reason: "Terminating",
            title: "The pod is being deleted",
            detail: (pod.metadata.finalizers || []).length
                ? `It waits for its finalizers: ${pod.metadata.finalizers.join(", ")}.`
                : late
                  ? "That takes longer than its grace period; its node may not answer."
                  : "",
            command: describe(pod),
        });
    }
    if (scheduled && scheduled.status === "False")
        found.push({
            level: "bad",
            reason: scheduled.reason || "Unschedulable",
            title:
                scheduled.reason === "SchedulingGated"
                    ? "The pod waits for its scheduling gates"
                    : "No node can take the pod",
            detail: scheduled.message || "",
            command: describe(pod),
        });
    if (status.phase === "Failed")
        found.push({
            level: "bad",
            reason: status.reason || "Failed",
            title: status.reason === "Evicted" ? "The pod was evicted from its node" : "The pod failed",
            detail: status.message || "",
            command: describe(pod),
        });
    if (status.phase !== "Succeeded") explainContainers(pod, found);
    if (status.phase === "Pending" && !found.length && scheduled && scheduled.status === "True")
        found.push({
            level: "wait",
            reason: "Pending",
            title: "The node prepares the pod",
            detail: "Volumes are mounted, images fetched and containers started.",
            command: describe(pod),
        });
    const resize = condition(pod, "PodResizePending");
    if (resize && resize.status === "True")
        found.push({
            level: "wait",
            reason: resize.reason,
            title: "A change of its resources waits",
            detail: resize.message || "",
            command: describe(pod),
        });
    return found;
}

function explainNode(node) {
    const found = [];
    const ready = condition(node, "Ready");
    if (!ready || ready.status !== "True")
        found.push({
            level: "bad",
            reason: "NotReady",
            title: ready && ready.status === "Unknown" ? "The node does not answer" : "The node is not ready",
            detail: (ready && ready.message) || "Its kubelet has not reported yet.",
            command: describe(node),
        });
    for (const [type, words] of [
        ["MemoryPressure", "memory"],
        ["DiskPressure", "disk space"],
        ["PIDPressure", "process ids"],
    ]) {
        const one = condition(node, type);
        if (one && one.status === "True")
            found.push({
                level: "warn",
                reason: type,
                title: `The node runs out of ${words}`,
                detail: one.message || "",
                command: describe(node),
            });
    }
    if (node.spec && node.spec.unschedulable)
        found.push({
            level: "info",
            reason: "Cordoned",
            title: "The node takes no new pods",
            detail: "It is cordoned.",
            command: `kubectl uncordon ${node.metadata.name}`,
        });
    return found;
}

function explainReplicas(object) {
    const found = [],
        status = object.status || {},
        spec = object.spec || {};
    const wanted =
        object.kind === "DaemonSet"
            ? status.desiredNumberScheduled || 0
            : spec.replicas === undefined
              ? 1
              : spec.replicas;
    const ready = object.kind === "DaemonSet" ? status.numberReady || 0 : status.readyReplicas || 0;
    const stuck = condition(object, "Progressing"),
        failure = condition(object, "ReplicaFailure");
    if (failure && failure.status === "True")
        found.push({
            level: "bad",
            reason: failure.reason,
            title: "Pods cannot be created",
            detail: failure.message || "",
            command: describe(object),
        });
    if (stuck && stuck.status === "False")
        found.push({
            level: "bad",
            reason: stuck.reason,
            title: "The rollout does not get ahead",
            detail: stuck.message || "",
            command: rolloutStatus(object),
        });
    if (ready < wanted) {
        const isNew = object.metadata.generation !== status.observedGeneration;
        found.push({
            level: ready === 0 && !isNew ? "bad" : "warn",
            reason: "NotReady",
            title:
                wanted === 1
                    ? "Its pod is not ready"
                    : ready === 0
                      ? `None of its ${wanted} pods is ready`
                      : `${ready} of ${wanted} pods ${ready === 1 ? "is" : "are"} ready`,
            detail: "",
            command: rolloutStatus(object),
        });
    }
    if (spec.paused)
        found.push({
            level: "info",
            reason: "Paused",
            title: "The rollout is paused",
            detail: "Changes of its template wait.",
            command: `kubectl rollout resume ${object.kind.toLowerCase()} ${object.metadata.name} -n ${object.metadata.namespace}`,
        });
    return found;
}
function rolloutStatus(object) {
    return object.kind === "ReplicaSet"
        ? describe(object)
        : `kubectl rollout status ${object.kind.toLowerCase()} ${object.metadata.name} -n ${object.metadata.namespace}`;
}

function explainJob(job) {
    const failed = condition(job, "Failed");
    if (failed && failed.status === "True")
        return [
            {
                level: "bad",
                reason: failed.reason,
                title: "The job failed",
                detail: failed.message || "",
                command: describe(job),
            },
        ];
    if (job.spec.suspend)
        return [
            {level: "info", reason: "Suspended", title: "The job is suspended", detail: "", command: describe(job)},
        ];
    if (job.status && job.status.failed)
        return [
            {
                level: "warn",
                reason: "Retrying",
                title: `${job.status.failed} of its pods failed; it tries again`,
                detail: "",
                command: describe(job),
            },
        ];
    return [];
}

function explainOthers(object) {
    const found = [];
    if (object.metadata.deletionTimestamp)
        found.push({
            level: "wait",
            reason: "Terminating",
            title: "It is being deleted",
            detail: (object.metadata.finalizers || []).length
                ? `It waits for its finalizers: ${object.metadata.finalizers.join(", ")}.`
                : "",
            command: describe(object),
        });
    for (const one of (object.status && object.status.conditions) || [])
        if (one.status === "False" && ["Ready", "Available", "Established", "Healthy", "Synced"].includes(one.type))
            found.push({
                level: "warn",
                reason: one.reason || one.type,
                title: `It is not ${one.type.toLowerCase()}`,
                detail: one.message || "",
                command: describe(object),
            });
    return found;
}

const explainers = {
    Pod: explainPod,
    Node: explainNode,
    Deployment: explainReplicas,
    StatefulSet: explainReplicas,
    DaemonSet: explainReplicas,
    ReplicaSet: explainReplicas,
    Job: explainJob,
    PersistentVolumeClaim: claim =>
        claim.status && claim.status.phase === "Bound"
            ? explainOthers(claim)
            : [
                  {
                      level: claim.status && claim.status.phase === "Lost" ? "bad" : "wait",
                      reason: (claim.status && claim.status.phase) || "Pending",
                      title:
                          claim.status && claim.status.phase === "Lost"
                              ? "The volume is gone"
                              : "The claim waits for a volume",
                      detail: "Its events say why; with volumeBindingMode WaitForFirstConsumer it waits for a pod that uses it.",
                      command: describe(claim),
                  },
              ],
    Service: service =>
        service.spec.type === "LoadBalancer" &&
        !(service.status && service.status.loadBalancer && (service.status.loadBalancer.ingress || []).length)
            ? [
                  {
                      level: "wait",
                      reason: "Pending",
                      title: "The load balancer has no address yet",
                      detail: "",
                      command: describe(service),
                  },
              ]
            : [],
};

export function explain(object) {
    return (explainers[object.kind] || explainOthers)(object);
}

const order = ["bad", "warn", "wait", "info"];
export function worst(findings) {
    return order.find(level => findings.some(one => one.level === level)) || "ok";
}

// --- the state of an object in one word ---
export function stateOf(object) {
    const status = object.status || {};
    const found = explain(object),
        level = worst(found);
    const first = found.find(one => one.level === level);
    if (first) return {level, text: first.reason || first.title};
    switch (object.kind) {
        case "Pod":
            return status.phase === "Succeeded"
                ? {level: "done", text: "Completed"}
                : {level: status.phase === "Running" ? "ok" : "wait", text: status.phase || "Pending"};
        case "Node":
            return {level: "ok", text: "Ready"};
        case "Job":
            return status.completionTime ? {level: "done", text: "Complete"} : {level: "wait", text: "Running"};
        case "Deployment":
        case "StatefulSet":
        case "DaemonSet":
        case "ReplicaSet":
            return {level: "ok", text: "Ready"};
        case "Namespace":
        case "PersistentVolume":
        case "PersistentVolumeClaim":
            return {level: "ok", text: status.phase || "Active"};
    }
    return null;
}

// --- what a cell of the server's table says ---
const words = {
    ok: [
        "Running",
        "Ready",
        "Active",
        "Bound",
        "Available",
        "True",
        "Complete",
        "Healthy",
        "Established",
        "Approved,Issued",
        "Normal",
    ],
    done: ["Completed", "Succeeded"],
    wait: [
        "Pending",
        "ContainerCreating",
        "Terminating",
        "PodInitializing",
        "Progressing",
        "Released",
        "Suspended",
        "Unknown",
        "SchedulingGated",
    ],
    bad: [
        "CrashLoopBackOff",
        "Error",
        "ImagePullBackOff",
        "ErrImagePull",
        "Failed",
        "OOMKilled",
        "NotReady",
        "Evicted",
        "Lost",
        "CreateContainerConfigError",
        "CreateContainerError",
        "InvalidImageName",
        "RunContainerError",
        "False",
    ],
    warn: ["Warning", "SchedulingDisabled", "Ready,SchedulingDisabled"],
};
const levels = new Map(Object.entries(words).flatMap(([level, texts]) => texts.map(text => [text, level])));
export function levelOfWord(text) {
    if (levels.has(text)) return levels.get(text);
    if (/^Init:(Error|CrashLoopBackOff|ErrImagePull|ImagePullBackOff)/.test(text)) return "bad";
    if (/^Init:|^NotReady,/.test(text)) return text.startsWith("Init:") ? "wait" : "bad";
    return null;
}
// "2/3": fewer than wanted.
export function levelOfFraction(text) {
    const match = /^(\d+)\/(\d+)$/.exec(text);
    return !match || match[1] === match[2] ? null : match[1] === "0" ? "bad" : "warn";
}

// The cells of a table's row by the names of its columns.
export function cells(list, row) {
    const found = {};
    (list.columns || []).forEach((column, i) => {
        found[column.name] = row.cells[i];
    });
    return found;
}
// How a pod is, from the cells of its row.
export function podLevel({Status: status, Ready: ready}) {
    if (status === "Completed" || status === "Succeeded") return "done";
    const level = levelOfWord(status);
    return level === "ok" ? (levelOfFraction(ready) ? "warn" : "ok") : level || "warn";
}
