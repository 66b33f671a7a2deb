#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real machines, the long form: three masters and two workers, installed from our packages. Masters die, workers are cut off,
# packages are replaced, and all is lost and restored. Prints TAP and figures.
. "$(dirname "$0")/lib.bash"
TAP_LINES=60
# What machines have at first: the packages of the commit before (PREVIOUS), built from a clone of it.
packages_before() {
        local tree=$top/build/previous
        [ "$(git -C "$tree" rev-parse HEAD 2>/dev/null)" = "$(git -C "$top" rev-parse "${PREVIOUS:-HEAD~1}")" ] && [ -s "$tree/build/deb/version" ] && return
        rm -rf "$tree" && git clone -q --shared --no-checkout "$top" "$tree" && git -C "$tree" checkout -q "$(git -C "$top" rev-parse "${PREVIOUS:-HEAD~1}")" &&
                mkdir "$tree/build" && { [ ! -d "$top/build/curl" ] || cp -a "$top/build/curl" "$tree/build/"; } && make -s -C "$tree" -j"$(nproc)" all >/dev/null && "$tree/scripts/deb" >/dev/null
}
packages_before && "$top/scripts/deb" >/dev/null || { echo "not ok - packages"; exit 1; }
packages=$top/build/previous/build/deb
machines_begin five
trap 'touch "$work/stop"; cp "$work/figures" "$top/build/machines/five.figures" 2>/dev/null; machines_end' EXIT
: >"$work/figures"
upstream=$("$top/test/lib/upstream-clients") || { echo "not ok - upstream's kubectl"; exit 1; }
ours=$top/build/release/bin/kubectl
masters=(master-1 master-2 master-3) workers=(worker-1 worker-2)
masters_are() { for n; do echo "$(address_of "$n") cluster.test"; done >"$work/hosts"; } # NUMBER...
masters_are 11 12 13
declare -A number=([master-1]=11 [master-2]=12 [master-3]=13 [worker-1]=21 [worker-2]=22)
k() { "$ours" --kubeconfig "$work/admin.conf" --request-timeout 10s "$@"; } # knows all masters
u() { # knows the name that all masters share
        unshare -m sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$work/hosts" \
                "$upstream/kubectl" --kubeconfig "$work/admin.conf" --server https://cluster.test:6443 "$@"
}
ready() { equals "$(k get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" True; }
not_ready() { ! ready "$1"; }
words_of() { sed -n "/$1/,\$p" "$work/init.log" | sed -n '/^coxswain join/,/[^\\]$/p' | sed '/[^\\]$/q' | tr -d '\\\n'; } # PATTERN before it

# --- a cluster ---
t_masters() {
        local name start
        for name in "${masters[@]}" "${workers[@]}"; do machine_start "$name" "${number[$name]}"; done
        for name in "${masters[@]}"; do until_true 60 machine_runs "$name" && packages_install "$name" coxswain-client coxswain-node coxswain-control-plane || return 1; done
        for name in "${workers[@]}"; do until_true 60 machine_runs "$name" && packages_install "$name" coxswain-client coxswain-node || return 1; done
        on master-1 coxswain init --upload-certs --control-plane-endpoint cluster.test --load-balancer-pool "$prefix.64/28" >"$work/init.log" 2>&1 || { cat "$work/init.log"; return 1; }
        for name in master-2 master-3; do
                start=$EPOCHREALTIME
                on "$name" $(words_of 'control-plane nodes running') || return 1
                seconds_since "$start" >"$work/join.$name"
        done
        on master-1 coxswain refresh && cp "$work/master-1/root/etc/kubernetes/admin.conf" "$work/admin.conf" && grep -q coxswain/servers "$work/admin.conf"
}
ok "three masters" t_masters
figure "another master to Ready" "$(cat "$work/join.master-2") s, $(cat "$work/join.master-3") s" "none"
t_workers() {
        local name
        for name in "${workers[@]}"; do on "$name" $(words_of 'worker nodes by') && image_load "$name" || return 1; done
        equals "$(k get nodes --no-headers | grep -cw Ready)" 5 && grep -q "$(address_of 12)" "$work/worker-1/root/etc/kubernetes/kubelet.conf"
}
ok "two workers, which know all masters" t_workers
t_cis() {
        local name
        for name in "${masters[@]}" "${workers[@]}"; do cis_passes "$name" || { echo "$name"; return 1; }; done
}
ok "the CIS benchmark passes on all five, from the first start" t_cis
t_members() {
        equals "$(members | grep -c ', started, .*, false$')" 3 && ! curl -s --max-time 2 --cacert "$work/master-1/root/etc/kubernetes/pki/etcd/ca.crt" \
                --cert "$work/master-1/root/etc/kubernetes/pki/apiserver-kubelet-client.crt" --key "$work/master-1/root/etc/kubernetes/pki/apiserver-kubelet-client.key" \
                "https://$(address_of 11):2379/version"
}
members() {
        on "${1:-master-1}" sh -c 'ETCDCTL_API=3 etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/healthcheck-client.crt \
                --key /etc/kubernetes/pki/etcd/healthcheck-client.key member list'
}
ok "etcd has three members, under an authority of its own" t_members

