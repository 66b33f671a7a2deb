#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kube-apiserver against clients that are slow, greedy, or speak HTTP wrongly on purpose (hostile.py). TAP.
set -u
. "$(dirname "$0")/judge.sh"
ulimit -Sn 1024 # half of it is for connections
judge_start
ulimit -Sn "$(ulimit -Hn)"
judge hostile.py "$(cat "$work/apiserver.pid")"
