#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The parts of the tool `coxswain` that need no machine: what it takes from outside, certificates, sealed files. Prints TAP.
set -u
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/test/lib/tap.sh"
work=$(mktemp -d /tmp/coxswain-tool.XXXXXX)
trap 'rm -rf "$work"' EXIT
tool=$top/scripts/cluster
part() { # COMMANDS: with the tool's parts at hand, below $work
        bash -c 'set -euo pipefail; umask 077; parts=$1/scripts/cluster.d; . "$parts/lib.bash"; . "$parts/pki.bash"; . "$parts/seal.bash"; . "$parts/node.bash"
                . "$parts/control-plane.bash"; etc=$2/etc pki=$2/etc/pki settings_file=$2/etc/cluster.yaml servers_file=$2/etc/servers own=192.0.2.1 node=n
                mkdir -p "$pki/etcd"; printf "networking:\n  serviceSubnet: 10.96.0.0/12\n" >"$settings_file"; eval "$3"' bash "$top" "$work" "$1"
}
refuses() { local said; said=$(part "$1" 2>&1) && { echo "taken: $1"; return 1; }; grep -q '^error: ' <<<"$said" || { echo "$said"; return 1; }; }

t_forms() {
        local bad
        for bad in 'check_address x 1.2.3' 'check_address x 1.2.3.256' 'check_address x 1.2.3.04' 'check_cidr x 10.0.0.0/33' 'check_cidr x 10.96.0.1/12' 'check_address x "1.2.3.4 --bad"' $'check_address x "1.2.3.4\n5"' 'check_cidr x 10.0.0.0' 'check_name x Upper' 'check_name x -a' 'check_name x a_b' \
                'check_token x abc.def' $'check_token x "abcdef.0123456789abcdef\n"' 'check_endpoint x host' 'check_endpoint x "a/b:1"' 'seconds_of x 5' 'seconds_of x 1d' 'seconds_of x ""' \
                'check_pool x 192.0.2.64/33' 'check_pool x 192.0.2.1-192.0.2.256' 'check_pool x 192.0.2.1' \
                'set_args none "--a=b c"' 'set_args none '\''--a=$(b)'\''' 'set_args none '\''--a="'\'''; do
                refuses "$bad" || return 1
        done
        equals "$(part 'seconds_of x 1h30m5s')" 5405 && equals "$(part 'address_of_network 10.96.0.0/12 10')" 10.96.0.10 && equals "$(part 'address_of_network 10.0.0.250/12 10')" 10.0.1.4 &&
                part 'check_endpoint x master.example.com:6443; check_name x a.b-c; check_cidr x 10.0.0.0/8; check_pool x 192.0.2.64/28; check_pool x 192.0.2.64-192.0.2.79'
}
ok "what comes from outside has to have its form" t_forms
t_flags() {
        equals "$(part 'a= b= c=; take_flags "first=a second=b third!=c" --first=1 word --second "2 3" --third; echo "$a|$b|$c|${words[*]}"')" '1|2 3|1|word' &&
                refuses 'take_flags "first=a" --other' && refuses 'take_flags "first=a" --first' && refuses 'take_flags "third!=c" --third=no' &&
                "$tool" init --help | grep -q -- '--pod-network-cidr string' && ! "$tool" nothing 2>/dev/null && "$tool" --help | grep -q '^  restore '
}
ok "flags" t_flags

