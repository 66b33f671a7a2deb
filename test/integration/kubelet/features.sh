#!/usr/bin/env bash
# What a pod's spec can ask of the kubelet: every pod below is made at once, then each is looked at.
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/manifests"
kubelet_flags="--pod-manifest-path $work/manifests"
start_all
k() { "$bin/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
log() { k logs "$@" 2>/dev/null; }
says() { log "$1" ${3:+-c "$3"} | grep -qE -- "$2"; } # says POD PATTERN [CONTAINER]
phase_is() { is "$1" 'p["status"]["phase"]' "$2"; }
state='p["status"]["containerStatuses"][0]["state"]'
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
box=$registry/busybox:1.35

cat >"$work/manifests/static.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: static, labels: {app: static}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: "$box", command: [sleep, "1000"]}]
END

# pod NAME <<SPEC: a pod on the node with that spec (YAML, indented by two)
make_pods() {
        pod_yaml() {
                printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s, tier: back}, annotations: {note: "two\\n\\"lines\\""}}\nspec:\n  nodeName: n1\n  terminationGracePeriodSeconds: 1\n' "$1" "$1"
                cat
        }
        pod_yaml shared <<-END
		  shareProcessNamespace: true
		  containers:
		  - {name: a, image: "$box", command: [sleep, "1234"]}
		  - {name: b, image: "$box", command: [sh, -c, "until ps | grep -q 'slee[p] 1234'; do sleep 0.1; done; ps; sleep 1000"]}
		END
        pod_yaml host <<-END
		  hostNetwork: true
		  hostPID: true
		  hostIPC: true
		  dnsPolicy: Default
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, 'ps | grep -c "kube[l]et"; ip addr; hostname; sleep 1000']}
		END
        pod_yaml subpath <<-END
		  initContainers:
		  - {name: i, image: "$box", command: [sh, -c, "mkdir -p /v/in; echo inside > /v/in/f; ln -s in /v/good"], volumeMounts: [{name: v, mountPath: /v}]}
		  containers:
		  - name: c
		    image: "$box"
		    env: [{name: WHO, value: in}]
		    command: [sh, -c, "echo \$(cat /m/f /e/f /made/../e/f); echo end; sleep 1000"]
		    volumeMounts:
		    - {name: v, mountPath: /m, subPath: good}
		    - {name: v, mountPath: /e, subPathExpr: \$(WHO)}
		    - {name: v, mountPath: /made, subPath: new/deep}
		  volumes: [{name: v, emptyDir: {}}]
		END
        local link
        for link in absolute:/etc up:../../../../../../../../../../etc; do
                pod_yaml "escape-${link%:*}" <<-END
			  initContainers:
			  - {name: i, image: "$box", command: [ln, -s, "${link#*:}", /v/link], volumeMounts: [{name: v, mountPath: /v}]}
			  containers:
			  - {name: c, image: "$box", command: [sh, -c, "cat /x/passwd; sleep 1000"], volumeMounts: [{name: v, mountPath: /x, subPath: link}]}
			  volumes: [{name: v, emptyDir: {}}]
			END
        done
        pod_yaml downward <<-END
		  containers:
		  - name: c
		    image: "$box"
		    resources: {requests: {cpu: 100m, memory: 8Mi}, limits: {cpu: "1", memory: 32Mi}}
		    command: [sh, -c, "env | sort; for f in /d/*; do echo \$f=\$(cat \$f | tr '\\\\n' '~'); done; sleep 1000"]
		    env:
		    - {name: F_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
		    - {name: F_NS, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
		    - {name: F_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
		    - {name: F_LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
		    - {name: F_NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note']"}}}
		    - {name: F_NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
		    - {name: F_SA, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
		    - {name: F_HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
		    - {name: F_HOSTS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}
		    - {name: F_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
		    - {name: F_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
		    - {name: R_CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
		    - {name: R_MEM, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
		    - {name: R_MEMM, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Mi}}}
		    volumeMounts: [{name: d, mountPath: /d}]
		  volumes:
		  - name: d
		    downwardAPI:
		      items:
		      - {path: labels, fieldRef: {fieldPath: metadata.labels}}
		      - {path: annotations, fieldRef: {fieldPath: metadata.annotations}}
		      - {path: name, fieldRef: {fieldPath: metadata.name}}
		      - {path: cpu, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1m}}
		END
        pod_yaml message <<-END
		  restartPolicy: Never
		  containers:
		  - {name: a, image: "$box", command: [sh, -c, "echo -n from-file > /tmp/why; exit 4"], terminationMessagePath: /tmp/why}
		  - {name: b, image: "$box", command: [sh, -c, "echo from-log; exit 5"], terminationMessagePolicy: FallbackToLogsOnError}
		  - {name: c, image: "$box", command: [sh, -c, "echo from-log"], terminationMessagePolicy: FallbackToLogsOnError}
		END
        pod_yaml hooks <<-END
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, "while [ ! -f /hooked ]; do sleep 0.1; done; echo hooked; sleep 1000"], lifecycle: {postStart: {exec: {command: [touch, /hooked]}}}}
		END
        pod_yaml badhook <<-END
		  containers:
		  - {name: c, image: "$box", command: [sleep, "1000"], lifecycle: {postStart: {exec: {command: ["false"]}}}}
		END
        pod_yaml startup <<-END
		  containers:
		  - name: c
		    image: "$box"
		    command: [sh, -c, "sleep 2; touch /up; sleep 1000"]
		    startupProbe: {exec: {command: [test, -f, /up]}, periodSeconds: 1, failureThreshold: 60, timeoutSeconds: 30}
		    livenessProbe: {exec: {command: [test, -f, /up]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 30}
		END
        pod_yaml neverstarts <<-END
		  containers:
		  - {name: c, image: "$box", command: [sleep, "1000"], startupProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1}}
		END
        pod_yaml done <<-END
		  restartPolicy: OnFailure
		  containers:
		  - {name: c, image: "$box", command: ["true"]}
		END
        pod_yaml onfailure <<-END
		  restartPolicy: OnFailure
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, "[ -f /v/again ] && exit 0; touch /v/again; exit 1"], volumeMounts: [{name: v, mountPath: /v}]}
		  volumes: [{name: v, emptyDir: {}}]
		END
        local i
        for i in $(seq 15); do
                pod_yaml "short-$i" <<-END
			  restartPolicy: Never
			  containers: [{name: c, image: "$box", command: ["true"]}]
			END
        done
        pod_yaml deadline <<-END
		  activeDeadlineSeconds: 3
		  containers:
		  - {name: c, image: "$box", command: [sleep, "1000"]}
		END
        pod_yaml sidecar <<-END
		  restartPolicy: Never
		  initContainers:
		  - {name: side, image: "$box", restartPolicy: Always, command: [sh, -c, "trap 'exit 0' TERM; touch /v/side; while true; do sleep 0.1; done"], startupProbe: {exec: {command: [test, -f, /v/side]}, periodSeconds: 1, failureThreshold: 60, timeoutSeconds: 30}, volumeMounts: [{name: v, mountPath: /v}]}
		  - {name: init, image: "$box", command: [sh, -c, "test -f /v/side && touch /v/init"], volumeMounts: [{name: v, mountPath: /v}]}
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, "test -f /v/init"], volumeMounts: [{name: v, mountPath: /v}]}
		  volumes: [{name: v, emptyDir: {}}]
		END
        pod_yaml user <<-END
		  securityContext: {runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456, supplementalGroups: [4567]}
		  containers:
		  - name: c
		    image: "$box"
		    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
		    command: [sh, -c, "id; touch /x; touch /v/x && ls -n /v; grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status; sleep 1000"]
		    volumeMounts: [{name: v, mountPath: /v}]
		  volumes: [{name: v, emptyDir: {}}]
		END
        pod_yaml caps <<-END
		  containers:
		  - {name: c, image: "$box", securityContext: {capabilities: {add: [NET_ADMIN], drop: [CHOWN]}}, command: [sh, -c, "ip link set lo down && echo downed; touch /f; chown 5 /f || echo unowned; sleep 1000"]}
		  - {name: p, image: "$box", securityContext: {privileged: true}, command: [sh, -c, "mount -t tmpfs none /mnt 2>/dev/null || { mkdir /mnt; mount -t tmpfs none /mnt; } && echo mounted; ls /dev/null /dev/kmsg; sleep 1000"]}
		END
        pod_yaml names <<-END
		  hostname: alice
		  subdomain: team
		  hostAliases: [{ip: 10.1.2.3, hostnames: [db.test, db]}]
		  dnsPolicy: None
		  dnsConfig: {nameservers: [10.9.9.9], searches: [a.test, b.test], options: [{name: ndots, value: "2"}, {name: edns0}]}
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, "hostname; cat /etc/hosts /etc/resolv.conf /etc/hostname; sleep 1000"]}
		END
        pod_yaml memory <<-END
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, "df -k /m | tail -1; dd if=/dev/zero of=/m/x bs=1k count=2000 2>&1; ls -ld /m; sleep 1000"], volumeMounts: [{name: m, mountPath: /m}]}
		  volumes: [{name: m, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]
		END
        pod_yaml chatty <<-END
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, "i=0; while [ \$i -lt 3000 ]; do echo line \$i 0123456789012345678901234567890123456789; i=\$((i+1)); done; sleep 1000"]}
		END
        pod_yaml token <<-END
		  containers:
		  - {name: c, image: "$box", command: [sh, -c, "cat /t/token; echo; ls -l /t/..data/; cat /t/namespace; cat /t/x; sleep 1000"], volumeMounts: [{name: t, mountPath: /t}]}
		  volumes:
		  - name: t
		    projected:
		      defaultMode: 0400
		      sources:
		      - serviceAccountToken: {path: token, audience: vault, expirationSeconds: 700}
		      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
		      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: x}]}
		      - secret: {name: absent, optional: true}
		END
        pod_yaml norun <<-END
		  securityContext: {runAsNonRoot: true}
		  containers:
		  - {name: c, image: "$box", command: [sleep, "1000"]}
		END
}
make_pods >"$work/pods.yaml"
k apply -f "$work/pods.yaml" >"$work/apply.log" 2>&1
made=$?
ok "every pod is taken" $made
[ $made -eq 0 ] || { grep -v created "$work/apply.log" | sed 's/^/# /'; finish; exit 1; }

