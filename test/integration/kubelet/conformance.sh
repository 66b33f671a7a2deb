#!/usr/bin/env bash
# What upstream's node conformance tests look at: the words and fields of a pod's status, the owners and modes of volumes, and
# what a node refuses. Every pod below is made at once, then each is looked at.
. "$(dirname "$0")/lib.sh"
start_all
k() { "$bin/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
log() { k logs "$@" 2>/dev/null; }
says() { log "$1" ${3:+-c "$3"} | grep -qE -- "$2"; } # says POD PATTERN [CONTAINER]
phase_is() { is "$1" 'p["status"]["phase"]' "$2"; }
state='p["status"]["containerStatuses"][0]["state"]'
# condition TYPE: "status reason message" of it, as a python expression
condition() { echo "[(c['status'], c.get('reason'), c.get('message')) for c in p['status']['conditions'] if c['type'] == '$1'][0]"; }
container='p["status"]["containerStatuses"][0]'
box=$registry/busybox:1.35

# A web server whose / leads to $TARGET, and whose /bad fails
cat >"$work/serve" <<'END'
#!/bin/sh
read -r method path rest
while read -r line && [ ${#line} -gt 1 ]; do :; done
if [ "$path" = /bad ]; then printf 'HTTP/1.1 500 Bad\r\n\r\n'; else printf 'HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n' "$TARGET"; fi
END
k create configmap redirect --from-file="$work/serve" >/dev/null

# A gRPC server with the health service, on the node's network
grpc_port=$((base + 4))
in_ns etcd --data-dir "$work/grpc" --listen-client-urls "http://$node_ip:$grpc_port" --advertise-client-urls "http://$node_ip:$grpc_port" \
        --listen-peer-urls "http://127.0.0.1:$((base + 5))" --initial-advertise-peer-urls "http://127.0.0.1:$((base + 5))" \
        --initial-cluster "default=http://127.0.0.1:$((base + 5))" --log-level error >"$work/grpc.log" 2>&1 &
pids+=($!)
began $!

api POST /api/v1/namespaces/default/configmaps '{"metadata":{"name":"settings"},"data":{"a":"one","b":"two"}}' >/dev/null
make_pods() {
        pod_yaml() {
                printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  nodeName: n1\n  terminationGracePeriodSeconds: 1\n' "$1"
                cat
        }
        pod_yaml sidecar <<-END
		  initContainers:
		  - {name: side, image: "$box", restartPolicy: Always, command: [sh, -c, "until [ -f /v/go ]; do sleep 0.1; done; sleep 1000"], startupProbe: {exec: {command: [test, -f, /v/go]}, periodSeconds: 1, failureThreshold: 600, timeoutSeconds: 20}, readinessProbe: {exec: {command: [test, -f, /v/ready]}, periodSeconds: 1, timeoutSeconds: 20}, volumeMounts: [{name: v, mountPath: /v}]}
		  containers:
		  - name: c
		    image: "$box"
		    resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {memory: 32Mi}}
		    securityContext: {runAsUser: 7, runAsGroup: 8}
		    command: [sleep, "1000"]
		    volumeMounts: [{name: v, mountPath: /v, readOnly: true}]
		  volumes: [{name: v, emptyDir: {}}]
		END
        pod_yaml gates <<-END
		  readinessGates: [{conditionType: example.com/up}]
		  containers: [{name: c, image: "$box", command: [sleep, "1000"]}]
		END
        pod_yaml completed <<-END
		  restartPolicy: Never
		  initContainers: [{name: i, image: "$box", command: ["true"]}]
		  containers: [{name: c, image: "$box", command: ["true"]}]
		END
        pod_yaml failed <<-END
		  restartPolicy: Never
		  containers: [{name: c, image: "$box", command: ["false"]}]
		END
        pod_yaml group <<-END
		  securityContext: {runAsUser: 1000, fsGroup: 2000}
		  containers:
		  - name: c
		    image: "$box"
		    command: [sh, -c, "ls -lLdn /v /cm /cm/..data /cm/d /cm/d/a /t /t/token | awk '{print \$1, \$3, \$4, \$NF}'; cat /t/token >/dev/null && echo read; sleep 1000"]
		    volumeMounts: [{name: v, mountPath: /v}, {name: cm, mountPath: /cm}, {name: t, mountPath: /t}]
		  volumes:
		  - {name: v, emptyDir: {}}
		  - {name: cm, configMap: {name: settings, defaultMode: 0400, items: [{key: a, path: d/a}]}}
		  - {name: t, projected: {sources: [{serviceAccountToken: {path: token}}]}}
		END
        pod_yaml reader <<-END
		  securityContext: {runAsUser: 1000}
		  containers:
		  - name: c
		    image: "$box"
		    command: [sh, -c, "ls -lLn /t/token | awk '{print \$1, \$3, \$4}'; cat /t/token >/dev/null && echo read; sleep 1000"]
		    volumeMounts: [{name: t, mountPath: /t}]
		  volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: token}}]}}]
		END
        pod_yaml messages <<-END
		  restartPolicy: Never
		  containers:
		  - {name: long, image: "$box", command: [sh, -c, "i=0; while [ \$i -lt 1000 ]; do echo \$i-012345 >>/dev/termination-log; i=\$((i+1)); done; exit 1"]}
		  - {name: log, image: "$box", terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, "i=0; while [ \$i -lt 200 ]; do echo \$i; i=\$((i+1)); done; exit 1"]}
		END
        pod_yaml slow-hook <<-END
		  containers:
		  - name: c
		    image: "$box"
		    command: [sh, -c, "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"]
		    lifecycle: {preStop: {exec: {command: [sleep, "100"]}}}
		END
        pod_yaml big <<-END
		  containers: [{name: c, image: "$box", command: [sleep, "1000"], resources: {requests: {cpu: "5000"}}}]
		END
        pod_yaml elsewhere <<-END
		  nodeSelector: {place: elsewhere}
		  containers: [{name: c, image: "$box", command: [sleep, "1000"]}]
		END
        pod_yaml here <<-END
		  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: place, operator: Exists}]}, {matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]}]}}}
		  containers: [{name: c, image: "$box", command: [sleep, "1000"]}]
		END
        pod_yaml unsafe <<-END
		  securityContext: {sysctls: [{name: kernel.msgmax, value: "10000"}]}
		  containers: [{name: c, image: "$box", command: [sleep, "1000"]}]
		END
        pod_yaml safe <<-END
		  securityContext: {sysctls: [{name: kernel/shm_rmid_forced, value: "1"}]}
		  containers: [{name: c, image: "$box", command: [sh, -c, "cat /proc/sys/kernel/shm_rmid_forced; sleep 1000"]}]
		END
        for i in 1 2; do
                pod_yaml port-$i <<-END
			  containers: [{name: c, image: "$box", command: [sleep, "1000"], ports: [{containerPort: 80, hostPort: 5480}]}]
			END
        done
        pod_yaml nowhere <<-END
		  containers:
		  - name: c
		    image: "$box"
		    command: [sleep, "1000"]
		    volumeMounts: [{name: v, mountPath: /v, subPathExpr: \$(NOBODY)}]
		  volumes: [{name: v, emptyDir: {}}]
		END
        pod_yaml nopull <<-END
		  containers: [{name: c, image: "$registry/absent:1", imagePullPolicy: Never}]
		END
        local target
        for target in local:/bad away:http://192.0.2.1/bad; do
                pod_yaml "redirect-${target%%:*}" <<-END
			  containers:
			  - name: c
			    image: "$box"
			    env: [{name: TARGET, value: "${target#*:}"}]
			    command: [nc, -ll, -p, "8080", -e, /srv/serve]
			    volumeMounts: [{name: srv, mountPath: /srv}]
			    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, timeoutSeconds: 20}
			  volumes: [{name: srv, configMap: {name: redirect, defaultMode: 0755}}]
			END
        done
        local service
        for service in "" absent; do
                pod_yaml "grpc${service:+-$service}" <<-END
			  hostNetwork: true
			  containers: [{name: c, image: "$box", command: [sleep, "1000"], readinessProbe: {grpc: {port: $grpc_port, service: "$service"}, periodSeconds: 1, timeoutSeconds: 20}}]
			END
        done
        pod_yaml crowd <<-END
		  restartPolicy: Never
		  containers:
		$(for i in 1 2 3 4 5 6; do echo "  - {name: c$i, image: \"$box\", command: [sh, -c, 'head -c 4000 /dev/zero | tr \"\\\\0\" x >/dev/termination-log']}"; done)
		END
}
make_pods >"$work/pods.yaml"
k apply -f "$work/pods.yaml" >"$work/apply.log" 2>&1
made=$?
ok "every pod is taken" $made
[ $made -eq 0 ] || { grep -v created "$work/apply.log" | sed 's/^/# /'; finish; exit 1; }

