#!/usr/bin/env bash
# Runs every unit test executable below the given folder, prints what failed and ends with "N passed, N failed".
set -u
folder=$1
passed=0 failed=0
while IFS= read -r test; do
        log=$(mktemp)
        if CMOCKA_MESSAGE_OUTPUT=STDOUT timeout 300 "$test" >"$log" 2>&1; then
                n=$(grep -c '^\[       OK \]' "$log")
                passed=$((passed + (n > 0 ? n : 1)))
        else
                ok=$(grep -c '^\[       OK \]' "$log")
                bad=$(grep -c '^\[  FAILED  \] [^0-9]' "$log")
                passed=$((passed + ok))
                failed=$((failed + (bad > 0 ? bad : 1)))
                echo "FAILED: $test"
                cat "$log"
        fi
        rm -f "$log"
done < <(find "$folder" -type f -executable -name 'test_*' | sort)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
