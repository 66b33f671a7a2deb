#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may do what: everything in who.table, asked as everybody (who.py). TAP.
set -u
. "$(dirname "$0")/judge.sh"
judge_start
judge who.py
