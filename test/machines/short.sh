#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real machines, the short form: a master and a worker with Debian and systemd are installed from our packages, made a cluster,
# and run the example; the worker is rebooted. The commands of docs/tutorials/several-machines.md and backup.md are typed as they
# stand there. Prints TAP and figures.
. "$(dirname "$0")/lib.bash"
TAP_LINES=60
machines_begin short
trap 'cp "$work"/figures "$top/build/machines/short.figures" 2>/dev/null; machines_end' EXIT
# Copies, as others may build packages meanwhile.
{ flock 8 && "$top/scripts/deb" >/dev/null && cp -r "$packages" "$work/packages"; } 8>"$top/build/deb.lock" || { echo "not ok - packages"; exit 1; }
packages=$work/packages
: >"$work/figures"
upstream=$("$top/test/lib/upstream-clients") || { echo "not ok - upstream's kubectl"; exit 1; }
k() { "$upstream/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
is() { equals "$(k get "$1" -o "jsonpath=$2")" "$3"; } # OBJECT PATH VALUE

machine_start master-1 11
machine_start worker-1 21

t_boot() { until_true 60 machine_runs master-1 && until_true 60 machine_runs worker-1; }
ok "machines boot" t_boot

t_check() {
        local said
        packages_install master-1 coxswain-client coxswain-node || return 1
        said=$(on master-1 coxswain check --control-plane 2>&1) && return 1
        echo "$said"
        grep -qF '[ERROR FileExisting-kube-apiserver]: kube-apiserver is not installed. Remedy: install the package coxswain-control-plane' <<<"$said" &&
                ! grep -q 'FileExisting-runc' <<<"$said" && on master-1 coxswain check && on master-1 userdel cluster-dns || return 1
        said=$(on master-1 coxswain check 2>&1) && return 1
        echo "$said"
        grep -qF '[ERROR SystemUsers]: the users that the units run as are missing. Remedy: systemd-sysusers' <<<"$said" &&
                on master-1 systemd-sysusers && on master-1 coxswain check
}
ok "check says what a machine lacks, with its remedy" t_check
t_install() {
        cp "$packages"/*_"$(cat "$packages/version")"_*.deb "$work/master-1/root/root/" && yes | types master-1 several-machines.md 2 && packages_install worker-1 coxswain-client coxswain-node &&
                types master-1 several-machines.md 3 | shows several-machines.md 3 &&
                equals "$(on master-1 systemctl is-active kubelet kube-apiserver | sort -u)" inactive &&
                on master-1 test -s /usr/share/man/man8/coxswain.8.gz
}
ok "packages are installed, and start nothing" t_install

t_init() {
        local start=$EPOCHREALTIME
        types master-1 several-machines.md 4 >"$work/init.log" || { cat "$work/init.log"; return 1; }
        seconds_since "$start" >"$work/master"
        cp "$work/master-1/root/etc/kubernetes/admin.conf" "$work/admin.conf"
        shows several-machines.md 4 <"$work/init.log" && is node/master-1 '{.status.conditions[?(@.type=="Ready")].status}' True
}
ok "init: a master" t_init
figure "installed package to master Ready" "$(cat "$work/master") s" "5 s"

join_words() { # of the command for workers
        sed -n '/^coxswain join/,$p' "$work/init.log" | tr -d '\\\n'
}
t_pin() { # an authority that is not ours is not believed
        local words
        words=$(join_words | sed 's/sha256:.*/sha256:'"$(printf '0%.0s' {1..64})"'/')
        on worker-1 $words 2>&1 | grep -qF 'is not the one with the digest' && equals "$(on worker-1 systemctl is-active kubelet)" inactive &&
                ! on worker-1 test -e /etc/kubernetes/kubelet.conf
}
ok "join believes no authority but the one that it was told" t_pin
t_join() {
        local start=$EPOCHREALTIME
        on worker-1 $(join_words) || return 1
        seconds_since "$start" >"$work/worker"
        is node/worker-1 '{.status.conditions[?(@.type=="Ready")].status}' True && types master-1 several-machines.md 6 | shows several-machines.md 6
}
ok "join: a worker, by the command that init printed" t_join
figure "installed package to worker Ready" "$(cat "$work/worker") s" "4 s"

t_who() { # each for itself: the worker holds no key that opens more
        ! on worker-1 find /etc/kubernetes /var/lib/kubelet/pki -name '*ca.key' -o -name admin.conf -o -name 'bootstrap-kubelet.conf' | grep . &&
                equals "$(on worker-1 kubectl --kubeconfig /etc/kubernetes/kubelet.conf auth whoami -o 'jsonpath={.status.userInfo.username}')" system:node:worker-1 &&
                equals "$(on worker-1 kubectl --kubeconfig /etc/kubernetes/kube-proxy.conf auth whoami -o 'jsonpath={.status.userInfo.username}')" system:serviceaccount:kube-system:kube-proxy &&
                ! on worker-1 kubectl --kubeconfig /etc/kubernetes/kubelet.conf get secrets -A
}
ok "a worker acts as itself" t_who
as() { # TOKEN WORDS...: kubectl with nothing but a token
        sed -e '/client-key-data/d' -e "s/client-certificate-data: .*/token: $1/" "$work/admin.conf" >"$work/as.conf"
        "$top/build/release/bin/kubectl" --kubeconfig "$work/as.conf" "${@:2}"
}
t_bound() { # who may join gets no account; what a node gets is of the node, and makes no volume but the node's own
        local bootstrap
        bootstrap=$(join_words | sed 's/.*--token \([^ ]*\).*/\1/')
        cp "$work/worker-1/root/etc/kubernetes/tokens/storage-provisioner" "$work/provisioner"
        as "$bootstrap" create token storage-provisioner -n kube-system 2>&1 | grep -qF 'cannot create resource "serviceaccounts/token"' &&
                as "$bootstrap" get nodes >/dev/null &&
                equals "$(as "$(cat "$work/provisioner")" auth whoami -o 'jsonpath={.status.userInfo.extra.authentication\.kubernetes\.io/node-name[0]}')" worker-1 &&
                as "$(cat "$work/provisioner")" create -f - <<'YAML' 2>&1 | grep -qF 'node "worker-1" is not allowed to write volumes that are not local to it'
apiVersion: v1
kind: PersistentVolume
metadata: {name: root}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /}}
YAML
}
ok "accounts of units are bound to their node" t_bound
t_cis() { cis_passes master-1 && cis_passes worker-1; }
ok "the CIS benchmark passes on a master and on a worker, from the first start" t_cis
t_cis_broken() {
        local pki=/etc/kubernetes/pki policy=/etc/kubernetes/audit-policy.yaml config=/var/lib/kubelet/config.yaml
        cis_fails master-1 1.1.21 'chmod 640 the key' "chmod 644 $pki/apiserver.key" "chmod 640 $pki/apiserver.key" &&
                cis_fails master-1 3.2.1 'set --audit-policy-file' "mv $policy $policy.away" "mv $policy.away $policy" &&
                cis_fails worker-1 4.2.1 'set authentication.anonymous.enabled to false' "cp $config /root/config; sed -i 's/anonymous: {enabled: false}/anonymous: {enabled: true}/' $config" "cat /root/config >$config"
}
ok "and tells what is broken, with the remedy" t_cis_broken
t_audit() { # who did what is written down, and what Secrets hold is not
        k create secret generic hush --from-literal=word=correct-horse && k delete secret hush || return 1
        on master-1 grep -q '"verb":"delete".*"resource":"secrets","namespace":"default","name":"hush"' /var/log/kubernetes/audit/audit.log &&
                ! on master-1 grep -qE 'correct-horse|Y29ycmVjdC1ob3JzZQ' /var/log/kubernetes/audit/audit.log && equals "$(on master-1 stat -c '%a %U' /var/log/kubernetes/audit/audit.log)" '600 kube-apiserver'
}
ok "the audit log says who did what" t_audit
t_users() { # UNIT USER
        local unit
        for unit in kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler coxswain-etcd cluster-dns loadbalancer-announcer; do
                equals "$(on master-1 sh -c "ps -o user:32= -p \$(systemctl show -P MainPID $unit)")" "$unit" || return 1
        done
}
ok "units that need no root have users of their own" t_users

