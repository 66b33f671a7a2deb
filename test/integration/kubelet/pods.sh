#!/usr/bin/env bash
# The life of pods on a real kubelet under a real apiserver.
. "$(dirname "$0")/lib.sh"
kubelet_flags="--pod-max-pids 512"
start_all
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
node_ready() { api GET /api/v1/nodes/n1 | grep -qE '"reason": ?"KubeletReady"'; }
until_true 60 node_ready
ok "the node registers and is Ready" $?
leased() { api GET /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1 | grep -q renewTime; }
until_true 60 leased
ok "the node holds a lease" $?

api POST /api/v1/namespaces/default/configmaps '{"metadata":{"name":"settings"},"data":{"color":"red","size":"9"}}' >/dev/null
api POST /api/v1/namespaces/default/secrets '{"metadata":{"name":"key"},"stringData":{"password":"pa55"}}' >/dev/null
api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"web","labels":{"app":"web"}},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":5,
 "initContainers":[{"name":"init","image":"'"$registry"'/busybox:1.35","command":["sh","-c","echo prepared > /data/x"],"volumeMounts":[{"name":"data","mountPath":"/data"}]}],
 "containers":[{"name":"web","image":"'"$registry"'/hello:v1",
  "env":[{"name":"POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},{"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
   {"name":"COLOR","valueFrom":{"configMapKeyRef":{"name":"settings","key":"color"}}},{"name":"PASSWORD","valueFrom":{"secretKeyRef":{"name":"key","key":"password"}}},
   {"name":"BOTH","value":"$(COLOR)-$(IP)"},{"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"1m"}}}],
  "resources":{"limits":{"cpu":"500m","memory":"64Mi"}},
  "readinessProbe":{"httpGet":{"path":"/healthz","port":8080},"periodSeconds":1,"timeoutSeconds":20},
  "volumeMounts":[{"name":"data","mountPath":"/data"},{"name":"settings","mountPath":"/settings"},{"name":"key","mountPath":"/key"},{"name":"data","mountPath":"/only","subPath":"x"}]}],
 "volumes":[{"name":"data","emptyDir":{}},{"name":"settings","configMap":{"name":"settings"}},{"name":"key","secret":{"secretName":"key"}}]}}' >/dev/null
until_true 60 is web "$ready" True
ok "a pod with an init container becomes Ready" $?
ip=$(field web 'p["status"]["podIP"]')
in_ns curl -s --max-time 5 "http://$ip:8080/" | grep -q 'Hello from web, version v1'
ok "it answers on its address" $?
env=$(in_ns curl -s --max-time 5 "http://$ip:8080/env")
grep -qx "BOTH=red-$ip" <<<"$env" && grep -qx PASSWORD=pa55 <<<"$env" && grep -qx CPU=500 <<<"$env"
ok "variables come from values, ConfigMap, Secret, fields and resources" $?
run() { node_curl -X POST "https://$node_ip:10250/run/default/$1/$2?cmd=$3"; }
[ "$(run web web 'cat%20/data/x%20/only%20/settings/size%20/key/password' | tr -d '\n')" = preparedprepared9pa55 ]
ok "volumes and a subPath are mounted" $?
limited() { grep -rqx 67108864 --include=memory.limit_in_bytes --include=memory.max /sys/fs/cgroup/{memory/,}cxk-"$id"/kubepods/burstable; }
[ "$(field web 'p["status"]["qosClass"]')" = Burstable ] && limited 2>/dev/null
ok "limits reach the control groups" $?
grep -qx 512 /sys/fs/cgroup/{pids/,}cxk-"$id"/kubepods/burstable/pod"$(field web 'p["metadata"]["uid"]')"/pids.max 2>/dev/null
ok "the limit of processes is the pod's" $?
api PATCH /api/v1/namespaces/default/configmaps/settings '{"data":{"size":"10"}}' >/dev/null
changed() { [ "$(run web web 'cat%20/settings/size')" = 10 ]; }
until_true 60 changed
ok "a changed ConfigMap arrives in its volume" $?

in_ns curl -s --max-time 5 "http://$ip:8080/error" >/dev/null
until_true 60 is web 'p["status"]["containerStatuses"][0]["restartCount"]' 1
ok "a container that fails is started again" $?
is web 'p["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"]' 1
ok "its last state says how it ended" $?
until_true 60 is web "$ready" True
in_ns curl -s --max-time 5 "http://$ip:8080/error" >/dev/null
until_true 60 is web 'p["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason")' CrashLoopBackOff
ok "failing again, it waits in CrashLoopBackOff" $?
until_true 60 is web "$ready" True
ok "and runs after ten seconds" $?
previous() { node_curl "https://$node_ip:10250/containerLogs/default/web/web?previous=true" | grep -q 'asked to fail'; }
until_true 60 previous
ok "previous logs are kept" $?
last_line() { api GET "/api/v1/namespaces/default/pods/web/log?tailLines=1" | grep -q 'hello v1 listens'; }
until_true 60 last_line
ok "logs are read through the apiserver" $?

before=$(field web 'p["status"]["containerStatuses"][0]["containerID"]')
kill -9 "$kubelet_pid"
in_ns curl -s --max-time 5 "http://$ip:8080/" | grep -q Hello
ok "containers survive the kubelet" $?
# Their records as a kubelet that only looked at images kept them.
python3 - "$work/kubelet" "${before#*://}" <<'END'
import json, sys
for folder in "/state", "":
    path = f"{sys.argv[1]}{folder}/containers/{sys.argv[2]}/container.json"
    record = json.load(open(path))
    record["hash"] = record["image"]
    del record["generation"]
    json.dump(record, open(path, "w"))
END
start_kubelet
until_true 60 node_curl -f "https://$node_ip:10250/pods"
until_true 60 is web "$ready" True
[ "$(field web 'p["status"]["containerStatuses"][0]["containerID"]')" = "$before" ] &&
        [ "$(field web 'p["status"]["containerStatuses"][0]["restartCount"]')" = 2 ]
ok "a kubelet started again leaves them alone" $?
curl -s --fail-with-body --cacert "$work/pki/ca.crt" --cert "$work/pki/admin.crt" --key "$work/pki/admin.key" -X PATCH \
        -H "Content-Type: application/json-patch+json" "https://$host_ip:$api_port/api/v1/namespaces/default/pods/web" >/dev/null \
        -d '[{"op":"replace","path":"/spec/containers/0/image","value":"'"$registry"'/hello:v2"}]'
version() { in_ns curl -s --max-time 5 "http://$ip:8080/" | grep -q "version $1"; }
until_true 60 version v2
ok "a container whose image changes is started with the other" $?

api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"job"},"spec":{"nodeName":"n1","restartPolicy":"Never","containers":[{"name":"c","image":"'"$registry"'/busybox:1.35","command":["sh","-c","echo result > /dev/termination-log; exit 3"]}]}}' >/dev/null
until_true 60 is job 'p["status"]["phase"]' Failed
ok "a pod that may not restart fails" $?
is job 'p["status"]["containerStatuses"][0]["state"]["terminated"]["message"].strip()' result
ok "with its termination message" $?
api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"noimage"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"'"$registry"'/hello:none"}]}}' >/dev/null
until_true 60 is noimage 'p["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]' ImagePullBackOff
ok "a missing image is ImagePullBackOff" $?
api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"nokey"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"'"$registry"'/hello:v1","env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"settings","key":"none"}}}]}]}}' >/dev/null
until_true 60 is nokey 'p["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]' CreateContainerConfigError
ok "a missing key is CreateContainerConfigError" $?
api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"nocommand"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"'"$registry"'/hello:v1","command":["/none"]}]}}' >/dev/null
until_true 60 is nocommand 'p["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"]' StartError
ok "a command that does not exist is a StartError" $?
api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"sick"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,"containers":[{"name":"c","image":"'"$registry"'/busybox:1.35","command":["sleep","1000"],"livenessProbe":{"exec":{"command":["false"]},"periodSeconds":1,"failureThreshold":2}}]}}' >/dev/null
until_true 60 is sick 'p["status"]["containerStatuses"][0]["restartCount"] > 0' True
ok "a failing liveness probe restarts the container" $?

for name in web job noimage nokey nocommand sick; do api DELETE "/api/v1/namespaces/default/pods/$name" >/dev/null; done
all_gone() { [ "$(api GET /api/v1/namespaces/default/pods | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["items"]))')" = 0 ]; }
until_true 60 all_gone
ok "deleted pods go" $?
until_true 60 nothing_left
ok "and leave no file, mount or control group" $?
stop "$kubelet_pid"
finish
