# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests, sourced by bash: machines with Debian and systemd on this one, by systemd-nspawn, that meet on a bridge. Each is an
# overlay over one tree, which debootstrap makes once. All goes when the script ends. Sources tap.sh.
#
#   machines_begin NAME        a folder $work, a bridge and a network that no other has
#   machine_start NAME NUMBER  boots a machine of that name, with the address $(address_of NUMBER)
#   machine_kill NAME          as if its power failed
#   on NAME COMMAND...         runs a command on the machine
#   put NAME FILE PATH         copies a file of this machine there
#   packages_install NAME PACKAGE...   our packages, from the files in $packages
#   cut_off NAME, reconnect NAME       takes its network away, both ways
#   image_load NAME            gives a machine's kubelet the image hello:v1
#   page PAGE N                what the Nth block of commands of a tutorial says, with this network's addresses
#   shows PAGE N               whether standard input is what the page shows behind that block
#   cis_passes NAME            nothing fails there by the CIS benchmark
#   cis_fails NAME ID REMEDY COMMANDS UNDO   after these commands a control does, and its remedy is told
#   figure WHAT VALUE GOAL     prints what was measured
#   machine_forget NAME        kills it, and what was on its disk
#   seconds_since START        START is of $EPOCHREALTIME
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$top/test/lib/tap.sh"
packages=$top/build/deb
release=bookworm
# What our packages depend on, so that they are installed without a network.
base_packages=systemd,systemd-sysv,dbus,udev,iproute2,iptables,conntrack,runc,conmon,containernetworking-plugins,etcd-server,etcd-client
base_packages+=,openssl,ca-certificates,libjansson4,libyaml-0-2,libprotobuf-c1,libarchive13,libzstd1,zlib1g,libwslay1,libldns3,libsodium23
base_packages+=,libnghttp2-14,libmicrohttpd12,libgnutls30,libcurl4,kmod,procps,util-linux,curl

fail_test() {
        echo "not ok - $1"
        tail -n 20 "$work"/*.log 2>/dev/null | sed 's/^/# /'
        exit 1
}

mirror() { apt-get indextargets --format '$(REPO_URI)' "Codename: $release" | head -n 1; } # the one that this machine uses
base_tree() { # $base: a tree for the packages above and the files in test/machines/base
        local folder=$top/build/machines key
        key=$(cat "$top"/test/machines/base/* <(echo "$release $base_packages") | sha256sum | cut -c1-16)
        base=$folder/$release-$key
        mkdir -p "$folder"
        (
                flock 9
                [ ! -d "$base" ] || exit 0
                rm -rf --one-file-system "$base.new"
                debootstrap --variant=minbase --include="$base_packages" "$release" "$base.new" "$(mirror)" &&
                        rm -rf "$base.new"/var/cache/apt/archives/*.deb "$base.new"/var/lib/apt/lists/* &&
                        install -m 755 "$top/test/machines/base/machine-setup" "$base.new/usr/local/sbin/machine-setup" &&
                        install -m 644 "$top/test/machines/base/machine-setup.service" "$base.new/etc/systemd/system/" &&
                        chroot "$base.new" systemctl enable machine-setup.service &&
                        chroot "$base.new" systemctl mask systemd-networkd.service systemd-resolved.service console-getty.service \
                                systemd-journal-flush.service apt-daily.timer apt-daily-upgrade.timer &&
                        rm -f "$base.new/etc/machine-id" && : >"$base.new/etc/machine-id" && mv "$base.new" "$base"
        ) 9>"$folder/lock" >"$work/base.log" 2>&1 || fail_test "no tree of Debian $release: debootstrap"
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
        base_tree
        (
                flock 9
                prefix=$(free_network)
                ip link add "$bridge" type bridge && ip address add "$prefix.1/24" dev "$bridge" && ip link set "$bridge" up && echo "$prefix" >"$work/prefix"
        ) 9>"$top/build/machines/lock" || fail_test "no bridge"
        prefix=$(cat "$work/prefix")
}
address_of() { echo "$prefix.$1"; }

groups_of() { local h; for h in /sys/fs/cgroup/*/; do [ ! -e "$h/cgroup.procs" ] || echo "$h$1"; done; } # NAME: of all hierarchies
[ ! -e /sys/fs/cgroup/cgroup.procs ] || groups_of() { echo "/sys/fs/cgroup/$1"; }

