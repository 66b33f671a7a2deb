#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Certificates of a minute's life: three lives long they renew themselves under load, no request fails and no process is started
# anew. Prints TAP.
. "$(dirname "$0")/lib.bash"
TAP_LINES=60
[ -s "$packages/version" ] || "$top/scripts/deb" >/dev/null || { echo "not ok - packages"; exit 1; }
machines_begin renew
trap 'touch "$work/stop"; machines_end' EXIT
lives=${LIVES:-3}
master_units=(coxswain-etcd kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler)
node_units=(kubelet kube-proxy cluster-dns storage-provisioner loadbalancer-announcer)
k() { "$top/build/release/bin/kubectl" --kubeconfig "$work/token.conf" "$@"; }

t_cluster() {
        local token
        machine_start master-1 11
        machine_start worker-1 21
        until_true 60 machine_runs master-1 && packages_install master-1 coxswain-client coxswain-node coxswain-control-plane && until_true 60 machine_runs worker-1 &&
                packages_install worker-1 coxswain-client coxswain-node && on master-1 coxswain init --certificate-validity-period 1m >"$work/init.log" 2>&1 &&
                on worker-1 $(sed -n '/^coxswain join/,$p' "$work/init.log" | tr -d '\\\n') || { cat "$work/init.log"; return 1; }
        # Somebody whose credentials are not what is tested.
        on master-1 sh -c 'export KUBECONFIG=/etc/kubernetes/super-admin.conf; kubectl create serviceaccount load && kubectl create clusterrolebinding load --clusterrole=cluster-admin --serviceaccount=default:load' &&
                token=$(on master-1 kubectl --kubeconfig /etc/kubernetes/super-admin.conf create token load --duration=2h) || return 1
        sed -e '/client-key-data/d' -e "s/client-certificate-data: .*/token: $token/" "$work/master-1/root/etc/kubernetes/admin.conf" >"$work/token.conf"
        image_load worker-1 && k run hello --image=hello:v1 --image-pull-policy=Never && k wait --for=condition=Ready pod/hello --timeout=60s
}
ok "a cluster whose certificates live for a minute" t_cluster
pids() {
        on master-1 systemctl show -P MainPID "${master_units[@]}" "${node_units[@]}"
        on worker-1 systemctl show -P MainPID "${node_units[@]}"
}
serials() { # of what is served, and of what is on the disk
        echo | openssl s_client -connect "$(address_of 11):6443" 2>/dev/null | openssl x509 -noout -serial
        openssl x509 -noout -serial -in "$work/master-1/root/etc/kubernetes/pki/apiserver-etcd-client.crt"
        openssl x509 -noout -serial -in "$work/master-1/root/etc/kubernetes/pki/controller-manager.crt"
        openssl x509 -noout -serial -in "$work/worker-1/kubelet/pki/$(basename "$(readlink "$work/worker-1/kubelet/pki/kubelet-client-current.pem")")"
}
load() { # reads, writes, and what goes by way of the apiserver to a kubelet and back
        local n=0
        while [ ! -e "$work/stop" ]; do
                n=$((n + 1))
                k get namespaces >/dev/null 2>>"$work/failed" || echo "get $EPOCHREALTIME" >>"$work/failed"
                k create configmap "c$n" >/dev/null 2>>"$work/failed" || echo "create $EPOCHREALTIME" >>"$work/failed"
                k exec hello -- /bin/sh -c true 2>>"$work/failed" || echo "exec $EPOCHREALTIME" >>"$work/failed"
                echo "$n" >"$work/count"
        done
}
changed() { ! equals "$(serials)" "$1" && [ -z "$(comm -12 <(serials | sort) <(sort <<<"$1"))" ]; }
t_lives() {
        local before life seen end
        before=$(pids)
        load &
        loader=$!
        for life in $(seq "$lives"); do
                seen=$(serials)
                end=$((SECONDS + 60))
                until_true 120 changed "$seen" || return 1
                until_true 120 past "$end" || return 1 # a whole life of what was seen
        done
        touch "$work/stop"
        wait "$loader"
        echo "$(cat "$work/count") rounds, failed:"
        cat "$work/failed"
        [ ! -s "$work/failed" ] && [ "$(cat "$work/count")" -gt 20 ] && equals "$(pids)" "$before" && equals "$(k get nodes --no-headers | grep -cw Ready)" 2
}
past() { [ $SECONDS -ge "$1" ]; }
ok "$lives lives long no request fails, and no process is started anew" t_lives
tap_end