# --- 1: the tutorial ---
t_hello() {
        u apply -f "$top/manifests/hello" && u rollout status deployment/hello --timeout=120s && until_true 60 balanced &&
                u scale deployment hello --replicas=4 && u rollout status deployment/hello --timeout=60s && u set env deployment/hello COLOR=blue &&
                u rollout status deployment/hello --timeout=60s && u rollout undo deployment/hello && u rollout status deployment/hello --timeout=60s &&
                equals "$(u get pods -l app=hello -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort -u | grep -c worker)" 2
}
balancer() { k get service hello -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'; }
greets() { curl -sf --max-time 2 "$1" | grep -q 'Hello from hello'; } # URL
balanced() { greets "http://$(balancer)/"; }
ok "1: the README's tutorial with upstream's kubectl, by the name of the masters" t_hello

# --- load: writes, one after the other; what was acknowledged, and when ---
write_start() { # NAME
        rm -f "$work/stop"
        (
                n=0
                while [ ! -e "$work/stop" ]; do
                        n=$((n + 1))
                        k create configmap "$1-$n" --from-literal=n=$n -n load >/dev/null 2>>"$work/$1.failed" && echo "$1-$n $EPOCHREALTIME" >>"$work/$1.acknowledged"
                done
        ) &
        writer=$!
        until_true 30 test -s "$work/$1.acknowledged"
}
longest_gap() { awk 'NR > 1 && $2 - last > gap {gap = $2 - last} {last = $2} END {printf "%.1f", gap}' "$work/$1.acknowledged"; } # NAME
written_since() { awk -v since="$2" '$2 > since {n++} END {exit n < 5}' "$work/$1.acknowledged"; } # NAME TIME: a few
write_stop() { # NAME: nothing that was acknowledged is missing
        until_true 60 written_since "$1" "$EPOCHREALTIME" || return 1
        touch "$work/stop"
        wait "$writer"
        k get configmaps -n load -o name | sed 's#.*/##' | sort >"$work/there"
        cut -d' ' -f1 "$work/$1.acknowledged" | sort | comm -23 - "$work/there" >"$work/lost"
        echo "$(wc -l <"$work/$1.acknowledged") written, lost:"
        cat "$work/lost"
        [ ! -s "$work/lost" ]
}
restarts() { k get pods -A -o 'jsonpath={range .items[*]}{.metadata.uid}{.status.containerStatuses[*].restartCount}{"\n"}{end}' | sort; }
within() { awk "BEGIN {exit !($1 <= $2)}" || { echo "$1, not within $2"; return 1; }; }

four_pods() { equals "$(k get pods -A --no-headers | grep -c .)" 4; }
t_processes() {
        local unit before
        k create namespace load && until_true 60 four_pods && before=$(restarts) && write_start processes || return 1
        for unit in kube-apiserver coxswain-etcd kube-controller-manager cloud-controller-manager kube-scheduler kubelet kube-proxy cluster-dns; do
                on master-1 sh -c "kill -9 \$(systemctl show -P MainPID $unit)" && until_true 60 written_since processes "$EPOCHREALTIME" &&
                        until_true 60 on master-1 systemctl is-active --quiet "$unit" || return 1
        done
        write_stop processes && equals "$(restarts)" "$before"
}
ok "2: kill -9 of each process of a master: nothing acknowledged is lost, no pod restarts" t_processes
figure "longest time without a write, processes killed" "$(longest_gap processes) s" "10 s"

t_machine() {
        local before
        before=$(restarts)
        write_start machine || return 1
        machine_kill master-1
        until_true 60 u get namespace load && until_true 60 written_since machine "$EPOCHREALTIME" && write_stop machine && equals "$(restarts)" "$before" || return 1
        machine_start master-1 11
        until_true 120 ready_again master-1
}
ready_again() { machine_runs "$1" && on "$1" kubectl --kubeconfig /etc/kubernetes/super-admin.conf get --raw /readyz && ready "$1"; }
ok "2: a master loses its power: its name answers, nothing acknowledged is lost, no pod restarts" t_machine
figure "longest time without a write, a master without power" "$(longest_gap machine) s" "10 s"

t_cut() {
        local before
        before=$(restarts)
        write_start cut || return 1
        cut_off master-1
        until_true 60 written_since cut "$EPOCHREALTIME" && write_stop cut && equals "$(restarts)" "$before"
        reconnect master-1
        until_true 120 ready_again master-1
}
ok "2: a master is cut off, both ways: nothing acknowledged is lost, no pod restarts" t_cut
figure "longest time without a write, a master cut off" "$(longest_gap cut) s" "10 s"

t_two() {
        local r=0 before address
        before=$(restarts) address=$(address_of 21):$(k get service hello -o 'jsonpath={.spec.ports[0].nodePort}')
        machine_kill master-1
        machine_kill master-2
        two_are_gone "$address" || r=1
        machine_start master-2 12
        until_true 120 k create configmap healed -n load && machine_start master-1 11 && until_true 120 ready_again master-1 && until_true 120 ready_again master-2 &&
                equals "$(restarts)" "$before" && return "$r"
}
two_are_gone() { # ADDRESS
        local said
        until_true 60 fails_to_write || return 1
        said=$(k create configmap none -n load 2>&1)
        echo "$said"
        grep -qE 'etcd' <<<"$said" && until_true 30 greets "http://$1/"
}
fails_to_write() { ! k create configmap "none-$RANDOM" -n load; }
ok "2: two masters die: what is left says so, pods run on, and one that is back heals it" t_two

# --- 3: workers ---
t_cut_worker() {
        local name
        k apply -f - <<'YAML' || return 1
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: once}
spec:
  serviceName: once
  replicas: 2
  selector: {matchLabels: {app: once}}
  template:
    metadata: {labels: {app: once}}
    spec: &spec
      terminationGracePeriodSeconds: 1
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: once}}}]
      containers: [{name: c, image: "hello:v1", imagePullPolicy: Never}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: moved}