# --- the example ---
t_hello() {
        local node
        image_load worker-1 && k apply -f "$top/manifests/hello" &&
                k rollout status deployment/hello --timeout=120s || return 1
        for node in 11 21; do until_true 30 greets "$(address_of "$node")" || return 1; done
        until_true 60 balanced
}
balanced() { curl -sf --max-time 2 "http://$(k get service hello -o 'jsonpath={.status.loadBalancer.ingress[0].ip}')/" | grep -q 'Hello from hello'; }
greets() { curl -sf --max-time 2 "http://$1:$(k get service hello -o 'jsonpath={.spec.ports[0].nodePort}')/" | grep -q 'Hello from hello'; }
ok "the example answers at both machines, and at the address of its load balancer" t_hello
t_names() { # of the cluster, and volumes by the default storage class
        k apply -f - <<'YAML' || return 1
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: notes}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: notes}
spec:
  containers:
  - name: c
    image: hello:v1
    imagePullPolicy: Never
    command: [/bin/sh, -c, "echo $RANDOM$RANDOM >>/data/starts; nslookup hello.default.svc.cluster.local && wget -qO /data/seen http://hello; sleep 1000000"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: notes}}]
YAML
        k wait --for=condition=Ready pod/notes --timeout=60s && until_true 60 seen
}
seen() { k exec notes -- cat /data/seen | grep -q 'Hello from hello'; }
ok "pods find services by name, and keep files by the default storage class" t_names

