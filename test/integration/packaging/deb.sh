#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make deb`: the packages are built without a network, and lintian has nothing against them. Prints TAP.
set -u
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/test/lib/tap.sh"
deb=$top/build/deb
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
exec 8>"$top/build/deb.lock" # until this script ends nobody else builds packages
flock 8

t_build() {
        unshare -n "$top/scripts/deb" || return 1
        equals "$(cd "$deb" && ls *.deb | sed 's/_.*//' | tr '\n' ' ')" "coxswain-client coxswain-control-plane coxswain-minikube coxswain-node " &&
                [ -s "$deb/coxswain_$(cat "$deb/version").dsc" ]
}
ok "four packages and a source are built without a network" t_build
t_lintian() {
        local said
        said=$(lintian --allow-root --fail-on error,warning "$deb"/*.changes 2>&1) || { echo "$said"; return 1; }
        [ -z "$said" ] || { echo "$said"; return 1; }
}
ok "lintian is content" t_lintian
holds() { dpkg-deb -c "$deb/$1"_*.deb | grep -q " \./$2\$" || { echo "$1 has no $2"; return 1; }; } # PACKAGE PATH
t_contents() {
        holds coxswain-client usr/bin/kubectl && holds coxswain-node usr/bin/kubelet && holds coxswain-node usr/sbin/coxswain &&
                holds coxswain-node usr/lib/systemd/system/kubelet.service && holds coxswain-control-plane usr/bin/kube-apiserver &&
                holds coxswain-control-plane usr/lib/systemd/system/coxswain-etcd.service && holds coxswain-minikube usr/bin/minikube &&
                ! dpkg-deb -c "$deb"/coxswain-node_*.deb | grep -E 'kube-apiserver|kube-controller-manager'
}
ok "each holds what its machines need, and no more" t_contents
t_source() { # the source holds the tree, and nothing that was built
        local files
        files=$(tar -tf "$deb"/coxswain_*.tar.xz)
        grep -q '/kubelet/main.c$' <<<"$files" && grep -q '/debian/control$' <<<"$files" && ! grep -E '/build/|\.git/|\.o$' <<<"$files"
}
ok "the source package is the tree" t_source
t_libraries() { # the libcurl of scripts/curl is in the executables, where it was made
        [ ! -e "$top/build/curl/lib/libcurl.a" ] || ! dpkg-deb -f "$deb"/coxswain-node_*.deb Depends | grep -q libcurl
}
ok "packages do not ask for libcurl when it is built in" t_libraries
tap_end
