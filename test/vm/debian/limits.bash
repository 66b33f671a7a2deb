# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Part of debian.sh: limits, QoS classes, figures and resizes, under control groups of v2.
uid_of() { k get pod "$1" -o 'jsonpath={.metadata.uid}'; }
tier_of() { # POD
        case $(k get pod "$1" -o 'jsonpath={.status.qosClass}') in
        Guaranteed) echo kubepods ;;
        Burstable) echo kubepods/burstable ;;
        BestEffort) echo kubepods/besteffort ;;
        esac
}
pod_group() { echo "/sys/fs/cgroup/$(tier_of "$1")/pod$(uid_of "$1")"; }
container_group() { echo "$(pod_group "$1")/$(k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].containerID}' | sed 's#.*//##')"; }
in_group() { on worker-1 cat "$1/$2"; } # FOLDER FILE
group_has() { # FOLDER FILE TEXT
        local have
        have=$(in_group "$1" "$2") && { equals "$have" "$3" || { echo "$1/$2"; return 1; }; }
}
number_of() { in_group "$1" "$2" | awk -v key="$3" '$1 == key {print $2}'; } # FOLDER FILE KEY
near() { awk -v a="$1" -v b="$2" -v part="$3" 'BEGIN {d = a > b ? a - b : b - a; exit !(d <= b * part)}' || { echo "have $1, want $2 or so"; return 1; }; }
# Of what grows: between what was read before and after, in units of theirs, but for a tenth.
within() { awk -v low="$1" -v have="$2" -v high="$3" -v unit="$4" 'BEGIN {exit !(have >= low * unit * 0.9 && have <= high * unit * 1.1)}' || { echo "have $2, want $1 to $3, times $4"; return 1; }; }
waits_for() { k wait --for="$1" "pod/$2" --timeout="$(patience 60)s"; } # CONDITION POD

t_pods() {
        on worker-1 sh -c 'sed -i "s/^podPidsLimit: .*/podPidsLimit: 64/" /var/lib/kubelet/config.yaml && systemctl restart kubelet' && k apply -f "$top/test/vm/debian/limits.yaml" &&
                waits_for condition=Ready guaranteed && waits_for condition=Ready burstable && waits_for condition=Ready besteffort && waits_for condition=Ready cpu
}
ok "pods of all QoS classes run" t_pods

t_oom() { # one process of the container takes too much, and all of it ends
        until_true "$(patience 60)" restarted memory && is pod/memory '{.status.containerStatuses[0].lastState.terminated.reason}' OOMKilled &&
                is pod/memory '{.status.containerStatuses[0].lastState.terminated.exitCode}' 137 && k describe pod memory | grep -q 'Reason: *OOMKilled' &&
                group_has "$(pod_group memory)" memory.max $((32 << 20)) && k delete pod memory --now
}
restarted() { [ "$(k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].restartCount}')" -ge 1 ] && [ -n "$(k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].lastState}')" ]; }
ok "the limit of memory bites, and OOMKilled is told" t_oom

t_cpu() {
        local group before after began
        group=$(container_group cpu) && group_has "$group" cpu.max "10000 100000" && group_has "$(pod_group cpu)" cpu.max "10000 100000" || return 1
        before=$(number_of "$group" cpu.stat usage_usec) began=$(on worker-1 cut -d' ' -f1 /proc/uptime)
        until_true "$(patience 60)" throttled "$group" $(($(number_of "$group" cpu.stat nr_throttled) + 50)) || return 1
        after=$(number_of "$group" cpu.stat usage_usec)
        awk -v used=$((after - before)) -v began="$began" -v now="$(on worker-1 cut -d' ' -f1 /proc/uptime)" 'BEGIN {exit !(used <= (now - began + 0.2) * 100000 * 1.1)}'
}
throttled() { [ "$(number_of "$1" cpu.stat nr_throttled)" -ge "$2" ]; }
ok "the limit of CPU bites" t_cpu

t_pids() {
        group_has "$(pod_group pids)" pids.max 64 && until_true "$(patience 60)" full "$(pod_group pids)" "$(container_group pids)" && k delete pod pids --now
}
full() { # POD CONTAINER: before Linux 6.11 it is told where the process was that wanted another, not where the limit is
        [ "$(in_group "$1" pids.current)" -ge 63 ] && [ $(($(number_of "$1" pids.events max) + $(number_of "$2" pids.events max))) -ge 1 ]
}
ok "the limit of processes bites" t_pids

# POD, cpu.weight, memory.max, oom_score_adj. Nothing is reserved or throttled by memory unless that is asked for.
t_class() {
        local folder
        for folder in "$(pod_group "$1")" "$(container_group "$1")"; do
                group_has "$folder" cpu.weight "$2" && group_has "$folder" memory.max "$3" && group_has "$folder" memory.min 0 &&
                        group_has "$folder" memory.low 0 && group_has "$folder" memory.high max || return 1
        done
        group_has "$folder" memory.oom.group 1 && equals "$(on worker-1 sh -c "cat /proc/\$(head -n 1 $folder/cgroup.procs)/oom_score_adj")" "$4"
}
score() { on worker-1 awk -v asked=$((64 << 10)) '/^MemTotal/ {print 1000 - int(1000 * asked / ($2 + 1))}' /proc/meminfo; }
ok "a Guaranteed pod has its weight and limits" t_class guaranteed 4 $((32 << 20)) -997
ok "a Burstable pod has its weight and limits" t_class burstable 10 $((128 << 20)) "$(score)"
ok "a BestEffort pod has the least weight, and no limits" t_class besteffort 1 max 1000
t_tiers() { # by upstream's formula: all processors; 250m of the burstable pod and 100m of the busy one, and what is not there any more counts no longer
        group_has /sys/fs/cgroup/kubepods cpu.weight $((1 + (1024 * $(on worker-1 nproc) - 2) * 9999 / 262142)) && until_true "$(patience 30)" group_has /sys/fs/cgroup/kubepods/burstable cpu.weight "$1" &&
                group_has /sys/fs/cgroup/kubepods/besteffort cpu.weight 1 && near "$(in_group /sys/fs/cgroup/kubepods memory.max)" $((1024 << 20)) 0.1
}
ok "tiers are weighed by what their pods ask for" t_tiers 14