machine_start() { # NAME NUMBER
        local name=$1 folder=$work/$1 group
        mkdir -p "$folder"/{up,work,root,kubelet,volumes}
        mountpoint -q "$folder/root" || mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/up,workdir=$folder/work" "$folder/root"
        printf 'ADDRESS=%s\nGATEWAY=%s.1\n' "$(address_of "$2")" "$prefix" >"$folder/root/etc/machine-network"
        echo "$name" >"$folder/root/etc/hostname"
        printf '127.0.0.1 localhost\n%s %s\n' "$(address_of "$2")" "$name" | cat - "$work/hosts" >"$folder/root/etc/hosts"
        echo "$2" >"$folder/number"
        for group in $(groups_of "cxm-$id-$name"); do
                mkdir -p "$group"
                [ ! -e "$group/cpuset.cpus" ] || for file in cpus mems; do cat "$(dirname "$group")/cpuset.$file" >"$group/cpuset.$file"; done
        done
        # A machine's own control groups, and a /run/systemd of its own, which systemd-nspawn wants and this machine may lack.
        group="$(groups_of "cxm-$id-$name" | tr '\n' ' ')" unshare -m bash -c '
                for g in $group; do echo $$ >"$g/cgroup.procs"; done
                mount -t tmpfs tmpfs /run/systemd
                status=133 # of a machine that is rebooted: its control groups are as new then
                while [ $status = 133 ]; do
                        for g in $group; do find "$g" -mindepth 1 -depth -type d -exec rmdir {} +; done
                        systemd-nspawn --register=no --keep-unit --boot --directory="$1/root" --machine="cxm$2" --hostname="$3" --network-bridge="$4" \
                                --bind="$1/kubelet:/var/lib/kubelet" --bind="$1/volumes:/var/lib/coxswain-volumes" --capability=all \
                                --system-call-filter="@keyring bpf" --console=pipe
                        status=$?
                done' bash "$folder" "$id$2" "$name" "$bridge" </dev/null >>"$folder/console.log" 2>&1 &
        echo $! >"$folder/pid"
        disown $! # the shell says nothing of its end
}
child_of() { cat "/proc/$1/task/$1/children" 2>/dev/null | awk '{print $1}'; }
leader_of() { child_of "$(child_of "$(cat "$work/$1/pid" 2>/dev/null)")"; } # the machine's first process
# A machine that goes down stops what runs there for a moment, and nsenter stops with it, for good.
machine_runs() { local state; state=$(ON_LIMIT=10 on "$1" systemctl is-system-running 2>/dev/null); [[ $state == running || $state == degraded ]]; }
on() { # NAME COMMAND...
        local leader
        leader=$(leader_of "$1")
        [ -n "$leader" ] || { echo "$1 is down" >&2; return 1; }
        timeout -s KILL "${ON_LIMIT:-900}" nsenter -t "$leader" -a -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "${@:2}"
}
put() { cat "$2" | on "$1" tee "$3" >/dev/null; } # NAME FILE PATH
machine_kill() { # NAME
        local group pid
        pid=$(cat "$work/$1/pid" 2>/dev/null) || return 0
        # The number may be another process' by now, when the script was killed that started this one.
        ! grep -qaF "$work/$1" "/proc/$pid/cmdline" 2>/dev/null || kill -9 "$pid"
        for group in $(groups_of "cxm-$id-$1"); do
                [ ! -d "$group" ] || find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | while read -r pid; do kill -9 "$pid" 2>/dev/null; done
        done
        rm -f "$work/$1/pid"
        [ ! -e "$work/$1/number" ] || ip link delete "$(link_of "$1")" 2>/dev/null
        until_true 20 groups_gone "$1" >/dev/null || :
}
groups_gone() { # NAME
        local group
        for group in $(groups_of "cxm-$id-$1"); do
                [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
                [ ! -d "$group" ] || return 1
        done
}
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
machine_forget() {
        local point
        machine_kill "$1"
        findmnt -rno TARGET | grep -F "$work/$1/" | sort -r | while read -r point; do umount -l "$point"; done
        rm -rf --one-file-system "${work:?}/$1"
}
machines_show() {
        local folder
        for folder in "$work"/*/; do
                [ ! -e "$folder/pid" ] || { echo "--- $(basename "$folder")"; on "$(basename "$folder")" journalctl -b -q -n 25 --no-hostname -o cat -p notice; }
        done
}
link_of() { echo "vb-cxm$id$(cat "$work/$1/number")"; }
cut_off() { ip link set "$(link_of "$1")" nomaster && ip link set "$(link_of "$1")" down; }
reconnect() { ip link set "$(link_of "$1")" master "$bridge" && ip link set "$(link_of "$1")" up; }

packages_install() { # NAME PACKAGE...
        local name=$1 package
        shift
        mkdir -p "$work/$name/root/root/packages"
        for package in "$@"; do cp "$packages/${package}_$(cat "$packages/version")_"*.deb "$work/$name/root/root/packages/" || return 1; done
        on "$name" sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i /root/packages/*.deb && rm -r /root/packages'
}
image_load() { # NAME: the example's image
        [ -s "$work/hello.tar" ] || { "$top/test/images/build" "$top/build/images" >/dev/null && tar -C "$top/build/images/hello-v1" -cf "$work/hello.tar" .; } || return 1
        put "$1" "$work/hello.tar" /var/lib/kubelet/images/import.hello &&
                on "$1" mv /var/lib/kubelet/images/import.hello /var/lib/kubelet/images/import/hello.tar &&
                until_true 60 on "$1" test ! -e /var/lib/kubelet/images/import/hello.tar
}
block() { # PAGE KIND N: the Nth ```sh, or the ```text behind it
        awk -v kind="$2" -v wanted="$3" '/^```sh$/ {n++; on = kind == "sh" && n == wanted; next} /^```text$/ {on = kind == "text" && n == wanted; next}
                /^```$/ {on = 0} on' "$top/docs/tutorials/$1"
}
page() { block "$1" sh "$2" | sed "s/192\.0\.2\./$prefix./g"; }
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
