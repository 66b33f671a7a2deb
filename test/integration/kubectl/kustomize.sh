#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds trees of kustomizations with our kubectl and with upstream's: kustomize/NAME.tree, where a line "=> PATH" begins a
# file, below the directory that is built. What is printed must be equal, byte by byte; of failures only that both fail.
# What we refuse, we say so.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
BIN=${BIN:-$here/../../../build/release/bin}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
upstream=$("$here/../../lib/upstream-clients") || exit 1
export HOME=$work KUBECONFIG=$work/none

unpack() { # FILE FOLDER
        local line file=/dev/null
        mkdir -p "$2"
        while IFS= read -r line; do
                case $line in
                '=> '*)
                        file=$2/${line#=> }
                        mkdir -p "$(dirname "$file")"
                        : >"$file"
                        ;;
                *) printf '%s\n' "$line" >>"$file" ;;
                esac
        done <"$1"
}

same() { # NAME
        local folder=$work/$1/top ours theirs
        unpack "$here/kustomize/$1.tree" "$folder"
        timeout 30 "$upstream/kubectl" kustomize "$folder" >"$work/theirs" 2>"$work/theirs.err"
        theirs=$?
        timeout 30 "$BIN/kubectl" kustomize "$folder" >"$work/ours" 2>"$work/ours.err"
        ours=$?
        [ $ours = $theirs ] && cmp -s "$work/ours" "$work/theirs" && return
        echo "exit codes: ours $ours, upstream's $theirs; < upstream's, > ours"
        diff "$work/theirs" "$work/ours"
        cat "$work/theirs.err" "$work/ours.err"
        return 1
}

refused() { # WORDS... -- the lines of a kustomization that is refused with these words
        local words=$1 output
        shift
        mkdir -p "$work/refused"
        printf '%s\n' "$@" >"$work/refused/kustomization.yaml"
        output=$("$BIN/kubectl" kustomize "$work/refused" 2>&1) && { echo "not refused"; return 1; }
        [[ $output == *"$words"* ]] || { echo "$output"; return 1; }
}

for tree in "$here"/kustomize/*.tree; do
        name=$(basename "$tree" .tree)
        ok "kustomize $name" same "$name"
done
for field in vars crds configurations openapi generators transformers validators helmCharts buildMetadata; do
        ok "$field is refused" refused "\"$field\" is not supported" "$field: [x]"
done
ok "a remote base is refused" refused "remote bases are not supported" 'resources: ["https://example.com/a?ref=b"]'
ok "a base of git is refused" refused "remote bases are not supported" 'resources: ["git@example.com:a/b"]'
ok "a remote component is refused" refused "remote components are not supported" 'components: ["github.com/a/b"]'
ok "a cycle is refused" refused "cycle detected" 'resources: [../refused]'
tap_end
