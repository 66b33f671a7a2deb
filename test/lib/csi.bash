# SPDX-License-Identifier: Apache-2.0
# The test CSI driver (test/csi) in its processes: the plugins "node" and "controller", and beside them "registrar" and
# "external" (provisioner, attacher and resizer), which reach the plugins by their sockets. Before it is used:
#
#   csi_top          the tree                    csi_log      what all of them print
#   csi_driver       the driver's name           csi_folder   its volumes, sockets and what it was asked;
#                                                 its pids are beside it
#   csi_node         the node's name             csi_kubelet  the root folder of its kubelet
#   csi_api          server, CA, certificate and key of an administrator, as flags
# shellcheck shell=bash
csi_parts=(node controller registrar external)

csi_start() { # PART...
        local part
        for part in "$@"; do
                [ "$part" != registrar ] || rm -f "$csi_folder/registered"
                case $part in
                node | controller) exec /usr/bin/python3 "$csi_top/test/csi/driver.py" --service "$part" --name "$csi_driver" \
                        --folder "$csi_folder" --node "$csi_node" ;;
                registrar)
                        exec /usr/bin/python3 "$csi_top/test/csi/sidecar.py" --role registrar --folder "$csi_folder" \
                                --kubelet-root "$csi_kubelet" ${csi_socket:+--socket "$csi_socket"}
                        ;;
                external) exec /usr/bin/python3 "$csi_top/test/csi/sidecar.py" --role external --folder "$csi_folder" "${csi_api[@]}" ;;
                esac >>"$csi_log" 2>&1 &
                echo $! >"$csi_folder.$part.pid"
        done
}
csi_kill() { # PART...: kill -9
        local part pid
        for part in "$@"; do
                pid=$(cat "$csi_folder.$part.pid" 2>/dev/null) || continue
                rm "$csi_folder.$part.pid"
                kill -9 "$pid" 2>/dev/null
                wait "$pid" 2>/dev/null
        done
        return 0
}
csi_registered() { [ "$(cat "$csi_folder/registered" 2>/dev/null)" = yes ]; }
csi_mode() { # [METHOD hang|lie|fail|die]...
        local text=
        while [ $# -gt 0 ]; do
                text+="${text:+, }\"$1\": \"$2\""
                shift 2
        done
        echo "{$text}" >"$csi_folder/mode.new" && mv "$csi_folder/mode.new" "$csi_folder/mode"
}
csi_called() { # METHOD COUNT: so often, at least, since the last csi_forget_calls
        [ "$(grep -c "^$1 " "$csi_folder/calls" 2>/dev/null)" -ge "$2" ]
}
csi_forget_calls() { : >"$csi_folder/calls"; }
