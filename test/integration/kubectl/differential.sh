#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Types the same commands at our kubectl and at upstream's, against one real control plane, and compares what they print
# on both outputs and how they exit. Each side has a namespace, a folder and names of its own that differ in one letter
# only (ns-a and ns-b), so that commands that change things can be compared too.
#
#   differential.sh [NAME...]     the tables differential/NAME.commands; default: all
#
# A table has one shell command a line; `k` is the kubectl, $S the side's letter. A line that begins with "- " prepares
# something and is not compared; with "~ ", runs of blanks are equal; with "> ", standard error is not compared;
# with "$ ", only the exit code is. What is not compared: klog lines about retries, the column of a YAML error (which only
# we have), key order in JSON, our guesses at what was meant. Both sides run at the same time. Ages, addresses, uids and generated names are made equal.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/control-plane.sh"
. "$here/../../lib/tap.sh"
work=$(mktemp -d)
upstream=$("$here/../../lib/upstream-clients") || exit 1
trap 'control_plane_stop "$work/cp" 2>/dev/null; rm -rf "$work"' EXIT

normal() { # FILE: without what differs from run to run
        sed -E -e 's/^([WIE][0-9]{4} [0-9:.]+ +)[0-9]+ /\1PID /' -e 's/\b(ns|node|made|pod|user|cr)-[ab]\b/\1-x/g' -e "s#$work/[ab]/?#WORK/#g" -e 's/#013//g' \
                -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)/TIME/g' \
                -e 's/(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}/TIME/g' \
                -e 's/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/UID/g' \
                -e 's/(resourceVersion"?: ?)"[0-9]+"/\1"N"/g; s/(resourceVersion=)[0-9]+/\1N/g' \
                -e 's/(^|[^0-9a-zA-Z.:"-])[0-9]+(\.[0-9]+)?(ms|s|m|h|d)([0-9]+(s|m))?\b */\1AGE /g; s/<invalid> */AGE /g; s/\b(AGE|LAST SEEN|DURATION) +/\1 /g' \
                -e 's/\b10\.96\.[0-9]+\.[0-9]+ */CLUSTERIP /g; s/(CLUSTER-IP|\bNone|<none>|ClusterIP) +/\1 /g; s/\b3[0-2][0-9]{3}\b/NODEPORT/g' \
                -e 's/-[bcdfghjklmnpqrstvwxz2456789]{5,10}(-[bcdfghjklmnpqrstvwxz2456789]{5})?\b/-HASH/g' \
                -e '/^Did you mean ("[a-z]+"|--[a-z-]+)\?$/d' -e '/^[WIE][0-9]{4}.*"Unhandled Error"/d; /^[WIE][0-9]{4}.*reflector=/d; s/(yaml: line [0-9]+), column [0-9]+/\1/; s/side=[ab]/side=x/g' \
                -e 's/\.[0-9a-f]{16}\b/.EVENT/g' -e 's/(Resource Version: +|was )[0-9]+/\1N/; s/(-edit-)[0-9a-zA-Z]+/\1N/; s/ on [0-9.]+:53:/:/' \
                -e 's/^[WIE][0-9]{4} [0-9:.]+ +PID [a-z_]+\.(go|c):[0-9]+\]/KLOG/' "$1" | sed -E 's/ +$//'
        # An end of line that is missing is a difference.
        [ ! -s "$1" ] || [ -z "$(tail -c1 "$1")" ] || echo '(no end of line)'
}

run_side() { # LETTER KUBECTL TABLE...: the output of line N goes to LETTER.N.{out,err,code}
        local S=$1 KUBECTL=$2 n=0 line
        shift 2
        export S KUBECTL HOME=$work/$S/home TMPDIR=$work/$S/home KUBECONFIG=$work/$S/kubeconfig
        k() { timeout -k 5 "${TIMEOUT:-30}" "$KUBECTL" "$@"; }
        cd "$work/$S" || exit 1
        while IFS= read -r line; do
                n=$((n + 1))
                case $line in '' | '#'*) continue ;; [-~'>$']' '*) line=${line#? } ;; esac
                (eval "$line") >"../results/$S.$n.out" 2>"../results/$S.$n.err" </dev/null
                echo $? >"../results/$S.$n.code"
        done <"$work/table"
}

prepare_side() { # LETTER
        local file
        mkdir -p "$work/$1/home"
        for file in "$here"/differential/files/*; do sed "s/@S@/$1/g" "$file" >"$work/$1/${file##*/}"; done
        sed "s/{cluster: test, user: admin}/{cluster: test, user: admin, namespace: ns-$1}/" \
                "$work/cp/admin.kubeconfig" >"$work/$1/kubeconfig"
        "$upstream/kubectl" --kubeconfig "$work/cp/admin.kubeconfig" create namespace "ns-$1" >/dev/null
}

same() { # N HOW
        local n=$1 how=$2 part status=0 squeeze=cat
        [ "$how" != '~' ] || squeeze='tr -s [:blank:]'
        for part in out err code; do
                case $how$part in '>err' | '$err' | '$out') continue ;; esac
                normal "$work/results/a.$n.$part" | $squeeze >"$work/ours"
                normal "$work/results/b.$n.$part" | $squeeze >"$work/theirs"
                cmp -s "$work/ours" "$work/theirs" && continue
                status=1
                echo "$part: < upstream's, > ours"
                diff "$work/theirs" "$work/ours"
        done
        return $status
}

control_plane_start "$work/cp" "$(free_port)" || exit 1
component_start "$work/cp" kube-controller-manager --root-ca-file "$work/cp/ca.crt" \
        --controllers='*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller'
for side in a b; do prepare_side $side; done
for side in a b; do
        wait_for "$upstream/kubectl" --kubeconfig "$work/cp/admin.kubeconfig" get serviceaccount default -n "ns-$side"
done
mkdir "$work/results"
tables=("$@")
[ $# -gt 0 ] || for table in "$here"/differential/*.commands; do tables+=("$(basename "$table" .commands)"); done
for table in "${tables[@]}"; do
        cat "$here/differential/$table.commands" >"$work/table"
        run_side a "$BIN/kubectl" &
        ours=$!
        run_side b "$upstream/kubectl" &
        wait $ours $!
        n=0
        while IFS= read -r line; do
                n=$((n + 1))
                case $line in '' | '#'* | '- '*) continue ;; [~'>$']' '*) how=${line:0:1} line=${line#? } ;; *) how='' ;; esac
                ok "$table: $line" same $n "$how"
        done <"$work/table"
done
tap_end
