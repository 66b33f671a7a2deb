#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A two-node cluster under real clients, real registry and fire. Prints TAP.
#   test/e2e/e2e.sh [KUBECTL]       KUBECTL: ours by default; upstream's judges the same
set -u
. "$(dirname "$0")/../lib/cluster.sh"

cluster_begin e2e "${1:-}"
index=0
while [ -e "/sys/class/net/mk-$index" ]; do index=$((index + 1)); done
host=192.168.$((49 + 9 * index)).1
port=$((20000 + RANDOM % 10000))

start_registry() {
        mkdir -p "$work/registry"
        cat >"$work/registry.yml" <<YAML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "0.0.0.0:$port"}
YAML
        docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
        echo $! >"$work/registry.pid" # a file: this runs in a subshell
        until_true 60 curl -sf "http://127.0.0.1:$port/v2/" &&
                "$top/test/images/build" "$work/images" "127.0.0.1:$port"
        # a second registry in front of the same images, with a certificate and a password of its own
        _pki_ca "$work" ca && _pki_cert "$work" registry /CN=registry serverAuth "IP:127.0.0.1,IP:$host" &&
                htpasswd -Bbn somebody secret >"$work/htpasswd" || return 1
        sed "s|^http:.*|http: {addr: \"0.0.0.0:$((port + 1))\", tls: {certificate: $work/registry.crt, key: $work/registry.key}}|" \
                "$work/registry.yml" >"$work/private.yml"
        echo "auth: {htpasswd: {realm: test, path: $work/htpasswd}}" >>"$work/private.yml"
        docker-registry serve "$work/private.yml" >"$work/private.log" 2>&1 &
        echo $! >"$work/private.pid"
        printf 'mirrors:\n  registry.test:\n    endpoint: ["http://%s:%s"]\n' "$host" "$port" >"$work/registries.yaml"
        printf 'configs:\n  "%s:%s":\n    auth: {username: somebody, password: secret}\n    tls: {ca_file: %s}\n' \
                "$host" $((port + 1)) "$work/ca.crt" >>"$work/registries.yaml"
}

