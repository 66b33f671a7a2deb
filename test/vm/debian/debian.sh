#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# debian.sh [SUITE]: what users have. Packages are built on Debian of that suite (bookworm, trixie), and a master and a worker,
# virtual machines with its own kernel, systemd, cgroup v2 alone, nftables and AppArmor, are installed from them and made a cluster
# by the words of the tutorial. Limits, QoS classes, figures, resizes, confinement and a reboot are what they ought to be there.
# Prints TAP and figures.
suite=${1:-trixie}
. "$(dirname "$0")/machines.bash"
TAP_LINES=60
machines_begin "$suite"
trap 'cp "$work"/figures "$top/build/vm/$suite.figures" 2>/dev/null; machines_end' EXIT
: >"$work/figures"
began=$EPOCHREALTIME
upstream=$("$top/test/lib/upstream-clients") || { echo "not ok - upstream's kubectl"; exit 1; }
k() { "$upstream/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
is() { equals "$(k get "$1" -o "jsonpath=$2")" "$3"; } # OBJECT PATH VALUE

suite_builder
ok "packages are built on Debian $suite" suite_packages
ok "$suite's lintian is content" suite_lintian
suite_image
figure "packages and image" "$(seconds_since "$began") s" "none"
machines_boot master-1=11 worker-1=21 >"$work/boot.log" || fail_test "machines do not boot"
echo "# accelerator: $accelerator; kernel: $(on worker-1 uname -r)"

for part in cluster limits confinement reboot; do . "$(dirname "$0")/$part.bash"; done
tap_end
