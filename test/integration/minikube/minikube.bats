#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# minikube on a machine of its own (machine.bash): most tests share one cluster of two nodes with a web server; what it
# leaves behind is compared with what there was before.

setup_file() {
        export MK=$(mktemp -d) P=mk$$
        export MINIKUBE_HOME=$MK/home HOME=$MK/home KUBECONFIG=$MK/config
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        . "$BATS_TEST_DIRNAME/machine.bash"
        mkdir "$MINIKUBE_HOME"
        machine_start "$MK"
        export MACHINE=$(cat "$MK/pid")
        "$BATS_TEST_DIRNAME/../../images/build" "$MK/images" >/dev/null
        tar -C "$MK/images/hello-v1" -cf "$MK/hello-v1.tar" .
        tar -C "$MK/images/busybox-1.35" -cf "$MK/busybox.tar" .
        skopeo --insecure-policy copy -q "oci:$MK/images/hello-v2:v2" "docker-archive:$MK/hello-v2.tar:hello:v2"
        snapshot >"$MK/before"
}

teardown_file() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        . "$BATS_TEST_DIRNAME/machine.bash"
        h "$BIN/minikube" delete --all >/dev/null 2>&1
        h "$BIN/minikube" delete -p "$P" >/dev/null 2>&1
        machine_stop "$MK"
        find /sys/fs/cgroup -depth -type d -path "*/coxswain/$P*" -exec rmdir {} + 2>/dev/null
        rm -rf "$MK"
}

setup() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        . "$BATS_TEST_DIRNAME/machine.bash"
        FOLDER=$MINIKUBE_HOME/.minikube/profiles/$P
}