until_true 60 says shared 'sleep 1234' b
ok "shareProcessNamespace: containers see each other" $?
log shared -c b | grep -qE '^ *1 .*pause'
ok "and the pause process is the first" $?
until_true 60 says host "$node_ip"
log host | head -1 | grep -qE '^[1-9]'
ok "hostPID shows the machine's processes" $?
is host 'p["status"]["podIP"]' "$node_ip"
ok "hostNetwork has the node's address" $?
until_true 60 says subpath end
log subpath | head -1 | grep -qx 'inside inside inside'
ok "subPath, subPathExpr and a link inside the volume" $?
until_true 60 is escape-absolute "$state[\"waiting\"][\"reason\"]" CreateContainerConfigError &&
        until_true 60 is escape-up "$state[\"waiting\"][\"reason\"]" CreateContainerConfigError
ok "a subPath's link does not lead out of the volume" $?

until_true 60 says downward /d/name
uid=$(field downward 'p["metadata"]["uid"]') ip=$(field downward 'p["status"]["podIP"]')
wanted=("F_NAME=downward" "F_NS=default" "F_UID=$uid" "F_LABEL=downward" "F_NODE=n1" "F_SA=default" "F_HOST=$node_ip"
        "F_HOSTS=$node_ip" "F_IP=$ip" "F_IPS=$ip" "R_CPU=100" "R_MEM=33554432" "R_MEMM=8" "/d/name=downward" "/d/cpu=1000"
        '/d/labels=app="downward"~tier="back"' 'F_NOTE=two')
