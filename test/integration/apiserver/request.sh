# SPDX-License-Identifier: Apache-2.0
# For tests of kube-apiserver, sourced by bash after test/lib/control-plane.sh: a folder $work, an address $api, and
# requests with curl whose answers stand in $code, $body, $work/body and $work/headers.
work=$(mktemp -d /tmp/coxswain-api.XXXXXX)
port=$(free_port)
api=https://127.0.0.1:$port
second=
finish() {
        [ -z "$second" ] || kill "$second" 2>/dev/null
        control_plane_stop "$work"
        rm -rf "$work"
}

code= body= # of the last request
req() { # METHOD PATH [BODY [TYPE [CURL FLAG...]]]
        local method=$1 path=$2 data=${3-} type=${4:-application/json}
        local flags=(-s --cacert "$work/ca.crt" -X "$method" -D "$work/headers" -o "$work/body" -w '%{http_code}' --max-time 60)
        [ -n "${ANON:-}" ] || flags+=(--cert "$work/${WHO:-admin}.crt" --key "$work/${WHO:-admin}.key")
        [ -z "$data" ] || flags+=(-H "Content-Type: $type" --data-binary "$data")
        shift $(($# < 4 ? $# : 4))
        code=$(curl "${flags[@]}" "$@" "$api$path")
        body=$(cat "$work/body")
}
want() { # CODE [JQ FILTER THAT MUST HOLD]
        [ "$code" = "$1" ] || { echo "HTTP $code, want $1: $body"; return 1; }
        [ -z "${2-}" ] || jq -e "$2" "$work/body" >/dev/null || { echo "not so: $2 in $body"; return 1; }
}
ns=/api/v1/namespaces/default
