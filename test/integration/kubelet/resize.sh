#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pods/resize: cpu and memory of containers that run, in place and by a restart; what does not fit waits, and is remembered
# over a restart of the kubelet. TAP.
. "$(dirname "$0")/lib.sh"
start_all
box=$registry/busybox:1.35
cpus=$(api GET /api/v1/nodes/n1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["status"]["allocatable"]["cpu"])')
make() { # NAME RESOURCES [MORE]
        local more=${3:-}
        api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":0,
         "containers":[{"name":"c","image":"'"$box"'","command":["sleep","1000"],"resources":'"$2$more"'}]}}' >/dev/null
}
resize() { # NAME RESOURCES: the answer
        curl -s --max-time 20 --cacert "$work/pki/ca.crt" --cert "$work/pki/admin.crt" --key "$work/pki/admin.key" -X PATCH \
                -H 'Content-Type: application/strategic-merge-patch+json' "https://$host_ip:$api_port/api/v1/namespaces/default/pods/$1/resize" \
                --data-binary '{"spec":{"containers":[{"name":"c","resources":'"$2"'}]}}'
}
condition='[(c["type"], c.get("reason"), c.get("message")) for c in p["status"]["conditions"] if c["type"].startswith("PodResize")]'
status='p["status"]["containerStatuses"][0]'
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
# The control groups of a pod, v1 or v2.
groups_of() { find /sys/fs/cgroup -maxdepth 6 -type d -path "*/cxk-$id/*" -name "pod$(field "$1" 'p["metadata"]["uid"]')"; }
# shellcheck disable=SC2046 # several folders
has_memory() { [ "$(cat $(groups_of "$1" | sed 's#$#/memory.limit_in_bytes#; p; s#limit_in_bytes#max#') 2>/dev/null)" = "$2" ]; } # POD BYTES
# shellcheck disable=SC2046
quota() { # POD: of its container
        find $(groups_of "$1") -mindepth 2 \( -name cpu.cfs_quota_us -o -name cpu.max \) -exec cut -d' ' -f1 {} + | head -n 1
}

told() { # POD REASON TYPE MESSAGE
        api GET "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=$1,reason=$2" | REASON=$2 TYPE=$3 MESSAGE=$4 python3 -c '
import json, os, sys
have = [(e["type"], e["message"]) for e in json.load(sys.stdin)["items"]]
assert (os.environ["TYPE"], os.environ["MESSAGE"]) in have, have'
}
make small '{"requests":{"cpu":"100m","memory":"16Mi"},"limits":{"cpu":"200m","memory":"64Mi"}}'
make again '{"requests":{"cpu":"100m","memory":"16Mi"}}' ',"resizePolicy":[{"resourceName":"memory","restartPolicy":"RestartContainer"}]'
until_true 60 is small "$ready" True && until_true 60 is again "$ready" True
ok "pods with limits" $?
[ "$(quota small)" = 20000 ]
ok "their quota" $?

resize small '{"requests":{"cpu":"150m"},"limits":{"cpu":"300m","memory":"96Mi"}}' >/dev/null
resized="({'cpu': '150m', 'memory': '16Mi'}, {'cpu': '300m', 'memory': '96Mi'}, 0, [])"
seen="($status['resources']['requests'], $status['resources']['limits'], $status['restartCount'], $condition)"
until_true 30 is small "$seen" "$resized"
ok "a container is resized in place" $?
[ "$(quota small)" = 30000 ] && has_memory small 100663296
ok "its control group and the pod's follow" $?
asked='{"containers":[{"name":"c","resources":{"limits":{"cpu":"300m","memory":"96Mi"},"requests":{"cpu":"150m","memory":"16Mi"}}}],"generation":2}'
until_true 30 told small ResizeStarted Normal "Pod resize started: $asked" && until_true 30 told small ResizeCompleted Normal "Pod resize completed: $asked"
ok "events say so" $?
until_true 30 is small "p['status']['observedGeneration'] == p['metadata']['generation'] == 2 and $status['allocatedResources']['cpu']" 150m
ok "the generation that was seen, and what is allocated" $?

resize small '{"limits":{"cpu":"160m","memory":"32Mi"}}' >/dev/null
until_true 30 is small "($status['resources']['limits'], $status['restartCount'])" "({'cpu': '160m', 'memory': '32Mi'}, 0)"
ok "and made smaller" $?
[ "$(quota small)" = 16000 ] && has_memory small 33554432
ok "the groups, too" $?

resize again '{"requests":{"cpu":"120m"}}' >/dev/null
until_true 30 is again "($status['resources']['requests']['cpu'], $status['restartCount'])" "('120m', 0)"
ok "a policy for memory leaves cpu in place" $?
resize again '{"requests":{"memory":"24Mi"}}' >/dev/null
until_true 60 is again "($status['resources']['requests']['memory'], $status['restartCount'], $ready)" "('24Mi', 1, 'True')"
ok "RestartContainer starts the container again" $?

make other '{"requests":{"cpu":"'"$((cpus * 1000 - 900))m"'"}}'
until_true 60 is other "$ready" True
resize again '{"requests":{"cpu":"'"$((cpus * 1000 + 1))m"'"}}' >/dev/null
until_true 30 is again "$condition" "[('PodResizePending', 'Infeasible', \"Node didn't have enough capacity: cpu, requested: $((cpus * 1000 + 1)), capacity: $((cpus * 1000))\")]"
ok "more than the node has is infeasible" $?
resize again '{"requests":{"cpu":"1"}}' >/dev/null
until_true 30 is again "$condition" "[('PodResizePending', 'Deferred', \"Node didn't have enough resource: cpu, requested: 1000, used: $((cpus * 1000 - 750)), capacity: $((cpus * 1000))\")]"
ok "more than is left is deferred" $?
is again "($status['resources']['requests']['cpu'], $status['allocatedResources']['cpu'], $status['restartCount'])" "('120m', '120m', 1)"
ok "and changes nothing" $?
asked='{"containers":[{"name":"c","resources":{"requests":{"cpu":"1","memory":"24Mi"}}}],"generation":5,"error":"Node didn'"'"'t have enough resource: cpu, requested: 1000, used: '$((cpus * 1000 - 750))", capacity: $((cpus * 1000))\"}"
until_true 30 told again ResizeDeferred Warning "Pod resize deferred: $asked" && api GET "/api/v1/namespaces/default/events?fieldSelector=reason=ResizeInfeasible" | grep -q 'Pod resize infeasible: '
ok "events say why" $?
stop "$kubelet_pid"
start_kubelet
resize small '{"requests":{"cpu":"140m"}}' >/dev/null
until_true 60 is small "$status['resources']['requests']['cpu']" 140m && is again "($status['allocatedResources']['cpu'], $status['restartCount'])" "('120m', 1)"
ok "a restarted kubelet knows what was allocated" $?
api DELETE /api/v1/namespaces/default/pods/other '{"gracePeriodSeconds":0}' >/dev/null
until_true 60 is again "($status['resources']['requests']['cpu'], $condition, $status['restartCount'])" "('1', [], 1)"
ok "what was deferred comes when there is room" $?

[[ $(resize small '{"limits":{"memory":null}}') == *'resource limits cannot be removed'* ]] &&
        [[ $(resize small '{"requests":{"cpu":"160m","memory":"32Mi"}}') == *'Pod QOS Class may not change as a result of resizing'* ]]
ok "what is not allowed is refused" $?
stop "$kubelet_pid"
finish
