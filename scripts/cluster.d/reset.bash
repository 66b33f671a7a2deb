# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
HELP='Undoes what init or join did to this machine: its pods, its certificates and, on a master, its member of etcd.
Folders of volumes in /var/lib/coxswain-volumes stay.

Usage:
  coxswain reset [flags]

Flags:
      --force
        Do not ask.'

kill_groups() { # control groups of pods and of their monitors, in any hierarchy
        local group _
        for _ in 1 2 3 4 5; do
                for group in /sys/fs/cgroup/{,*/}{kubepods,conmon}; do
                        [ -d "$group" ] || continue
                        find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u |
                                while read -r pid; do kill -9 "$pid" 2>/dev/null || :; done
                        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :
                done
                [ -n "$(find /sys/fs/cgroup -maxdepth 2 -name kubepods -print -quit)" ] || return 0
                read -rt 0.2 <> <(:) || :
        done
}
mounts_below() { findmnt -rno TARGET | awk -v folder="$1/" 'index($0, folder) == 1'; } # FOLDER
unmount_below() { # FOLDER
        local point
        mounts_below "$1" | sort -r |
                while IFS= read -r point; do umount -l -- "$(printf '%b' "$point")" 2>/dev/null || :; done
}
leave_etcd() { # the others go on without this member
        local id members
        members=$(etcd member list 2>/dev/null) || {
                say reset "etcd does not answer here. Where there are other masters, remove this member there: etcdctl member remove"
                return 0
        }
        [ "$(wc -l <<<"$members")" -gt 1 ] || return 0
        id=$(member_id "https://$own:2380")
        [ -z "$id" ] || etcd member remove "$id" >/dev/null ||
                say reset "The member of etcd could not be removed; on another master: etcdctl member remove $id"
}

command_reset() {
        local force='' own answer link unit
        take_flags "force!=force" "$@"
        [ ${#words[@]} -eq 0 ] || fail "reset takes no argument"
        need_root
        if [ -z "$force" ]; then
                printf 'What "coxswain init" or "coxswain join" changed on this machine will be reverted. Are you sure? [y/N]: '
                read -r answer || answer=
                [[ $answer == [yY]* ]] || fail "nothing was changed"
        fi
        systemctl stop coxswain-refresh.timer coxswain-refresh.service 2>/dev/null || : # it may wait for masters that are gone
        alone
        . "$parts/control-plane.bash"
        own=$(sed -n 's/.*--node-ip=\([0-9.]*\).*/\1/p' /etc/default/kubelet 2>/dev/null || :)
        [ ! -d "$etcd_data" ] || leave_etcd
        say reset "Stopping the units"
        systemctl disable --quiet --now coxswain-refresh.timer "${addon_units[@]}" "${node_units[@]}" "${master_units[@]}" 2>/dev/null || :
        say reset "Ending pods, unmounting directories in \"$kubelet_root\""
        kill_groups
        unmount_below "$kubelet_root"
        kube-proxy --cleanup >/dev/null 2>&1 || :
        for link in cni0 cx-vxlan; do ip link delete "$link" 2>/dev/null || :; done
        [ ! -s /etc/default/cluster-dns ] ||
                ip address delete "$(sed -n 's/^DNS_ADDRESS="\(.*\)"/\1/p' /etc/default/cluster-dns)/32" dev lo 2>/dev/null || :
        say reset "Deleting contents of directories: [$etc $kubelet_root $etcd_data]"
        if [ -n "$(mounts_below "$kubelet_root")" ]; then
                fail "something is still mounted below $kubelet_root; it was left as it is. Look with: findmnt"
        fi
        find "$kubelet_root" -mindepth 1 -delete 2>/dev/null || :
        rm -rf "$etc" "$etcd_data"
        rm -rf /etc/systemd/system/coxswain-refresh.timer.d
        for unit in "${addon_units[@]}" "${node_units[@]}" "${master_units[@]}"; do rm -f "/etc/default/$unit"; done
        say reset "The machine is as before. Files of volumes are left in /var/lib/coxswain-volumes"
}
