#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The bank of docs/tutorials/keep-state.md, whose commands are run as they stand there, and what becomes of its books when
# everything around them goes. Then pods with claims that come, go and die at random. Prints TAP.
#   test/e2e/bank.sh [KUBECTL]       KUBECTL: ours by default; upstream's judges the same
# LENGTH: seconds of the random part (30); SEED: of its dice.
set -u
. "$(dirname "$0")/../lib/cluster.sh"
cd "$top" || exit 1
cluster_begin bank "${1:-}"
folder=$work/.minikube/profiles/bank
mkdir "$work/path"
ln -s "$KUBECTL" "$work/path/kubectl"
ln -s "$bin/minikube" "$work/path/minikube"
export PATH=$work/path:$PATH MINIKUBE_PROFILE=bank
length=${LENGTH:-30} seed=${SEED:-$RANDOM}

# --- the tutorial ---
block() { # NUMBER
        awk -v wanted="$1" '/^```sh$/ {n++; on = n == wanted; next} /^```$/ {on = 0} on' docs/tutorials/keep-state.md
}
bank=
t_block() { # NUMBER: in a shell of its own, which ends at the first command that fails
        bank=$bank bash -euo pipefail -x -c "$(block "$1" | sed "s|build/images|$work/images|g")"
}
address() { k get service bank -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'; }

# --- the books ---
books() { curl -sf --max-time 5 "$bank" | tail -n +2; }
books_are() { equals "$(books | xargs)" "$1"; }
echo 0 >"$work/entered"
# A page whose node does not know the database's new address yet refuses, and enters nothing.
not_refused() { [ "$(curl -s --max-time 5 -o "$work/answer" -w '%{http_code}' -d "account=clerk&amount=1" "$bank")" != 503 ]; }
enter() {
        rm -f "$work/answer"
        until_true 30 not_refused && cat "$work/answer" && grep -q entered "$work/answer"
}
# All that was ever entered is there, and one more can be.
t_books() {
        local entered
        entered=$(cat "$work/entered")
        until_true 120 books_are "alice 5 1 bob 7 1$([ "$entered" -eq 0 ] || echo " clerk $entered $entered")" || return 1
        enter || return 1
        entered=$((entered + 1))
        echo $entered >"$work/entered"
        until_true 30 books_are "alice 5 1 bob 7 1 clerk $entered $entered"
}
survives() { # NAME COMMAND
        ok "$1" "$2"
        ok "$1: the books are whole" t_books
}
uid() { k get pod database-0 -o 'jsonpath={.metadata.uid}'; }
node() { k get pod database-0 -o 'jsonpath={.spec.nodeName}'; }
renewed() { [ -n "$(uid)" ] && [ "$(uid)" != "$1" ]; }
gone() { ! k get "$@" >/dev/null 2>&1; }
ready() { k rollout status statefulset/database --timeout=120s; }
of_node() { # NODE: the processes of its pods
        grep -lsE "/coxswain/bank/$1(/|\$)" /proc/[0-9]*/cgroup | grep -oE '[0-9]+'
}
t_pod() { local was; was=$(uid) && k delete pod database-0 && until_true 60 renewed "$was" && ready; }
t_set() { k delete statefulset database && until_true 60 gone pod database-0 && k apply -f manifests/bank && ready; }
t_orphan() {
        local was
        was=$(uid) && k delete statefulset database --cascade=orphan && k apply -f manifests/bank && ready && equals "$(uid)" "$was"
}
t_database() {
        local pid
        for pid in $(of_node "$(node)"); do [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != mariadbd ] || kill -9 "$pid"; done
        restarted() { [ "$(k get pod database-0 -o 'jsonpath={.status.containerStatuses[0].restartCount}')" -gt 0 ]; }
        until_true 60 restarted && ready
}
t_kubelet() { # nobody who asks the bank notices
        local was pid service
        was=$(uid) && service=kubelet-$(node) && pid=$(pid_of "$service") || return 1
        renewed_kubelet() { local now; now=$(pid_of "$service") && [ -n "$now" ] && [ "$now" != "$pid" ]; }
        url=$bank load_start
        kill -9 "$pid"
        until_true 60 renewed_kubelet
        load_stop && until_true 60 nodes_ready 2 && equals "$(uid)" "$was"
}
t_node() { # everything on it, and nothing of it is stopped in order
        local on service
        on=$(node)
        for service in kubelet kube-proxy cluster-dns storage-provisioner; do kill -9 "$(pid_of "$service-$on")"; done
        kill -9 $(of_node "$on")
        until_true 60 nodes_ready 2 && ready
}
t_scale() {
        k scale statefulset database --replicas=0 && until_true 60 gone pod database-0 && k scale statefulset database --replicas=1 && ready
}
t_rolling() { local was; was=$(uid) && k set env statefulset/database UPDATED=yes && ready && [ "$(uid)" != "$was" ]; }
t_stop() { mk stop && mk start && until_true 60 nodes_ready 2 && ready; }
t_grown() { local was; was=$(uid) && t_block 6 && equals "$(uid)" "$was"; }
t_freed() {
        t_block 7 || return 1
        folders_gone() { [ -z "$(ls "$folder"/volumes/*/)" ] || [ "$(ls -d "$folder"/volumes/*/pvc-* 2>/dev/null | wc -l)" -eq 0 ]; }
        until_true 60 folders_gone && equals "$(k get pv -o name)" ""
}
t_full() { # a volume that is full harms its pod alone, where its size is enforced
        if [ "$(k get pv -o 'jsonpath={.items[0].metadata.annotations.coxswain\.dev/quota}')" != project ]; then
                echo "the file system below $folder has no project quotas: nothing is promised"
                return 0
        fi
        k exec database-0 -- sh -c 'dd if=/dev/zero of=/var/lib/mysql/filler bs=1M count=4096; rm /var/lib/mysql/filler' &&
                k exec deployment/bank -- sh -c 'echo x >/tmp/x'
}

# --- at random ---
# Each claim has a file, to which every pod that starts adds a line; what was once there stays.
member() { # NUMBER: pod and claim of a row
        cat <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: row-$1}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: row-$1, labels: {app: row}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox:1.35
    command: [sh, -c, 'echo start >>/data/log && sync && cp /data/log /data/ready && exec sleep 100000']
    readinessProbe: {exec: {command: [test, -e, /data/ready]}, periodSeconds: 1}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: row-$1}}]
