# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the commands share: messages, flags, checks of what comes from outside, units and the apiserver.

etc=/etc/kubernetes
pki=$etc/pki
admin=$etc/admin.conf
settings_file=$etc/cluster.yaml
kubelet_root=/var/lib/kubelet
etcd_data=/var/lib/coxswain-etcd/data
master_units=(coxswain-etcd kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler)
node_units=(kubelet kube-proxy cluster-dns storage-provisioner loadbalancer-announcer)
addon_units=(metrics-server ingress-controller dashboard)
token_accounts=("${node_units[@]:1}") # of kube-system, which units of nodes act as

say() { printf '[%s] %s\n' "$1" "$2"; }
fail() {
        printf 'error: %s\n' "$*" >&2
        exit 1
}

# What is private to this run goes with it, also when it fails; `undo` is a command that is run then, too.
scratch=$(mktemp -d)
undo=()
at_exit() {
        "${undo[@]}" || :
        rm -rf "$scratch"
}
trap at_exit EXIT
trap 'exit 1' INT TERM HUP
new_folder() { mktemp -d -p "$scratch"; }
need_cluster() {
        [ -s "$settings_file" ] && [ -s /etc/default/kubelet ] ||
                fail "this machine is in no cluster. Run: coxswain init, or coxswain join"
}
# Only one at a time: a refresh by the timer, what renews or restarts as it does, and what must not meet it half way. init and
# join hold it for a moment only, since short certificates may have to be renewed before they are done.
lock_file=/run/coxswain.lock
lock=
alone() {
        [ -z "$lock" ] || return 0
        exec {lock}>"$lock_file"
        flock "$lock"
}
need_root() { [ "$(id -u)" = 0 ] || fail "this command has to be run as root. Run it with sudo"; }

# --- flags ---

# take_flags "name=variable name!=variable" ARG...: sets variables from --name VALUE and --name=VALUE, from --name alone
# where "!" follows the name; other words go to the array `words`. HELP is the command's page of help.
take_flags() {
        local table=$1 name value pair found
        shift
        words=()
        while [ $# -gt 0 ]; do
                case $1 in
                -h | --help)
                        printf '%s\n' "$HELP"
                        exit 0
                        ;;
                --*)
                        name=${1#--}
                        name=${name%%=*}
                        found=
                        for pair in $table; do
                                case $pair in
                                "$name!="*)
                                        [[ $1 != *=* || $1 == *=true ]] || fail "--$name takes no value"
                                        printf -v "${pair#*=}" 1
                                        found=1
                                        ;;
                                "$name="*)
                                        if [[ $1 == *=* ]]; then value=${1#*=}; else
                                                [ $# -gt 1 ] || fail "--$name needs a value"
                                                value=$2
                                                shift
                                        fi
                                        printf -v "${pair#*=}" %s "$value"
                                        found=1
                                        ;;
                                esac
                        done
                        [ -n "$found" ] || fail "unknown flag: --$name. See --help"
                        ;;
                *) words+=("$1") ;;
                esac
                shift
        done
}

# --- what comes from outside: it ends up in files that are read as lists of words, so it has to be what it says it is ---

