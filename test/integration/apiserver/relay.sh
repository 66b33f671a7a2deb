#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kube-apiserver before backends of its proxies that misbehave (relay.py). TAP.
set -u
. "$(dirname "$0")/judge.sh"
judge_start
SERVER_PID=$(cat "$work/apiserver.pid") judge relay.py