t_stats() { # what the kubelet tells is what the files say
        local summary group busy metrics before after
        group=$(container_group burstable) busy=$(container_group cpu) before=$(number_of "$busy" cpu.stat usage_usec)
        summary=$(k get --raw /api/v1/nodes/worker-1/proxy/stats/summary) && metrics=$(k get --raw /api/v1/nodes/worker-1/proxy/metrics/resource) || return 1
        after=$(number_of "$busy" cpu.stat usage_usec)
        of_pod() { jq -r --arg pod "$1" '.pods[] | select(.podRef.name == $pod) | .containers[0]'"$2" <<<"$summary"; }
        of_metric() { awk -v name="$1{" -v pod="pod=\"$2\"" 'index($0, name) == 1 && index($0, pod) {print $2}' <<<"$metrics"; }
        working_set=$(($(in_group "$group" memory.current) - $(number_of "$group" memory.stat inactive_file)))
        near "$(of_pod burstable .memory.workingSetBytes)" "$working_set" 0.05 && near "$(of_metric container_memory_working_set_bytes burstable)" "$working_set" 0.05 &&
                near "$(of_pod burstable .memory.usageBytes)" "$(in_group "$group" memory.current)" 0.05 && near "$(of_pod burstable .memory.rssBytes)" "$(number_of "$group" memory.stat anon)" 0.05 &&
                near "$(jq -r .node.memory.workingSetBytes <<<"$summary")" "$(on worker-1 awk '/^MemTotal/ {t = $2} /^MemAvailable/ {a = $2} END {print (t - a) * 1024}' /proc/meminfo)" 0.5 || return 1
        within "$before" "$(of_pod cpu .cpu.usageCoreNanoSeconds)" "$after" 1000 && within "$before" "$(of_metric container_cpu_usage_seconds_total cpu)" "$after" 0.000001
}
ok "figures of the kubelet are those of the control groups" t_stats

# What kubectl top says is what the same files say: a container that may have a tenth of a processor, and does, and one's memory.
t_top() {
        local used set
        on master-1 coxswain addons enable metrics-server && until_true "$(patience 90)" tops && until_true "$(patience 60)" busy_is_told || return 1
        set=$(($(in_group "$(container_group burstable)" memory.current) - $(number_of "$(container_group burstable)" memory.stat inactive_file)))
        used=$(k top pod burstable --no-headers | awk '{print $3 + 0}') && near "$used" $((set >> 20)) 0.15 || return 1
        used=$(k top node worker-1 --no-headers | awk '{print $4 + 0}')
        near "$used" "$(on worker-1 awk '/^MemTotal/ {t = $2} /^MemAvailable/ {a = $2} END {print (t - a) / 1024}' /proc/meminfo)" 0.5
}
tops() { [ "$(k top nodes --no-headers | grep -c Mi)" = 2 ] && k top pod cpu && k top pod burstable; }
busy_is_told() { near "$(k top pod cpu --no-headers | awk '{print $2 + 0}')" 100 0.2; }
ok "kubectl top says what the control groups say" t_top

t_memory_dir() {
        k logs burstable | grep -q 'No space left on device' && equals "$(k exec burstable -- busybox df -k /memory | awk 'END {print $2, $4}')" "8192 0" &&
                [ "$(number_of "$(pod_group burstable)" memory.stat shmem)" -ge $((8 << 20)) ]
}
ok "a volume in memory has its size, and is its pod's memory" t_memory_dir

resize() { # CPU MEMORY
        k patch pod guaranteed --subresource resize -p '{"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "'"$1"'", "memory": "'"$2"'"}, "limits": {"cpu": "'"$1"'", "memory": "'"$2"'"}}}]}}'
}
resized() { # cpu.max cpu.weight memory.max
        local folder
        for folder in "$(pod_group guaranteed)" "$(container_group guaranteed)"; do
                group_has "$folder" cpu.max "$1 100000" && group_has "$folder" cpu.weight "$2" && group_has "$folder" memory.max "$3" || return 1
        done
}
t_resize() {
        resize 200m 64Mi && until_true "$(patience 30)" resized 20000 8 $((64 << 20)) && resize 100m 48Mi && until_true "$(patience 30)" resized 10000 4 $((48 << 20)) &&
                until_true "$(patience 30)" is pod/guaranteed '{.status.containerStatuses[0].resources.limits.memory}' 48Mi && is pod/guaranteed '{.status.containerStatuses[0].restartCount}' 0
}
ok "pods are resized while they run" t_resize
