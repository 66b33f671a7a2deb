# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Part of debian.sh: Services by nftables, and a machine that is rebooted.
t_services() { # the rules are the kernel's nf_tables, and lead where they ought to
        on worker-1 sh -c 'nft list ruleset 2>/dev/null | grep -q KUBE-SERVICES || iptables-nft-save | grep -q KUBE-SERVICES' && equals "$(on worker-1 sh -c 'iptables-legacy-save 2>/dev/null | grep -c KUBE')" 0 &&
                until_true "$(patience 30)" on worker-1 curl -sf --max-time 5 -o /dev/null "http://$(k get service hello -o 'jsonpath={.spec.clusterIP}')/"
}
ok "Services work through nftables" t_services
t_claim() {
        k apply -f - <<'YAML' && waits_for condition=Ready notes
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
    command: [/bin/sh, -c, "echo started >>/data/starts; sleep 1000000"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: notes}}]
YAML
}
ok "a pod has a volume" t_claim
t_reboot() {
        reboots worker-1 "$(patience 120)" && until_true "$(patience 120)" k wait --for=condition=Ready node/worker-1 --timeout=5s && until_true "$(patience 120)" started_twice &&
                until_true "$(patience 60)" greets "$(address_of 21)" && group_has "$(pod_group guaranteed)" memory.max $((48 << 20))
}
started_twice() { equals "$(k exec notes -- cat /data/starts | grep -c started)" 2; }
ok "a machine that is rebooted has its pods again, with their data" t_reboot
t_steady() { # no matter how slow the machine is
        equals "$(on master-1 systemctl show -P NRestarts coxswain-etcd kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler kubelet kube-proxy | sort -u | xargs)" 0
}
ok "nothing of the control plane has ended meanwhile" t_steady
t_memory() {
        local machine unit own total
        for machine in master-1 worker-1; do
                total=0
                for unit in kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler kubelet kube-proxy cluster-dns storage-provisioner loadbalancer-announcer; do
                        own=$(on "$machine" sh -c 'cat /proc/$(systemctl show -P MainPID '"$unit"')/smaps_rollup 2>/dev/null' | awk '/^Pss:/ {print $2}')
                        total=$((total + ${own:-0}))
                done
                echo "$machine $((total / 1024)) MB" >>"$work/memory"
                [ "$total" -gt 0 ] || return 1
        done
}
ok "processes are measured" t_memory
figure "memory of our processes" "$(paste -sd, "$work/memory")" "60 MB on a master"
