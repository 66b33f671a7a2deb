# SPDX-License-Identifier: Apache-2.0
"""A page of the tutorials: its blocks of commands, what they print, and the shell they are typed into. test/tutorials/run says how
pages are written."""
import os
import pathlib
import re
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGES = TOP / "docs/tutorials"
COMMAND_TIMEOUT = 300

# What stands for its like, in this order.
LIKES = [
    (r"\bsha256:[0-9a-f]{64}\b", "DIGEST"),
    (r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", "TOKEN"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
    (r"\b\d{1,3}(\.\d{1,3}){3}\b", "ADDRESS"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\b", "TIME"),
    (r"-[0-9a-f]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-HASH-NAME"),
    (r"(?<=[a-z0-9])-(?=[a-z]*\d|[bcdfghjklmnpqrstvwxz]{5}\b)[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-NAME"),
    (r"(?<=[a-z])-\d{8}\b", "-MINUTE"),
    (r"-[0-9a-f]{8,10}\b", "-HASH"),
    (r"\b(\d+d)?(\d+h)?(\d+m)?\d+(\.\d+)?(s|m|h|d)\b( ago\b)?", "AGE"),
    (r"\b3[0-2]\d{3}\b", "PORT"),
    (r"-{3,}", "---"),
]


def normal(line, profile):
    line = re.sub(rf"\b{re.escape(profile)}\b", "minikube", line)
    for pattern, word in LIKES:
        line = re.sub(pattern, word, line)
    return " ".join(line.split())


def same_line(wanted, seen):
    return re.fullmatch(".*".join(re.escape(part) for part in wanted.split("...")), seen) is not None


def same(wanted, seen):
    """Both are lists of normal lines; "..." alone stands for any lines."""
    if not wanted:
        return not seen
    if wanted[0] == "...":
        return any(same(wanted[1:], seen[i:]) for i in range(len(seen) + 1))
    return bool(seen) and same_line(wanted[0], seen[0]) and same(wanted[1:], seen[1:])


def blocks_of(text):
    """[heading, commands, what is shown or None]"""
    found, kind, lines, heading = [], None, [], ""
    for line in text.splitlines():
        if kind is None and line.startswith("#"):
            heading = line.lstrip("# ")
        elif kind is None and line.startswith("```"):
            kind, lines = line[3:].strip(), []
        elif line == "```":
            if kind == "sh":
                found.append([heading, lines, None])
            elif kind == "text":
                if not found or found[-1][2] is not None:
                    raise SystemExit(f"a block of text stands behind no commands: {lines[:1]}")
                found[-1][2] = lines
            kind = None
        elif kind is not None:
            lines.append(line)
    return found


def commands_of(lines):
    """Lines that belong together: bash says when a command is whole."""
    command = []
    for line in lines:
        command.append(line)
        text = "\n".join(command)
        check = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
        if text.strip() and not text.endswith("\\") and check.returncode == 0 and not check.stderr:
            yield text
            command = []
    if "".join(command).strip():
        yield "\n".join(command)


class Shell:
    """A bash that lives as long as a page, as the reader's does; with aliases."""

    def __init__(self, work, environment):
        self.work, self.output, self.profile = work, work / "output", environment["MINIKUBE_PROFILE"]
        self.bash = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, cwd=TOP, env=environment, text=True)
        self.bash.stdin.write("shopt -s expand_aliases\nset -o pipefail\n")
        os.mkfifo(work / "status")

    def run(self, command):
        (self.work / "command").write_text(command + "\n")
        self.bash.stdin.write(f". {self.work}/command </dev/null >>{self.output} 2>&1; echo $? >{self.work}/status\n")
        self.bash.stdin.flush()
        reader = subprocess.run(["timeout", str(COMMAND_TIMEOUT), "cat", self.work / "status"], capture_output=True,
                                text=True, check=False)
        return int(reader.stdout) if reader.stdout.strip() else -1

    def end(self):
        self.bash.stdin.close()
        self.bash.wait()
        (self.work / "status").unlink()


def compare(shown, seen, profile):
    """What is wrong; None: nothing. Both are lists of lines."""
    wanted, seen = ([normal(line, profile) for line in lines if line.strip()] for lines in (shown, seen))
    return None if same(wanted, seen) else "want\n" + "\n".join(wanted) + "\nhave\n" + "\n".join(seen)


def run_block(shell, lines, shown, session):
    """What is wrong; None: nothing. Adds commands and what they print to the session."""
    shell.output.write_text("")
    for command in commands_of(lines):
        before = len(shell.output.read_text())
        status = shell.run(command)
        session.append((command, shell.output.read_text()[before:].replace(shell.profile, "minikube")))
        fails = command.rstrip().endswith("# fails")
        if status < 0:
            return f"{command}\nhas not ended within {COMMAND_TIMEOUT} s"
        if (status != 0) != fails:
            return f"{command}\nended with {status}"
    return None if shown is None else compare(shown, shell.output.read_text().splitlines(), shell.profile)
