#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make install` into a folder: what is there, whether units are as closed as they can be, and whether manual pages are well
# formed. Prints TAP.
set -u
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/test/lib/tap.sh"
work=$(mktemp -d /tmp/coxswain-install.XXXXXX)
trap 'rm -rf "$work"' EXIT
units=$work/usr/lib/systemd/system
nobody=(kube-apiserver kube-controller-manager kube-scheduler cloud-controller-manager coxswain-etcd cluster-dns loadbalancer-announcer
        metrics-server dashboard) # need no root

t_install() {
        local program
        make -s -C "$top" install DESTDIR="$work" PREFIX=/usr || return 1
        for program in "$top"/build/release/bin/*; do
                cmp "$program" "$work/usr/bin/$(basename "$program")" && ls "$work"/usr/share/man/man[18]/"$(basename "$program")".[18] || return 1
        done
        [ -x "$work/usr/sbin/coxswain" ] && [ -s "$work/usr/share/man/man8/coxswain.8" ]
}
ok "install puts every executable, with a manual page" t_install
t_prefix() { # units name the executables where they are
        make -s -C "$top" install DESTDIR="$work/local" PREFIX=/opt/coxswain && grep -qx 'ExecStart=/opt/coxswain/bin/kubelet $ARGS' "$work/local/opt/coxswain/lib/systemd/system/kubelet.service" &&
                ! grep -rn '@' "$work/local/opt/coxswain/lib/systemd/system" | grep -v SystemCallFilter
}
ok "PREFIX is where units look" t_prefix

exposure() { systemd-analyze security --offline=yes --no-pager "$units/$1.service" 2>/dev/null | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p'; }
t_exposure() {
        local unit figure
        for unit in "${nobody[@]}"; do
                figure=$(exposure "$unit")
                echo "$unit: $figure"
                awk -v figure="${figure:-10}" 'BEGIN {exit !(figure <= 3)}' && grep -q '^User=' "$units/$unit.service" || return 1
        done
}
ok "units that need no root have users of their own, and an exposure of 3 at most" t_exposure
t_users() {
        local user
        for user in $(sed -n 's/^User=//p' "$units"/*.service | sort -u); do grep -q "^u $user " "$work/usr/lib/sysusers.d/coxswain.conf" || { echo "$user"; return 1; }; done
        mkdir -p "$work/etc" && systemd-sysusers --root="$work" && for user in $(sed -n 's/^User=//p' "$units"/*.service | sort -u); do grep "^$user:" "$work/etc/passwd" || return 1; done
}
ok "the users of units are made" t_users
t_verify() { # what systemd itself says of them
        local said
        mkdir -p "$work/root/etc" && cp -r "$work/usr" "$work/root/" && mkdir -p "$work/root/bin" && touch "$work/root/bin/ip" "$work/root/usr/bin/etcd" &&
                chmod +x "$work/root/bin/ip" "$work/root/usr/bin/etcd" && cp /usr/lib/systemd/system/{sysinit,basic,shutdown,network-online,multi-user}.target "$work/root/usr/lib/systemd/system/"
        said=$(systemd-analyze verify --man=no --root="$work/root" $(cd "$units" && ls *.service *.timer 2>/dev/null) 2>&1 | grep -E "$(cd "$units" && ls | paste -sd'|')")
        [ -z "$said" ] || { echo "$said"; return 1; }
}
ok "systemd finds no fault with units" t_verify
t_kubelet() { # what it started outlives it
        grep -qx KillMode=process "$units/kubelet.service" && grep -qx Delegate=yes "$units/kubelet.service" &&
                ! grep -E '^(LockPersonality|MemoryDenyWriteExecute|Private.*|Protect.*|Restrict.*|SystemCall.*)=' "$units/kubelet.service" # containers inherit filters
}
ok "a kubelet that ends takes nothing with it" t_kubelet
t_pages() {
        local page said
        for page in "$work"/usr/share/man/man[18]/*; do
                said=$(LC_ALL=C man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
                [ -z "$said" ] || { echo "$page: $said"; return 1; }
        done
        man -l "$work/usr/share/man/man8/kubelet.8" 2>/dev/null | col -bx | grep -q -- '--pod-max-pids int'
}
ok "manual pages are well formed, and tell of flags" t_pages
t_completions() {
        bash -n "$work/usr/share/bash-completion/completions/kubectl" && bash -c ". $work/usr/share/bash-completion/completions/minikube && complete -p minikube"
}
ok "completions are there" t_completions
tap_end
