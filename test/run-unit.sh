#!/usr/bin/env bash
# Runs every unit test executable below the given folder, as many at once as there are processors; prints what failed and ends with
# "N passed, N failed".
set -u
folder=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

run_one() { # SCRATCH TEST: its counts become a line of a file, and what it said when it failed another file
        local log=$1/${2//\//_} ok bad=0
        echo "FAILED: $2" >"$log"
        if CMOCKA_MESSAGE_OUTPUT=STDOUT timeout 300 "$2" >>"$log" 2>&1; then
                ok=$(grep -c '^\[       OK \]' "$log")
                [ "$ok" -gt 0 ] || ok=1
                rm "$log"
        else
                ok=$(grep -c '^\[       OK \]' "$log")
                bad=$(grep -c '^\[  FAILED  \] [^0-9]' "$log")
                [ "$bad" -gt 0 ] || bad=1
        fi
        echo "$ok $bad" >"$log.count"
}
export -f run_one
find "$folder" -type f -executable -name 'test_*' -print0 | sort -z |
        xargs -0 -n 1 -P "$(nproc)" bash -c 'run_one "$@"' run_one "$scratch"
find "$scratch" -type f ! -name '*.count' -exec cat {} +
find "$scratch" -name '*.count' -exec cat {} + |
        awk '{passed += $1; failed += $2} END {print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0}'