check_form() { # FLAG VALUE PATTERN WHAT
        [[ $2 =~ ^($3)$ ]] || fail "$1: \"$2\" is not $4"
}
number_form='(0|[1-9][0-9]{0,2})'
address_form="$number_form(\\.$number_form){3}"
name_form='[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?'
check_address() {
        check_form "$1" "$2" "$address_form" "an IPv4 address"
        local number
        for number in ${2//./ }; do [ "$number" -le 255 ] || fail "$1: \"$2\" is not an IPv4 address"; done
}
check_cidr() {
        check_form "$1" "$2" "$address_form/[0-9]{1,2}" "a range of IPv4 addresses, as 10.244.0.0/16"
        check_address "$1" "${2%/*}"
        [ "${2#*/}" -le 32 ] || fail "$1: \"$2\" has more than 32 bits of a network"
        local mask=$(((0xffffffff << (32 - 10#${2#*/})) & 0xffffffff)) a b c d
        IFS=. read -r a b c d <<<"${2%/*}"
        [ $((((a << 24) + (b << 16) + (c << 8) + d) & ~mask)) = 0 ] || fail "$1: \"$2\" is an address; the range begins before it"
}
check_pool() { # FLAG RANGE: one of load balancers
        check_form "$1" "$2" "$address_form/[0-9]{1,2}|$address_form-$address_form" "a range of addresses, as 192.0.2.64-192.0.2.79"
        local part
        for part in ${2/-/ }; do check_address "$1" "${part%/*}"; done
        [[ $2 != */* || ${2#*/} -le 32 ]] || fail "$1: \"$2\" has more than 32 bits of a network"
}
check_name() { check_form "$1" "$2" "$name_form" "a name of lower-case letters, digits, '-' and '.'"; }
check_token() { check_form "$1" "$2" '[a-z0-9]{6}\.[a-z0-9]{16}' "a token, as abcdef.0123456789abcdef"; }
check_endpoint() { check_form "$1" "$2" "$name_form:[0-9]{1,5}" "an endpoint, as 192.0.2.10:6443"; }

seconds_of() { # FLAG DURATION: as 24h, 90m, 1h30m, 60s
        local text=$2 total=0
        check_form "$1" "$text" '([0-9]{1,6}[hms])+' "a duration, as 24h or 90m"
        while [[ $text =~ ^([0-9]+)([hms])(.*)$ ]]; do
                case ${BASH_REMATCH[2]} in
                h) total=$((total + 10#${BASH_REMATCH[1]} * 3600)) ;;
                m) total=$((total + 10#${BASH_REMATCH[1]} * 60)) ;;
                s) total=$((total + 10#${BASH_REMATCH[1]})) ;;
                esac
                text=${BASH_REMATCH[3]}
        done
        printf '%s' "$total"
}

own_address() { # the one that leads to the default route
        ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p;q'
}
address_of_network() { # CIDR N: its Nth address
        local a b c d value
        IFS=. read -r a b c d <<<"${1%/*}"
        value=$(((a << 24) + (b << 16) + (c << 8) + d + $2))
        printf '%d.%d.%d.%d' $((value >> 24 & 255)) $((value >> 16 & 255)) $((value >> 8 & 255)) $((value & 255))
}

# --- the cluster's settings, as ClusterConfiguration, on this machine and in the ConfigMap kubeadm-config ---

setting() { sed -n "s/^ *$1: *//p" "$settings_file"; } # NAME

check_settings() { # those of another machine are checked like those of a person
        check_cidr podSubnet "$(setting podSubnet)"
        check_cidr serviceSubnet "$(setting serviceSubnet)"
        check_name dnsDomain "$(setting dnsDomain)"
        check_endpoint controlPlaneEndpoint "$(setting controlPlaneEndpoint)"
        check_form certSANs "$(setting certSANs | tr -d '[]')" "|$name_form(,$name_form)*" "a list of names and addresses"
        seconds_of certificateValidityPeriod "$(setting certificateValidityPeriod)" >/dev/null
}

# --- the apiserver ---

servers_file=$etc/servers # of all masters, HOST:PORT a line

k() { kubectl --kubeconfig "$admin" "$@"; }
until_true() { # SECONDS WHAT COMMAND...; four minutes are what kubeadm waits, and what slow machines may need
        local limit=$1 what=$2 end=$((SECONDS + $1))
        shift 2
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt "$end" ] || fail "not within $limit s: $what. Look at: journalctl -b -p warning"
                read -rt 0.05 <> <(:) || :
        done
}
api_ready() { kubectl --kubeconfig "${1:-$admin}" get --raw /readyz; }
node_is_ready() { # KUBECONFIG NODE
        [ "$(kubectl --kubeconfig "$1" get node "$2" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

# A kubelet's certificate is of the same authority, and holds addresses that the node says it has. What nobody but an API server has
# a certificate for is its name: that is what clients look for, whatever address they were sent to.
kubeconfig() { # FILE SERVER CA USER CREDENTIAL...: lines of the user, as "token: x"
        local file=$1 server=$2 ca=$3 user=$4
        shift 4
        {
                cat <<YAML
apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    server: https://$server
    certificate-authority-data: $(base64 -w0 <"$ca")
    tls-server-name: kubernetes
YAML
                servers_line "$server"
                printf 'users:\n- name: "%s"\n  user:\n' "$user"
                printf '    %s\n' "$@"
                cat <<YAML
contexts:
- name: "$user@kubernetes"
  context:
    cluster: kubernetes
    user: "$user"
current-context: "$user@kubernetes"
YAML
        } >"$file.new"
        mv "$file.new" "$file"
}
# Where a client of ours goes on when its server is lost: the other masters, in an extension that upstream's leave alone.
servers_line() { # SERVER
        local others=''
        [ ! -s "$servers_file" ] || others=$({ grep -vxF "$1" "$servers_file" || :; } | sed 's#.*#"https://&"#' | paste -sd,)
        [ -z "$others" ] || printf '    extensions: [{name: coxswain/servers, extension: {servers: [%s]}}]\n' "$others"
}
with_certificate() { # FILE SERVER CA USER STEM: a kubeconfig that holds STEM.crt and STEM.key
        kubeconfig "$1" "$2" "$3" "$4" "client-certificate-data: $(base64 -w0 <"$5.crt")" \
                "client-key-data: $(base64 -w0 <"$5.key")"
}
readable_by() { # GROUP FILE...: by root alone when it is root's
        chgrp -- "$1" "${@:2}"
        if [ "$1" = root ]; then chmod 600 -- "${@:2}"; else chmod 640 -- "${@:2}"; fi
}

addon_folder() { # where it is installed, beside the tool's parts
        if [ -d "${parts%/*}/addons" ]; then printf %s "${parts%/*}/addons"; else printf /usr/share/coxswain/addons; fi
}

# --- units ---

# The unit's lines of arguments.table, filled in, into `args`, and these.
fill_args() { # UNIT ARG...
        local name value
        dns=$(address_of_network "$(setting serviceSubnet)" 10)
        mapfile -t args < <(sed -n "s/^$1 //p" "$parts/arguments.table")
        args+=("${@:2}")
        while read -r name value; do
                args=("${args[@]//@$name@/$value}")
        done <<VALUES
node $node
own $own
etc $etc
pki $pki
kubelet $kubelet_root
pods $(setting podSubnet)
services $(setting serviceSubnet)
domain $(setting dnsDomain)
dns $dns
validity $(setting certificateValidityPeriod)
members ${members:-}
state ${state:-}
VALUES
        for value in "${args[@]}"; do
                [[ $value != *[[:space:]\"\\\$\`@]* ]] || fail "$1 cannot be given the argument \"$value\""
        done
}
set_args() { # UNIT ARG...
        local args dns
        fill_args "$@"
        {
                printf '# Written by coxswain.\nARGS="%s"\n' "${args[*]}"
                [ "$1" != cluster-dns ] || printf 'DNS_ADDRESS="%s"\n' "$dns"
        } >"/etc/default/$1"
        chmod 600 "/etc/default/$1"
}
# What the table has and the unit has not yet been given; what it has stays.
add_args() { # UNIT
        local args dns value new='' have
        fill_args "$1"
        have=" $(sed -n 's/^ARGS="\(.*\)"$/\1/p' "/etc/default/$1") "
        for value in "${args[@]}"; do
                [[ $have == *" ${value%%=*}"[=\ ]* ]] || new+=" $value"
        done
        [ -z "$new" ] || sed -i "s#^ARGS=\"\(.*\)\"\$#ARGS=\"\1$new\"#" "/etc/default/$1"
}
start_units() { systemctl restart "$@"; }
enable_units() { systemctl enable --quiet --no-reload "$@"; }
has_unit() { [ -n "$(systemctl list-unit-files --no-legend "$1.service" 2>/dev/null)" ]; }