spec:
  replicas: 2
  selector: {matchLabels: {app: moved}}
  template:
    metadata: {labels: {app: moved}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      containers: [{name: c, image: "hello:v1", imagePullPolicy: Never}]
YAML
        k rollout status statefulset/once --timeout=60s && k rollout status deployment/moved --timeout=60s || return 1
        cut_off worker-2
        until_true 120 not_ready worker-2 && until_true 120 all_moved || return 1
        name=$(k get pods -l app=once --field-selector spec.nodeName=worker-2 -o 'jsonpath={.items[0].metadata.name}')
        equals "$(k get pods -l app=once -o name | grep -c .)" 2 && equals "$(k get pod "$name" -o 'jsonpath={.spec.nodeName}')" worker-2 || return 1 # nobody knows whether it runs
        reconnect worker-2
        until_true 120 ready worker-2 && until_true 120 settled
}
all_moved() { equals "$(k get pods -l app=moved --field-selector spec.nodeName=worker-1 -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].ready}{"\n"}{end}' | grep -c true)" 2; }
settled() { # each pod that the cluster has runs, once, and no other
        equals "$(k get pods -l 'app in (once,moved)' --no-headers | grep -c '1/1 *Running')" 4 && equals "$(k get pods -l 'app in (once,moved)' --no-headers | grep -c .)" 4 &&
                equals "$(for name in "${workers[@]}"; do containers_on "$name"; done | sort)" "$(k get pods -l 'app in (once,moved,hello)' -o 'jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}' | sort)"
}
containers_on() { # uids of the pods that have processes there
        on "$1" find /sys/fs/cgroup/"$([ -d /sys/fs/cgroup/pids ] && echo pids/)"kubepods -name cgroup.procs -exec grep -l . {} + | sed -n 's#.*/pod\([0-9a-f-]*\)/.*#\1#p' | sort -u
}
ok "3: a worker is cut off: pods are replaced elsewhere, those of StatefulSets wait, and nothing runs twice afterwards" t_cut_worker

