# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
REFRESH_HELP='Takes in which masters there are, and renews what is due. A timer runs it every two minutes.

Usage:
  coxswain refresh'

# Kubeconfigs of units name all masters. Units read that when they start; a start of theirs touches no pod.
refresh_servers() {
        local file server line unit
        learn_servers "$etc/kubelet.conf" || return 0
        for file in "$etc"/*.conf; do
                server=$(sed -n 's#^ *server: https://##p' "$file")
                line=$(servers_line "$server")
                sed -e '/^    extensions: /d' -e "s#^    server: .*#&${line:+\\n$line}#" "$file" >"$file.new"
                chown --reference="$file" "$file.new" && chmod --reference="$file" "$file.new" && mv "$file.new" "$file"
        done
        say refresh "The masters are: $(paste -sd' ' "$servers_file")"
        [ "$(wc -l <"$servers_file")" -gt 1 ] || return 0 # the one that is known
        for unit in "${node_units[@]}" "${master_units[@]:2}"; do ! has_unit "$unit" || systemctl try-restart "$unit"; done
}

command_refresh() {
        local own node server
        HELP=$REFRESH_HELP
        take_flags "" "$@"
        [ ${#words[@]} -eq 0 ] || fail "refresh takes no argument"
        need_root
        alone
        . "$parts/pki.bash"
        . "$parts/node.bash"
        . "$parts/certs.bash"
        need_cluster
        known_node
        refresh_servers
        command_certs renew all --due
}