mk() { h "$BIN/minikube" "$@" -p "$P"; }
kc() { h "$BIN/kubectl" "$@"; }
# exits STATUS COMMAND...: and prints one line of error, which $output holds, and nothing else
exits() {
        run "${@:2}"
        echo "$output"
        [ "$status" -eq "$1" ]
}
one_line() { [ "$(wc -l <<<"$output")" -eq 1 ]; }
pid_of() { cut -d' ' -f1 "${2:-$FOLDER}/run/$1.pid"; }
kill_hard() { # PID...: and waits until they are gone
        local pid
        kill -9 "$@" 2>/dev/null || :
        for pid; do wait_for _gone "$pid"; done
}
pids() { cut -d' ' -f1 "$FOLDER"/run/*.pid | sort; }
clean() { # nothing is there that was not there before anything was done
        snapshot >"$MK/after"
        diff "$MK/before" "$MK/after"
}
answers() { [[ $(h curl -sf --max-time 2 "$1") == Hello* ]]; }
ready_nodes() { kc get nodes --no-headers | grep -cw Ready; }
nodes_are() { [ "$(ready_nodes)" -eq "$1" ]; }
refused() { # ADDRESS: told so, not a time-out
        local r=0
        h curl -s --max-time 3 "http://$1" || r=$?
        [ $r -eq 7 ]
}
no_context() { [ "$(kc config current-context 2>&1)" = "error: current-context is not set" ]; } # nor another cluster's
forwards() { [ "$(h cat /proc/sys/net/ipv4/ip_forward)" -eq "$1" ]; }

# --- before there is a cluster ---

@test "a program that is missing is named with its package, and nothing is made" {
        local program package
        while read -r program package; do
                h mount --bind /dev/null "$(readlink -f "$(PATH=$PATH:/usr/sbin command -v "$program")")"
                exits 65 mk start
                h umount "$(readlink -f "$(PATH=$PATH:/usr/sbin command -v "$program")")"
                [[ ${lines[1]} == "X Exiting due to PROVIDER_NOT_FOUND: $program is missing: apt-get install $package" ]]
                [ ${#lines[@]} -eq 2 ]
        done <<'END'
runc runc
etcd etcd-server
conmon conmon
END
        clean
}

@test "administrator's programs are found without /usr/sbin in PATH" {
        PATH=/usr/bin exits 14 h "$BIN/minikube" start -p "$P" --registry-config /nonexistent
        PATH= exits 14 /usr/bin/nsenter --target "$MACHINE" --net --mount "$BIN/minikube" start -p "$P" --registry-config /nonexistent
}

@test "wrong flags, names and arguments are refused with status 14, and nothing is made" {
        printf 'mirrors:\n  a: [\n' >"$MK/bad.yaml"
        printf -- '- a\n' >"$MK/list.yaml"
        local words
        while IFS='|' read -r words want; do
                exits 14 h "$BIN/minikube" $words
                grep -qF -- "$want" <<<"$output"
        done <<END
start -p $P --nonsense|unknown flag: --nonsense
start -p $P --nodes 0|nodes
start -p $P --nodes 17|nodes
start -p $P --nodes two|nodes
start -p $P --nodes|flag needs an argument: --nodes
start -p Upper|MK_USAGE: profile name "Upper" is not valid
start -p ../etc|MK_USAGE: profile name "../etc" is not valid
start -p -x|profile name "-x" is not valid
start -p $(printf 'a%.0s' {1..41})|no more than 40 characters
start -p $P --extra-config nonsense|must be like
start -p $P --extra-config nobody.v=1|there is no component "nobody"
start -p $P --registry-config /nonexistent|cannot read /nonexistent: No such file
start -p $P --registry-config $MK/bad.yaml|$MK/bad.yaml: 
start -p $P --registry-config $MK/list.yaml|must be one YAML mapping
start -p $P --addons nonesuch|addon 'nonesuch' is not a valid addon packaged with minikube.
addons enable nonesuch -p $P|addon 'nonesuch' is not a valid addon packaged with minikube.
addons enable -p $P|usage: minikube addons enable ADDON_NAME
addons nonsense -p $P|unknown command "nonsense" for "minikube addons"
addons list -p $P --nodes 2|unknown flag: --nodes
dashboard more -p $P|minikube dashboard does not take "more"
start -p $P more|minikube start does not take "more"
delete $P|minikube delete does not take "$P"
status -p $P --nodes 2|unknown flag: --nodes
status -p $P --all|unknown flag: --all
profile no..name|profile name "no..name" is not valid
start -p $P --kubernetes-version newest|must be like v1.35
start -p $P --node 2|Did you mean --nodes?
strat|start
node ad -p $P|unknown command "ad" for "minikube node"
node delete -p $P|usage: minikube node delete NODE
delete --purge -p $P|it needs --all, too
config set colour red|property name "colour" not found
config set nodes 17|nodes: "17" must be a number from 1 to 16
config get nodes|specified key could not be found in config
completion tcsh|there is for bash, zsh and fish
mount -p $P|usage: minikube mount SOURCE:TARGET
profile list -o yaml|invalid output format: yaml
nonsense|unknown command "nonsense" for "minikube"
END
        clean
}

@test "start --dry-run looks at everything and makes nothing" {
        mk start --dry-run --nodes 2 --addons ingress | grep -F 'dry-run validation complete!'
        exits 14 mk start --dry-run --addons nonesuch
        clean
}

@test "a profile that does not exist: status 85 with advice, and delete says so" {
        local command
        for command in status stop ip logs "service web" "service list" tunnel dashboard "addons list" "addons enable storage-provisioner" "image ls" "image load $MK/hello-v1.tar"; do
                exits 85 mk $command
                grep -qF "* Profile \"$P\" not found. Run \"minikube profile list\" to view all profiles." <<<"$output"
                grep -qF "minikube start -p $P" <<<"$output"
        done
        exits 85 h "$BIN/minikube" -p "$P" kubectl -- get pods
        exits 0 mk delete
        grep -qF "* \"$P\" profile does not exist" <<<"$output"
        exits 14 h "$BIN/minikube" profile list
        grep -qF "No minikube profile was found" <<<"$output"
        [ "$(h "$BIN/minikube" profile list -o json | jq -c .)" = '{"invalid":[],"valid":[]}' ]
        [ "$(h "$BIN/minikube" profile)" = minikube ]
        [ "$(MINIKUBE_PROFILE=other h "$BIN/minikube" profile)" = other ]
        clean
}

@test "a namespace or a kubeconfig entry of somebody else is not taken" {
        h ip netns add "$P"
        exits 81 mk start
        grep -qF "/run/netns/$P exists and is not this cluster's" <<<"$output"
        mk delete
        h ip netns delete "$P" # which is still there
        printf 'apiVersion: v1\nkind: Config\nusers:\n- name: %s\n  user: {token: precious}\n' "$P" >"$KUBECONFIG"
        exits 81 mk start
        grep -qF "your kubeconfig has a \"$P\" that is not minikube's" <<<"$output"
        mk delete
        grep -q precious "$KUBECONFIG"
        rm "$KUBECONFIG"
        h ip link add mine type bridge
        h ip addr add 192.168.49.77/24 dev mine
        mk start --wait-timeout 1ms || :
        [ "$(mk ip)" = 192.168.58.2 ] # the next network
        mk delete
        h ip link delete mine
        clean
}

# --- the cluster ---

others='apiVersion: v1
kind: Config
current-context: theirs
preferences: {colors: true}
unknown: {kept: [1, 2]}
contexts:
- {name: theirs, context: {cluster: theirs, user: theirs, extra: 1}}
- {name: second, context: {cluster: second, user: theirs}}
clusters:
- {name: theirs, cluster: {server: "https://192.0.2.1"}}
users:
- {name: theirs, user: {token: abc}}
'
without_ours() { # the kubeconfig as JSON, without what is ours, in its order
        python3 -c '
import json, sys, yaml
config = yaml.safe_load(open(sys.argv[1]))
for name in ("contexts", "clusters", "users"):
    config[name] = [entry for entry in config[name] if not entry["name"].startswith(sys.argv[2])]
print(json.dumps(config, sort_keys=True))' "$1" "$P"
}

@test "start: a cluster that answers, with a context beside those that there are" {
        printf '%s' "$others" >"$KUBECONFIG"
        printf '%s' "$others" >"$MK/others"
        exec 7>"$MK/held"
        exits 0 mk start
        exec 7>&-
        grep -q "^\* \[$P\] minikube v" <<<"$output"
        grep -qF "Done! kubectl is now configured to use \"$P\" cluster and \"default\" namespace by default" <<<"$output"
        [ "$(kc config current-context)" = "$P" ]
        diff <(without_ours "$KUBECONFIG") <(without_ours "$MK/others" | sed "s/\"current-context\": \"theirs\"/\"current-context\": \"$P\"/")
        nodes_are 1
        [ "$(kc get nodes -o 'jsonpath={.items[0].metadata.labels.minikube\.k8s\.io/primary}')" = true ]
        forwards 1
        ! ls -l "/proc/$(pid_of supervisor)/fd" "/proc/$(pid_of etcd)/fd" | grep -F "$MK/held" || false
}

@test "start --nodes: nodes are added while the others' processes go on; fewer are refused" {
        local before=$(pids) name
        printf 'mirrors:\n  registry.test:\n    endpoint: ["http://192.0.2.1:5000"]\n' >"$MK/registries.yaml"
        mk start --nodes 2
        nodes_are 2
        for name in etcd kube-apiserver "kubelet-$P" "kube-proxy-$P" kube-scheduler; do
                grep -qx "$(pid_of $name)" <<<"$before"
        done
        exits 14 mk start --nodes 1
        grep -qF "profile \"$P\" has 2 nodes" <<<"$output"
        nodes_are 2
}

# What a request to a port answers, from inside the first node's network: an HTTP status, or 000 when no connection is made.
knock() { # CERTIFICATE ADDRESS:PORT/PATH
        local flags=()
        [ "$1" = none ] || flags=(--cert "$FOLDER/certs/$1.crt" --key "$FOLDER/certs/$1.key")
        h ip netns exec "$P" curl -sk --http1.1 --max-time 20 "${flags[@]}" -o /dev/null -w '%{http_code}' "https://$2" || :
}

@test "a certificate opens the ports that it is for: etcd trusts nobody but its members and the apiserver" {
        local node=$(kc get node "$P" -o 'jsonpath={.status.addresses[0].address}') cert port want have wrong=
        [ -n "$node" ]
        # made for anybody who asks the cluster for a certificate
        openssl req -new -newkey rsa:2048 -nodes -keyout "$FOLDER/certs/asked.key" -subj /CN=eve 2>/dev/null >"$MK/eve.csr"
        kc apply -f - <<-END
		apiVersion: certificates.k8s.io/v1
		kind: CertificateSigningRequest
		metadata: {name: eve}
		spec: {signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], request: $(base64 -w0 "$MK/eve.csr")}
		END
        kc patch csr eve --subresource=approval --type=merge \
                -p '{"status":{"conditions":[{"type":"Approved","status":"True","reason":"test","message":"test"}]}}'
        signed() { [ -n "$(kc get csr eve -o 'jsonpath={.status.certificate}')" ]; }
        wait_for signed
        kc get csr eve -o 'jsonpath={.status.certificate}' | base64 -d >"$FOLDER/certs/asked.crt"
        while read -r port cert want; do
                have=$(knock "$cert" "$port")
                [ "$have" = "$want" ] || wrong+="$port with $cert: $have, not $want"$'\n'
        done <<-END
		127.0.0.1:2379/health none 000
		127.0.0.1:2379/health kubelet-$P 000
		127.0.0.1:2379/health kube-proxy 000
		127.0.0.1:2379/health admin 000
		127.0.0.1:2379/health apiserver-kubelet-client 000
		127.0.0.1:2379/health asked 000
		127.0.0.1:2379/health etcd/apiserver 200
		127.0.0.1:2380/version none 000
		127.0.0.1:2380/version kubelet-$P 000
		127.0.0.1:2380/version asked 000
		127.0.0.1:2380/version etcd/peer 200
		$node:2379/health etcd/apiserver 000
		$node:2380/version etcd/peer 000
		$node:8443/api/v1/nodes/$P none 403
		$node:8443/api/v1/nodes/$P admin 200
		$node:8443/api/v1/nodes/$P kubelet-$P 200
		$node:8443/api/v1/nodes/$P kubelet-$P-m02 403
		$node:8443/api/v1/nodes/$P asked 403
		$node:10250/pods none 401
		$node:10250/pods admin 200
		$node:10250/pods apiserver-kubelet-client 200
		$node:10250/pods kube-proxy 403
		$node:10250/pods asked 403
		END
        printf '%s' "$wrong"
        [ -z "$wrong" ]
        # a certificate of etcd's authority is nobody to the cluster
        for port in "$node:8443/api/v1/nodes" "$node:10250/pods"; do
                have=$(knock etcd/apiserver "$port")
                [[ $have == 000 || $have == 401 || $have == 403 ]]
        done
        kc delete csr eve
        rm "$FOLDER"/certs/asked.*
}

@test "a Secret is not in plain text in etcd" {
        kc create secret generic veiled --from-literal=password=correct-horse
        [ "$(kc get secret veiled -o 'jsonpath={.data.password}' | base64 -d)" = correct-horse ]
        h ip netns exec "$P" env ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert "$FOLDER/certs/etcd/ca.crt" \
                --cert "$FOLDER/certs/etcd/apiserver.crt" --key "$FOLDER/certs/etcd/apiserver.key" \
                get --print-value-only /registry/secrets/default/veiled >"$MK/veiled"
        grep -aq '^k8s:enc:secretbox:v1:key1:' "$MK/veiled"
        ! grep -aqE "correct-horse|password|$(printf correct-horse | base64)" "$MK/veiled" || false
        kc delete secret veiled
}

# What is there of the cluster. Addresses of IPv6 come by themselves, a while after their interface.
state() {
        pids
        md5sum "$FOLDER"/certs/*.* "$FOLDER"/certs/etcd/* "$FOLDER"/config.json "$KUBECONFIG"
        h iptables-save | grep -v '^[#:]'
        h ip -4 -o addr
}

@test "start again changes nothing" {
        state >"$MK/state"
        exits 0 mk start
        grep -qF "* Updating the running \"$P\" cluster" <<<"$output"
        diff "$MK/state" <(state)
}

@test "what a start is told anew reaches those whom it concerns, and nobody else" {
        local before=$(pid_of kube-scheduler) etcd=$(pid_of etcd) kubelet=$(pid_of "kubelet-$P-m02")
        mk start --extra-config scheduler.v=3
        tr '\0' ' ' <"/proc/$(pid_of kube-scheduler)/cmdline" | grep -q -- '--v=3'
        wait_for _gone "$before"
        mk start --extra-config scheduler.v=1
        tr '\0' ' ' <"/proc/$(pid_of kube-scheduler)/cmdline" | grep -q -- '--v=1'
        ! tr '\0' ' ' <"/proc/$(pid_of kube-scheduler)/cmdline" | grep -q -- '--v=3' || false
        [ "$(pid_of etcd)" = "$etcd" ]
        [ "$(pid_of "kubelet-$P-m02")" = "$kubelet" ]
        mk start --registry-config "$MK/registries.yaml"
        rm "$MK/registries.yaml" # the nodes have their own
        tr '\0' ' ' <"/proc/$(pid_of "kubelet-$P-m02")/cmdline" | grep -q -- "--registry-config=$FOLDER/node-registries.yaml"
        [ "$(pid_of etcd)" = "$etcd" ]
        nodes_are 2
}

@test "status: text, JSON, and what does not run in the exit status" {
        exits 0 mk status
        [ "$output" = "$P
type: Control Plane
host: Running
kubelet: Running
apiserver: Running
kubeconfig: Configured

$P-m02
type: Worker
host: Running
kubelet: Running" ]
        [ "$(mk status -o json | jq -c '.[] | [.Name, .Host, .Kubelet, .APIServer, .Kubeconfig, .Worker]')" = "[\"$P\",\"Running\",\"Running\",\"Running\",\"Configured\",false]
[\"$P-m02\",\"Running\",\"Running\",\"Irrelevant\",\"Irrelevant\",true]" ]
        exits 14 mk status -o yaml
        kill -STOP "$(pid_of supervisor)"
        kill_hard "$(pid_of "kubelet-$P-m02")"
        exits 2 mk status
        KUBECONFIG=$MK/others exits 6 h "$BIN/minikube" status -p "$P"
        grep -q 'kubeconfig: Misconfigured' <<<"$output"
        kill -CONT "$(pid_of supervisor)"
        wait_for mk status
}

@test "secrets are their owner's alone" {
        ! find "$MINIKUBE_HOME/.minikube" -name '*.key' ! -perm 600 | grep . || false
        ! find "$MINIKUBE_HOME/.minikube" -name '*.kubeconfig' ! -perm 600 | grep . || false
        ! find "$MINIKUBE_HOME/.minikube" "$FOLDER" -maxdepth 0 ! -perm 700 | grep . || false
        [ "$(stat -c %a "$FOLDER/registries.yaml")" = 600 ]
        [ "$(find "$FOLDER/certs" -name '*.key' | wc -l)" -gt 5 ]
}

@test "image load: an OCI layout, a docker archive, standard input; ls shows them on all nodes" {
        mk image load "$MK/hello-v1.tar"
        mk image load "$MK/hello-v2.tar"
        mk image load - <"$MK/busybox.tar"
        local want=$(printf 'docker.io/library/%s\n' busybox:1.35 hello:v1 hello:v2)
        [ "$(mk image ls)" = "$want" ]
        [ "$(ls "$FOLDER/nodes/$P/images/images" | wc -l)" -eq 3 ]
        [ "$(ls "$FOLDER/nodes/$P-m02/images/images" | wc -l)" -eq 3 ]
}

@test "image load: what is no image is refused in one line, and nothing of it stays" {
        local before=$(cd "$FOLDER/nodes" && find */images | sort)
        printf 'not a tar' >"$MK/text.tar"
        : >"$MK/empty.tar"
        head -c 200000 "$MK/hello-v1.tar" >"$MK/cut.tar"
        tar -C "$MK" -cf "$MK/other.tar" others
        mkdir -p "$MK/lie"
        tar -C "$MK/lie" -xf "$MK/hello-v1.tar"
        local layer=$(ls -S "$MK/lie/blobs/sha256" | head -1)
        printf x >>"$MK/lie/blobs/sha256/$layer"
        tar -C "$MK/lie" -cf "$MK/lie.tar" .
        local file
        for file in text empty cut other lie; do
                exits 80 mk image load "$MK/$file.tar"
                one_line
                grep -q '^X Exiting due to GUEST_IMAGE_LOAD: ' <<<"$output"
                ! grep -q /import/ <<<"$output" || false # the user's own file is named
        done
        for file in nonexistent .; do
                exits 80 mk image load "$MK/$file"
                one_line
        done
        exits 14 mk image load
        exits 14 mk image nonsense
        # a copy that a minikube left which was killed goes with the next load
        : >"$FOLDER/nodes/$P/images/import/999999999.tar.part"
        mk image load "$MK/busybox.tar"
        [ "$before" = "$(cd "$FOLDER/nodes" && find */images | sort)" ]
}