pid_in_pod() { on worker-1 sh -c 'cat /sys/fs/cgroup/'"$([ -d /sys/fs/cgroup/pids ] && echo pids/)"'kubepods/*/pod*/*/cgroup.procs' | sort -n | tr '\n' ' '; }
t_restart() { # of the kubelet: no container is touched, and their monitors are not in its control group
        local before unit
        before=$(pid_in_pod)
        [ -n "$before" ] || return 1
        equals "$(on worker-1 sh -c 'ps -C conmon -o cgroup=' | grep -c kubelet.service)" 0 &&
                on worker-1 systemctl restart kubelet && equals "$(pid_in_pod)" "$before" &&
                on worker-1 systemctl stop kubelet && equals "$(pid_in_pod)" "$before" && on worker-1 systemctl start kubelet
}
ok "a restart of the kubelet touches no container" t_restart

t_killed() { # units come back by themselves
        local unit old
        for unit in kube-apiserver kube-controller-manager kube-scheduler coxswain-etcd; do
                old=$(on master-1 systemctl show -P MainPID "$unit")
                on master-1 kill -9 "$old" || return 1
                until_true 60 came_back "$unit" "$old" || return 1
        done
        until_true 60 k get --raw /readyz
}
came_back() { on master-1 systemctl is-active --quiet "$1" && [ "$(on master-1 systemctl show -P MainPID "$1")" != "$2" ]; }
ok "processes of the control plane that are killed come back" t_killed

t_memory() {
        local unit total=0 own
        for unit in kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler kubelet kube-proxy cluster-dns storage-provisioner \
                loadbalancer-announcer; do
                own=$(on master-1 sh -c 'cat /proc/$(systemctl show -P MainPID '"$unit"')/smaps_rollup 2>/dev/null' | awk '/^Pss:/ {print $2}')
                total=$((total + ${own:-0}))
        done
        echo $((total / 1024)) >"$work/memory"
        [ "$total" -gt 0 ]
}
ok "processes are measured" t_memory
figure "memory of a master's processes with etcd aside" "$(cat "$work/memory") MB" "60 MB"

t_reboot() {
        local starts
        starts=$(k exec notes -- cat /data/starts)
        reboots worker-1 120 && until_true 120 k wait --for=condition=Ready node/worker-1 --timeout=1s &&
                until_true 120 all_back && k exec notes -- cat /data/starts | grep -qxF "$starts" || return 1
        equals "$(k exec notes -- cat /data/starts | grep -c .)" 2 && until_true 30 greets "$(address_of 21)"
}
all_back() { # each pod was started once more, and is ready
        equals "$(k get pods -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount}{.status.containerStatuses[0].ready}{"\n"}{end}' | sort -u)" 1true
}
ok "a worker that is rebooted has its pods again, with their data" t_reboot