t_certificates() {
        part 'authority ca kubernetes >/dev/null; new_key "$pki/x.key"; sign ca "$pki/x.key" /O=g:x/CN=user clientAuth "DNS:a,IP:192.0.2.1" 90 "$pki/x.crt"' || return 1
        local left
        left=$(($(date -d "$(openssl x509 -in "$work/etc/pki/x.crt" -noout -enddate | cut -d= -f2)" +%s) - $(date +%s)))
        openssl verify -CAfile "$work/etc/pki/ca.crt" -purpose sslclient "$work/etc/pki/x.crt" && equals "$(openssl x509 -in "$work/etc/pki/x.crt" -noout -subject)" "subject=O = g:x, CN = user" &&
                openssl x509 -in "$work/etc/pki/x.crt" -noout -ext subjectAltName | grep -q 'DNS:a, IP Address:192.0.2.1' && [ "$left" -gt 0 ] && [ "$left" -le 90 ] &&
                equals "$(stat -c %a "$work/etc/pki/ca.key" "$work/etc/pki/x.key" | sort -u)" 600
}
ok "certificates end to the second, and keys are their owner's" t_certificates
t_pin() { # as kubeadm's
        equals "$(part 'ca_pin "$pki/ca.crt"')" "sha256:$(openssl x509 -pubkey -noout -in "$work/etc/pki/ca.crt" | openssl pkey -pubin -outform der 2>/dev/null | sha256sum | cut -d' ' -f1)"
}
ok "an authority is known by the digest of its key" t_pin
t_discover() { # a server that adds an authority of its own, under another heading that readers take as well
        local heading evil=$work/evil.pem call
        call='. "$parts/join.bash"; said=$2/said; kubectl() { printf "    certificate-authority-data: %s\n" "$(base64 -w0 "$said")"; }; discover h:1 "$(ca_pin "$pki/ca.crt")" "$etc/ca.new"'
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/evil.key" -subj /CN=evil -out "$evil" 2>/dev/null
        { echo text && cat "$work/etc/pki/ca.crt"; } >"$work/said" && part "$call" && cmp "$work/etc/ca.new" "$work/etc/pki/ca.crt" || return 1
        for heading in CERTIFICATE 'X509 CERTIFICATE' 'TRUSTED CERTIFICATE'; do
                sed "s/CERTIFICATE/$heading/" "$evil" | cat "$work/etc/pki/ca.crt" - >"$work/said"
                refuses "$call" || return 1
        done
        cp "$evil" "$work/said" && refuses "$call" && : >"$work/said" && refuses "$call"
}
ok "of an authority that is found only the certificate with the digest is believed" t_discover
t_forget() { # a machine that does not become a master
        part 'cp "$pki/ca.crt" "$2/mine.crt"' && cp "$work/etc/pki/ca.key" "$work/mine.key" || return 1
        refuses 'download_certs() { cp "$work/evil.pem" "$pki/ca.crt"; printf key >"$pki/sa.key"; }; work=$2; : >"$etc/boot"; join_control_plane "$etc/boot" key' &&
                [ ! -e "$work/etc/boot" ] && [ -z "$(find "$work/etc/pki" -name '*.key' ! -name x.key)" ] || return 1
        cp "$work/mine.crt" "$work/etc/pki/ca.crt" && cp "$work/mine.key" "$work/etc/pki/ca.key"
}
ok "authorities do not stay on a machine that could not become a master" t_forget
t_tokens() { # of a Node that was deleted, of the one there is, of a version before, and when nobody says which there is
        local text='claims() { printf "h.%s.s" "$(printf "{\"exp\":%d,\"iat\":%d,\"kubernetes.io\":{%s\"serviceaccount\":{\"name\":\"a\",\"uid\":\"u3\"}}}" $(($(date +%s) + 86400)) "$(date +%s)" "${1:+\"node\":{\"name\":\"n\",\"uid\":\"$1\"},}" | base64 -w0 | tr "/+" "_-" | tr -d =)"; }
                . "$parts/certs.bash"; mkdir -p "$etc/tokens"; is_due() { [ "$(due_at "$etc/tokens/a")" -le "$(date +%s)" ]; }; '
        part "$text"'node_uid=u2; claims u1 >"$etc/tokens/a"; is_due' && part "$text"'node_uid=u2; claims u2 >"$etc/tokens/a"; ! is_due' &&
                part "$text"'node_uid=u3; claims "" >"$etc/tokens/a"; is_due' && part "$text"'node_uid=; claims u1 >"$etc/tokens/a"; ! is_due'
}
ok "a token of another Node than there is gets renewed" t_tokens
t_seen() { # what was looked at is looked at again when it, its Node or the time is another
        part 'work=$2; . "$parts/certs.bash"; seen=$work/seen; node=n uid=u1 words=(renew all) born=$EPOCHSECONDS; : >"$work/renewed"
                known=$(printf "%s\n" "a $work/a ca" "kubelet-client $work/b ca"); echo 1 >"$work/a"; echo 1 >"$work/b"
                kubectl() { printf "%s" "$uid"; }
                times_of() { echo "$1" >>"$work/looked"; printf "%s %s" "$born" $((born + 3000)); }
                renew() { echo "$1" >>"$work/renewed"; echo "$1" >"$work/a"; }
                looks() { : >"$work/looked"; renew_what_is_due; [ "$(wc -l <"$work/looked")" = "$1" ]; }
                looks 1; looks 0; looks 0
                uid=u2; looks 1; looks 0
                echo 22 >"$work/b"; looks 1; looks 0
                [ ! -s "$work/renewed" ]
                sed -i "1s/.*/$EPOCHSECONDS/" "$seen"; born=$((born - 2000)); looks 1; [ "$(cat "$work/renewed")" = a ] && [ ! -e "$seen" ]
                born=$EPOCHSECONDS; looks 1; looks 0'
}
ok "certificates are looked at when one may be due" t_seen
t_addon_nodes() { # of a worker that gave itself the label no addon's users hear
        part '. "$parts/addons.bash"; k() { [[ "$*" != *"-l addons.coxswain.io/dashboard,node-role.kubernetes.io/control-plane "* ]] || printf "192.0.2.1\n"; }
                equal() { [ "$1" = "$2" ]; }; equal "$(addon_nodes dashboard)" 192.0.2.1 && equal "$(addon_addresses dashboard)" 192.0.2.1'
}
ok "addons run on masters, whatever workers say" t_addon_nodes
t_forget_addon() { # in a restored cluster: the machines have the label, and their role was taken from them
        part '. "$parts/addons.bash"; k() { [[ "$*" == *control-plane* ]] || printf "node/gone\n"; printf "%s\n" "$*" >>"${etc%/*}/asked"; }; forget_addon dashboard' >"$work/said" &&
                grep -qxF 'label node/gone addons.coxswain.io/dashboard-' "$work/asked" && grep -q "Turn it on again" "$work/said"
}
ok "after a restore addons are off" t_forget_addon
t_rights() { # that made tokens bound to nothing go by the next upgrade
        part 'exec 3>"${etc%/*}/asked"; kubectl() { printf "%s\n" "$*" >&3; }; drop_former_rights conf' &&
                grep -qF -- '-n kube-system --ignore-not-found rolebindings coxswain:kube-proxy-token coxswain:cluster-dns-token coxswain:storage-provisioner-token' "$work/asked" &&
                grep -qF -- '-n kube-system --ignore-not-found roles coxswain:kube-proxy-token' "$work/asked" && grep -q 'drop_former_rights "$admin"' "$top/scripts/cluster.d/upgrade.bash"
}
ok "rights of a version before go" t_rights
t_policy() { # whoever gets into a pod is told of before anything that is read is left out
        part audit_policy | awk '/pods\/exec/ {told = NR} /verbs:/ && !read {read = NR} END {exit !(told && told < read)}'
}
ok "the audit policy leaves out nobody who gets into pods" t_policy
ok "commands that renew and restart run one after the other" part 'lock_file=$2/lock; alone; alone; ! flock -n "$lock_file" true'
t_servers() {
        part 'printf "192.0.2.1:6443\n192.0.2.2:6443\n" >"$servers_file"; kubeconfig "$etc/a.conf" 192.0.2.1:6443 "$pki/ca.crt" me "token: x"' &&
                grep -qx '    extensions: \[{name: coxswain/servers, extension: {servers: \["https://192.0.2.2:6443"\]}}\]' "$work/etc/a.conf" &&
                equals "$("$top/build/release/bin/kubectl" --kubeconfig "$work/etc/a.conf" config view -o 'jsonpath={.clusters[0].cluster.server}')" https://192.0.2.1:6443 &&
                part 'printf "192.0.2.1:6443\n" >"$servers_file"; kubeconfig "$etc/a.conf" 192.0.2.1:6443 "$pki/ca.crt" me "token: x"' && ! grep -q extensions "$work/etc/a.conf"
}
ok "kubeconfigs name the other masters" t_servers
t_server_name() { # a node's certificate for its address is not enough
        local view='jsonpath={.clusters[0].cluster.tls-server-name}'
        equals "$("$top/build/release/bin/kubectl" --kubeconfig "$work/etc/a.conf" config view -o "$view")" kubernetes &&
                part 'printf "  dnsDomain: d\ncontrolPlaneEndpoint: 192.0.2.9:6443\ncertSANs: []\n" >>"$settings_file"; names_for api' | grep -q ',DNS:kubernetes,'
}
ok "who is sent to another server asks for the name that only API servers have" t_server_name

