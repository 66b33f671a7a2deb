#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Encryption at rest, looked at with etcdctl: nothing of a Secret is there in plain text; keys rotate while the server runs; a
# cluster without encryption is migrated; a lost key is told and harms nothing else. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
. "$here/request.sh"
trap finish EXIT
CP=$work

config() { # PROVIDERS...: the configuration, put in place at once
        { printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n'
                printf '  - %s\n' "$@"; } >"$work/encryption.new"
        mv "$work/encryption.new" "$work/encryption.yaml"
}
key() { printf '{%s: {keys: [{name: %s, secret: %s}]}}' "$1" "$2" "$(printf "%032d" "$3" | base64)"; }
raw() { # KEY: the value in etcd
        ETCDCTL_API=3 etcdctl --endpoints "https://127.0.0.1:$((port + 1))" --cacert "$work/etcd-ca.crt" --cert "$work/client.crt" \
                --key "$work/client.key" get --print-value-only "$@"
}
begins() { # KEY PREFIX
        local have=$(raw "$1" | head -c ${#2} | tr -d '\0')
        equals "$have" "$2"
}
restart() { # [FLAG...]
        _end "$(cat "$work/apiserver.pid")" 10
        apiserver_start "$work" "$port" "$@"
        wait_for apiserver_ready "$work"
}
secret() { printf '{"metadata":{"name":"%s"},"stringData":{"password":"correct-horse"}}' "$1"; }
flags=(--encryption-provider-config "$work/encryption.yaml" --encryption-provider-config-automatic-reload)
s=/registry/secrets/default

t_plain() { req POST $ns/secrets "$(secret old)" && want 201 && begins $s/old '{"kind":"Secret"'; }
t_on() {
        config "$(key secretbox one 1)" 'identity: {}' && restart "${flags[@]}" &&
                req GET $ns/secrets/old && want 200 '.data.password == "Y29ycmVjdC1ob3JzZQ=="' &&
                req POST $ns/secrets "$(secret new)" && want 201 && begins $s/new k8s:enc:secretbox:v1:one: &&
                ! raw --prefix $s/new | grep -aqE 'correct-horse|Y29ycmVjdC1ob3JzZQ|password' &&
                req GET $ns/secrets/new && want 200 '.data.password == "Y29ycmVjdC1ob3JzZQ=="' &&
                req POST $ns/configmaps '{"metadata":{"name":"plain"},"data":{"a":"b"}}' && want 201 && begins /registry/configmaps/default/plain '{"kind":"ConfigMap"'
}
# what the documentation says: everything is written once more
rewrite() { k get secrets --all-namespaces -o json | k replace -f -; }
t_migrate() { rewrite && begins $s/old k8s:enc:secretbox:v1:one: && ! raw --prefix /registry/secrets | grep -aq correct-horse; }
t_unchanged() { # a second time nothing is written
        local before after
        before=$(k get secrets old -o 'jsonpath={.metadata.resourceVersion}') && rewrite &&
                after=$(k get secrets old -o 'jsonpath={.metadata.resourceVersion}') && equals "$after" "$before"
}
written_with() { # PREFIX: what a new Secret begins with
        req DELETE $ns/secrets/probe
        req POST $ns/secrets "$(secret probe)" && want 201 && begins $s/probe "$1"
}
t_rotate() {
        local provider prefix
        for provider in aescbc aesgcm secretbox; do
                config "$(key $provider two 2)" "$(key secretbox one 1)"
                prefix=k8s:enc:$provider:v1:two:
                until_true 60 written_with $prefix && req GET $ns/secrets/old && want 200 && rewrite && begins $s/old $prefix || return 1
                config "$(key secretbox one 1)" "$(key $provider two 2)"
                until_true 60 written_with k8s:enc:secretbox:v1:one: && rewrite && begins $s/old k8s:enc:secretbox:v1:one: || return 1
        done
}
t_bad_reload() { # a configuration that cannot be meant changes nothing
        config 'aescbc: {keys: []}'
        said() { grep -q 'The changed encryption configuration is not taken over' "$work/apiserver.log"; }
        until_true 60 said && written_with k8s:enc:secretbox:v1:one:
}
t_bad_start() {
        config "$(key secretbox one 1 | sed 's/secret: [^}]*/secret: c2hvcnQ=/')"
        _end "$(cat "$work/apiserver.pid")" 10
        apiserver_start "$work" "$port" "${flags[@]}"
        wait_for _gone "$(cat "$work/apiserver.pid")" && tail -n 3 "$work/apiserver.log" | grep -q 'secret must be 32 bytes'
}
t_lost() {
        config "$(key secretbox other 9)" 'identity: {}' && restart "${flags[@]}"
        req GET $ns/secrets/old && want 500 '.message | contains("/registry/secrets/default/old cannot be decrypted") and contains("k8s:enc:secretbox:v1:one:")' &&
                req GET $ns/secrets && want 500 && req GET "$ns/secrets?watch=1" && want 500 && req DELETE $ns/secrets/old && want 500 &&
                req PUT $ns/secrets/old "$(secret old)" && want 500 && req POST $ns/secrets "$(secret old)" && want 409 &&
                req POST $ns/secrets "$(secret fresh)" && want 201 && req GET $ns/secrets/fresh && want 200 &&
                req GET $ns/configmaps/plain && want 200 && req GET /api/v1/namespaces/kube-system/secrets && want 200 &&
                begins $s/old k8s:enc:secretbox:v1:one:
}
t_back() { # the key is found again: no restart is needed
        config "$(key secretbox other 9)" "$(key secretbox one 1)"
        readable() { req GET $ns/secrets/old && [ "$code" = 200 ]; }
        until_true 60 readable && req GET $ns/secrets && want 200 '[.items[].metadata.name] | index("old") and index("fresh")'
}

ok "a control plane without encryption starts" control_plane_start "$work" "$port"
ok "without encryption a Secret is plain text in etcd" t_plain
ok "with it what is new is sealed, what is old is read, and other kinds stay plain" t_on
ok "one command migrates all Secrets" t_migrate
ok "what is sealed with the present key already is not written again" t_unchanged
ok "keys and providers change while the server runs" t_rotate
ok "a changed file that is wrong is told and not taken over" t_bad_reload
ok "a wrong file at the start is an error" t_bad_start
ok "a lost key is told, object by object, and harms no other" t_lost
ok "a key that comes back makes the objects readable" t_back
tap_end
