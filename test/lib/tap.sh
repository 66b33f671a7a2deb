# SPDX-License-Identifier: Apache-2.0
# For tests, sourced by bash: one line of TAP a behaviour, and waiting on conditions.
tap_count=0
tap_failed=0
ok() { # NAME COMMAND...: runs the command; its output is shown only when it fails
        local name=$1 output
        shift
        tap_count=$((tap_count + 1))
        if output=$("$@" 2>&1); then
                echo "ok $tap_count - $name"
        else
                tap_failed=$((tap_failed + 1))
                echo "not ok $tap_count - $name"
                printf '%s\n' "$output" | tail -n "${TAP_LINES:-30}" | sed 's/^/# /'
                [ -z "${TAP_ON_FAILURE:-}" ] || "$TAP_ON_FAILURE" 2>&1 | tail -n 60 | sed 's/^/#   /'
        fi
}
must() { # NAME COMMAND...: as ok, of what all the rest needs: without it the script ends
        local failed=$tap_failed
        ok "$@"
        [ "$tap_failed" -eq "$failed" ] || { echo "Bail out! $1"; exit 1; }
}
tap_end() {
        echo "1..$tap_count"
        [ "$tap_failed" -eq 0 ]
}
until_true() { # SECONDS COMMAND...
        local end=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                if [ $SECONDS -ge "$end" ]; then
                        echo "not within its time: $*"
                        "$@"
                        return 1
                fi
                read -rt 0.1 <> <(:) || :
        done
}
equals() { [ "$1" = "$2" ] || { echo "have \"$1\", want \"$2\""; return 1; }; }