@test "service: URLs that answer, a table, and clear words for what has none" {
        kc apply -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]
      containers:
      - name: hello
        image: hello:v1
        imagePullPolicy: Never
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        volumeMounts: [{name: memory, mountPath: /memory}]
      volumes: [{name: memory, emptyDir: {medium: Memory}}]
YAML
        kc create namespace more
        kc expose deployment web --type=LoadBalancer --port=80 --target-port=8080
        kc create service loadbalancer nobody --tcp=80:80
        exits 119 mk service nobody
        grep -qF 'X Exiting due to SVC_UNREACHABLE: service not available: no running pod for service nobody found' <<<"$output"
        wait_for eval '[ -n "$(kc get service nobody -o "jsonpath={.status.loadBalancer.ingress[0].ip}")" ]'
        wait_for refused "$(kc get service nobody -o 'jsonpath={.status.loadBalancer.ingress[0].ip}')"
        refused "$(kc get service nobody -o 'jsonpath={.status.loadBalancer.ingress[0].ip}')" # each time at once
        kc expose deployment web --name=inside --port=80 --target-port=8080
        kc create service nodeport ported -n more --tcp=80:8080 --node-port=30123
        kc run ported -n more --image=hello:v1 --labels=app=ported
        kc wait -n more --for=condition=Ready pod/ported --timeout=60s
        kc rollout status deployment/web --timeout=60s
        url=$(mk service web --url)
        [[ $url == http://192.168.49.1[2-9][0-9]:80 || $url == http://192.168.49.2[0-9][0-9]:80 ]]
        wait_for answers "$url"
        [ "$(mk service ported -n more --url)" = http://192.168.49.2:30123 ]
        [ "$(mk service ported -n more --url --https)" = https://192.168.49.2:30123 ]
        [ "$(mk service ported -n more --url --format '{{.Name}}={{.IP}}!{{.Port}}/x')" = '80-8080=192.168.49.2!30123/x' ]
        exits 14 mk service ported -n more --format 'http://{{.Host}}'
        grep -qF 'the fields of a URL are {{.IP}}, {{.Port}} and {{.Name}}, not "{{.Host}}"' <<<"$output"
        exits 115 mk service nonesuch
        grep -qF "Service 'nonesuch' was not found in 'default' namespace." <<<"$output"
        exits 119 mk service inside --url
        grep -qF 'service inside has no node port' <<<"$output"
        one_line
        exits 14 mk service
        mk service list >"$MK/list"
        grep -Eq "^\| default +\| web +\| 80 +\| $url +\|\$" "$MK/list"
        grep -Eq '^\| more +\| ported +\| 80(-8080)?/80 +\| http://192.168.49.2:30123 +\|$' "$MK/list"
        grep -Eq '^\| default +\| inside +\| No node port \| +\|$' "$MK/list"
        [ "$(awk '{print length}' "$MK/list" | sort -u | wc -l)" -eq 1 ]
        [ "$(mk service list -n more -o json | jq -c '.[] | [.Namespace, .Name, .URLs]')" = '["more","ported",["http://192.168.49.2:30123"]]' ]
        exits 14 mk service list -o yaml
}

@test "dashboard: the browser gets the link by a file of its owner's, which nobody reads in a list of processes" {
        mkdir -p "$MK/browser"
        cat >"$MK/browser/xdg-open" <<'SH'
#!/bin/sh
echo "$@" >"$0.words"
stat -c %a "${1#file://}" >"$0.mode"
cat "${1#file://}" >"$0.page"
SH
        chmod +x "$MK/browser/xdg-open"
        PATH=$MK/browser:$PATH mk dashboard 2>&1 | grep -F 'Opened the dashboard in your default browser'
        [ "$(cat "$MK/browser/xdg-open.words")" = "file://$FOLDER/run/dashboard.html" ]
        [ "$(cat "$MK/browser/xdg-open.mode")" = 600 ]
        local link
        link=$(grep -o 'https://192.168.49.2:[0-9]*/#/login?code=[A-Za-z0-9_-]*' "$MK/browser/xdg-open.page")
        used() { h curl -sk -o /dev/null -w '%{http_code}' -H 'X-Dashboard-Request: none' --data "{\"code\": \"${1##*code=}\"}" "${1%%/#*}/session"; }
        [ "$(used "$link")" = 200 ]
        [ "$(used "$link")" = 401 ] # once
        PATH=$MK/browser:$PATH run mk dashboard --url
        [ "$status" -eq 0 ]
        [[ $output == *"https://192.168.49.2:"*"/#/login?code="* ]]
        mk addons disable dashboard
}

@test "tunnel: cluster IPs answer from the machine until it is interrupted or the cluster goes" {
        local ip=$(kc get service inside -o 'jsonpath={.spec.clusterIP}') before=$(h ip route) pid
        ! h curl -s --max-time 1 "http://$ip/" || false
        background "$MK/tunnel.log" "$BIN/minikube" tunnel -p "$P"
        pid=$!
        wait_for answers "http://$ip/"
        grep -q 'Tunnel successfully started' "$MK/tunnel.log"
        wait_for grep -qx $'\tservices: \\[.*web.*\\]' "$MK/tunnel.log"
        grep -qx $'\troute: 10.96.0.0/12 -> 192.168.49.2' "$MK/tunnel.log"
        exits 71 mk tunnel
        grep -q 'Another tunnel' <<<"$output"
        kill -INT $pid
        wait $pid
        [ "$(h ip route)" = "$before" ]
        # after kill -9 the route is there, and the next tunnel's
        background "$MK/tunnel.log" "$BIN/minikube" tunnel -p "$P"
        pid=$!
        wait_for answers "http://$ip/"
        kill -9 $pid
        wait $pid || :
        background "$MK/tunnel.log" "$BIN/minikube" tunnel -p "$P"
        pid=$!
        wait_for grep -q 'Tunnel successfully started' "$MK/tunnel.log"
        kill $pid
        wait $pid
        [ "$(h ip route)" = "$before" ]
        # somebody else's route is left alone
        h ip route add 10.96.0.0/12 dev lo
        exits 71 mk tunnel
        grep -q IF_ROUTE_CONFLICT <<<"$output"
        h ip route del 10.96.0.0/12 dev lo
}

@test "kubectl, ip, logs, profile list" {
        [ "$(h "$BIN/minikube" kubectl -p "$P" -- get nodes -o name | wc -l)" -eq 2 ]
        [ "$(h "$BIN/minikube" -p "$P" kubectl -- get ns -o name more)" = namespace/more ]
        exits 1 h "$BIN/minikube" -p "$P" kubectl -- get pod nonesuch
        grep -q 'pods "nonesuch" not found' <<<"$output"
        exits 3 h "$BIN/minikube" -p "$P" kubectl -- exec deploy/web -- sh -c 'exit 3'
        exits 4 h "$BIN/minikube" -p "$P" kubectl exec deploy/web -- sh -c 'exit 4' # the dashes are kubectl's
        [ "$(echo typed | h "$BIN/minikube" -p "$P" kubectl -- exec -i deploy/web -- cat)" = typed ]
        h script -qec "$BIN/minikube -p $P kubectl -- exec -it deploy/web -- sh -c 'test -t 0 && echo a-terminal'" /dev/null </dev/null >"$MK/terminal"
        grep -aq a-terminal "$MK/terminal"
        [ "$(h "$BIN/minikube" kubectl -p "$P" -- config current-context)" = "$P" ]
        KUBECONFIG=$MK/others h "$BIN/minikube" -p "$P" kubectl -- get --raw /readyz
        [ "$(mk ip)" = 192.168.49.2 ]
        [ "$(mk ip -n m02)" = 192.168.49.3 ]
        exits 85 mk ip -n m03
        mk logs --length 1 >"$MK/logs"
        local name
        for name in etcd kube-apiserver kube-scheduler "kubelet-$P-m02" "cluster-dns-$P"; do grep -qx "==> $name <==" "$MK/logs"; done
        [ "$(sed -n '/==> kube-apiserver <==/,/==>/p' "$MK/logs" | grep -vc '==>')" -le 1 ]
        h "$BIN/minikube" profile list | grep -Eq "^\| $P +\| none +\| coxswain +\| 192.168.49.2 +\| 8443 +\| v[0-9.]+[^ ]* +\| OK +\| 2 +\| +\| \* +\|$"
        [ "$(h "$BIN/minikube" profile list -o json | jq -c '.valid[] | [.Name, .Status, .Nodes]')" = "[\"$P\",\"OK\",2]" ]
}

# --- more of the command line ---

@test "help: each command has its page, subcommands too; minikube help; options" {
        local words
        h "$BIN/minikube" | grep -qx 'Configuration and Management Commands:'
        diff <(h "$BIN/minikube") <(h "$BIN/minikube" help)
        while read -r words; do
                exits 0 h "$BIN/minikube" $words --help
                grep -qE "^  minikube $words( .*)? \[flags\] \[options\]$" <<<"$output"
                [ "$output" = "$(h "$BIN/minikube" help $words)" ]
        done <<<$'start\nnode add\nimage build\nservice list\nprofile\nkubectl\nlogs'
        h "$BIN/minikube" start --help | grep -qF -- '--nodes=1:'
        ! h "$BIN/minikube" status --help | grep -F -- --nodes || false
        h "$BIN/minikube" options | grep -qF -- "-p, --profile='minikube':"
        exits 14 h "$BIN/minikube" help nonsense
}

@test "completion offers commands, subcommands, flags and profiles" {
        [ "$(h "$BIN/minikube" __complete node st | cut -f1)" = $'start\nstop' ]
        [ "$(h "$BIN/minikube" __complete start --no | cut -f1)" = --nodes ]
        [ "$(h "$BIN/minikube" __complete status -p "${P%?}" | cut -f1)" = "$P" ]
        h "$BIN/minikube" completion bash >"$MK/completion"
        [ "$(bash -c '. "$1"; COMP_WORDS=("$2" node de) COMP_CWORD=2; __minikube_complete; echo "${COMPREPLY[*]}"' _ "$MK/completion" "$BIN/minikube")" = delete ]
        h "$BIN/minikube" completion zsh | grep -q '^compdef _minikube minikube$'
        h "$BIN/minikube" completion fish | grep -q '^complete -c minikube'
}

@test "config and profile: what is set counts until the command line says otherwise" {
        h "$BIN/minikube" config set wait-timeout nonsense && false
        h "$BIN/minikube" config set wait-timeout 90s
        h "$BIN/minikube" config set nodes 2
        [ "$(h "$BIN/minikube" config view)" = $'- nodes: 2\n- wait-timeout: 90s' ]
        [ "$(h "$BIN/minikube" config get nodes)" = 2 ]
        h "$BIN/minikube" config unset nodes
        h "$BIN/minikube" config unset wait-timeout
        [ ! -e "$MINIKUBE_HOME/.minikube/config" ]
        exits 85 h "$BIN/minikube" profile nonesuch
        kc config use-context theirs
        exits 0 h "$BIN/minikube" profile "$P"
        [ "$(kc config current-context)" = "$P" ]
        [ "$(h "$BIN/minikube" profile)" = "$P" ]
        [ "$(h "$BIN/minikube" ip)" = 192.168.49.2 ] # without -p
        [ "$(h "$BIN/minikube" -p other profile)" = other ]
        h "$BIN/minikube" profile list | grep -Eq "^\| $P .*\| \* +\| \* +\|$"
        h "$BIN/minikube" profile default
        [ "$(h "$BIN/minikube" profile)" = minikube ]
}

@test "update-context: the context that was lost is there again" {
        kc config delete-context "$P"
        exits 4 mk status
        grep -qF "minikube update-context -p $P" <<<"$output"
        mk update-context
        mk status
        [ "$(kc config current-context)" = "$P" ]
}

@test "flags from habit are taken, and a line says what comes of them; another version is refused" {
        exits 0 mk start --driver=docker --memory 4g --force
        grep -qF '* --driver=docker decides nothing here: nodes are network namespaces' <<<"$output"
        grep -qF '* --memory=4g decides nothing here' <<<"$output"
        grep -qF '* --force=true decides nothing here' <<<"$output"
        mk start --kubernetes-version v1.35.9
        exits 106 mk start --kubernetes-version v1.34.0
        grep -qF 'K8S_OLD_UNSUPPORTED: Specified Kubernetes version 1.34.0 is less than the oldest supported version: v1.35' <<<"$output"
        exits 106 mk start --kubernetes-version v1.99.0
        nodes_are 2
}

@test "node: a third one comes, stops, starts and goes, and the others' processes go on" {
        local before=$(pids)
        exits 0 mk node add
        grep -qF "* Successfully added $P-m03 to $P!" <<<"$output"
        nodes_are 3
        [ "$(mk node list)" = "$(printf '%s\t192.168.49.%d\n' "$P" 2 "$P-m02" 3 "$P-m03" 4)" ]
        kc run third --image=hello:v1 --overrides="{\"spec\":{\"nodeName\":\"$P-m03\"}}" --image-pull-policy=Never
        exits 0 mk node stop m03
        [ ! -e "/run/netns/$P-m03" ]
        ! pgrep -f -- "$FOLDER/nodes/$P-m03" || false
        exits 7 mk status
        exits 83 h "$BIN/minikube" ssh -p "$P" -n m03 -- true
        exits 0 mk node start "$P-m03"
        mk status
        nodes_are 3
        exits 14 mk node stop "$P"
        exits 14 mk node delete "$P"
        exits 85 mk node delete m04
        exits 0 mk node delete m03
        ! kc get node "$P-m03" || false
        ! pgrep -f -- "$FOLDER/nodes/$P-m03" || false
        [ ! -e "$FOLDER/nodes/$P-m03" ]
        ! ls "$FOLDER"/certs/*m03* || false
        [ -z "$(find /sys/fs/cgroup -type d -path "*/coxswain/$P/$P-m03*")" ]
        ! h ip netns | grep -F m03 || false
        nodes_are 2
        mk status
        for name in etcd kube-apiserver "kubelet-$P" "kube-proxy-$P-m02"; do grep -qx "$(pid_of $name)" <<<"$before"; done
}

@test "pause: nothing of the cluster runs until unpause, and pods have not noticed" {
        local url=$(mk service web --url) before=$(kc get pods -l app=web -o 'jsonpath={.items[*].status.containerStatuses[0].containerID}')
        exits 0 mk pause
        exits 2 mk status
        grep -qx 'apiserver: Paused' <<<"$output"
        h "$BIN/minikube" profile list | grep -q "^| $P .*Paused"
        ! h curl -s --max-time 1 "$url" || false
        local pid
        for pid in $(pids); do [[ $(sed 's/.*) //' "/proc/$pid/stat") == T* ]] || [ "$pid" = "$(pid_of supervisor)" ]; done
        exits 83 mk service web
        grep -qF "minikube unpause -p $P" <<<"$output"
        exits 0 mk unpause
        mk status
        wait_for answers "$url"
        [ "$(kc get pods -l app=web -o 'jsonpath={.items[*].status.containerStatuses[0].containerID}')" = "$before" ]
        mk pause
        mk start # goes on, too
        mk status
}

@test "ssh and cp: the node's network and name; input and exit status pass" {
        [ "$(h "$BIN/minikube" ssh -p "$P" -n m02 -- hostname)" = "$P-m02" ]
        [ "$(h "$BIN/minikube" ssh -p "$P" -n m02 "ip -4 -o addr show eth0 | grep -o '192[0-9.]*' | head -1")" = 192.168.49.3 ]
        [ "$(echo typed | h "$BIN/minikube" ssh -p "$P" -- cat)" = typed ]
        exits 5 h "$BIN/minikube" ssh -p "$P" -- exit 5
        exits 85 mk ssh -n m09
        echo content >"$MK/source"
        chmod 640 "$MK/source"
        mk cp "$MK/source" "$P-m02:$MK/copies/target"
        cmp "$MK/source" "$MK/copies/target"
        [ "$(stat -c %a "$MK/copies/target")" = 640 ]
        mk cp "m02:$MK/copies/target" "$MK/back"
        cmp "$MK/source" "$MK/back"
        exits 14 mk cp "$MK/source" relative
        exits 14 mk cp "$MK/source" "$P:$MK/source"
        grep -qF 'are the same file' <<<"$output"
        exits 14 mk cp "$MK" "$P:$MK/copies/folder"
        exits 85 mk cp "$MK/source" "nonesuch:$MK/x"
}

@test "mount: a folder is at the other path as long as it runs; what is there is not hidden" {
        mkdir "$MK/shared"
        echo shared >"$MK/shared/file"
        background "$MK/mount.log" "$BIN/minikube" mount "$MK/shared:$MK/seen" -p "$P"
        local pid=$!
        wait_for h test -e "$MK/seen/file"
        grep -qF "Mounted $MK/shared at $MK/seen" "$MK/mount.log"
        kill -INT $pid
        wait $pid
        [ ! -e "$MK/seen" ]
        exits 14 mk mount "$MK/shared:/etc"
        grep -qF '/etc is there already, and would be hidden' <<<"$output"
        exits 14 mk mount "$MK/nonesuch:$MK/seen"
        exits 14 mk mount "$MK/shared:seen"
        # one that was killed goes with the cluster
        background "$MK/mount.log" "$BIN/minikube" mount "$MK/shared:$MK/seen" -p "$P"
        pid=$!
        wait_for h test -e "$MK/seen/file"
        kill -9 $pid
        wait $pid || :
        h test -e "$MK/seen/file"
        mk stop
        [ ! -e "$MK/seen" ]
        [ -e "$MK/shared/file" ]
        mk start
}

@test "logs: of a node, into a file, problems, and what comes" {
        [ "$(mk logs -n m02 --length 1 | grep -c '^==> .*-m02 <==$')" -ge 4 ]
        ! mk logs -n m02 --length 1 | grep -q '^==> etcd' || false
        mk logs --file "$MK/logs-file"
        grep -qx '==> etcd <==' "$MK/logs-file"
        echo 'E0101 00:00:00.000000 1 test.c:1] "A problem that a test has made"' >>"$FOLDER/logs/etcd.log"
        mk logs --problems | grep -q 'A problem that a test has made'
        ! mk logs --problems | grep -E '^I[0-9]{4} ' || false
        background "$MK/follow" "$BIN/minikube" logs -f -p "$P"
        local pid=$!
        wait_for grep -q 'A problem that a test has made' "$MK/follow"
        echo 'I0101 00:00:00.000000 1 test.c:1] "What comes"' >>"$FOLDER/logs/etcd.log"
        wait_for grep -q 'What comes' "$MK/follow"
        kill $pid
        wait $pid || :
        exits 14 mk logs --follow --problems
}

@test "image tag, rm, save and load; build from a Dockerfile on an image that the nodes have" {
        mk image tag hello:v1 mine/hello:v9
        mk image ls | grep -qx docker.io/mine/hello:v9
        mk image rm mine/hello:v9
        ! mk image ls | grep -x docker.io/mine/hello:v9 || false
        mk image ls | grep -qx docker.io/library/hello:v1
        exits 80 mk image rm nonesuch:v1
        grep -qF 'GUEST_IMAGE_REMOVE: there is no image docker.io/library/nonesuch:v1' <<<"$output"
        exits 80 mk image tag nonesuch:v1 x
        exits 80 mk image save nonesuch:v1 "$MK/none.tar"
        exits 80 mk image pull 127.0.0.1:1/x
        mk image save busybox:1.35 "$MK/saved.tar"
        mk image save busybox:1.35 - | cmp - "$MK/saved.tar"
        mk image rm busybox:1.35
        mk image load "$MK/saved.tar"
        mk image ls | grep -qx docker.io/library/busybox:1.35
        mkdir "$MK/context"
        echo inside >"$MK/context/file"
        printf 'FROM busybox:1.35\nARG WORD=none\nCOPY file /file\nRUN echo "made $WORD" >/made\nCMD ["cat", "/file", "/made"]\n' >"$MK/context/Dockerfile"
        mk image build -t built:v1 --build-arg WORD=here "$MK/context"
        mk image ls | grep -qx docker.io/library/built:v1
        kc run built --image=built:v1 --restart=Never --image-pull-policy=Never
        kc wait --for=jsonpath='{.status.phase}'=Succeeded pod/built --timeout=60s
        [ "$(kc logs built)" = $'inside\nmade here' ]
        kc delete pod built third --ignore-not-found
        exits 14 mk image build "$MK/context"
        exits 14 mk image build -t x "$MK/shared"
        printf 'FROM busybox:1.35\nRUN false\n' >"$MK/context/Dockerfile"
        exits 80 mk image build -t wrong "$MK/context"
        [ -z "$(ls -d "$FOLDER"/run/build-* "$FOLDER"/nodes/*/images/import/* 2>/dev/null)" ]
}

@test "image push and pull: to a registry and back" {
        local at=192.168.49.1:5000 pid
        printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\n' "$MK/registry" "$at" >"$MK/registry.yml"
        printf 'mirrors:\n  "%s": {endpoint: ["http://%s"]}\n' "$at" "$at" >"$MK/pull.yaml"
        background "$MK/registry.log" docker-registry serve "$MK/registry.yml"
        pid=$!
        mk start --registry-config "$MK/pull.yaml"
        wait_for h curl -sf "http://$at/v2/"
        mk image tag hello:v1 "$at/hello:v1"
        mk image push "$at/hello:v1"
        mk image rm "$at/hello:v1"
        ! mk image ls | grep -F "$at" || false
        mk image pull "$at/hello:v1"
        mk image ls | grep -qx "$at/hello:v1"
        [ "$(ls "$FOLDER"/nodes/*/images/images | grep -c json)" -ge 4 ]
        exits 80 mk image push "$at/nonesuch:v1"
        printf 'FROM %s/hello:v1\nENV BUILT=yes\n' "$at" >"$MK/context/Dockerfile"
        mk image build -t "$at/pushed:v1" --push "$MK/context"
        h curl -sf "http://$at/v2/pushed/tags/list" | grep -q '"v1"'
        mk image rm "$at/hello:v1" "$at/pushed:v1"
        kill $pid
        wait $pid || :
        exits 80 mk image pull "$at/hello:v1"
}

@test "addon registry: what is pushed to it every node pulls, by the name that it has in minikube" {
        local program
        program=$(readlink -f "$(command -v docker-registry)")
        h mount --bind /dev/null "$program"
        exits 65 mk addons enable registry
        h umount "$program"
        grep -qF "docker-registry is missing: apt-get install docker-registry" <<<"$output"
        exits 0 mk addons enable registry
        [ "$output" = "* The 'registry' addon is enabled" ]
        mk image tag hello:v1 localhost:5000/team/hello:v1
        mk image push localhost:5000/team/hello:v1
        mk image rm localhost:5000/team/hello:v1
        kc create deployment pulled --image=localhost:5000/team/hello:v1 --replicas=2
        kc patch deployment pulled --type=merge -p '{"spec":{"template":{"spec":{"topologySpreadConstraints":[{"maxSkew":1,
                "topologyKey":"kubernetes.io/hostname","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"pulled"}}}]}}}}'
        kc rollout status deployment/pulled --timeout=60s
        # What a user's own tool pushes to the node's address is the same.
        h skopeo --insecure-policy copy -q --dest-tls-verify=false "docker-archive:$MK/hello-v2.tar:hello:v2" docker://192.168.49.2:5000/team/hello:v2
        kc set image deployment/pulled hello=localhost:5000/team/hello:v2
        kc rollout status deployment/pulled --timeout=60s
        [ "$(kc exec deployment/pulled -- wget -qO- http://registry.kube-system.svc.cluster.local/v2/_catalog)" = '{"repositories":["team/hello"]}' ]
        kc delete deployment pulled
        mk start # which keeps it
        mk image pull 192.168.49.2:5000/team/hello:v2
        mk image rm 192.168.49.2:5000/team/hello:v2
        exits 0 mk addons disable registry
        ! kc -n kube-system get service registry || false
        exits 80 mk image pull localhost:5000/team/hello:v1
}

@test "addon loadbalancer: without it Services wait for an address; with it again they have one that answers" {
        local before
        before=$(kc get service web -o 'jsonpath={.status.loadBalancer.ingress[0].ip}')
        wait_for answers "http://$before"
        exits 0 mk addons disable loadbalancer
        address() { kc get service web -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'; }
        pending() { [ -z "$(address)" ]; }
        wait_for pending
        [ -z "$(ls "$FOLDER/run" | grep announcer)" ] || ! kill -0 "$(pid_of "loadbalancer-announcer-$P")"
        kc create service loadbalancer short --tcp=80
        kc delete service short --timeout=20s # nothing holds it up
        exits 0 mk addons enable loadbalancer
        given() { [ -n "$(address)" ]; }
        wait_for given
        wait_for answers "http://$(address)"
        mk addons list -o json | jq -e '.loadbalancer.Status == "enabled"'
}

# --- what goes wrong ---

web_uid() { kc get service web -o 'jsonpath={.metadata.uid}'; }
why() {
        kc get nodes,pods,endpointslices -A -o wide
        kc get events | tail -n 20
        tail -qn 15 "$FOLDER"/logs/kubelet-*.log
        return 1
}
restored() { # the same objects, and the web server answers
        nodes_are 2
        [ "$(web_uid)" = "$1" ]
        wait_for answers "$(mk service web --url)" || why
        kc rollout status deployment/web --timeout=60s
        mk status
}

@test "addons: those that are on are listed, work, and stay as they were left" {
        exits 0 mk addons list
        grep -qE "^\| default-storageclass +\| $P +\| enabled +\| Coxswain +\|$" <<<"$output"
        [ "$(mk addons list -o json | jq -c 'map_values(.Status) | [."default-storageclass", ."storage-provisioner"]')" = '["enabled","enabled"]' ]
        [ "$(kc get sc -o 'jsonpath={.items[*].metadata.name} {.items[0].metadata.annotations.storageclass\.kubernetes\.io/is-default-class}')" = "standard true" ]
        claimed() { # NAME: a pod with a claim
                kc apply -f - <<-END
			apiVersion: v1
			kind: PersistentVolumeClaim
			metadata: {name: $1}
			spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
			---
			apiVersion: v1
			kind: Pod
			metadata: {name: $1}
			spec:
			  containers: [{name: c, image: "hello:v1", imagePullPolicy: IfNotPresent, volumeMounts: [{name: v, mountPath: /v}]}]
			  volumes: [{name: v, persistentVolumeClaim: {claimName: $1}}]
		END
        }
        claimed kept
        kc wait --for=condition=Ready pod/kept --timeout=60s
        exits 0 mk addons disable storage-provisioner
        [ "$output" = "* \"The 'storage-provisioner' addon is disabled" ]
        [ -z "$(ls "$FOLDER/run" | grep storage-provisioner)" ] || ! kill -0 "$(pid_of "storage-provisioner-$P")"
        claimed later
        mk start
        [ "$(mk addons list -o json | jq -r '."storage-provisioner".Status')" = disabled ]
        [ "$(kc get pvc later -o 'jsonpath={.status.phase}')" = Pending ]
        exits 0 mk addons enable storage-provisioner
        [ "$output" = "* The 'storage-provisioner' addon is enabled" ]
        kc wait --for=condition=Ready pod/later --timeout=60s
        exits 0 mk addons disable default-storageclass
        ! kc get sc standard
        exits 0 mk addons enable default-storageclass
        kc get sc standard
        kc delete pod kept later
        kc delete pvc kept later
        freed() { [ -z "$(ls "$FOLDER"/volumes/*/ | grep pvc-)" ]; }
        wait_for freed
}

@test "start after kill -9 of supervisor, etcd and a kubelet: pods have not noticed" {
        local uid=$(web_uid) before=$(kc get pods -l app=web -o 'jsonpath={.items[*].status.containerStatuses[0].containerID}')
        kill_hard "$(pid_of supervisor)" "$(pid_of etcd)" "$(pid_of "kubelet-$P")"
        exits 2 mk status
        mk start
        restored "$uid"
        [ "$(kc get pods -l app=web -o 'jsonpath={.items[*].status.containerStatuses[0].containerID}')" = "$before" ]
}

@test "a service that is not recorded, since its supervisor was killed before it could, is not started twice" {
        kill_hard "$(pid_of supervisor)"
        local etcd=$(pid_of etcd) kubelet=$(pid_of "kubelet-$P-m02")
        rm "$FOLDER/run/etcd.pid" "$FOLDER/run/kubelet-$P-m02.pid"
        mk start
        [ "$(pid_of etcd)" = "$etcd" ]
        [ "$(pid_of "kubelet-$P-m02")" = "$kubelet" ]
        ! pgrep -f -- "supervise -p $P /" | grep -vx "$(pid_of supervisor)" || false
}

@test "a process that another user gave the command line of a service is not taken for it" {
        local etcd=$(pid_of etcd) line
        mapfile -d '' -t line <"/proc/$etcd/cmdline"
        kill_hard "$(pid_of supervisor)" "$etcd"
        rm "$FOLDER/run/etcd.pid"
        background /dev/null setpriv --reuid=65534 --clear-groups sh -c 'while :; do sleep 1; done' "/run/netns/$P" "${line[@]}"
        local poser=$!
        wait_for grep -qaF -- "--data-dir=$FOLDER/etcd" "/proc/$poser/cmdline"
        mk start
        mk status
        [ "$(pid_of etcd)" != "$poser" ]
        kill "$poser"
}

@test "start after kill -9 of everything, and after somebody's deletion of the bridge" {
        local uid=$(web_uid)
        kill_hard $(inhabitants)
        exits 2 mk status
        mk start
        restored "$uid"
        h ip link delete mk-0
        mk start
        restored "$uid"
}

diary_says() { [ "$(kc exec diary -- cat /v/page)" = "$1" ]; }
@test "a reboot of the machine: start brings back pods, volumes and addresses" {
        local uid=$(web_uid) url=$(mk service web --url) pid
        kc apply -f - <<-END
		apiVersion: v1
		kind: PersistentVolumeClaim
		metadata: {name: diary}
		spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: diary}
		spec:
		  containers: [{name: c, image: "busybox:1.35", imagePullPolicy: Never, command: [sleep, "100000"], volumeMounts: [{name: v, mountPath: /v}]}]
		  volumes: [{name: v, persistentVolumeClaim: {claimName: diary}}]
	END
        kc wait --for=condition=Ready pod/diary --timeout=60s
        kc exec diary -- sh -c 'echo "before the reboot" >/v/page && sync'
        kill_hard $(inhabitants) $(grep -lsE "/coxswain/$P/" /proc/[0-9]*/cgroup | grep -oE '[0-9]+')
        for mount in $(h awk '{print $5}' /proc/self/mountinfo | grep -F "$MK" | sort -r); do h umount -l "$mount"; done
        for namespace in $(h ip netns | cut -d' ' -f1); do h ip netns delete "$namespace"; done
        h ip link delete mk-0
        h iptables -F && h iptables -t nat -F && h iptables -t nat -X
        h find /run -mindepth 1 ! -path '/run/mount*' ! -path /run/netns -delete
        h sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
        find /sys/fs/cgroup -depth -type d -path "*/coxswain/$P*" -exec rmdir {} + 2>/dev/null
        exits 7 mk status
        h "$BIN/minikube" profile list | grep -q "^| $P .*Stopped"
        exits 0 mk start
        restored "$uid"
        [ "$(mk service web --url)" = "$url" ]
        wait_for diary_says "before the reboot" # its status was Ready all the time
        kc delete pod diary
        kc delete pvc diary
}

@test "stop leaves files only; start brings the same objects back" {
        local uid=$(web_uid)
        exits 0 mk stop
        grep -qF "* kubectl's current context was \"$P\"; now there is none." <<<"$output"
        grep -qF "* 2 nodes stopped." <<<"$output"
        [ -z "$(inhabitants)" ]
        snapshot | grep -vF "$MINIKUBE_HOME/.minikube" >"$MK/after"
        diff "$MK/before" "$MK/after"
        ! h grep -F "$MK" /proc/self/mountinfo || false # the kubelets' memory too
        exits 7 mk status
        [ "$(mk status -o json | jq -c '.[] | [.Host, .APIServer, .Kubeconfig]' | sort -u)" = '["Stopped","Stopped","Stopped"]' ]
        no_context
        exits 83 mk service web
        grep -qF 'host is not running: state=Stopped' <<<"$output"
        exits 83 mk image load "$MK/busybox.tar"
        exits 83 mk tunnel
        h "$BIN/minikube" profile list | grep -q "^| $P .*Stopped"
        mk stop
        mk start
        restored "$uid"
        [ "$(kc config current-context)" = "$P" ]
}

@test "two clusters side by side do not disturb each other" {
        local url=$(mk service web --url) other=$P-b
        exits 0 h "$BIN/minikube" start -p $other
        [ "$(h "$BIN/minikube" ip -p $other)" = 192.168.58.2 ]
        answers "$url"
        [ "$(kc config get-contexts -o name | sort)" = "$(printf '%s\n' "$P" "$other" second theirs | sort)" ]
        [ "$(kc --context "$other" get nodes -o name)" = "node/$other" ]
        [ "$(kc --context "$P" get nodes -o name | wc -l)" -eq 2 ]
        # the first one's tunnel is not taken away
        background "$MK/tunnel.log" "$BIN/minikube" tunnel -p "$P"
        local pid=$!
        wait_for grep -q 'Tunnel successfully started' "$MK/tunnel.log"
        exits 71 h "$BIN/minikube" tunnel -p $other
        kill -INT $pid
        wait $pid
        # a profile that would have the name of the other's node
        exits 81 h "$BIN/minikube" start -p "$P-m02"
        # the same name from another home
        MINIKUBE_HOME=$MK KUBECONFIG=$MK/other-config exits 81 h "$BIN/minikube" start -p "$P"
        grep -qF "a cluster \"$P\" runs already, from $FOLDER" <<<"$output"
        MINIKUBE_HOME=$MK KUBECONFIG=$MK/other-config h "$BIN/minikube" delete -p "$P"
        answers "$url"
        local rules=$(h iptables-save | grep -c "coxswain $P\"")
        exits 0 h "$BIN/minikube" delete -p $other
        grep -qF "* Removed all traces of the \"$other\" cluster." <<<"$output"
        answers "$url"
        forwards 1
        [ "$(h iptables-save | grep -c "coxswain $P\"")" -eq "$rules" ]
        ! h iptables-save | grep "$other" || false
        no_context
        kc config use-context "$P"
        mk status
}

@test "delete after kill -9 of everything that could clean up leaves nothing, and others' parts of the kubeconfig" {
        kill_hard "$(pid_of supervisor)"
        kill_hard "$(pid_of "kubelet-$P")" "$(pid_of "kubelet-$P-m02")" "$(pid_of kube-apiserver)" $(pgrep -f -- "conmon.*$FOLDER/")
        background /dev/null tail -f "$FOLDER/logs/etcd.log"
        local reader=$!
        exits 0 mk delete
        kill $reader # somebody's look at a log is not ours to end
        wait $reader || :
        diff <(without_ours "$KUBECONFIG") <(without_ours "$MK/others" | sed 's/"current-context": "theirs"/"current-context": ""/')
        clean
        rm "$KUBECONFIG"
}

# --- half-way ---

@test "two starts at once: one works, the other waits and says so" {
        background "$MK/one" "$BIN/minikube" start -p "$P"
        local one=$! r=0
        wait_for h test -e "/run/coxswain/$P.lock"
        exits 0 mk start
        grep -qF "* Another minikube works on \"$P\": waiting for it" <<<"$output"
        wait $one
        [ "$(pgrep -fc -- "supervise -p $P /")" -eq 1 ]
        nodes_are 1
        mk delete
        clean
}

@test "two starts at once from two homes: each has a network of its own" {
        mkdir -p "$MK/home2"
        MINIKUBE_HOME=$MK/home2 KUBECONFIG=$MK/home2/config background "$MK/one" "$BIN/minikube" start -p "$P-b"
        local one=$!
        exits 0 mk start
        wait $one || { cat "$MK/one"; false; }
        [ "$(h "$BIN/minikube" ip -p "$P")" != "$(MINIKUBE_HOME=$MK/home2 h "$BIN/minikube" ip -p "$P-b")" ]
        MINIKUBE_HOME=$MK/home2 KUBECONFIG=$MK/home2/config h "$BIN/minikube" delete -p "$P-b"
        mk delete
        clean
        rm -r "$MK/home2"
}

# cut_off SIGNAL PATH: a start that gets a signal as soon as there is something
cut_off() {
        background "$MK/one" "$BIN/minikube" start -p "$P"
        local pid=$!
        wait_for h test -e "$2"
        kill -"$1" $pid 2>/dev/null || :
        wait $pid || :
}

@test "a start that was cut off: the next one completes it, and delete removes it" {
        local signal
        for signal in INT KILL; do
                cut_off $signal "/run/coxswain/$P.cluster"
                mk delete
                clean
                cut_off $signal "$FOLDER/run/supervisor.lock"
                mk delete
                clean
                cut_off $signal "/run/netns/$P"
                exits 0 mk start
                nodes_are 1
                cut_off $signal "$FOLDER/run/supervisor.pid"
                if [ $signal = INT ] && grep -q Interrupted "$MK/one"; then # it may have been done already
                        grep -qxF -- "- To complete it, run: \"minikube start -p $P\"" "$MK/one"
                        $(sed -n 's/.*To complete it, run: "minikube \(.*\)"/mk \1/p' "$MK/one" | sed "s/ -p $P//")
                fi
                mk start
                mk status
                [[ $(h "$BIN/minikube" profile list) == *"| OK "* ]]
                mk delete
                clean
        done
}

@test "a cluster whose folder or configuration is gone can be deleted" {
        mk start
        rm -r "$FOLDER"
        mk delete
        [ ! -e "$MINIKUBE_HOME/.minikube" ]
        rm -f "$KUBECONFIG"
        clean
        mk start
        echo '{"nodes": ' >"$FOLDER/config.json"
        exits 80 mk start
        grep -qF "minikube delete -p $P" <<<"$output"
        exits 14 h "$BIN/minikube" profile list
        grep -qF 'Found 1 invalid profile(s)' <<<"$output"
        [ "$(h "$BIN/minikube" profile list -o json | jq -c .)" = "{\"invalid\":[{\"Name\":\"$P\"}],\"valid\":[]}" ]
        h "$BIN/minikube" config set nodes 2
        h "$BIN/minikube" delete --all
        [ -e "$MINIKUBE_HOME/.minikube/config" ]
        exits 0 h "$BIN/minikube" delete --all --purge
        grep -qF "Successfully purged minikube directory located at - [$MINIKUBE_HOME/.minikube]" <<<"$output"
        [ ! -e "$MINIKUBE_HOME/.minikube" ]
        clean
}

@test "the next start cleans up after a home that somebody removed" {
        mk start
        rm -r "$MINIKUBE_HOME/.minikube" "$KUBECONFIG"
        h "$BIN/minikube" start -p "$P-c"
        [ "$(stat -c %a "$KUBECONFIG")" = 600 ]
        ! pgrep -f -- "$FOLDER/" || false
        h "$BIN/minikube" delete -p "$P-c"
        clean
}
