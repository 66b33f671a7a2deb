# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
UPGRADE_HELP='Replaces the packages of this machine by those in a folder, and goes back when they fail. One machine after the
other, masters first: pods are moved to others meanwhile, and what runs here is restarted unit by unit. Units get the
arguments that the new version brings, and keep those that they have. On a master the accounts and rights that every cluster has
are brought up to date, too.

Usage:
  coxswain upgrade FOLDER [flags]
  coxswain upgrade --configuration-only

Flags:
      --configuration-only
        Only what comes after the packages: arguments, accounts and rights. Units take arguments up when they are restarted.
      --skip-drain
        Leave pods where they are: they run on while the kubelet is restarted.
      --delete-emptydir-data
        Drain pods with emptyDir volumes, too, whose data is lost by that.
      --kubeconfig string
        Who drains; by default admin.conf on a master, and the node itself on a worker.'
upgrade_folder=/var/lib/coxswain-upgrade

our_packages() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'coxswain-*' 2>/dev/null | sed -n 's/^installed //p'; }
version_of() { dpkg-query -W -f '${Version}' "$1"; }
package_file() { # FOLDER PACKAGE: the one file of it
        local file found=''
        for file in "$1"/*.deb; do
                [ -e "$file" ] && [ "$(dpkg-deb -f "$file" Package 2>/dev/null)" = "$2" ] || continue
                [ -z "$found" ] || fail "$1 holds $2 twice: $found and $file"
                found=$file
        done
        [ -n "$found" ] || fail "$1 holds no package $2, which this machine has"
        printf %s "$found"
}

# An installed package as a file again, so that there is a way back.
repack() { # PACKAGE FOLDER
        local root path script
        root=$(new_folder)
        mkdir -m 755 "$root/DEBIAN"
        chmod 755 "$root"
        dpkg-query -s "$1" | sed '/^Status: /d' >"$root/DEBIAN/control"
        chmod 644 "$root/DEBIAN/control"
        for script in preinst postinst prerm postrm; do
                [ ! -e "/var/lib/dpkg/info/$1.$script" ] || cp -a "/var/lib/dpkg/info/$1.$script" "$root/DEBIAN/$script"
        done
        dpkg -L "$1" | while IFS= read -r path; do
                if [ -d "$path" ] && [ ! -L "$path" ]; then
                        mkdir -p "$root$path" && chmod 755 "$root$path"
                else
                        cp -a "$path" "$root$path"
                fi
        done
        dpkg-deb --root-owner-group -Znone -b "$root" "$2/$1.deb" >/dev/null
        rm -rf "$root"
}

# --- what the new version wants of the machine is for the new version to say ---

write_configuration() {
        local unit
        for unit in "${upgraded_units[@]}"; do add_args "$unit"; done
        [ -s "$admin" ] || return 0
        . "$parts/pki.bash"
        . "$parts/control-plane.bash"
        bring_audit_policy
        bring_rights "$admin"
        drop_former_rights "$admin"
}
keep_configuration() { # as it was, for the way back
        local unit
        mkdir "$upgrade_folder/default"
        for unit in "${upgraded_units[@]}"; do cp -p "/etc/default/$unit" "$upgrade_folder/default/"; done
}

# Whether what is installed serves: no unit that is to run has ended since it was started, and the node is heard of.
serves() {
        local unit renewed
        for unit in "${upgraded_units[@]}"; do
                [ "$(systemctl is-active "$unit")" = active ] || return 1
        done
        [ ! -s "$admin" ] || api_ready "$admin" >/dev/null || return 1
        renewed=$(kubectl --kubeconfig "$who" get lease -n kube-node-lease "$node" -o 'jsonpath={.spec.renewTime}') &&
                [[ $renewed > $restarted ]] && node_is_ready "$who" "$node"
}
restart_units() { # one after the other; false when one does not come up
        local unit
        systemctl daemon-reload
        for unit in "${upgraded_units[@]}"; do
                say upgrade "Restarting $unit"
                systemctl restart "$unit" || return 1
        done
        restarted=$(date -u +%Y-%m-%dT%H:%M:%S)
}
settles() { # SECONDS: serves, and does so still a moment later
        local end=$((SECONDS + $1)) starts
        until serves 2>/dev/null; do
                [ $SECONDS -lt "$end" ] || return 1
                read -rt 0.2 <> <(:) || :
        done
        starts=$(systemctl show -P NRestarts "${upgraded_units[@]}")
        read -rt 5 <> <(:) || : # how long a process may need to fall
        serves 2>/dev/null && [ "$starts" = "$(systemctl show -P NRestarts "${upgraded_units[@]}")" ]
}
# A node that somebody had taken out of use before stays so.
use_node_again() { [ -n "$skip$cordoned" ] || kubectl --kubeconfig "$who" uncordon "$node" >/dev/null; }
cut_short() { # by a signal, or what was not foreseen
        use_node_again || :
        say upgrade "Interrupted. Version $before is in $upgrade_folder until the next upgrade (dpkg --force-downgrade -i)"
}
give_up() { # MESSAGE...: all that is to be said
        undo=()
        fail "$@"
}
install_packages() { DEBIAN_FRONTEND=noninteractive dpkg --force-downgrade -i "$@" >"$upgrade_folder/dpkg.log" 2>&1; }

command_upgrade() {
        local skip='' emptydir='' who='' only='' cordoned own node server package files=() old=() before unit restarted='' upgraded_units=()
        HELP=$UPGRADE_HELP
        take_flags "skip-drain!=skip delete-emptydir-data!=emptydir kubeconfig=who configuration-only!=only" "$@"
        [ ${#words[@]} -eq $((${only:-0} ? 0 : 1)) ] || fail "upgrade takes the folder of the packages, or --configuration-only"
        need_root
        . "$parts/node.bash"
        need_cluster
        known_node
        who=${who:-$([ -s "$admin" ] && echo "$admin" || echo "$etc/kubelet.conf")}
        [ -r "$who" ] || fail "--kubeconfig: $who cannot be read"
        for unit in "${master_units[@]:1}" "${node_units[@]}" "${addon_units[@]}"; do
                [ ! -s "/etc/default/$unit" ] || upgraded_units+=("$unit")
        done
        if [ -n "$only" ]; then
                write_configuration
                return
        fi
        alone
        rm -rf "$upgrade_folder"
        mkdir -p -m 700 "$upgrade_folder"
        keep_configuration
        before=$(version_of coxswain-node)
        for package in $(our_packages); do
                files+=("$(package_file "${words[0]}" "$package")")
                repack "$package" "$upgrade_folder"
                old+=("$upgrade_folder/$package.deb")
        done
        say upgrade "From version $before to $(dpkg-deb -f "${files[0]}" Version)"
        cordoned=$(kubectl --kubeconfig "$who" get node "$node" -o 'jsonpath={.spec.unschedulable}')
        [ "$cordoned" = true ] || cordoned=
        undo=(cut_short)
        if [ -z "$skip" ]; then
                say upgrade "Draining $node"
                kubectl --kubeconfig "$who" drain "$node" --ignore-daemonsets --timeout=5m ${emptydir:+--delete-emptydir-data} \
                        >"$upgrade_folder/drain.log" 2>&1 || {
                        use_node_again
                        give_up "the node cannot be drained; nothing was changed. $(tail -n 1 "$upgrade_folder/drain.log")"
                }
        fi
        if install_packages "${files[@]}" && "$self" upgrade --configuration-only && restart_units && settles 60; then
                undo=()
                use_node_again
                rm -rf "$upgrade_folder"
                say upgrade "SUCCESS! This machine was upgraded to version $(version_of coxswain-node)"
                return
        fi
        say upgrade "The new version does not serve. Going back to $before"
        for unit in "${upgraded_units[@]}"; do
                [ "$(systemctl is-active "$unit")" = active ] || systemctl status --no-pager -n 3 "$unit" >&2 || :
        done
        cp -p "$upgrade_folder"/default/* /etc/default/
        install_packages "${old[@]}" || give_up "dpkg cannot go back: $upgrade_folder/dpkg.log. The packages are beside it"
        restart_units && settles 60 ||
                give_up "the version before does not serve either (journalctl -b -p warning). Its packages are in $upgrade_folder"
        use_node_again
        give_up "the upgrade failed, and this machine is at version $before again"
}
