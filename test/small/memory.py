#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a small board's memory holds. memory.py sample FILE SECONDS measures until it is ended, a line of JSON each time;
memory.py report FILE prints a table and "NAME VALUE" of what is judged, in megabytes of 2^20 bytes.

A process counts by Pss, its own pages and its share of those that it has together with others: the sum counts each page once. That is
true because hardly anybody beside the board maps its executables and libraries (board.sh sees to that). What is in a pod's group is
the pod's; all else is the cluster's: its services, conmon, runc, and whatever they run for a moment.

Judged is what is anonymous, which is what the kernel calls the rss of a control group, without that of the pods' group: it stays
until the process gives it back.
Pages of files (executables, libraries, etcd's database) are the kernel's cache; it takes them back when it wants room, and a board
has as many of them as fit. The table has both."""
import json
import os
import pathlib
import re
import sys
import time

MEMORY = pathlib.Path("/sys/fs/cgroup/memory")
MB = 1 << 20
ROWS = (("rss", "  anonymous, by their groups"), ("usage", "the board"), ("cache", "  of files"), ("mapped", "    mapped"),
        ("kernel", "  the kernel's"))


def comm(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def pss(pid):
    """(name, bytes, anonymous bytes); None: it has gone, or is a child that has its parent's memory until it executes a program."""
    try:
        name = comm(pid)
        parent = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        if name not in ("conmon", "runc") and name == comm(parent):
            return None
    except OSError:
        return None
    found = dict(re.findall(r"^(Pss|Pss_Anon): +(\d+) kB", text, re.M))
    return (name, int(found["Pss"]) * 1024, int(found["Pss_Anon"]) * 1024) if len(found) == 2 else None


def processes():
    for folder, inner, _ in os.walk(MEMORY):  # groups come and go meanwhile
        if "kubepods" in inner:
            inner.remove("kubepods")
        try:
            pids = (pathlib.Path(folder) / "cgroup.procs").read_text().split()
        except OSError:
            continue
        yield from (pid for pid in pids if pid != "0")


def stat(group):
    return {name: int(value) for name, value in (line.split() for line in (group / "memory.stat").read_text().splitlines())}


def sample():
    by_name = {}
    for pid in processes():
        found = pss(pid)
        if found:
            name, total, anonymous = found
            entry = by_name.setdefault(name, [0, 0, 0])
            by_name[name] = [entry[0] + 1, entry[1] + total, entry[2] + anonymous]
    whole = stat(MEMORY)
    pods = sum(stat(group)["total_rss"] for group in MEMORY.glob("coxswain/*/*/kubepods"))
    return {"time": time.monotonic(), "usage": int((MEMORY / "memory.usage_in_bytes").read_text()),
            "rss": whole["total_rss"] - pods, "cache": whole["total_cache"], "mapped": whole["total_mapped_file"],
            "kernel": int((MEMORY / "memory.kmem.usage_in_bytes").read_text()), "processes": by_name}


def cluster(one):
    return sum(entry[1] for entry in one["processes"].values())


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers) if numbers else 0


def report(samples):
    length = samples[-1]["time"] - samples[0]["time"]
    # Before that, events, which live for five minutes, only become more, and so does what components remember of theirs (2,048
    # of each kind: events.c).
    warm = min(1200, length / 3)
    part = min(600, length / 3)  # of the first samples after that and of the last ones, which are compared
    first = [one for one in samples if warm <= one["time"] - samples[0]["time"] < warm + part]
    last = [one for one in samples if one["time"] > samples[-1]["time"] - part]
    peak = max(samples, key=cluster)
    print(f"# {len(samples)} samples in {length / 60:.1f} minutes; {part / 60:.1f} after the first {warm / 60:.1f} are compared with the last")
    print(f"# {'MB of':28} {'highest':>8} {'at peak':>8} {'first':>8} {'last':>8} {'anon':>8}")
    rows = sorted({name for one in samples for name in one["processes"]},
                  key=lambda name: -max(one["processes"].get(name, [0, 0])[1] for one in samples))
    for name in rows:
        of = [[one["processes"].get(name, [0, 0, 0]) for one in some] for some in (samples, [peak], first, last)]
        print(f"# {name:28} {max(e[1] for e in of[0]) / MB:8.1f} {of[1][0][1] / MB:8.1f} {mean(e[1] for e in of[2]) / MB:8.1f} "
              f"{mean(e[1] for e in of[3]) / MB:8.1f} {mean(e[2] for e in of[3]) / MB:8.1f}")
    print(f"# {'the processes of the cluster':28} {cluster(peak) / MB:8.1f} {'':8} {mean(map(cluster, first)) / MB:8.1f} "
          f"{mean(map(cluster, last)) / MB:8.1f}")
    for key, what in ROWS:
        print(f"# {what:28} {max(one[key] for one in samples) / MB:8.1f} {'':8} {mean(one[key] for one in first) / MB:8.1f} "
              f"{mean(one[key] for one in last) / MB:8.1f}")
    print(f"highest {max(one['rss'] for one in samples) / MB:.1f}")
    print(f"first {mean(one['rss'] for one in first) / MB:.1f}")
    print(f"last {mean(one['rss'] for one in last) / MB:.1f}")


def main():
    path = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "report":
        report([json.loads(line) for line in path.read_text().split("\n")[:-1]])  # the last one may have been cut off
        return
    with path.open("w") as file:
        while True:
            print(json.dumps(sample()), file=file, flush=True)
            time.sleep(float(sys.argv[3]))


if __name__ == "__main__":
    main()