# Conditions
until_true 60 is sidecar "$(condition Initialized)" "('False', 'ContainersNotInitialized', 'containers with incomplete status: [side]')"
ok "a sidecar that has not started keeps the pod from being initialized" $?
until_true 60 k exec sidecar -c side -- touch /v/go
until_true 60 is sidecar "$(condition Initialized)" "('True', None, None)"
ok "started, the condition has no reason and no message left" $?
until_true 60 is sidecar "$(condition Ready)" "('False', 'ContainersNotReady', 'containers with unready status: [side]')"
ok "a sidecar that is not ready is named" $?
k exec sidecar -c side -- touch /v/ready
until_true 60 is sidecar "$(condition Ready)" "('True', None, None)"
ok "ready, nothing of it is left" $?
until_true 60 is gates "$(condition Ready)" "('False', 'ReadinessGatesNotReady', 'corresponding condition of pod readiness gate \"example.com/up\" does not exist.')"
ok "a readiness gate without a condition is named" $?
api PATCH /api/v1/namespaces/default/pods/gates/status '{"status":{"conditions":[{"type":"example.com/up","status":"False"}]}}' >/dev/null
until_true 60 is gates "$(condition Ready)" "('False', 'ReadinessGatesNotReady', 'the status of pod readiness gate \"example.com/up\" is not \"True\", but False')"
ok "and one whose condition is False" $?
until_true 60 phase_is completed Succeeded
is completed "($(condition Ready), $(condition ContainersReady), $(condition Initialized))" "(('False', 'PodCompleted', None), ('False', 'PodCompleted', None), ('True', 'PodCompleted', None))"
ok "the conditions of a pod that has succeeded" $?
until_true 60 phase_is failed Failed
is failed "($(condition Ready), $(condition ContainersReady), $(condition Initialized))" "(('False', 'PodFailed', None), ('False', 'PodFailed', None), ('True', None, None))"
ok "the conditions of a pod that has failed" $?

