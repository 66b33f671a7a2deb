# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a machine needs, as a table: what each check is called, who needs it, the test, what is wrong, and the remedy.
HELP='Tells what this machine lacks, and how to remedy it; changes nothing.

Usage:
  coxswain check [flags]

Flags:
      --control-plane
        Also what a master needs.'

runs_hierarchy() { # CONTROLLER: is there, and can be written
        local folder=/sys/fs/cgroup/$1
        if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
                grep -qw "$1" /sys/fs/cgroup/cgroup.controllers && [ -w /sys/fs/cgroup/cgroup.procs ]
        else
                [ -d "$folder" ] && [[ ! $(findmnt -no OPTIONS "$folder") =~ (^|,)ro(,|$) ]]
        fi
}
port_is_free() { [ -z "$(ss -Hltn "sport = :$1")" ]; }
has_program() { command -v "$1" >/dev/null; }
no_file() { [ ! -e "$1" ]; }
swap_is_off() { [ "$(wc -l </proc/swaps)" -le 1 ]; }
has_file_system() { grep -qw "$1" /proc/filesystems || modprobe -n "$1" 2>/dev/null; }
has_address() { [ -n "$(own_address)" ]; }
has_memory() { [ "$(awk '/^MemTotal/ {print $2}' /proc/meminfo)" -ge $((1024 * $1)) ]; }
has_room() { [ "$(df --output=avail -m "$1" | tail -n 1)" -ge "$2" ]; }
is_systemd() { [ -d /run/systemd/system ]; }
# What the packages make; after `make install` they come with the next boot.
has_users() { getent passwd cluster-dns loadbalancer-announcer kube-apiserver coxswain-etcd >/dev/null; }
confines_containers() { # the kubelet does without where AppArmor is off
        local loaded=/sys/kernel/security/apparmor/profiles
        [ ! -r "$loaded" ] || grep -q '^coxswain-default ' "$loaded"
}
is_inactive() { ! systemctl is-active --quiet "$1"; }

# severity | name | who: all or master | test | what is wrong | remedy
checks='
ERROR   | IsPrivilegedUser | all | test $EUID = 0 | the user is not root | run it with sudo
ERROR   | Systemd | all | is_systemd | systemd does not run this machine | boot the machine with systemd
ERROR   | Address | all | has_address | the machine has no address that leads to others | configure the network, and a default route
ERROR   | FileExisting-conntrack | all | has_program conntrack | conntrack is not installed | apt-get install conntrack
ERROR   | FileExisting-conmon | all | has_program conmon | conmon is not installed | apt-get install conmon
ERROR   | FileExisting-runc | all | has_program runc | runc is not installed | apt-get install runc
ERROR   | FileExisting-ip | all | has_program ip | ip is not installed | apt-get install iproute2
ERROR   | FileExisting-iptables | all | has_program iptables | iptables is not installed | apt-get install iptables
ERROR   | FileExisting-openssl | all | has_program openssl | openssl is not installed | apt-get install openssl
ERROR   | FileExisting-bridge | all | has_program /usr/lib/cni/bridge | the CNI plugins are not installed | apt-get install containernetworking-plugins
ERROR   | FileExisting-kubelet | all | has_program kubelet | kubelet is not installed | install the package coxswain-node
ERROR   | FileExisting-etcd | master | has_program etcd | etcd is not installed | apt-get install etcd-server
ERROR   | FileExisting-etcdctl | master | has_program etcdctl | etcdctl is not installed | apt-get install etcd-client
ERROR   | FileExisting-kube-apiserver | master | has_program kube-apiserver | kube-apiserver is not installed | install the package coxswain-control-plane
ERROR   | SystemVerification-cpu | all | runs_hierarchy cpu | the cpu control group is absent or read-only | boot without cgroup_disable=
ERROR   | SystemVerification-memory | all | runs_hierarchy memory | the memory control group is absent or read-only | boot with cgroup_enable=memory
ERROR   | SystemVerification-pids | all | runs_hierarchy pids | the pids control group is absent or read-only | boot without cgroup_disable=pids
ERROR   | SystemVerification-overlay | all | has_file_system overlay | the kernel has no overlay file system | modprobe overlay
ERROR   | Port-10250 | all | port_is_free 10250 | Port 10250 is in use | stop what uses it (ss -ltnp), or: coxswain reset
ERROR   | Port-6443 | master | port_is_free 6443 | Port 6443 is in use | stop what uses it (ss -ltnp), or: coxswain reset
ERROR   | Port-10259 | master | port_is_free 10259 | Port 10259 is in use | stop what uses it (ss -ltnp), or: coxswain reset
ERROR   | Port-10257 | master | port_is_free 10257 | Port 10257 is in use | stop what uses it (ss -ltnp), or: coxswain reset
ERROR   | Port-2379 | master | test_etcd_port 2379 | Port 2379 is in use | stop what uses it (ss -ltnp), or: coxswain reset
ERROR   | Port-2380 | master | test_etcd_port 2380 | Port 2380 is in use | stop what uses it (ss -ltnp), or: coxswain reset
ERROR   | FileAvailable-kubelet.conf | all | no_file /etc/kubernetes/kubelet.conf | /etc/kubernetes/kubelet.conf already exists | the machine is in a cluster already; coxswain reset takes it out
ERROR   | DirAvailable-etcd | master | no_file /var/lib/coxswain-etcd/data | /var/lib/coxswain-etcd/data is not empty | it holds the objects of a cluster; coxswain reset removes it
ERROR   | SystemUsers | all | has_users | the users that the units run as are missing | systemd-sysusers
WARNING | AppArmor | all | confines_containers | AppArmor is on without the profile of containers | apparmor_parser -r /etc/apparmor.d/coxswain-default
WARNING | Swap | all | swap_is_off | swap is on, and limits of memory do not hold there | swapoff -a, and take it out of /etc/fstab
WARNING | Mem | master | has_memory 512 | the machine has less than 512 MB of memory | give it more
WARNING | Disk | all | has_room /var/lib 1024 | /var/lib has less than 1 GB free | make room for images
WARNING | Etcd-service | master | is_inactive etcd.service | the unit etcd.service runs; init will disable it | systemctl disable --now etcd
'
# Debian starts a unit of its own when etcd is installed; init replaces it.
test_etcd_port() { port_is_free "$1" || ! is_inactive etcd.service; }

# Prints what is wrong; false when any of it is an error.
preflight() { # worker|master
        local who=$1 errors=()
        say preflight "Running pre-flight checks"
        judge() {
                [ "$3" = all ] || [ "$3" = "$who" ] || return 0
                local test
                read -ra test <<<"${4//\$EUID/$EUID}"
                "${test[@]}" && return
                case $1 in
                ERROR) errors+=("$(printf '\t[ERROR %s]: %s. Remedy: %s' "$2" "$5" "$6")") ;;
                WARNING) printf '\t[WARNING %s]: %s. Remedy: %s\n' "$2" "$5" "$6" >&2 ;;
                esac
        }
        each_row "$checks" judge
        [ ${#errors[@]} -gt 0 ] || return 0
        printf '[preflight] Some fatal errors occurred:\n' >&2
        printf '%s\n' "${errors[@]}" >&2
        return 1
}

command_check() {
        local master=
        . "$parts/pki.bash"
        take_flags "control-plane!=master" "$@"
        [ ${#words[@]} -eq 0 ] || fail "check takes no argument"
        preflight "${master:+master}" || exit 1
        say preflight "Nothing is missing"
}
