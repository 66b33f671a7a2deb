# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For board.sh: a small board, which is a memory control group with a limit. What runs there believes that the machine has no other
# control groups; so does the kubelet, whose pods are below it, too. Sourced after tap.sh.
#
#   board_enter SCRIPT BYTES   runs the script for a board of that size, and ends with its status; all of the board goes then
#   board_begin                in that script: control groups are the board's from here on. What the script starts is beside the
#                              board, unless it goes to $board/cgroup.procs
#   own_files FILE...          copies of the files and of the libraries they need take their places, as far as the script sees:
#                              nobody had them in memory before the board, which has to keep them
memory=/sys/fs/cgroup/memory
board=$memory/system

hierarchies() { local h; for h in /sys/fs/cgroup/*/; do [ ! -e "$h/cgroup.procs" ] || [ -L "${h%/}" ] || echo "${h%/}"; done; }
board_gone() { # NAME
        local h
        for h in $(hierarchies); do
                [ ! -d "$h/$1" ] || find "$h/$1" -depth -type d -exec rmdir {} + 2>/dev/null
                [ ! -d "$h/$1" ] || return 1
        done
}
board_remove() { # NAME
        local pid
        find /sys/fs/cgroup/*/"$1" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u |
                while read -r pid; do kill -9 "$pid" 2>/dev/null; done
        until_true 20 board_gone "$1"
}
board_groups() { # NAME: in all hierarchies; a new group of cpuset has no processors
        local h file
        for h in $(hierarchies); do
                mkdir -p "$h/$1/system" || return 1
                for file in cpuset.cpus cpuset.mems; do
                        [ ! -e "$h/$file" ] || { cat "$h/$file" >"$h/$1/$file" && cat "$h/$file" >"$h/$1/system/$file"; } || return 1
                done
                echo "$h/$1"
        done
}
board_enter() { # SCRIPT BYTES
        local name=coxswain-board-$$ groups
        [ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
        [ -e $memory/memory.usage_in_bytes ] || { echo "1..0 # SKIP needs the memory controller of cgroup v1"; exit 0; }
        trap 'board_remove '$name EXIT
        trap 'kill -- -$child 2>/dev/null; wait $child' INT TERM
        groups=$(board_groups $name) && echo "$2" >"$memory/$name/memory.limit_in_bytes" || exit 1
        set -m # the script and all that it waits for is a group of processes
        beside=$memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup) BOARD_NAME=$name bash -c '
                exec 9>"$beside/cgroup.procs"
                for group in $1; do echo $$ >"$group/cgroup.procs" || exit 1; done
                exec unshare -m -C "$0"' "$1" "$groups" &
        child=$!
        wait $child
        exit $?
}
board_begin() {
        local h
        for h in $(hierarchies); do mount --bind "$h/$BOARD_NAME" "$h" || return 1; done
        echo 0 >&9 && exec 9>&-
}
needed() { printf '%s\n' "$@"; ldd "$@" 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p'; }
own_files() { # FILE...
        local file copy folder=$work/own
        mkdir -p "$folder"
        needed "$@" | xargs realpath | sort -u | while read -r file; do
                copy=$folder/${file//\//_}
                cp --preserve=mode "$file" "$copy" && dd of="$copy" oflag=nocache conv=notrunc,fdatasync count=0 status=none &&
                        mount --bind "$copy" "$file" || return 1
        done
}