# --- 4: upgrade ---
load_start() {
        rm -f "$work/stop" "$work/requests" "$work/api.failed"
        (
                while [ ! -e "$work/stop" ]; do
                        if curl -sf --max-time 5 "http://$address/" >/dev/null; then echo ok; else echo "failed with $? at $EPOCHREALTIME"; fi >>"$work/requests"
                        if k get namespace load >/dev/null 2>>"$work/api.failed"; then echo ok; else echo "api failed $EPOCHREALTIME"; fi >>"$work/requests"
                done
        ) &
        loader=$!
}
load_stop() {
        touch "$work/stop"
        wait "$loader"
        echo "$(grep -c ok "$work/requests") requests, failed:"
        grep -v "going on at the next" "$work/api.failed"
        ! grep failed "$work/requests" && [ "$(grep -c ok "$work/requests")" -gt 50 ]
}
packages_put() { # FOLDER NAME: those that the machine has
        local package
        mkdir -p "$work/$2/root/root/next" && rm -f "$work/$2/root/root/next"/*
        for package in $(on "$2" dpkg-query -W -f '${Package}\n' 'coxswain-*'); do cp "$1/${package}_"*.deb "$work/$2/root/root/next/" || return 1; done
}
installed() { on "$1" dpkg-query -W -f '${Version}' coxswain-node; }
t_upgrade() {
        local name options
        address=$(balancer)
        load_start
        for name in "${masters[@]}" "${workers[@]}"; do
                packages_put "$top/build/deb" "$name" || return 1
                [[ $name == master* ]] && options='' || options="--kubeconfig /root/admin.conf"
                [ -z "$options" ] || put "$name" "$work/admin.conf" /root/admin.conf
                on "$name" coxswain upgrade $options /root/next && equals "$(installed "$name")" "$(cat "$top/build/deb/version")" && until_true 60 ready "$name" || return 1
        done
        load_stop && equals "$(k get nodes -o 'jsonpath={.items[*].spec.unschedulable}')" ""
}
ok "4: five machines are upgraded, and no request fails" t_upgrade
t_rollback() {
        local folder=$work/broken before before_version
        before_version=$(installed worker-1)
        before=$(containers_on worker-1 | sort)
        mkdir -p "$folder/root" && dpkg-deb -R "$top"/build/deb/coxswain-node_*.deb "$folder/root" && printf '#!/bin/sh\nexit 1\n' >"$folder/root/usr/bin/kubelet" &&
                sed -i 's/^Version: .*/&+broken/' "$folder/root/DEBIAN/control" && dpkg-deb -Znone -b "$folder/root" "$folder/coxswain-node_broken.deb" >/dev/null &&
                cp "$top"/build/deb/coxswain-client_*.deb "$folder/" && dpkg-deb -R "$folder"/coxswain-client_*.deb "$folder/client" &&
                sed -i 's/^Version: .*/&+broken/' "$folder/client/DEBIAN/control" && rm "$folder"/coxswain-client_*.deb && dpkg-deb -Znone -b "$folder/client" "$folder/coxswain-client_broken.deb" >/dev/null &&
                sed -i 's/coxswain-client (= \([^)]*\))/coxswain-client (= \1+broken)/' "$folder/root/DEBIAN/control" && dpkg-deb -Znone -b "$folder/root" "$folder/coxswain-node_broken.deb" >/dev/null || return 1
        packages_put "$folder" worker-1 && ! on worker-1 coxswain upgrade --skip-drain /root/next >"$work/rollback.log" 2>&1
        cat "$work/rollback.log"
        grep -q 'the upgrade failed, and this machine is at version .* again' "$work/rollback.log" && equals "$(installed worker-1)" "$before_version" && until_true 60 ready worker-1 &&
                equals "$(containers_on worker-1 | sort)" "$before"
}
ok "4: a broken package is rolled back, and pods run on" t_rollback

