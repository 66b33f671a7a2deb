# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests on machines have in common, whether systemd-nspawn or qemu runs those: a network on a bridge, our packages, and the
# pages of the tutorials. Sourced by lib.bash beside it and by test/vm/debian/machines.bash, which add machine_start, machine_kill,
# machines_show, `on` and `put`. All goes when the script ends. Sources tap.sh.
#
#   machines_begin NAME        a folder $work, a bridge and a network that no other has
#   packages_install NAME PACKAGE...   our packages, from the files in $packages
#   image_load NAME            gives a machine's kubelet the image hello:v1
#   reboots NAME SECONDS       reboots a machine, and is true when it runs again
#   page PAGE N                what the Nth block of commands of a tutorial says, with this network's addresses
#   types NAME PAGE N          types that on a machine
#   shows PAGE N               whether standard input is what the page shows behind that block
#   cis_passes NAME            nothing fails there by the CIS benchmark
#   cis_fails NAME ID REMEDY COMMANDS UNDO   after these commands a control does, and its remedy is told
#   figure WHAT VALUE GOAL     prints what was measured
#   seconds_since START        START is of $EPOCHREALTIME
#   tree_once FOLDER COMMAND...   a folder below build that the command makes, in the folder it is told, unless it is there
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$top/test/lib/tap.sh"
packages=$top/build/deb

fail_test() {
        echo "not ok - $1"
        tail -n 20 "$work"/*.log 2>/dev/null | sed 's/^/# /'
        exit 1
}

mirror() { apt-get indextargets --format '$(REPO_URI)' "Codename: bookworm" | head -n 1; } # the one that this machine uses
tree_once() { # FOLDER COMMAND...
        mkdir -p "$(dirname "$1")"
        (
                flock 9
                [ ! -d "$1" ] || exit 0
                rm -rf --one-file-system "$1.new"
                "${@:2}" "$1.new" && mv "$1.new" "$1"
        ) 9>"$1.lock" >"$work/$(basename "$1").log" 2>&1
}

free_network() { # a /24 of 172.16.0.0/12 that no route of this machine is in, as "172.20.7"
        local i prefix
        for i in $(shuf -i 0-4095 -n 64); do
                prefix=172.$((16 + i / 256)).$((i % 256))
                [ -z "$(ip -4 route show root "$prefix.0/24")" ] && [ -z "$(ip -4 route show match "$prefix.0/24" | grep -v ^default)" ] && break
        done
        echo "$prefix"
}

names_of() { # FOLDER
        id=$(basename "$1" | tail -c 7 | tr '[:upper:]' '[:lower:]')
        bridge=cxm-$id
}
sweep() { # what scripts left that were killed
        local folder
        for folder in /var/tmp/coxswain-machines-*; do
                [ ! -e "$folder/owner" ] || kill -0 "$(cat "$folder/owner")" 2>/dev/null || (
                        work=$folder
                        names_of "$folder"
                        machines_end
                )
        done
}
machines_begin() { # NAME
        [ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
        sweep
        work=$(mktemp -d "/var/tmp/coxswain-machines-$1.XXXXXX") # on a disk: containers' file systems are overlays on it
        echo $$ >"$work/owner"
        names_of "$work"
        : >"$work/hosts" # what all machines know beside themselves
        trap machines_end EXIT
        trap 'exit 1' INT TERM
        TAP_ON_FAILURE=${TAP_ON_FAILURE:-machines_show}
        (
                flock 9
                prefix=$(free_network)
                ip link add "$bridge" type bridge && ip address add "$prefix.1/24" dev "$bridge" && ip link set "$bridge" up && echo "$prefix" >"$work/prefix"
        ) 9>/run/lock/coxswain-machines || fail_test "no bridge"
        prefix=$(cat "$work/prefix")
}
address_of() { echo "$prefix.$1"; }

link_of() { echo "vb-cxm$id$(cat "$work/$1/number")"; }
machines_end() {
        local folder
        trap '' INT TERM
        for folder in "$work"/*/; do [ ! -e "$folder/number" ] || machine_kill "$(basename "$folder")"; done
        kill $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null
        for folder in "$work"/*/; do
                findmnt -rno TARGET | grep -F "$folder" | sort -r | while read -r point; do umount -l "$point"; done
        done
        ip link delete "$bridge" 2>/dev/null
        rm -rf --one-file-system "$work"
}

packages_install() { # NAME PACKAGE...
        local name=$1 package
        on "$name" mkdir -p /root/packages
        for package in "${@:2}"; do
                put "$name" "$(echo "$packages/${package}_$(cat "$packages/version")_"*.deb)" "/root/packages/$package.deb" || return 1
        done
        on "$name" sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i /root/packages/*.deb && rm -r /root/packages'
}
image_load() { # NAME: the example's image
        [ -s "$work/hello.tar" ] || { "$top/test/images/build" "$top/build/images" >/dev/null && tar -C "$top/build/images/hello-v1" -cf "$work/hello.tar" .; } || return 1
        put "$1" "$work/hello.tar" /var/lib/kubelet/images/import.hello &&
                on "$1" mv /var/lib/kubelet/images/import.hello /var/lib/kubelet/images/import/hello.tar &&
                until_true 60 on "$1" test ! -e /var/lib/kubelet/images/import/hello.tar
}
reboots() { # NAME SECONDS
        local boot
        boot=$(boot_of "$1") || return 1
        on "$1" systemctl reboot
        until_true "$2" rebooted "$1" "$boot"
}
boot_of() { ON_LIMIT=20 on "$1" cat /proc/sys/kernel/random/boot_id; }
rebooted() { local now; machine_runs "$1" && now=$(boot_of "$1") && [ "$now" != "$2" ]; } # NAME BOOT
block() { # PAGE KIND N: the Nth ```sh, or the ```text behind it
        awk -v kind="$2" -v wanted="$3" '/^```sh$/ {n++; on = kind == "sh" && n == wanted; next} /^```text$/ {on = kind == "text" && n == wanted; next}
                /^```$/ {on = 0} on' "$top/docs/tutorials/$1"
}
page() { block "$1" sh "$2" | sed "s/192\.0\.2\./$prefix./g"; }
types() { on "$1" sh -ec "exec 2>&1; cd /root; $(page "$2" "$3")"; } # MACHINE PAGE BLOCK
shows() { "$top/test/tutorials/run" --compare <(block "$1" text "$2"); }
cis_passes() {
        local said
        said=$(on "$1" coxswain cis 2>&1) || { echo "$said" | grep -E 'FAIL|error'; return 1; }
        grep -qx '0 checks FAIL' <<<"$said" && grep -qE '^[1-9][0-9]* checks PASS$' <<<"$said"
}
cis_fails() {
        local said r=0
        on "$1" sh -ec "$4" || return 1
        said=$(on "$1" coxswain cis 2>&1) || r=$?
        on "$1" sh -ec "$5" && [ $r = 1 ] && grep -qF "[FAIL] $2 " <<<"$said" && grep -qF "$2 $3" <<<"$said" || { echo "$said" | grep "$2"; return 1; }
}
figure() { echo "# $1: $2 (goal: $3)" | tee -a "$work/figures"; } # WHAT VALUE GOAL
seconds_since() { awk "BEGIN {printf \"%.1f\", $EPOCHREALTIME - $1}"; }
