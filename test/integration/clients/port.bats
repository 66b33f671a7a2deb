# SPDX-License-Identifier: Apache-2.0
# The port of a component: who may read /metrics is asked of the API server.
load ../../lib/plane

setup_file() {
        plane_begin
        kubeconfig_for "$CP" reader jane
        kubeconfig_for "$CP" nobody joe
        export PORT=$(free_port)
        kubeconfig_for "$CP" kube-scheduler system:kube-scheduler
        scheduler
        k create clusterrole metrics --verb=get --non-resource-url=/metrics
        k create clusterrolebinding metrics --clusterrole=metrics --user=jane --serviceaccount=default:prometheus
        k create serviceaccount prometheus
        k create serviceaccount other
}
scheduler() { # [FLAG...]
        "$BIN/kube-scheduler" --kubeconfig "$CP/kube-scheduler.kubeconfig" --leader-elect=false --bind-address 127.0.0.1 \
                --secure-port "$PORT" --client-ca-file "$CP/ca.crt" "$@" >>"$CP/kube-scheduler.log" 2>&1 3>&- &
        echo $! >"$CP/kube-scheduler.pid"
        wait_for curl -skf "https://127.0.0.1:$PORT/healthz"
}
again() { # [FLAG...]
        kill "$(cat "$CP/kube-scheduler.pid")"
        wait_for eval "! curl -sk https://127.0.0.1:$PORT/healthz"
        scheduler "$@"
}
asks() { # PATH [CURL FLAG...]: the code
        curl -sk -o "$BATS_TEST_TMPDIR/answer" -w '%{http_code}' "https://127.0.0.1:$PORT$1" "${@:2}"
}
as() { echo --cert "$CP/$1.crt" --key "$CP/$1.key"; }
bearer() { echo "Authorization: Bearer $(k create token "$1")"; }

@test "whether it lives is for everybody" {
        is 200 asks /healthz
        is 200 asks /livez
        is 200 asks /readyz
}
@test "without credentials nothing else is" {
        is 403 asks /metrics
        grep -F 'forbidden: User \"system:anonymous\" cannot get path \"/metrics\"' "$BATS_TEST_TMPDIR/answer"
        is 403 asks /nonesuch
}
@test "a client certificate names a user" {
        is 200 asks /metrics $(as reader)
        grep -q '^process_start_time_seconds' "$BATS_TEST_TMPDIR/answer"
        is 403 asks /metrics -X POST $(as reader)
        is 403 asks /metrics $(as nobody)
        is 404 asks /nonesuch $(as admin)
}
@test "a certificate of another authority is no user's" {
        _pki_ca "$CP" elsewhere
        _pki_cert "$CP" stranger /CN=jane clientAuth "" elsewhere
        is 401 asks /metrics $(as stranger)
}
@test "a token is reviewed" {
        is 200 asks /metrics -H "$(bearer prometheus)"
        is 403 asks /metrics -H "$(bearer other)"
        is 401 asks /metrics -H "Authorization: Bearer nonsense"
        is 401 asks /metrics -u jane:secret
}
@test "paths can be opened, and only those are open" {
        again --authorization-always-allow-paths /healthz,/met*
        is 200 asks /metrics
        is 403 asks /nonesuch
}
@test "who is asked can have credentials of its own" {
        again --authentication-kubeconfig "$CP/nobody.kubeconfig" # who may not review tokens
        is 401 asks /metrics -H "$(bearer prometheus)"
        again --authorization-kubeconfig "$CP/nobody.kubeconfig"
        is 403 asks /metrics $(as reader)
        run "$BIN/kube-scheduler" --kubeconfig "$CP/kube-scheduler.kubeconfig" --secure-port "$PORT" --authentication-kubeconfig "$CP/none"
        [ "$status" -eq 1 ]
        [[ $output == *"$CP/none"* ]]
}
@test "what is not there is refused" {
        local flag
        for flag in --profiling --leader-elect-resource-lock=endpoints --logging-format=xml; do
                run timeout 30 "$BIN/kube-scheduler" --kubeconfig "$CP/kube-scheduler.kubeconfig" $flag
                [ "$status" -eq 1 ]
                [[ $output == *"${flag%%=*}: "* ]]
        done
}
@test "an administrator reads it without the API server, too" {
        again
        kill -9 "$(cat "$CP/apiserver.pid")"
        is 200 asks /metrics $(as admin)
        is 403 asks /metrics $(as reader)
}
