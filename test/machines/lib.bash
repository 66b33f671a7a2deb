# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests, sourced by bash: machines with Debian and systemd on this one, by systemd-nspawn, that meet on a bridge. Each is an
# overlay over one tree, which debootstrap makes once. All goes when the script ends. Sources shared.bash, which has more.
#
#   machine_start NAME NUMBER  boots a machine of that name, with the address $(address_of NUMBER)
#   machine_kill NAME          as if its power failed
#   machine_forget NAME        kills it, and what was on its disk
#   on NAME COMMAND...         runs a command on the machine
#   put NAME FILE PATH         copies a file of this machine there
#   cut_off NAME, reconnect NAME       takes its network away, both ways
. "$(dirname "${BASH_SOURCE[0]}")/shared.bash"
release=bookworm
# What our packages depend on, so that they are installed without a network.
base_packages=systemd,systemd-sysv,dbus,udev,iproute2,iptables,conntrack,runc,conmon,containernetworking-plugins,etcd-server,etcd-client
base_packages+=,openssl,ca-certificates,libjansson4,libyaml-0-2,libprotobuf-c1,libarchive13,libzstd1,zlib1g,libwslay1,libldns3,libsodium23
base_packages+=,libnghttp2-14,libmicrohttpd12,libgnutls30,libcurl4,kmod,procps,util-linux,curl

base_tree() { # $base: a tree for the packages above and the files in test/machines/base
        local key
        key=$(cat "$top"/test/machines/base/* <(echo "$release $base_packages") | sha256sum | cut -c1-16)
        base=$top/build/machines/$release-$key
        tree_once "$base" base_make || fail_test "no tree of Debian $release: debootstrap"
}
base_make() { # FOLDER
        debootstrap --variant=minbase --include="$base_packages" "$release" "$1" "$(mirror)" &&
                rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* &&
                install -m 755 "$top/test/machines/base/machine-setup" "$1/usr/local/sbin/machine-setup" &&
                install -m 644 "$top/test/machines/base/machine-setup.service" "$1/etc/systemd/system/" &&
                chroot "$1" systemctl enable machine-setup.service &&
                chroot "$1" systemctl mask systemd-networkd.service systemd-resolved.service console-getty.service \
                        systemd-journal-flush.service apt-daily.timer apt-daily-upgrade.timer &&
                rm -f "$1/etc/machine-id" && : >"$1/etc/machine-id"
}

groups_of() { local h; for h in /sys/fs/cgroup/*/; do [ ! -e "$h/cgroup.procs" ] || echo "$h$1"; done; } # NAME: of all hierarchies
[ ! -e /sys/fs/cgroup/cgroup.procs ] || groups_of() { echo "/sys/fs/cgroup/$1"; }

machine_start() { # NAME NUMBER
        local name=$1 folder=$work/$1 group
        base_tree
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
cut_off() { ip link set "$(link_of "$1")" nomaster && ip link set "$(link_of "$1")" down; }
reconnect() { ip link set "$(link_of "$1")" master "$bridge" && ip link set "$(link_of "$1")" up; }

