# SPDX-License-Identifier: Apache-2.0
# For tests, sourced by bash: a machine of its own for minikube: namespaces for network and mounts with an empty /run, so
# that all that a cluster makes can be seen, and nothing else is there. Control groups and processes are the real machine's.
#
#   machine_start FOLDER    runs until machine_stop; FOLDER/pid is its first process
#   machine_stop FOLDER     ends everything in it
#   h WORDS...              runs a command there
#   background OUTPUT WORDS...   the same, not waiting for it
#   snapshot                what a cluster could leave behind, as text

machine_start() {
        # cgroups are mounted below /sys, which must be mounted again to show this network's interfaces
        unshare --net --mount --propagation private bash -c '
                mount -t tmpfs run /run && mkdir /run/cgroups && mount --rbind /sys/fs/cgroup /run/cgroups &&
                        mount -t sysfs sysfs /sys && mount --rbind /run/cgroups /sys/fs/cgroup &&
                        umount -l /run/cgroups && rmdir /run/cgroups && ip link set lo up &&
                        ip netns add first && ip netns delete first &&
                        echo 0 >/proc/sys/net/ipv4/ip_forward && echo $$ >"$1/pid.new" && mv "$1/pid.new" "$1/pid" &&
                        exec sleep infinity' machine "$1" >/dev/null 2>&1 3>&- &
        wait_for test -e "$1/pid"
}

# Processes in the machine but for its first; containers have namespaces of their own.
inhabitants() {
        local namespace pid
        namespace=$(readlink "/proc/$MACHINE/ns/mnt") || return 0
        for pid in /proc/[0-9]*; do
                [ "$(readlink "$pid/ns/mnt" 2>/dev/null)" = "$namespace" ] || continue
                pid=${pid#/proc/}
                [ "$pid" = "$MACHINE" ] || echo "$pid"
        done
}

machine_stop() {
        local pid
        for pid in $(MACHINE=$(cat "$1/pid") inhabitants) $(cat "$1/pid"); do kill -9 "$pid"; done 2>/dev/null
        rm -f "$1/pid"
}

h() { nsenter --target "$MACHINE" --net --mount "$@"; }
# As a process of its own, which $! is, and which takes SIGINT as it would from a terminal.
background() { # OUTPUT WORDS...
        [ "$1" = /dev/null ] || : >"$1" # or what an earlier one has said would be taken for this one's
        env --default-signal nsenter --target "$MACHINE" --net --mount "${@:2}" >"$1" 2>&1 3>&- &
}

snapshot() {
        h iptables-save | grep -E '^-A|^:[^ ]+ - ' || : # tables themselves come with the first look at them
        h ip -o link | sed 's/^[0-9]*: //; s/[ @:].*//'
        h ip route
        h ip netns
        h find /run -mindepth 1 ! -path '/run/mount*'
        h cat /proc/sys/net/ipv4/ip_forward
        h awk '{print $5}' /proc/self/mountinfo | grep -F "$MK" || :
        find /sys/fs/cgroup -type d -path "*/coxswain/$P*" 2>/dev/null || :
        ps -eo args | grep -F "$MINIKUBE_HOME/" | grep -v grep || :
        inhabitants | while read -r pid; do tr '\0' ' ' <"/proc/$pid/cmdline"; done 2>/dev/null | grep -v '^nsenter\|^ps ' || :
        find "$MINIKUBE_HOME" -mindepth 1
}