YAML
}
log_of() { # NUMBER: on the machine
        local volume
        volume=$(k get pvc "row-$1" -o 'jsonpath={.spec.volumeName}' 2>/dev/null) && [ -n "$volume" ] &&
                cat "$folder"/volumes/*/"$volume"/log 2>/dev/null
}
t_random() {
        local rows=6 i end=$((SECONDS + length)) pid pids seen=0 acts=0
        local -a lines=()
        RANDOM=$seed
        echo "seed $seed"
        for ((i = 0; i < rows; i++)); do lines[i]=0; done
        while [ $SECONDS -lt $end ]; do
                i=$((RANDOM % rows))
                local have
                have=$(log_of $i | wc -l)
                [ "$have" -ge "${lines[i]}" ] || { echo "row $i had ${lines[i]} lines, and has $have"; return 1; }
                lines[i]=$have
                acts=$((acts + 1))
                [ "$have" -le $seen ] || seen=$have
                case $((RANDOM % 9)) in
                0 | 1 | 2 | 3) member $i | k apply -f - >/dev/null 2>&1 ;;
                4) k delete pod "row-$i" --ignore-not-found --wait=false >/dev/null 2>&1 ;;
                5) k delete pod "row-$i" --ignore-not-found --force --grace-period=0 >/dev/null 2>&1 ;;
                6) # one of the containers dies
                        mapfile -t pids < <(grep -lsE "/coxswain/bank/" /proc/[0-9]*/cgroup | grep -oE '[0-9]+')
                        pid=${pids[RANDOM % (${#pids[@]} + 1)]:-}
                        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != sleep ] || kill -9 "$pid" 2>/dev/null ;;
                7) kill -9 "$(pid_of "$(pick kubelet storage-provisioner)-$(pick bank bank-m02)")" 2>/dev/null ;;
                8) # the claim goes with its pod; the next one is new
                        k delete pod "row-$i" --ignore-not-found >/dev/null 2>&1
                        k delete pvc "row-$i" --ignore-not-found >/dev/null 2>&1 && lines[i]=0 ;;
                esac
        done
        echo "# seed $seed: $acts acts; a file of $seen lines was the longest" >&3
        [ $seen -gt 1 ] && until_true 60 nodes_ready 2
}
pick() { shift $((RANDOM % $#)); echo "$1"; }
t_settles() { # every row that there is runs, and adds its line; one that was going when it was applied is applied again
        all_ready() {
                local i
                for i in 0 1 2 3 4 5; do member $i | k apply -f - >/dev/null || return 1; done
                equals "$(k get pods -l app=row -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}' | tr ' ' '\n' | grep -c True)" 6
        }
        until_true 120 all_ready
}
t_nothing_left() {
        k delete pods -l app=row && k delete pvc --all || return 1
        nothing() {
                [ "$(ls -d "$folder"/volumes/*/pvc-* 2>/dev/null | wc -l)" -eq 0 ] && equals "$(k get pv -o name)" "" &&
                        equals "$(mounts | grep -c kubernetes.io~local-volume)" 0
        }
        until_true 60 nothing && equals "$(losetup -a | grep -cF "$folder")" 0
}
t_busybox() { tar -C "$work/images/busybox-1.35" -cf "$work/busybox.tar" . && mk image load "$work/busybox.tar"; }

exec 3>&1
must "tutorial: a cluster" t_block 1
ok "tutorial: images" t_block 2
must "tutorial: the bank" t_block 3
must "tutorial: the books" t_block 4
bank=http://$(address)
ok "tutorial: the pod goes, the books stay" t_block 5
survives "the pod is deleted" t_pod
survives "the StatefulSet is deleted with its pod" t_set
survives "the StatefulSet is deleted without its pod" t_orphan
survives "kill -9 of the database" t_database
survives "kill -9 of the kubelet" t_kubelet
survives "kill -9 of every process of the node" t_node
survives "scaled to 0 and back" t_scale
survives "a rolling update" t_rolling
survives "minikube stop and start" t_stop
survives "the claim grows while it is used" t_grown
survives "a volume that is full" t_full
ok "deleting the claim frees the folder" t_freed
ok "an image for the random part" t_busybox
ok "pods with claims at random: no line is lost" t_random
ok "all of them run again" t_settles
ok "nothing is left of them" t_nothing_left
ok "minikube delete" mk delete
tap_end
