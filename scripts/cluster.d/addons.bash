# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
HELP='Turns addons on and off, and lists them. They are units of the master where this command is run; what they need in the
cluster, they get.

Usage:
  coxswain addons list
  coxswain addons enable NAME
  coxswain addons disable NAME

Addons:
  metrics-server   What nodes and pods use, for kubectl top and autoscalers; on as many masters as you like
  ingress          HTTP and HTTPS from outside by Ingresses, at ports 80 and 443 of one master; needs the package haproxy
  dashboard        The cluster in a browser, at port 9443; on as many masters as you like'

# name | unit | its user | certificates | program that it drives | may several masters run it?
addons='
metrics-server | metrics-server     | coxswain-metrics-server | addons/metrics-server addons/metrics-server-client | -       | several
ingress        | ingress-controller | root                    | addons/ingress-client                               | haproxy | one
dashboard      | dashboard          | coxswain-dashboard      | addons/dashboard                                    | -       | several
'
addon_label() { printf 'addons.coxswain.io/%s' "$1"; } # of the nodes that run it
# A node may give itself that label, but not the role of a master: or it would be where users of the addon are sent.
addon_selector() { printf '%s,node-role.kubernetes.io/control-plane' "$(addon_label "$1")"; } # NAME

addon_nodes() { k get nodes -l "$(addon_selector "$1")" -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}'; } # NAME
addon_addresses() { # NAME
        k get nodes -l "$(addon_selector "$1")" \
                -o 'jsonpath={range .items[*]}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}' | cut -d' ' -f1
}
# The addon's objects, with all masters that run it as endpoints.
addon_manifest() { # NAME
        local addresses address line ca
        addresses=$(addon_addresses "$1")
        ca=$(base64 -w0 <"$pki/ca.crt")
        for address in $addresses; do check_address "address of a node" "$address"; done
        while IFS= read -r line; do
                if [[ $line == *@FIRST_NODE@* ]]; then
                        for address in $addresses; do printf '%s\n' "${line//@FIRST_NODE@/$address}"; done
                else
                        printf '%s\n' "${line//@CA@/$ca}"
                fi
        done <"$(addon_folder)/$1.yaml"
}
addon_kubeconfig() { # UNIT USER GROUP CERTIFICATE
        kubeconfig "$etc/$1.conf" "$own:6443" "$pki/ca.crt" "$2" "client-certificate: $pki/$4.crt" "client-key: $pki/$4.key"
        readable_by "$3" "$etc/$1.conf"
}
issue_addon() { # row of `addon_certificates`
        [[ " $wanted " != *" $1 "* ]] || issue "$@"
}
api_is_available() { [ "$(k get apiservice v1beta1.metrics.k8s.io -o 'jsonpath={.status.conditions[0].status}')" = True ]; }

# These are called with the row of `addons`.
enable_addon() {
        local name=$1 unit=$2 user=$3 wanted=$4 program=$5 others quiet=1 line
        [ "$program" = - ] || command -v "$program" >/dev/null ||
                fail "$name needs the program $program. Install the package $program"
        others=$(addon_nodes "$name" | grep -vxF "$node" || :)
        [ "$6" = several ] || [ -z "$others" ] ||
                fail "$name runs on $others already. Turn it off there first: coxswain addons disable $name"
        mkdir -p -m 755 "$pki/addons"
        each_row "$addon_certificates" issue_addon
        [[ $wanted != *-client ]] || addon_kubeconfig "$unit" "system:$unit" "$user" "${wanted##* }"
        set_args "$unit"
        k label --overwrite node "$node" "$(addon_label "$name")=" >/dev/null
        undo=(disable_addon "$@")
        addon_manifest "$name" | k apply -f - >/dev/null
        start_units "$unit" || fail "$name did not start. Look at: journalctl -b -u $unit"
        enable_units "$unit"
        [ "$name" != metrics-server ] || until_true 240 "the API of $name is available" api_is_available
        undo=()
        say addons "The '$name' addon is enabled"
}
disable_addon() {
        local name=$1 unit=$2 certificate
        systemctl disable --quiet --now "$unit"
        rm -f "/etc/default/$unit" "$etc/$unit.conf"
        for certificate in $4; do rm -f "$pki/$certificate".{crt,key}; done
        k label node "$node" "$(addon_label "$name")-" >/dev/null
        if [ -n "$(addon_nodes "$name")" ]; then
                addon_manifest "$name" | k apply -f - >/dev/null
        else
                k delete --ignore-not-found -f "$(addon_folder)/$name.yaml" >/dev/null
        fi
        say addons "The '$name' addon is disabled"
}
list_addon() {
        local nodes
        nodes=$(addon_nodes "$1" | paste -sd,)
        printf '%-16s %-10s %s\n' "$1" "$([ -n "$nodes" ] && echo enabled || echo disabled)" "${nodes:--}"
}
forget_addon() { # after a restore: the machines that ran it are gone, and are masters no more
        local machine machines
        machines=$(k get nodes -l "$(addon_label "$1")" -o name)
        [ -n "$machines" ] || return 0
        for machine in $machines; do k label "$machine" "$(addon_label "$1")-" >/dev/null; done
        k delete --ignore-not-found -f "$(addon_folder)/$1.yaml" >/dev/null
        say addons "The '$1' addon was on. Turn it on again: coxswain addons enable $1"
}
only_wanted() { # the rest of the row of the one that was asked for
        [ "$1" != "$asked" ] || "${action}_addon" "$@"
}

command_addons() {
        local own node server action asked
        take_flags "" "$@"
        action=${words[0]:-} asked=${words[1]:-}
        need_root
        . "$parts/pki.bash"
        . "$parts/node.bash"
        need_cluster
        known_node
        [ -s "$admin" ] || fail "this machine is no master. Run this command on one"
        case $action in
        list)
                [ ${#words[@]} -eq 1 ] || fail "addons list takes no argument"
                printf '%-16s %-10s %s\n' NAME STATUS NODES
                each_row "$addons" list_addon
                ;;
        enable | disable)
                [ ${#words[@]} -eq 2 ] || fail "addons $action takes the name of an addon"
                grep -q "^$asked  *|" <<<"$addons" || fail "there is no addon \"$asked\". See: coxswain addons list"
                alone
                each_row "$addons" only_wanted
                ;;
        *) fail "addons list, addons enable or addons disable" ;;
        esac
}
