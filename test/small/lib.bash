# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For board.sh: a small board, which is a memory control group with a limit. Everything that runs below it believes that the
# machine has no other control groups; so does the kubelet, whose pods are below it, too.
#
#   board_enter SCRIPT BYTES   runs the script on a board of that size, and ends with its status; all of the board goes then
#   board_begin                for that script: the machine's own group for what runs beside the board ($BOARD_BESIDE)
#   own_files FILE...          copies of the files and of the libraries they need, in memory by nobody before the board reads them
#   board_figure FILE          of the board, such as memory.usage_in_bytes
#   board_processes            "PID NAME" of what is on the board and in no pod
board_limit=memory.limit_in_bytes
memory=/sys/fs/cgroup/memory

hierarchies() { local h; for h in /sys/fs/cgroup/*/; do [ ! -e "$h/cgroup.procs" ] || [ -L "${h%/}" ] || echo "${h%/}"; done; }
board_remove() { # NAME
        local h
        for h in $(hierarchies); do
                [ ! -d "$h/$1" ] || find "$h/$1" -name cgroup.procs -exec cat {} + | sort -u | while read -r pid; do kill -9 "$pid" 2>/dev/null; done
        done
        until_true 20 board_gone "$1" >/dev/null
}
board_gone() { # NAME
        local h
        for h in $(hierarchies); do
                [ ! -d "$h/$1" ] || find "$h/$1" -depth -type d -exec rmdir {} + 2>/dev/null
                [ ! -d "$h/$1" ] || return 1
        done
}
board_enter() { # SCRIPT BYTES
        local name=coxswain-board-$$ h status
        [ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
        [ -e $memory/$board_limit ] || [ -e $memory/memory.usage_in_bytes ] || { echo "1..0 # SKIP needs the memory controller of cgroup v1"; exit 0; }
        trap 'board_remove '$name EXIT
        trap 'kill -- -$child 2>/dev/null; wait $child' INT TERM
        set -m # the script and all that it waits for is a group of processes
        for h in $(hierarchies); do
                mkdir -p "$h/$name/system"
                for file in cpus mems; do
                        [ ! -e "$h/cpuset.$file" ] || { cat "$h/cpuset.$file" >"$h/$name/cpuset.$file" && cat "$h/cpuset.$file" >"$h/$name/system/cpuset.$file"; }
                done
        done
        echo "$2" >"$memory/$name/$board_limit"
        BOARD_BESIDE=$memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup) BOARD_NAME=$name bash -c '
                exec 9>"$BOARD_BESIDE/cgroup.procs"
                for h in $0; do echo $$ >"$h/cgroup.procs"; done
                exec unshare -m -C "$1"' "$(hierarchies | sed "s/\$/\/$name/" | tr '\n' ' ')" "$1" &
        child=$!
        wait $child
        exit $?
}
# The machine's control groups as the board sees them. What this shell starts is beside the board, unless it goes there (system/cgroup.procs).
board_begin() {
        local h
        for h in $(hierarchies); do mount --bind "$h/$BOARD_NAME" "$h" || return 1; done
        echo 0 >&9
}
own_files() { # FILE...
        local file copy folder=$work/own
        mkdir -p "$folder"
        { printf '%s\n' "$@"; ldd "$@" 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p'; } | xargs realpath | sort -u |
                while read -r file; do
                        copy=$folder/${file//\//_}
                        cp --preserve=mode "$file" "$copy" && dd of="$copy" oflag=nocache conv=notrunc,fdatasync count=0 status=none &&
                                mount --bind "$copy" "$file" || return 1
                done
}
board_figure() { cat "$memory/$1"; }
board_processes() {
        local group pid
        find $memory -name cgroup.procs -not -path '*/kubepods/*' | while read -r group; do
                while read -r pid; do [ "$pid" = 0 ] || echo "$pid $(cat "/proc/$pid/comm" 2>/dev/null)"; done <"$group"
        done
}
