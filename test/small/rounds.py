#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Types what the tutorials say, round after round, into a cluster that runs: rounds.py WORK SECONDS. The environment says which
cluster. A line for each round; the first block that goes wrong ends all, with status 1."""
import os
import pathlib
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing is left in the tree
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tutorials"))
from page import PAGES, Shell, blocks_of, run_block

# The pages of a round, with headings whose blocks are left out, and why.
PAGES_OF_A_ROUND = [
    ("first-cluster.md", {"Start it": "the cluster runs",
                          "Look around": "it is not empty: ten pods of hello are there"}),
    ("deploy.md", {"Deploy, break, scale, update, roll back": "the cluster runs",
                   "An image": "the images are there: test/images/small"}),
    ("services.md", {}),
    ("configure.md", {}),
]
# What is typed otherwise, since web is no Node.js here.
OTHERWISE = [
    (r"^minikube image build .*$", "true"),
    (r"""node -e 'fetch\("([^"]+)"\).*'""", r"wget -qO- \1"),
]


def typed(line):
    for pattern, other in OTHERWISE:
        line = re.sub(pattern, other, line)
    return line


def one_round(work):
    """What is wrong; None: nothing."""
    for page, left_out in PAGES_OF_A_ROUND:
        blocks = blocks_of((PAGES / page).read_text())
        unknown = set(left_out) - {heading for heading, _, _ in blocks}
        if unknown:
            return f"{page} has no commands below {', '.join(unknown)}"
        shell = Shell(work, os.environ)
        for heading, lines, shown in blocks:
            wrong = None if heading in left_out else run_block(shell, [typed(line) for line in lines], shown, [])
            if wrong:
                return f"{page}: {heading}\n{wrong}\n\n{shell.output.read_text()}"
        shell.end()
    while subprocess.run(["kubectl", "get", "pods", "-o", "name"], capture_output=True, check=True).stdout:
        time.sleep(0.5)  # pods that were deleted go; the next round's pages do not show them
    return None


def main():
    work, end, count = pathlib.Path(sys.argv[1]), time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < end:
        begun = time.monotonic()
        wrong = one_round(work)
        if wrong:
            print(wrong)
            return 1
        count += 1
        print(f"round {count}: {time.monotonic() - begun:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