# --- 5: all is lost ---
packages=$top/build/deb
t_restore() {
        local name start
        k create secret generic kept --from-literal=word=seven && on master-2 coxswain backup --output /root/backup --key-file /root/key || return 1
        cp "$work/master-2/root/root/backup" "$work/master-2/root/root/key" "$work/" && k get services,secrets,deployments -A -o 'jsonpath={range .items[*]}{.kind}{.metadata.uid}{.data}{.spec.clusterIP}{"\n"}{end}' | sort >"$work/before" || return 1
        grep -q seven "$work/backup" && return 1
        for name in "${masters[@]}" "${workers[@]}"; do machine_forget "$name"; done
        masters_are 31 32 33
        for name in "${masters[@]}" "${workers[@]}"; do machine_start "$name" $((number[$name] + 20)); done
        for name in "${masters[@]}"; do until_true 60 machine_runs "$name" && packages_install "$name" coxswain-client coxswain-node coxswain-control-plane || return 1; done
        for name in "${workers[@]}"; do until_true 60 machine_runs "$name" && packages_install "$name" coxswain-client coxswain-node || return 1; done
        put master-1 "$work/backup" /root/backup && put master-1 "$work/key" /root/key || return 1
        start=$EPOCHREALTIME
        on master-1 coxswain restore /root/backup --key-file /root/key >"$work/init.log" 2>&1 || { cat "$work/init.log"; return 1; }
        seconds_since "$start" >"$work/restored"
        cp "$work/master-1/root/etc/kubernetes/admin.conf" "$work/admin.conf"
        k get services,secrets,deployments -A -o 'jsonpath={range .items[*]}{.kind}{.metadata.uid}{.data}{.spec.clusterIP}{"\n"}{end}' | sort >"$work/after"
        comm -23 "$work/before" "$work/after" | grep . && return 1
        for name in master-2 master-3; do on "$name" $(words_of restored) --control-plane --certificate-key "$(on master-1 coxswain certs upload)" || return 1; done
        for name in "${workers[@]}"; do on "$name" $(words_of restored) && image_load "$name" || return 1; done
        equals "$(k get secret kept -o 'jsonpath={.data.word}')" "$(printf seven | base64)" && until_true 120 balanced && k rollout status deployment/hello --timeout=120s &&
                equals "$(members | grep -c ', started, .*, false$')" 3 && equals "$(k get nodes --no-headers | grep -cw Ready)" 5
}
ok "5: all five are destroyed, and restored on new ones: same objects, services, Secrets" t_restore
figure "restore to master Ready" "$(cat "$work/restored") s" "none"
t_damaged() { # a backup that was changed, or another key, is refused before anything is done
        on master-2 sh -c 'coxswain backup --output /root/other --key-file /root/key && printf x | dd of=/root/other bs=1 seek=5000 conv=notrunc status=none' &&
                ! on master-2 coxswain backup --verify /root/other --key-file /root/key && on master-2 sh -c 'openssl rand -hex 32 >/root/key2' &&
                ! on master-2 coxswain backup --verify /root/other --key-file /root/key2
}
ok "5: a backup that was changed is refused" t_damaged
tap_end