t_addons() {
        on master-1 coxswain addons enable metrics-server && until_true 90 tops && on master-1 coxswain addons enable dashboard &&
                curl -sf --compressed --cacert "$work/master-1/root/etc/kubernetes/pki/ca.crt" "https://$(address_of 11):9443/" | grep -i '<!doctype html' >/dev/null &&
                on master-1 coxswain addons enable ingress 2>&1 | grep -F 'Install the package haproxy' && on master-1 coxswain certs list | grep -q '^addons-dashboard ' || return 1
        equals "$(on master-1 coxswain addons list | tr -s ' ' | tail -n 3 | sed 's/ *$//' | paste -sd';')" 'metrics-server enabled master-1;ingress disabled -;dashboard enabled master-1' &&
                on master-1 coxswain addons disable metrics-server && ! k get apiservice v1beta1.metrics.k8s.io && equals "$(on master-1 systemctl is-active metrics-server)" inactive
}
tops() { k top node worker-1 --no-headers | grep -q Mi; }
ok "addons: on with what they need, off without a trace" t_addons

t_tokens() {
        local token
        token=$(on master-1 coxswain token create --ttl 2h) && on master-1 coxswain token list | grep -q "^$token *[12]h" && on master-1 coxswain token delete "$token" &&
                ! on master-1 coxswain token list | grep -q "$token" && types master-1 several-machines.md 5 | grep -q '^coxswain join '
}
ok "token: create, list, delete" t_tokens
t_timer() { # it has run, and will again: not at once, also where it takes longer than the time between
        on worker-1 systemctl start coxswain-refresh.service && until_true 30 timer_waits worker-1 &&
                equals "$(on worker-1 systemctl show -P TimersMonotonic coxswain-refresh.timer | grep -o '^{ OnUnit[A-Za-z]*')" '{ OnUnitInactiveUSec'
}
timer_waits() { on "$1" systemctl list-timers --no-legend coxswain-refresh.timer | grep -v '^-'; }
ok "the timer that renews what is due waits for its time" t_timer
t_refused() { # what does not have the form is refused before anything is changed
        ! on worker-1 coxswain join 'a b:6443' --token x 2>/dev/null && on worker-1 coxswain join 192.0.2.1:6443 --token 'abcdef.0123456789abcde$' 2>&1 | grep -q 'is not a token' &&
                on master-1 coxswain init 2>&1 | grep -q 'FileAvailable-kubelet.conf.*coxswain reset'
}
ok "what has the wrong form is refused" t_refused

t_reset() {
        types worker-1 several-machines.md 7 && equals "$(on worker-1 systemctl is-active kubelet kube-proxy cluster-dns | sort -u)" inactive &&
                ! on worker-1 sh -c 'pgrep -x conmon || findmnt -rno TARGET | grep /var/lib/kubelet/ || ls -A /var/lib/kubelet | grep . || ip link show cni0 2>/dev/null' &&
                ! on worker-1 iptables-save | grep -q KUBE- && k delete node worker-1 && until_true 30 token_is_dead && on worker-1 $(on master-1 coxswain token create --print-join-command | tr -d '\\\n')
}
token_is_dead() { as "$(cat "$work/provisioner")" auth whoami 2>&1 | grep -qi 'unauthorized\|must be logged in'; }
ok "reset leaves nothing, accounts of the node are over, and the machine can join again" t_reset

t_backup() {
        types master-1 backup.md 1 | shows backup.md 1 && types master-1 backup.md 2 | shows backup.md 2 && types master-1 backup.md 3 | shows backup.md 3 &&
                on worker-1 coxswain reset --force && types master-1 backup.md 4 && on master-1 test ! -e /etc/kubernetes/pki && types master-1 backup.md 5 | shows backup.md 5 &&
                types master-1 backup.md 6 | shows backup.md 6 && on worker-1 $(types master-1 backup.md 7 | tr -d '\\\n') &&
                until_true 60 on master-1 kubectl --kubeconfig /etc/kubernetes/admin.conf wait --for=condition=Ready node/worker-1 --timeout=1s
}
ok "backup: a cluster that was lost is there again" t_backup
t_pages() { # no block of them is left out
        equals "$(grep -c '^```sh$' "$top"/docs/tutorials/{several-machines,backup}.md | sed 's/.*://' | tr '\n' ' ')" "7 7 "
}
ok "every command of the pages was typed" t_pages
tap_end
