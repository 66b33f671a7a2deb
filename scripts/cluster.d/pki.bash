# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Authorities and certificates, by openssl. A certificate is renewed with the key that it has, so that a reader never sees a pair
# that does not match.

# file | authority | subject | usage | group that reads the key | names: api, etcd, those of an addon, or none
etcd_certificates='
etcd/server             | etcd/ca | /CN=etcd | serverAuth,clientAuth | coxswain-etcd | etcd
etcd/peer               | etcd/ca | /CN=etcd | serverAuth,clientAuth | coxswain-etcd | etcd
etcd/healthcheck-client | etcd/ca | /CN=kube-etcd-healthcheck-client | clientAuth | root | none
'
certificates='
apiserver                | ca             | /CN=kube-apiserver | serverAuth | kube-apiserver | api
apiserver-kubelet-client | ca             | /O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client | clientAuth | kube-apiserver | none
front-proxy-client       | front-proxy-ca | /CN=front-proxy-client | clientAuth | kube-apiserver | none
apiserver-etcd-client    | etcd/ca        | /CN=kube-apiserver-etcd-client | clientAuth | kube-apiserver | none
'
addon_certificates='
addons/metrics-server        | ca | /CN=metrics-server            | serverAuth | coxswain-metrics-server | metrics-server
addons/metrics-server-client | ca | /CN=system:metrics-server     | clientAuth | coxswain-metrics-server | none
addons/ingress-client        | ca | /CN=system:ingress-controller | clientAuth | root                    | none
addons/dashboard             | ca | /CN=kubernetes-dashboard      | serverAuth | coxswain-dashboard      | dashboard
'
# file | user | group | group that reads it
kubeconfigs='
admin.conf                    | kubernetes-admin                | kubeadm:cluster-admins | root
super-admin.conf              | kubernetes-super-admin          | system:masters         | root
controller-manager.conf       | system:kube-controller-manager  | -                      | kube-controller-manager
cloud-controller-manager.conf | system:cloud-controller-manager | -                      | cloud-controller-manager
scheduler.conf                | system:kube-scheduler           | -                      | kube-scheduler
'
each_row() { # TABLE FUNCTION: calls it with the row's cells
        local row cell cells
        while IFS= read -r row; do
                [ -n "$row" ] || continue
                IFS='|' read -ra cells <<<"$row"
                for cell in "${!cells[@]}"; do read -r "cells[$cell]" <<<"${cells[$cell]}"; done
                "$2" "${cells[@]}" </dev/null
        done <<<"$1"
}

new_key() { # FILE: makes it when it is not there
        [ ! -s "$1" ] || return 0
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.new" 2>/dev/null && mv "$1.new" "$1"
}

authority() { # STEM NAME
        mkdir -p -m 755 "$(dirname "$pki/$1")"
        if [ -s "$pki/$1.crt" ]; then
                say certs "Using existing $1 certificate authority"
                return
        fi
        say certs "Generating \"$1\" certificate and key"
        new_key "$pki/$1.key"
        openssl req -x509 -new -key "$pki/$1.key" -days 3650 -subj "/CN=$2" -addext basicConstraints=critical,CA:TRUE \
                -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign -addext "subjectAltName=DNS:$2" \
                -out "$pki/$1.crt"
        chmod 644 "$pki/$1.crt"
}

# By `openssl ca`, which alone takes an end to the second.
sign() { # STEM OF THE AUTHORITY, KEY, SUBJECT, USAGE, NAMES (DNS:a,IP:b or nothing), SECONDS, FILE
        local folder r=0
        folder=$(new_folder)
        : >"$folder/index"
        cat >"$folder/config" <<CONFIG
[ca]
default_ca=own
[own]
database=$folder/index
new_certs_dir=$folder
rand_serial=yes
unique_subject=no
default_md=sha256
policy=any
x509_extensions=extensions
[any]
commonName=supplied
organizationName=optional
[extensions]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=$4
authorityKeyIdentifier=keyid
${5:+subjectAltName=$5}
CONFIG
        openssl req -new -key "$2" -subj "$3" -out "$folder/request" &&
                openssl ca -batch -notext -preserveDN -config "$folder/config" -cert "$pki/$1.crt" -keyfile "$pki/$1.key" \
                        -in "$folder/request" -out "$folder/certificate" \
                        -startdate "$(date -u -d '5 seconds ago' +%Y%m%d%H%M%SZ)" \
                        -enddate "$(date -u -d "$6 seconds" +%Y%m%d%H%M%SZ)" 2>"$folder/log" || r=$?
        if [ $r = 0 ]; then
                install -m 644 "$folder/certificate" "$7.new" && mv "$7.new" "$7"
        else
                cat "$folder/log" >&2
        fi
        [ $r = 0 ] || fail "cannot sign $7"
}

names_for() { # api|etcd|metrics-server|dashboard|none: subject alternative names; `own` and `node` are this machine's
        local name names
        case $1 in
        api)
                names="DNS:$node,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
                names+=",DNS:kubernetes.default.svc.$(setting dnsDomain)"
                names+=",IP:$own,IP:127.0.0.1,IP:$(address_of_network "$(setting serviceSubnet)" 1)"
                for name in $(setting controlPlaneEndpoint | sed 's/:[0-9]*$//') $(setting certSANs | tr -d '[],'); do
                        if [[ $name =~ ^$address_form$ ]]; then names+=",IP:$name"; else names+=",DNS:$name"; fi
                done
                ;;
        etcd) names="DNS:$node,DNS:localhost,IP:$own,IP:127.0.0.1" ;;
        metrics-server) names="DNS:$node,DNS:metrics-server.kube-system.svc,IP:$own" ;;
        dashboard) names="DNS:$node,DNS:localhost,DNS:kubernetes-dashboard.kubernetes-dashboard.svc,IP:$own,IP:127.0.0.1" ;;
        none) names= ;;
        esac
        printf %s "$names"
}
life() { seconds_of certificateValidityPeriod "$(setting certificateValidityPeriod)"; }

issue() { # row of `certificates`
        [ -n "${quiet:-}" ] || say certs "Generating \"$1\" certificate and key"
        new_key "$pki/$1.key"
        sign "$2" "$pki/$1.key" "$3" "$4" "$(names_for "$6")" "$(life)" "$pki/$1.crt"
        readable_by "$5" "$pki/$1.key"
}
# Those of people hold certificate and key; those of units name them, so that both are read again when they are renewed.
issue_kubeconfig() { # row of `kubeconfigs`
        local folder='' stem=$pki/${1%.conf} subject
        [ -n "${quiet:-}" ] || say kubeconfig "Writing \"$1\" kubeconfig file"
        if [ "$4" = root ]; then
                folder=$(new_folder)
                stem=$folder/client
        fi
        subject=$([ "$3" = - ] || printf '/O=%s' "$3")/CN=$2
        new_key "$stem.key"
        sign ca "$stem.key" "$subject" clientAuth "" "$(life)" "$stem.crt"
        if [ "$4" = root ]; then
                with_certificate "$etc/$1" "$own:6443" "$pki/ca.crt" "$2" "$stem"
        else
                readable_by "$4" "$stem.key"
                kubeconfig "$etc/$1" "$own:6443" "$pki/ca.crt" "$2" "client-certificate: $stem.crt" "client-key: $stem.key"
        fi
        readable_by "$4" "$etc/$1"
}
ca_pin() { # FILE: sha256:… of its public key
        printf 'sha256:%s' "$(openssl x509 -in "$1" -pubkey -noout | openssl pkey -pubin -outform der |
                openssl dgst -sha256 -r | cut -d' ' -f1)"
}
