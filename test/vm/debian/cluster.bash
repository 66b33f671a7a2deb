# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Part of debian.sh: the machines become a cluster, and run the example.
t_v2() { # as Debian boots
        equals "$(on "$1" stat -fc %T /sys/fs/cgroup)" cgroup2fs && equals "$(on "$1" cat /sys/module/apparmor/parameters/enabled)" Y &&
                on "$1" iptables --version | grep -q nf_tables
}
ok "control groups are v2 alone, iptables is nftables', AppArmor is on" t_v2 worker-1
t_install() {
        local file
        for file in "$packages"/*_"$(cat "$packages/version")"_*.deb; do put master-1 "$file" "/root/$(basename "$file")" || return 1; done
        yes | types master-1 several-machines.md 2 && packages_install worker-1 coxswain-client coxswain-node && types master-1 several-machines.md 3 | shows several-machines.md 3
}
ok "packages are installed as the tutorial says" t_install
t_init() {
        local start=$EPOCHREALTIME
        types master-1 several-machines.md 4 >"$work/init.log" || { cat "$work/init.log"; return 1; }
        seconds_since "$start" >"$work/master"
        on master-1 cat /etc/kubernetes/admin.conf >"$work/admin.conf"
        shows several-machines.md 4 <"$work/init.log" && is node/master-1 '{.status.conditions[?(@.type=="Ready")].status}' True
}
ok "init: a master" t_init
figure "init to master Ready" "$(cat "$work/master") s" "none"
join_words() { sed -n '/^coxswain join/,$p' "$work/init.log" | tr -d '\\\n'; } # of the command for workers
t_join() {
        on worker-1 $(join_words) && is node/worker-1 '{.status.conditions[?(@.type=="Ready")].status}' True && types master-1 several-machines.md 6 | shows several-machines.md 6 &&
                k get nodes | shows several-machines.md 6
}
ok "join: a worker, by the command that init printed" t_join
greets() { curl -sf --max-time 5 "http://$1:$(k get service hello -o 'jsonpath={.spec.ports[0].nodePort}')/" | grep -q 'Hello from hello'; }
t_hello() {
        local number
        image_load worker-1 && k apply -f "$top/manifests/hello" && k rollout status deployment/hello --timeout="$(patience 120)s" || return 1
        for number in 11 21; do until_true "$(patience 30)" greets "$(address_of $number)" || return 1; done
}
ok "a Deployment answers at both machines" t_hello