ready_pods() { k get pods -l "app=$1" -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' | grep -c True; }
ready_is() { equals "$(ready_pods "$1")" "$2"; }
pods_exactly() { equals "$(k get pods -l "app=$1" --no-headers 2>/dev/null | grep -c .)" "$2"; }
external_ip() { k get service "$1" -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'; }
has_external_ip() { [ -n "$(external_ip "$1")" ]; }
answers() { curl -sf --max-time 2 "$url" | grep -q "$1"; }

# --- the tutorial ---
t_create() {
        k create deployment web --image=registry.test/hello:v1 --replicas=3 --port=8080 &&
                k rollout status deployment/web --timeout=120s && ready_is web 3 &&
                equals "$(k get pods -l app=web -o 'jsonpath={.items[*].status.podIP}' | tr ' ' '\n' | grep -c '^10\.244\.')" 3 &&
                equals "$(k get pods -l app=web --no-headers | awk '{print $3}' | sort -u)" Running
}
t_probe() { # readiness and a moment to leave the balancers before stopping: what zero-downtime needs
        k patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"hello","env":[{"name":"POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],"readinessProbe":{"httpGet":{"path":"/","port":8080},"periodSeconds":1},"lifecycle":{"preStop":{"sleep":{"seconds":2}}}}]}}}}' &&
                k rollout status deployment/web --timeout=90s && until_true 60 pods_exactly web 3
}
t_expose() {
        k expose deployment web --type=LoadBalancer --port=80 --target-port=8080 && until_true 60 has_external_ip web &&
                url=http://$(external_ip web) && until_true 60 answers 'Hello from web'
}
t_spread() {
        local nodes pods
        pods=$(for _ in $(seq 60); do curl -sf --max-time 2 "$url"; done | awk '{print $3}' | tr -d , | sort -u)
        echo "$pods"
        nodes=$(for p in $pods; do k get pod "$p" -o 'jsonpath={.spec.nodeName}{"\n"}'; done | sort -u | grep -c .)
        equals "$(echo "$pods" | grep -c .)" 3 && equals "$nodes" 2
}
restarts() { k get pods -l app=web -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount}{"\n"}{end}' | awk '{n+=$1} END {print n}'; }
restarted() { [ "$(restarts)" -gt "$1" ]; }
t_private() { # by the credentials in registries.yaml; nobody else gets in
        [ "$(curl -sk -o /dev/null -w '%{http_code}' "https://127.0.0.1:$((port + 1))/v2/")" = 401 ] &&
                k run private --image="$host:$((port + 1))/busybox:1.35" --restart=Never --command -- sleep 100000 &&
                k wait --for=condition=Ready pod/private --timeout=120s && k delete pod private --grace-period=0 --force
}
t_tunnel() {
        local ip pid r=0
        ip=$(k get service web -o 'jsonpath={.spec.clusterIP}')
        "$bin/minikube" tunnel -p $profile >"$work/tunnel.log" 2>&1 &
        pid=$!
        until_true 60 curl -sf --max-time 2 "http://$ip/" || r=1
        kill "$pid"
        wait "$pid"
        ! ip route show 10.96.0.0/12 | grep . && [ $r -eq 0 ]
}
t_error() {
        local before
        before=$(restarts)
        curl -s --max-time 2 "$url/error" >/dev/null
        until_true 60 restarted "$before" && until_true 60 ready_is web 3 && k get pods -l app=web
}
t_replace() {
        local victim
        victim=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
        k delete pod "$victim" && until_true 60 ready_is web 3 && ! k get pod "$victim" 2>/dev/null
}
t_scale() {
        k scale deployment web --replicas=0 && until_true 60 pods_exactly web 0 && k scale deployment web --replicas=5 &&
                k rollout status deployment/web --timeout=120s && ready_is web 5
}
t_roll() {
        until_true 60 answers v1
        load_start
        k set image deployment/web hello=registry.test/hello:v2 && k rollout status deployment/web --timeout=120s
        local r=$?
        until_true 60 pods_exactly web 5 || r=1
        load_stop && [ $r -eq 0 ] && answers 'version v2'
}
pull_fails() { k get pods -l app=web --no-headers | grep -Eq 'ImagePullBackOff|ErrImagePull'; }
backs_off() { k get pods -l app=web --no-headers | grep -q ImagePullBackOff; }
t_bad_image() {
        load_start
        k set image deployment/web hello=registry.test/hello:nonesuch
        local r=0
        until_true 60 pull_fails && until_true 60 backs_off || r=1
        load_stop && [ $r -eq 0 ] && answers 'version v2' && ! k rollout status deployment/web --timeout=2s
}
t_undo() {
        k rollout undo deployment/web && k rollout status deployment/web --timeout=120s && answers 'version v2' &&
                k rollout history deployment/web | grep -q REVISION
}
revision_of() { k get rs -l app=web -o 'jsonpath={range .items[*]}{.metadata.annotations.deployment\.kubernetes\.io/revision}{" "}{.spec.template.spec.containers[0].image}{" "}{.spec.template.spec.containers[0].readinessProbe.periodSeconds}{"\n"}{end}' | awk -v image="$1" '$2 == image && $3 == 1 {print $1}' | sort -n | tail -1; }
t_undo_to() {
        local revision
        revision=$(revision_of registry.test/hello:v1)
        k rollout undo deployment/web --to-revision="$revision" && k rollout status deployment/web --timeout=90s &&
                until_true 60 answers 'version v1'
}
t_pause() {
        k rollout pause deployment/web && k set env deployment/web A=b && k rollout resume deployment/web &&
                k rollout restart deployment/web && k rollout status deployment/web --timeout=90s && until_true 60 pods_exactly web 5
}
t_look() {
        local pod
        pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
        answers Hello && k logs "$pod" | grep -q 'GET /' && equals "$(k exec "$pod" -- cat /etc/hostname)" "$pod" &&
                k describe pod "$pod" | grep -q 'Started container\|Container started' &&
                k get events | grep -q Scheduled && ! k exec "$pod" -- sh -c 'exit 3'
}
# Clients that are killed, some of them in the middle of a flood that nobody reads: threads and commands end with them.
threads() { ls "/proc/$(pid_of kube-apiserver)/task" "/proc/$(pid_of kubelet-$profile)/task" "/proc/$(pid_of kubelet-$profile-m02)/task" | wc -l; }
t_exec_killed() {
        local pod before i
        pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
        k exec "$pod" -- id && before=$(threads) || return 1
        for i in $(seq 10); do
                timeout -s KILL 2 "$KUBECTL" exec -i "$pod" -- sleep 98765 </dev/zero >/dev/null 2>&1 &
                timeout -s KILL 2 "$KUBECTL" exec -i "$pod" -- sleep 98765 < <(exec sleep 3) >/dev/null 2>&1 &
        done
        wait $(jobs -p)
        ended() { ! pgrep -fx 'sleep 98765' && [ "$(threads)" -le $((before + 8)) ]; }
        until_true 60 ended
}
t_exec_code() {
        local pod
        pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
        k exec "$pod" -- sh -c 'exit 3' >/dev/null 2>&1
        equals $? 3
}
t_cross() {
        local a ip
        a=$(k get pods -l app=web -o 'jsonpath={range .items[*]}{.spec.nodeName}{" "}{.metadata.name}{" "}{.status.podIP}{"\n"}{end}')
        from=$(echo "$a" | awk '$1 == "e2e" {print $2; exit}')
        ip=$(echo "$a" | awk '$1 == "e2e-m02" {print $3; exit}')
        k exec "$from" -- wget -q -O - "http://$ip:8080/" | grep -q Hello
}
t_dns() {
        local pod service
        pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
        service=$(k get service web -o 'jsonpath={.spec.clusterIP}')
        equals "$(looked_up "$pod" web.default.svc.cluster.local)" "$service" &&
                equals "$(looked_up "$pod" kubernetes.default.svc.cluster.local)" 10.96.0.1 &&
                k exec "$pod" -- wget -q -O - "http://$service/" | grep -q Hello &&
                k exec "$pod" -- cat /etc/resolv.conf | grep -q '^search default.svc.cluster.local svc.cluster.local cluster.local' &&
                ! k exec "$pod" -- nslookup nonesuch.default.svc.cluster.local
}
t_folder() {
        mkdir -p "$work/app"
        cat >"$work/app/config.yaml" <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: red}
YAML
        cat >"$work/app/pod.yaml" <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: reader, labels: {app: reader}}
spec:
  replicas: 1
  selector: {matchLabels: {app: reader}}
  template:
    metadata: {labels: {app: reader}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: reader
        image: registry.test/busybox:1.35
        command: [sleep, "100000"]
        envFrom: [{configMapRef: {name: settings}}]
        volumeMounts: [{name: settings, mountPath: /settings}]
      volumes: [{name: settings, configMap: {name: settings}}]
---
apiVersion: v1
kind: Service
metadata: {name: reader}
spec:
  clusterIP: None
  selector: {app: reader}
  ports: [{name: none, port: 80}]
YAML
        k apply -f "$work/app" && k rollout status deployment/reader --timeout=120s &&
                equals "$(k apply -f "$work/app" | grep -vc ' unchanged$')" 0
}
color_is() { equals "$(k exec deployment/reader -- cat /settings/color)" "$1"; }
t_config() {
        color_is red && k patch configmap settings -p '{"data":{"color":"blue"}}' && until_true 90 color_is blue &&
                equals "$(k exec deployment/reader -- sh -c 'echo $color')" red
}
nothing_left() { equals "$(k get deployments,replicasets,pods -l app=reader --no-headers 2>/dev/null | grep -c .)" 0 && ! k get configmap settings 2>/dev/null; }
t_delete_folder() { k delete -f "$work/app" && until_true 60 nothing_left; }

# --- fire ---
# A pod serves for so long after its end was asked for that even a proxy that has just been started again on a slow machine
# has heard of it.
t_leave_slowly() {
        k patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"hello","lifecycle":{"preStop":{"sleep":{"seconds":8}}}}]}}}}' &&
                k rollout status deployment/web --timeout=120s && until_true 60 pods_exactly web 5
}
alive_again() { local pid; pid=$(pid_of "$1") && [ "$pid" != "$2" ] && kill -0 "$pid"; }
api_answers() { k get --raw /readyz; }
writes() { k create configmap fire --from-literal=a=b && k delete configmap fire; }
converges() {
        k scale deployment web --replicas="$1" && until_true 60 ready_is web "$1" && until_true 60 pods_exactly web "$1"
}
t_kill() { # SERVICE REPLICAS
        local before
        before=$(pid_of "$1")
        load_start
        kill -9 "$before"
        local r=0
        until_true 60 alive_again "$1" "$before" && until_true 60 api_answers && until_true 60 nodes_ready 2 &&
                until_true 60 writes && converges "$2" || r=1
        load_stop && [ $r -eq 0 ]
}
all_on_first() { ready_is web 4 && equals "$(k get pods -l app=web --field-selector spec.nodeName=e2e-m02 -o name --no-headers | grep -c .)" "$1"; }
moved() { equals "$(k get pods -l app=web --field-selector spec.nodeName=e2e --no-headers | grep -c Running)" 4; }
t_node_lost() {
        # Pods leave two seconds after their node was found lost; the supervisor is held so that nothing starts it again.
        k patch deployment web -p '{"spec":{"replicas":4,"template":{"spec":{"tolerations":[{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":2},{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":2}]}}}}' &&
                k rollout status deployment/web --timeout=120s && until_true 60 pods_exactly web 4 || return 1
        kill -STOP "$(pid_of supervisor)"
        kill -9 "$(pid_of kubelet-e2e-m02)" "$(pid_of kube-proxy-e2e-m02)" "$(pid_of cluster-dns-e2e-m02)"
        local r=0
        until_true 60 node_not_ready e2e-m02 && until_true 60 moved && until_true 60 answers Hello || r=1
        kill -CONT "$(pid_of supervisor)"
        until_true 60 nodes_ready 2 && until_true 90 pods_exactly web 4 && [ $r -eq 0 ]
}
t_again() { mk start && equals "$(pid_of kube-apiserver)" "$1"; }
# What was ours is gone: by name, by folder, by address.
t_delete() {
        mk delete || return 1
        local left=0
        ps -eo args | grep -F "$work/.minikube" | grep -v grep && left=1
        ip netns list | grep -E '^e2e(-m02)?( |$)' && left=1
        ip link show | grep -E "mk-$index[:@-]" && left=1
        grep -F "$work/.minikube" /proc/self/mountinfo && left=1
        iptables-save | grep 'coxswain e2e' && left=1
        find /sys/fs/cgroup -maxdepth 3 -type d -path '*coxswain/e2e*' 2>/dev/null | grep . && left=1
        [ -e "$work/.minikube" ] && left=1
        grep -q e2e "$KUBECONFIG" && left=1
        return $left
}