# What a container was made with
until_true 60 is sidecar "list($container['state'])" "['running']"
is sidecar "($container['resources'], $container['allocatedResources'])" "({'limits': {'memory': '32Mi'}, 'requests': {'cpu': '100m', 'memory': '16Mi'}}, {'cpu': '100m', 'memory': '16Mi'})"
ok "a container's status has its resources" $?
is sidecar "$container['user']['linux']" "{'uid': 7, 'gid': 8, 'supplementalGroups': [8]}"
ok "its user" $?
is sidecar "$container['volumeMounts'][0]" "{'name': 'v', 'mountPath': '/v', 'readOnly': True, 'recursiveReadOnly': 'Disabled'}"
ok "its mounts" $?

# Volumes
until_true 60 says group read
[ "$(log group | head -7)" = "$(printf '%s\n' 'drwxrwsrwx 0 2000 /cm' 'drwxr-sr-x 0 2000 /cm/..data' 'drwxr-sr-x 0 2000 /cm/d' \
        '-r--r----- 0 2000 /cm/d/a' 'drwxrwsrwx 0 2000 /t' '-rw-r----- 1000 2000 /t/token' 'drwxrwsrwx 0 2000 /v')" ]
ok "fsGroup has the folders and files of volumes" $?
until_true 60 says reader read
[ "$(log reader | head -1)" = '-rw------- 1000 0' ]
ok "without it a token is its one reader's" $?

