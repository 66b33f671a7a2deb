#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The applications of docs/tutorials/ingress.md, whose commands are run as they stand there, on two nodes; under load while they are
# updated, while their certificate changes, and while the controller is killed. Prints TAP.
#   test/e2e/ingress.sh [KUBECTL]       KUBECTL: ours by default; upstream's judges the same
set -u
. "$(dirname "$0")/../lib/cluster.sh"
cd "$top" || exit 1
cluster_begin ingress "${1:-}"
mkdir -p "$work/path" "$work/images"
ln -s "$KUBECTL" "$work/path/kubectl"
ln -s "$bin/minikube" "$work/path/minikube"
export PATH=$work/path:$PATH MINIKUBE_PROFILE=ingress

# --- the tutorial ---
block() { # NUMBER
        awk -v wanted="$1" '/^```sh$/ {n++; on = n == wanted; next} /^```$/ {on = 0} on' docs/tutorials/ingress.md
}
t_block() { # NUMBER: in a shell of its own, which ends at the first command that fails
        bash -euo pipefail -c "$(block "$1" | sed "s|build/images|$work/images|g")"
}
shows() { # NUMBER TEXT: in what its commands print
        t_block "$1" >"$work/shown" 2>&1 && grep -qE "$2" "$work/shown" || { cat "$work/shown"; return 1; }
}
has_blocks() { equals "$(grep -c '^```sh$' docs/tutorials/ingress.md)" 12; }

hello() { curl -s --max-time 10 --cacert "$work/images/tls.crt" --resolve "hello.example.com:443:$(mk ip)" "$@"; }
news() { hello -o /dev/null -w '%{http_code}' "$@" https://hello.example.com/news/; }
serial() { # of the certificate that is presented
        echo | openssl s_client -connect "$(mk ip):443" -servername hello.example.com 2>/dev/null | openssl x509 -noout -serial
}
renewed() { equals "$(serial)" "$(openssl x509 -noout -serial -in "$work/images/tls.crt")"; }
# The load goes through TLS to the host, and does not care which of its certificates it sees.
load_of_hello() {
        printf 'insecure\nresolve = "hello.example.com:443:%s"\n' "$(mk ip)" >"$work/.curlrc" # $work is the load's home
        url=https://hello.example.com/
        load_start
}
t_certificate() { load_of_hello && t_block 7 && until_true 30 renewed && load_stop; }
t_update() { load_of_hello && t_block 8 && load_stop && hello https://hello.example.com/ | grep -q 'version v2'; }
news_answers() { equals "$(news "${@:2}")" "$1"; }
t_users() { shows 9 '^200$' && until_true 30 news_answers 401 && news_answers 401 -u alice:wrong && news_answers 200 -u alice:wonderland; }
t_restart() { # of everything that the controller is
        load_of_hello
        kill -9 "$(pid_of ingress-controller-ingress)" && until_true 60 news_answers 200 -u alice:wonderland &&
                k scale deployment/hello --replicas=2 && k rollout status deployment/hello --timeout=60s && load_stop
}
described() { k describe ingress typo | grep -qE "$1"; } # events come a moment later
t_described() {
        t_block 11 && until_true 30 described 'ServiceNotFound .*host typo.example.com, path /: there is no Service default/helo; its requests get 503$' &&
                described 'Ingress Class: +haproxy$' && described "Address: +$(mk ip)$"
}
proxies() { pgrep -f "$work/.minikube/profiles/ingress/ingress/haproxy.cfg"; }
t_end() { t_block 12 && ! curl -s --max-time 5 "http://$(mk ip)/" && ! proxies && equals "$(k get ingressclass -o name)" ""; }
t_again() { # what is on comes back with the cluster, and nothing of it stays
        mk addons enable ingress | grep -q "The 'ingress' addon is enabled" && curl -s --max-time 5 "http://$(mk ip)/" | grep -q 404 && mk stop && ! proxies &&
                mk start && curl -s --max-time 5 "http://$(mk ip)/" | grep -q 404 && kill -9 "$(pid_of ingress-controller-ingress)" && mk delete && ! proxies
}
ok "the page has the blocks that are run here" has_blocks
must "a cluster with an ingress controller" shows 1 '^haproxy +coxswain.io/ingress'
ok "an application" t_block 2
ok "by host" shows 3 '^Hello from hello-.*, version v1$'
ok "other hosts" shows 4 '^404$'
ok "by path" shows 5 '^Hello from news-.*, version v2$'
ok "with a certificate" shows 6 '^308 https://hello.example.com/$'
ok "the certificate changes under load, and no request fails" t_certificate
ok "an update under load, and no request fails" t_update
ok "with a password" t_users
ok "the controller is killed under load, and no request fails" t_restart
ok "nothing behind it" shows 10 '^503$'
ok "what is wrong is told" t_described
ok "the end" t_end
ok "again, and over stop, start and delete" t_again
tap_end