must "a registry serves the test images" start_registry
must "minikube start --nodes 2" mk start --nodes 2 --registry-config "$work/registries.yaml" \
        --extra-config controller-manager.node-monitor-grace-period=24s
ok "kubectl is configured and both nodes are Ready" nodes_ready 2
t_minikube() {
        equals "$(mk ip)" "${host%.1}.2" && mk status | grep -q 'apiserver: Running' && mk profile list | grep -q '^| e2e ' &&
                equals "$("$bin/minikube" kubectl -p $profile -- get nodes -o name | grep -c .)" 2 && mk logs | grep -q '==> kube-apiserver <==' &&
                tar -C "$work/images/hello-v1" -cf "$work/hello.tar" . && mk image load "$work/hello.tar" && mk image ls | grep -q 'docker.io/library/hello:v1' &&
                ! mk image load "$work/registries.yaml"
}
ok "minikube ip, status, profile list, kubectl --, logs, image load and ls" t_minikube
ok "create deployment: pods run and have addresses" t_create
ok "a patched template rolls out" t_probe
t_expose >"$work/out" 2>&1; status=$?
ok "expose as LoadBalancer: EXTERNAL-IP answers from the host" test $status -eq 0
ok "requests spread over pods on both nodes" t_spread
ok "an image from a registry over HTTPS with a password" t_private
ok "minikube tunnel: cluster IPs answer from the host" t_tunnel
ok "/error: the container restarts and RESTARTS counts up" t_error
ok "a deleted pod is replaced" t_replace
ok "scale to 0 and to 5" t_scale
ok "set image v2 under load: no request fails" t_roll
ok "an image that does not exist: ImagePullBackOff, old pods serve" t_bad_image
ok "rollout undo and history" t_undo
ok "rollout undo --to-revision" t_undo_to
ok "rollout pause, resume, restart" t_pause
ok "logs, exec, describe, events" t_look
ok "exec passes the exit code on" t_exec_code
ok "exec ends with a client that was killed" t_exec_killed
ok "pod to pod across nodes" t_cross
ok "names resolve in pods" t_dns
ok "apply -f folder twice: unchanged" t_folder
ok "a ConfigMap change arrives in a mounted volume" t_config
ok "delete -f folder: nothing left" t_delete_folder
ok "pods take their time to leave" t_leave_slowly
n=5
for service in kube-scheduler kube-controller-manager kube-apiserver etcd kube-proxy-e2e kube-proxy-e2e-m02 \
        cluster-dns-e2e kubelet-e2e kubelet-e2e-m02; do
        n=$((n == 5 ? 4 : 5))
        ok "kill -9 $service under load: traffic goes on, the state converges" t_kill $service $n
done
ok "a lost node becomes NotReady and its pods are replaced" t_node_lost
ok "minikube start again changes nothing" t_again "$(pid_of kube-apiserver)"
ok "minikube delete leaves nothing behind" t_delete
tap_end