# Termination messages
until_true 60 phase_is messages Failed
is messages "[(len(m), m[-9:]) for m in [$container['state']['terminated']['message']]][0]" "(4096, '9-012345\n')"
ok "of a long termination message the end is kept" $?
is messages "[(m[0], m[-2], len(m)) for m in [p['status']['containerStatuses'][1]['state']['terminated']['message'].split('\n')]][0]" "('120', '199', 81)"
ok "of a log the last 80 lines" $?
until_true 60 phase_is crowd Succeeded
is crowd "[len(c['state']['terminated']['message']) for c in p['status']['containerStatuses']]" "[2048, 2048, 2048, 2048, 2048, 2048]"
ok "a pod's messages share 12 KiB" $?

# A preStop hook that outlasts the grace period is given up: the container gets its signal, and time to heed it.
until_true 60 says slow-hook ready
api PATCH /api/v1/namespaces/default/pods/slow-hook '{"metadata":{"finalizers":["test.example/look"]}}' >/dev/null
api DELETE /api/v1/namespaces/default/pods/slow-hook >/dev/null
until_true 60 is slow-hook "$container['state']['terminated']['exitCode']" 7
ok "after a long hook a container still gets its signal" $?
api PATCH /api/v1/namespaces/default/pods/slow-hook '{"metadata":{"finalizers":null}}' >/dev/null

# What a node refuses
refused() { until_true 60 phase_is "$1" Failed && is "$1" 'p["status"].get("reason")' "$2" && field "$1" 'p["status"].get("message")' | grep -qE "^Pod was rejected: $3\$" && is "$1" '"containerStatuses" in p["status"]' False; }
refused big OutOfcpu "Node didn't have enough resource: cpu, requested: 5000000, used: [0-9]+, capacity: [0-9]+000"
ok "more than the node has" $?
refused elsewhere NodeAffinity "Predicate NodeAffinity failed: node\\(s\\) didn't match Pod's node affinity/selector"
ok "a pod for another node" $?
until_true 60 phase_is here Running
ok "not one with a term that matches" $?
refused unsafe SysctlForbidden 'forbidden sysctl: "kernel.msgmax" not allowlisted'
ok "sysctls that are not safe" $?
k get events --field-selector reason=SysctlForbidden -o name | grep -q . 
ok "with an event" $?
until_true 60 says safe '^1$'
ok "a safe one is set" $?
one_port() { [ "$(for i in 1 2; do field port-$i 'p["status"]["phase"] + p["status"].get("reason", "")'; done | sort | tr '\n' ' ')" = 'FailedNodePorts Running ' ]; }
until_true 60 one_port
ok "a host port that another pod has" $?
until_true 60 is nowhere "$state['waiting']" "{'reason': 'CreateContainerConfigError', 'message': 'missing value for \"NOBODY\"'}"
ok "a subPathExpr with an unknown name" $?
until_true 60 is nopull "$state['waiting']['reason']" ErrImageNeverPull
k get events --field-selector reason=ErrImageNeverPull -o name | grep -q .
ok "an image that is not to be pulled" $?

# Probes
until_true 60 is grpc "$(condition Ready)" "('True', None, None)"
ok "a gRPC probe asks for the server's health" $?
unhealthy() { k get events --field-selector reason=Unhealthy,involvedObject.name="$1" -o 'jsonpath={.items[*].message}' | grep -qE "$2"; }
until_true 60 unhealthy grpc-absent 'Readiness probe failed: error: health rpc probe failed: rpc error: code = 5'
ok "and for that of a service" $?

until_true 60 unhealthy redirect-local 'Readiness probe failed: HTTP probe failed with statuscode: 500'
ok "an HTTP probe follows a redirect within the server" $?
until_true 60 is redirect-away "$(condition Ready)" "('True', None, None)"
ok "and takes one that leads away as success" $?

