#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The packages for arm64, which many small boards are: Debian's cross toolchain builds them in a root file system of its own, qemu
# runs the unit tests, cross-built as well. Those that qemu cannot run are in arm64.without, each with the reason. This machine
# learns of no other architecture and runs no foreign executables: both happens in the root, which is kept, and in a user
# namespace with a binfmt_misc of its own (Linux 6.7). Prints TAP. Needs root.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/test/lib/tap.sh"
release=bookworm
tools=(crossbuild-essential-arm64 qemu-user libcmocka-dev:arm64 etcd-server openssl)
elf_arm64=':aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
elf_arm64+=':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:'
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }

work=$(mktemp -d /var/tmp/coxswain-arm64.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$top" || exit 1
mkdir -p build/small
exec 9>build/small/lock # held until this script ends: the packages are built in the root
flock 9
root=$top/build/small/$release-arm64-$( (echo "$release ${tools[*]}"; cat debian/control) | sha256sum | cut -c1-16)

# --- the root: kept, and made anew when what it is made of changes ---

in_root() {
        chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
fill_root() {
        local mirror
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $release" | head -n 1)
        rm -rf --one-file-system "$top/build/small/$release-arm64"-* # this one, half made, and those of before
        debootstrap --variant=minbase "$release" "$root" "$mirror" || return 1
        printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod 755 "$root/usr/sbin/policy-rc.d" # no service starts
        mkdir -p "$root/build/needs/debian"
        cp debian/control debian/changelog debian/rules "$root/build/needs/debian/"
        in_root dpkg --add-architecture arm64 && in_root apt-get -q update &&
                in_root apt-get -qy install --no-install-recommends "${tools[@]}" &&
                in_root apt-get -qy build-dep --no-install-recommends -a arm64 -P cross,nocheck /build/needs
}
make_root() { [ -e "$root/etc/coxswain-complete" ] || { fill_root && touch "$root/etc/coxswain-complete"; }; }

# --- packages ---

packages() { ROOT=$root scripts/deb -aarm64; }
all_say_arm64() {
        local file
        for file in "$root"/build/*.deb; do
                equals "$(basename "$file") $(dpkg-deb -f "$file" Architecture)" "$(basename "$file") arm64" &&
                        dpkg-deb -x "$file" "$work/files" || return 1
        done
        equals "$(basename -a "$root"/build/*.deb | sed 's/_.*//' | paste -sd' ')" \
                "$(sed -n 's/^Package: //p' debian/control | sort | paste -sd' ')"
}
all_are_arm64() {
        local file machine
        for file in "$work"/files/usr/bin/*; do
                machine=$(readelf -h "$file" | sed -n 's/ *Machine: *//p')
                equals "$(basename "$file") $machine" "$(basename "$file") AArch64" || return 1
        done
        equals "$(ls "$work/files/usr/bin")" "$(ls "$root/build/coxswain/build/release/bin")"
}
all_are_told_of() {
        local name
        for name in $(ls "$work/files/usr/bin"); do
                [ "$(zcat "$work/files/usr/share/man"/man?/"$name".?.gz | grep -c '^\.TP\|^\.nf')" -gt 0 ] || { echo "no page: $name"; return 1; }
        done
        grep -q complete "$work/files/usr/share/bash-completion/completions/kubectl"
}

# --- unit tests ---

cross_make() {
        in_root make -s -C /build/coxswain -j"$(nproc)" CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar \
                PKG_CONFIG=aarch64-linux-gnu-pkg-config CC_FOR_BUILD=gcc "$@"
}
# As root of a user namespace with all of this one's ids, in the root file system, where executables for arm64 run by qemu.
emulated() { # COMMAND...
        local pid file
        rm -f "$work/mapped"
        mkfifo "$work/mapped"
        unshare -U -m -p -f --kill-child bash -c 'read -r _ <"$0" && exec "$@"' "$work/mapped" bash -c '
                formats=$0/proc/sys/fs/binfmt_misc
                mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t binfmt_misc none "$formats" &&
                        printf %s "$1" >"$formats/register" && exec chroot "$0" env -i PATH=/usr/bin:/bin HOME=/root "${@:2}"' \
                "$root" "$elf_arm64" "$@" &
        pid=$!
        until_true 10 has_namespace $pid || return 1
        for file in uid_map gid_map; do echo "0 0 4294967295" >"/proc/$pid/$file" || return 1; done
        echo >"$work/mapped"
        wait $pid
}
has_namespace() { [ "$(readlink "/proc/$1/ns/user")" != "$(readlink /proc/self/ns/user)" ]; } # PID: one of its own
runs_arm64() { emulated /build/coxswain/build/release/bin/kubectl version --client -o json | grep '"platform": "linux/arm64"'; }
# "EXECUTABLE TEST" of all that failed, or "EXECUTABLE -" where none is named.
failed_tests() {
        awk '/^FAILED: / {if (file && !named) print file, "-"; file = $2; named = 0; sub(".*/release/test/", "", file)}
                /^\[  FAILED  \] [^0-9]/ && file {print file, substr($0, 14); named = 1}
                END {if (file && !named) print file, "-"}' "$work/unit.log" | sort -u
}
unit_tests() {
        emulated env -C /build/coxswain test/run-unit.sh build/release/test >"$work/unit.log" 2>&1
        tail -n 1 "$work/unit.log" | grep -q ' passed, ' || { tail -n 30 "$work/unit.log"; return 1; }
        diff <(awk '!/^#/ && NF {print $1, $2}' test/small/arm64.without | sort -u) <(failed_tests)
}

ok "there is a root file system with Debian's cross toolchain for arm64" make_root
[ $tap_failed = 0 ] || exit 1
begun=$SECONDS
ok "the packages are built for arm64" packages
echo "# $((SECONDS - begun)) s, $(nproc) jobs at once"
ok "there are all, and they say that they are for arm64" all_say_arm64
ok "their executables are" all_are_arm64
ok "each has a manual page, and kubectl its completions" all_are_told_of
begun=$SECONDS
ok "unit tests are built for arm64" cross_make unit-build
echo "# $((SECONDS - begun)) s"
ok "an executable for arm64 runs by qemu" runs_arm64
begun=$SECONDS
ok "unit tests pass there, but for those that qemu cannot run" unit_tests
echo "# $(tail -n 1 "$work/unit.log" | sed 's/,.*//'), $(grep -vc '^#' test/small/arm64.without) known not to, in $((SECONDS - begun)) s"
tap_end
