#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The dashboard in headless Chromium before two real nodes. Prints TAP; pictures of the views are left in build/dashboard.
#   test/e2e/dashboard.sh [KUBECTL]    with upstream's kubectl there is nothing more to test: then it is left out
set -u
[ -z "${1:-}" ] || { echo "1..0 # skip: the browser is tested once"; exit 0; }
. "$(dirname "$0")/../lib/cluster.sh"
cluster_begin dash

# The tests and what they need of npm, by the lock file.
prepare() {
        local from=$top/test/e2e/dashboard
        modules=$top/build/dashboard-e2e
        mkdir -p "$modules" && cp "$from"/* "$modules" || return 1
        cmp -s "$from/package-lock.json" "$modules/installed" ||
                { (cd "$modules" && npm ci --silent --no-audit --no-fund --ignore-scripts) && cp "$from/package-lock.json" "$modules/installed"; }
}
load_images() {
        local image
        "$top/test/images/build" "$work/images" || return 1
        for image in hello-v1 hello-v2 busybox-1.35; do
                tar -C "$work/images/$image" -cf "$work/$image.tar" . && mk image load "$work/$image.tar" || return 1
        done
}
# The browser is a machine of its own beside the nodes: Chromium ends what it is loading when an interface of its machine comes
# or goes, and on the host they come and go with every pod of every cluster.
browser=coxswain-browser-$$
browser_end() { ip netns delete $browser 2>/dev/null; }
trap 'browser_end; cluster_end' EXIT
browser_machine() {
        local address=$(k get node $profile -o 'jsonpath={.status.addresses[0].address}') bridge
        bridge=$(ip -o route get "$address" | grep -oP ' dev \K\S+') && ip netns add $browser &&
                ip link add view-$$ type veth peer name eth0 netns $browser && ip link set view-$$ master "$bridge" up &&
                ip -n $browser link set lo up && ip -n $browser address add "${address%.*}.126/25" dev eth0 &&
                ip -n $browser link set eth0 up || return 1
        printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s "$@"\n' $browser >"$work/in-browser" && chmod +x "$work/in-browser" &&
                printf '#!/bin/sh\nexec "%s/in-browser" chromium "$@"\n' "$work" >"$work/chromium" && chmod +x "$work/chromium"
}
prepare >&2 && mk start --nodes 2 --addons metrics-server >&2 && browser_machine >&2 && load_images >&2 && k apply -f "$modules/sample.yaml" >&2 || { echo "1..1"; echo "not ok 1 - a cluster with a shop"; exit 1; }
until_true 120 k rollout status deployment/web -n shop --timeout=1s >&2
mk dashboard --url >/dev/null 2>&1 # turns the addon on
cd "$modules" && KUBECTL=$KUBECTL MINIKUBE=$bin/minikube PROFILE=$profile BROWSER_MACHINE=$work PROFILE_FOLDER=$work/.minikube/profiles/$profile \
        ASSETS=$top/build/release/gen/dashboard PICTURES=$top/build/dashboard node dashboard.mjs