# A pod that is being deleted is ready as long as its containers are: what serves until the end goes on serving.
k apply -f - >/dev/null <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: leaving}
	spec:
	  nodeName: n1
	  terminationGracePeriodSeconds: 600
	  containers:
	  - {name: c, image: "$box", command: [sh, -c, "trap '' TERM; touch /ready; while :; do sleep 1; done"], readinessProbe: {exec: {command: [test, -f, /ready]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 20}}
END
until_true 60 is leaving "$(condition Ready)[0]" True
k delete pod leaving --wait=false >/dev/null
killing() { k get events --field-selector reason=Killing,involvedObject.name=leaving -o name | grep -q .; }
until_true 60 killing && is leaving "$container['ready']" True && is leaving "$(condition Ready)[0]" True
ok "a pod that is being deleted is ready while its containers are" $?
k exec leaving -- rm /ready
until_true 60 is leaving "$container['ready']" False && until_true 60 is leaving "$(condition Ready)[0]" False
ok "and not when they are not any more" $?
k delete pod leaving --grace-period=0 --force >/dev/null 2>&1

# What was said of pods that are over outlives the kubelet's memory of them; and of those that run, until their probes have decided:
# the startup probe of this one would fail now, and the other takes as long as it is told to.
k create -f - >/dev/null <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: steady}
	spec:
	  nodeName: n1
	  terminationGracePeriodSeconds: 1
	  containers:
	  - name: c
	    image: "$box"
	    command: [sh, -c, "touch /ready; while :; do sleep 1; done"]
	    startupProbe: {exec: {command: [test, "!", -f, /slow]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 20}
	    readinessProbe: {exec: {command: [sh, -c, "if [ -f /slow ]; then touch /asked; sleep 1000; fi; test -f /ready"]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1000}
END
until_true 60 is steady "$(condition Ready)[0]" True
before=$(field big 'p["status"]')
stop "$kubelet_pid"
inside=/proc/$(cat "$work/kubelet/state/containers/$(field steady "$container['containerID']" | cut -d/ -f3)/pidfile")/root
touch "$inside/slow"
k get pod steady --watch -o 'jsonpath={.status.containerStatuses[0].started} {.status.containerStatuses[0].ready} {.status.conditions[?(@.type=="Ready")].status}{"\n"}' \
        >"$work/steady" 2>&1 &
watcher=$!
began $watcher
until_true 60 test -s "$work/steady"
start_kubelet
until_true 60 test -f "$inside/asked"
node_says() { # of the pod that is steady: ready or not
        [ "$(node_curl "https://$node_ip:10250/pods" | python3 -c 'import json, sys
print(*[c["ready"] for p in json.load(sys.stdin)["items"] if p["metadata"]["name"] == "steady" for c in p["status"]["containerStatuses"]])')" = "$1" ]
}
until_true 60 node_says True && is steady "$container['restartCount']" 0 && [ "$(sort -u "$work/steady")" = "true true True" ]
ok "after a restart of the kubelet a pod that is ready stays so until its probes decide" $?
rm "$inside/slow" "$inside/ready"
k exec steady -- killall sleep
until_true 60 is steady "$container['ready']" False && is steady "$container['started']" True
ok "and they do decide" $?
stop $watcher
k run later --image "$box" --overrides '{"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1}}' -- sleep 1000 >/dev/null
until_true 60 phase_is later Running
is big 'p["status"]' "$before" && is failed 'p["status"]["phase"]' Failed
ok "after a restart of the kubelet a refused pod's status stays" $?

# A node that was thought lost: what was said of its pods meanwhile is put right.
ready_is() { [ "$(k get pod sidecar -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = "$1" ]; }
until_true 60 ready_is True && k patch pod sidecar --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}' >/dev/null &&
        until_true 60 ready_is True
ok "a condition that somebody else overruled is put right" $?
k delete pods --all --wait=false >/dev/null
all_gone() { [ -z "$(k get pods -o name)" ]; }
until_true 60 all_gone && until_true 60 nothing_left
ok "all of it goes and leaves nothing" $?
stop "$kubelet_pid"
finish