missing=$(for line in "${wanted[@]}"; do log downward | grep -qxF "$line" || echo "$line"; done)
[ -z "$missing" ]
ok "the downward API in variables and files $missing" $?
log downward | grep -F '/d/annotations=' | grep -qF 'note="two\n\"lines\""'
ok "annotations are escaped" $?

until_true 60 phase_is message Failed
[ "$(field message '[c["state"]["terminated"].get("message", "").strip() for c in p["status"]["containerStatuses"]]')" = "['from-file', 'from-log', '']" ]
ok "termination messages from a path of one's own, from the log on error only" $?
until_true 60 says hooks hooked
ok "postStart runs" $?
until_true 60 is badhook 'p["status"]["containerStatuses"][0]["restartCount"] > 0' True
ok "a postStart that fails ends the container" $?
until_true 60 is startup "$ready" True
is startup 'p["status"]["containerStatuses"][0]["restartCount"]' 0
ok "liveness waits for the startup probe" $?
until_true 60 is neverstarts 'p["status"]["containerStatuses"][0]["restartCount"] > 0' True
ok "a startup probe that fails restarts the container" $?
until_true 60 phase_is done Succeeded
ok "restartPolicy OnFailure: success is final" $?
until_true 60 phase_is onfailure Succeeded
is onfailure 'p["status"]["containerStatuses"][0]["restartCount"]' 1
ok "and a failure is tried again" $?
short_phases() { k get pods -o 'jsonpath={range .items[*]}{.metadata.name} {.status.phase}{"\n"}{end}' | grep '^short-' | cut -d' ' -f2 | sort | uniq -c | tr -d ' '; }
all_short() { [ "$(short_phases)" = 15Succeeded ]; }
until_true 60 all_short
ok "containers that end at once end well" $?
until_true 60 phase_is deadline Failed
is deadline 'p["status"]["reason"]' DeadlineExceeded
ok "activeDeadlineSeconds ends the pod" $?
until_true 60 phase_is sidecar Succeeded
ok "a sidecar starts before the others and ends after them" $?