t_seal() {
        head -c 100000 /dev/urandom >"$work/plain"
        part 'new_seal_key >$2/key; new_seal_key >$2/other; seal $2/key $2/plain $2/sealed; unseal $2/key $2/sealed $2/again' "$work" && cmp "$work/plain" "$work/again" || return 1
        refuses 'unseal $2/other $2/sealed $2/x' && refuses 'unseal $2/key $2/plain $2/x' && refuses 'check_seal_key $2/plain' || return 1
        local place
        for place in 0 20 90 5000 100000; do
                cp "$work/sealed" "$work/changed"
                printf '\377' | dd of="$work/changed" bs=1 seek="$place" conv=notrunc status=none
                cmp -s "$work/sealed" "$work/changed" || refuses 'unseal $2/key $2/changed $2/x' || return 1
        done
        head -c 50000 "$work/sealed" >"$work/changed" && refuses 'unseal $2/key $2/changed $2/x' && [ ! -e "$work/x" ]
}
ok "sealed files open with their key only, and only as they were" t_seal
t_seal_place() { # where others may write: what they laid in the way is not written through
        mkdir "$work/place" && : >"$work/theirs" && ln -s "$work/theirs" "$work/place/sealed.new" && ln -s "$work/theirs" "$work/place/sealed.body"
        part 'seal $2/key $2/plain $2/place/sealed' && [ ! -s "$work/theirs" ] && equals "$(stat -c %a "$work/place/sealed")" 600 &&
                equals "$(find "$work/place" -type f)" "$work/place/sealed"
}
ok "sealing writes through nothing that lies where the file goes" t_seal_place
tap_end
