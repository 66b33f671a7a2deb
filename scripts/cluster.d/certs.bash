# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
CERTS_HELP='Lists certificates, and renews them.

Usage:
  coxswain certs list
  coxswain certs renew all|NAME... [flags]
  coxswain certs upload

Flags:
      --due
        Only what is in the last third of its life, and tokens of a Node that is gone. The timer coxswain-refresh does so.

"upload" stores the authorities of this master in the cluster, sealed, for masters that join within two hours, and prints the
key. A master renews its certificates, every machine the tokens of its units; a kubelet sees to its own.'

certificate_in() { # FILE: a certificate, also that of a kubeconfig
        if grep -q '^ *client-certificate-data: ' "$1"; then
                sed -n 's/^ *client-certificate-data: //p' "$1" | base64 -d
        else
                cat "$1"
        fi
}
claims_of() { # TOKEN FILE
        local text
        text=$(cut -d. -f2 "$1" | tr '_-' '/+')
        while [ $((${#text} % 4)) -ne 0 ]; do text+='='; done
        base64 -d <<<"$text"
}
times_of() { # FILE: "BEGIN END" in seconds; of a token, too
        local text begin end
        if [[ $1 == $etc/tokens/* ]]; then
                text=$(claims_of "$1")
                begin=$(sed -n 's/.*"iat":\([0-9]*\).*/\1/p' <<<"$text")
                end=$(sed -n 's/.*"exp":\([0-9]*\).*/\1/p' <<<"$text")
        else
                text=$(certificate_in "$1" | openssl x509 -noout -startdate -enddate)
                begin=$(date -d "$(sed -n 's/^notBefore=//p' <<<"$text")" +%s)
                end=$(date -d "$(sed -n 's/^notAfter=//p' <<<"$text")" +%s)
        fi
        printf '%s %s' "$begin" "$end"
}
# A token dies with its Node. It is time for another when the kubelet has made a new Node, or the token, of a version before, is bound
# to none. Who cannot ask which Node there is (no `node_uid`) keeps what there is.
is_of_node() { # TOKEN FILE
        [ -z "$node_uid" ] || [[ $(claims_of "$1") == *'"node":{'*"\"uid\":\"$node_uid\""* ]]
}
due_at() { # FILE: when two thirds of its life are over, in seconds; a token of a Node that is gone, at once
        local begin end
        if [[ $1 == $etc/tokens/* ]] && ! is_of_node "$1"; then
                printf 0
        else
                read -r begin end <<<"$(times_of "$1")"
                printf %s $((end - (end - begin) / 3))
        fi
}

# What this machine has, a line each: NAME FILE AUTHORITY
own_certificates() {
        local name
        list_file() { [ ! -s "$2" ] || printf '%s %s %s\n' "$@"; }
        list_certificate() { list_file "${1//\//-}" "$pki/$1.crt" "$2"; }
        list_kubeconfig() { # which holds its certificate, or names it
                if [ -s "$pki/${1%.conf}.crt" ]; then list_file "$1" "$pki/${1%.conf}.crt" ca; else list_file "$1" "$etc/$1" ca; fi
        }
        each_row "$certificates" list_certificate
        each_row "$etcd_certificates" list_certificate
        each_row "$addon_certificates" list_certificate
        each_row "$kubeconfigs" list_kubeconfig
        for name in client server; do list_file "kubelet-$name" "$kubelet_root/pki/kubelet-$name-current.pem" ca; done
        for name in "${token_accounts[@]}"; do list_file "$name-token" "$etc/tokens/$name" sa; done
}
left_until() { # SECONDS
        local left=$(($1 - $(date +%s)))
        if [ $left -lt 0 ]; then
                printf '<invalid>'
        elif [ $left -lt 7200 ]; then
                printf %dm $((left / 60))
        elif [ $left -lt 172800 ]; then
                printf %dh $((left / 3600))
        else
                printf %dd $((left / 86400))
        fi
}
print_row() { # NAME FILE AUTHORITY
        local end
        end=$(cut -d' ' -f2 <<<"$(times_of "$2")")
        printf '%-31s%-24s%-17s%s\n' "$1" "$(date -u -d "@$end" '+%b %d, %Y %H:%M UTC')" "$(left_until "$end")" "$3"
}
list_certificates() {
        local name file authority
        printf '%-31s%-24s%-17s%s\n' CERTIFICATE EXPIRES 'RESIDUAL TIME' 'CERTIFICATE AUTHORITY'
        own_certificates | while read -r name file authority; do print_row "$name" "$file" "$authority"; done
        printf '\n%-31s%-24s%s\n' 'CERTIFICATE AUTHORITY' EXPIRES 'RESIDUAL TIME'
        for name in ca front-proxy-ca etcd/ca; do
                [ ! -s "$pki/$name.crt" ] || print_row "${name//\//-}" "$pki/$name.crt" ''
        done
}

renew_certificate() { [ "${1//\//-}" != "$wanted" ] || issue "$@"; }
renew_kubeconfig() { [ "$1" != "$wanted" ] || issue_kubeconfig "$@"; }
renew() { # NAME
        local wanted=$1
        case $wanted in
        kubelet-*) return 0 ;; # the kubelet sees to it
        *-token)
                account_token "${wanted%-token}"
                ;;
        *)
                each_row "$certificates" renew_certificate
                each_row "$etcd_certificates" renew_certificate
                each_row "$addon_certificates" renew_certificate
                each_row "$kubeconfigs" renew_kubeconfig
                ;;
        esac
        say renew "$wanted renewed"
}
# To look at each certificate takes hundreds of processes, so what was seen is kept until the first of them is due.
seen=/run/coxswain.seen
looks_like() { # what `known` lists, of the Node `node_uid`
        local file files=()
        while read -r _ file _; do files+=("$file"); done <<<"$known"
        printf '%s\n' "$node_uid"
        stat -L -c '%n %i %.Y %s' -- "${files[@]}"
}
nothing_is_due() {
        local first
        [ -s $seen ] && { read -r first && [ "$EPOCHSECONDS" -lt "$first" ] && [ "$(cat)" = "$(looks_like)" ]; } <$seen
}
renew_what_is_due() {
        local name file at now=$EPOCHSECONDS first=
        node_uid=$(kubectl --kubeconfig "$etc/kubelet.conf" get node "$node" -o 'jsonpath={.metadata.uid}' 2>/dev/null) || node_uid=
        ! nothing_is_due || return 0
        rm -f $seen
        while read -r name file _; do
                [[ $name != kubelet-* ]] || continue # the kubelet sees to it
                at=$(due_at "$file")
                if [ "$at" -le "$now" ]; then
                        ! is_wanted "$name" || renew "$name" </dev/null
                        at=0
                fi
                [ -n "$first" ] && [ "$first" -le "$at" ] || first=$at
        done <<<"$known"
        [ "${first:-0}" -eq 0 ] || { echo "$first" && looks_like; } >$seen
}
is_wanted() { [[ " ${words[*]:1} " == *" all "* || " ${words[*]:1} " == *" $1 "* ]]; } # NAME
command_certs() {
        local due='' quiet=1 own node node_uid='' server name wanted known
        HELP=$CERTS_HELP
        take_flags "due!=due" "$@"
        need_root
        . "$parts/pki.bash"
        . "$parts/node.bash"
        . "$parts/control-plane.bash"
        . "$parts/token.bash"
        . "$parts/seal.bash"
        need_cluster
        known_node
        case ${words[0]:-} in
        list) list_certificates ;;
        upload)
                [ -s "$pki/ca.key" ] || fail "this machine has no authorities. Run this command on a master"
                upload_certs
                ;;
        renew)
                alone
                known=$(own_certificates)
                [ ${#words[@]} -gt 1 ] || fail "certs renew needs names, or all. See them: coxswain certs list"
                for wanted in "${words[@]:1}"; do
                        [ "$wanted" = all ] || grep -q "^$wanted " <<<"$known" ||
                                fail "this machine has no certificate \"$wanted\". See: coxswain certs list"
                done
                if [ -n "$due" ]; then
                        renew_what_is_due
                        return
                fi
                while read -r name _; do
                        ! is_wanted "$name" || renew "$name" </dev/null
                done <<<"$known"
                ;;
        *) fail "certs list, certs renew or certs upload" ;;
        esac
}