until_true 60 says user Seccomp
log user | grep -qE '^uid=1234 gid=2345 groups=(2345,)?(3456,4567|4567,3456)'
ok "runAsUser, runAsGroup, fsGroup, supplementalGroups" $?
log user | grep -q '/x: Read-only' && log user | grep -qE '1234 +3456 .* x$'
ok "the root is read-only, the volume is the group's" $?
log user | grep -qE 'NoNewPrivs:.*1' && log user | grep -qE 'Seccomp:.*2' && log user | grep -qE 'CapBnd:.*0000000000000000'
ok "no new privileges, a system call filter, no capabilities" $?
until_true 60 says caps downed c && until_true 60 says caps unowned c && until_true 60 says caps mounted p
ok "capabilities are added and dropped; privileged may mount" $?
until_true 60 eval '[ "$(log names | grep -c "^alice$")" = 2 ]' # its first and its last line
log names | grep -qE "^10.1.2.3.db.test.db$" && log names | grep -qE '[0-9]+.alice.team.default.svc.cluster.local.alice$'
ok "hostAliases, hostname and subdomain" $?
[ "$(log names | grep -E '^(search|nameserver|options)' | tr '\n' ';')" = 'search a.test b.test;nameserver 10.9.9.9;options ndots:2 edns0;' ]
ok "dnsConfig" $?
until_true 60 says memory 'No space left'
log memory | head -1 | grep -qE ' 1024 '
ok "an emptyDir in memory keeps its size" $?
until_true 60 says token BEGIN
log token | head -1 | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null | grep -q '"aud": *\["vault"\]'
ok "a projected token has its audience" $?
until_true 60 is norun "$state[\"waiting\"][\"reason\"]" CreateContainerConfigError
ok "runAsNonRoot refuses root" $?

# logs
rotated() { ls "$work"/kubelet/logs/default_chatty_*/c/0.log.* >/dev/null 2>&1; }
until_true 60 rotated
ok "a long log is rotated" $?

# static pods
until_true 60 is static-n1 "$ready" True
ok "a static pod has a mirror with its status" $?
before=$(field static-n1 'p["metadata"]["uid"]') container=$(field static-n1 'p["status"]["containerStatuses"][0]["containerID"]')
api DELETE /api/v1/namespaces/default/pods/static-n1 >/dev/null
mirrored_again() { local uid; uid=$(field static-n1 'p["metadata"]["uid"]'); [ -n "$uid" ] && [ "$uid" != "$before" ] && is static-n1 'p["status"]["containerStatuses"][0]["containerID"]' "$container"; }
until_true 60 mirrored_again
ok "a deleted mirror comes back, the container goes on" $?
sed -i 's/app: static/app: changed/' "$work/manifests/static.yaml"
changed() { is static-n1 'p["metadata"]["labels"]["app"]' changed && is static-n1 "$ready" True && ! is static-n1 'p["status"]["containerStatuses"][0]["containerID"]' "$container"; }
until_true 60 changed
ok "a changed manifest is another pod" $?
rm "$work/manifests/static.yaml"
gone() { ! api GET /api/v1/namespaces/default/pods/static-n1; }
until_true 60 gone
ok "without its manifest pod and mirror go" $?
printf 'kind: Pod\nmetadata: {name: "../../evil"}\nspec: {containers: []}\n' >"$work/manifests/evil.yaml"
printf 'kind: Pod\nmetadata: {name: vol}\nspec: {containers: [{name: c, image: "%s", command: [sleep, "9"]}], volumes: [{name: "../../../../escaped", emptyDir: {}}]}\n' "$box" >"$work/manifests/vol.yaml"
refused() { [ "$(grep -c 'Cannot use a static pod manifest' "$work/kubelet.log")" -ge 2 ]; }
until_true 60 refused
[ ! -e "$work/escaped" ] && [ ! -e "$work/kubelet/escaped" ]
ok "manifests with names that are paths are refused" $?
rm "$work"/manifests/*

# the server
code() { in_ns curl -s -o /dev/null -w '%{http_code}' --cacert "$work/pki/ca.crt" "$@"; }
[ "$(code "https://$node_ip:10250/pods")" = 401 ]
ok "the server wants credentials" $?
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=eve -keyout "$work/pki/eve.key" -out "$work/pki/eve.csr" 2>/dev/null
openssl x509 -req -in "$work/pki/eve.csr" -CA "$work/pki/ca.crt" -CAkey "$work/pki/ca.key" -CAcreateserial -days 1 -out "$work/pki/eve.crt" 2>/dev/null
[ "$(code --cert "$work/pki/eve.crt" --key "$work/pki/eve.key" "https://$node_ip:10250/pods")" = 403 ]
ok "and asks the apiserver what a user may" $?
k create serviceaccount viewer >/dev/null
k create clusterrole stats --verb=get --resource=nodes/stats >/dev/null
k create clusterrolebinding stats --clusterrole=stats --serviceaccount=default:viewer >/dev/null
k exec shared -c b -- sh -c 'dd if=/dev/zero of=/written bs=1M count=3 conv=fsync' >/dev/null 2>&1
token=$(api POST /api/v1/namespaces/default/serviceaccounts/viewer/token '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}' | python3 -c 'import json,sys; print(json.load(sys.stdin)["status"]["token"])')
[ "$(code -H "Authorization: Bearer $token" "https://$node_ip:10250/stats/summary")" = 200 ] &&
        [ "$(code -H "Authorization: Bearer $token" "https://$node_ip:10250/pods")" = 403 ] &&
        [ "$(code -H "Authorization: Bearer x$token" "https://$node_ip:10250/stats/summary")" = 401 ]
ok "service account tokens open what their role says" $?
node_curl "https://$node_ip:10250/stats/summary" | python3 -c '
import json, sys
s = json.load(sys.stdin)
pod = [p for p in s["pods"] if p["podRef"]["name"] == "shared"][0]
assert s["node"]["memory"]["workingSetBytes"] > 0 and len(pod["containers"]) == 2
assert pod["containers"][0]["memory"]["workingSetBytes"] > 0 and pod["containers"][0]["cpu"]["usageCoreNanoSeconds"] > 0
assert pod["network"]["name"] == "eth0" and pod["network"]["interfaces"][0]["rxBytes"] > 0 and pod["process_stats"]["process_count"] > 0
assert s["node"]["network"]["interfaces"]
'
ok "/stats/summary" $?
node_curl "https://$node_ip:10250/metrics" | grep -q '^kubelet_running_pods [1-9]' &&
        node_curl "https://$node_ip:10250/metrics/resource" | grep -q '^container_memory_working_set_bytes{.*pod="shared"'
ok "/metrics and /metrics/resource" $?
node_curl "https://$node_ip:10250/metrics/cadvisor" >"$work/cadvisor" &&
        grep -q '^container_memory_working_set_bytes{container="[a-z]*",id="/[^"]*",image="[^"]*busybox[^"]*",name="[0-9a-f]*",namespace="default",pod="shared"} [1-9]' "$work/cadvisor" &&
        grep -q '^container_cpu_usage_seconds_total{container="",.*pod="shared",cpu="total"}' "$work/cadvisor" &&
        grep -q '^container_network_receive_bytes_total{container="",interface="eth0",namespace="default",pod="shared"} [1-9]' "$work/cadvisor" &&
        grep -q '^machine_memory_bytes [1-9]' "$work/cadvisor" && promtool check metrics <"$work/cadvisor"
ok "/metrics/cadvisor" $?
written() { # a container's layer is measured, for its pod as well
        node_curl "https://$node_ip:10250/stats/summary" | python3 -c '
import json, sys
pod = [p for p in json.load(sys.stdin)["pods"] if p["podRef"]["name"] == "shared"][0]
b = [c for c in pod["containers"] if c["name"] == "b"][0]
assert b["rootfs"]["usedBytes"] >= 3 << 20 and b["rootfs"]["inodesUsed"] >= 1 and b["rootfs"]["capacityBytes"] > b["rootfs"]["usedBytes"]
assert "usedBytes" in b["logs"] and pod["ephemeral-storage"]["usedBytes"] >= b["rootfs"]["usedBytes"]'
}
on_disk() { # SERIES LEAST
        node_curl "https://$node_ip:10250/metrics/cadvisor" | tee "$work/cadvisor" |
                awk -v least="$2" 'index($0, "'"$1"'{container=\"b\",") && /pod="shared",device="[^"]+"/ && $(NF - 1) >= least {found = 1} END {exit !found}'
}
until_true 120 written
ok "/stats/summary tells what containers take on the disk" $?
until_true 120 on_disk container_fs_usage_bytes 3145728 && on_disk container_fs_limit_bytes 3145728 && on_disk container_fs_inodes_free 1 &&
        promtool check metrics <"$work/cadvisor"
ok "/metrics/cadvisor, too" $?
node_curl "https://$node_ip:10250/metrics/probes" | promtool check metrics && node_curl "https://$node_ip:10250/metrics/resource" | promtool check metrics
ok "/metrics/probes and /metrics/resource are well-formed" $?
node_curl "https://$node_ip:10250/pods" | python3 -c '
import json, sys
assert "shared" in [p["metadata"]["name"] for p in json.load(sys.stdin)["items"]]'
ok "/pods" $?

# Through the apiserver: what the kubelet refuses is a Status; a log that says nothing yet has begun all the same.
api GET '/api/v1/namespaces/default/pods/shared/log?container=a&previous=true' | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert s["kind"] == "Status" and s["reason"] == "BadRequest" and "previous terminated container" in s["message"], s'
ok "a log that is not there is a Status" $?
curl -sN --cacert "$work/pki/ca.crt" --cert "$work/pki/admin.crt" --key "$work/pki/admin.key" -D "$work/headers" -o /dev/null \
        "https://$host_ip:$api_port/api/v1/namespaces/default/pods/shared/log?container=a&follow=true" &
follower=$!
until_true 60 grep -q '^HTTP/1.1 200' "$work/headers"
ok "following a silent log begins at once" $?

k delete pods --all --wait=false >/dev/null
all_gone() { [ -z "$(k get pods -o name)" ]; }
until_true 60 all_gone && until_true 60 nothing_left
ok "all of it goes and leaves nothing" $?
kill "$follower" 2>/dev/null
stop "$kubelet_pid"
finish
