# SPDX-License-Identifier: Apache-2.0
# For tests that need a kernel other than the machine's, sourced by bash: boots Debian's in qemu, with what the test needs in
# an initramfs. Nothing of it is installed.
#
#   vm_begin NAME MODULE...   a folder $work, and the kernel with those of its modules that are not built in
#   vm_add FILE...            programs for /bin, with their libraries
#   vm_run [QEMU ARG...]      boots; runs the shell script of the standard input; what that prints is TAP, and the test's end
#   vm_fail WHY               ends the test
# shellcheck shell=bash
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VM_SECONDS=${VM_SECONDS:-600} # a machine that takes longer does not get there
vm_began=$SECONDS vm_pid=

vm_fail() {
        echo "not ok - $1"
        sed 's/^/# /' "$work"/*.log 2>/dev/null | tail -n 40
        exit 1
}

# Debian's kernel for machines like qemu's, unpacked below build/vm: $kernel, of the version $version.
vm_kernel() {
        local folder=$top/build/vm package
        mkdir -p "$folder"
        (
                flock 9
                apt-cache show linux-image-cloud-amd64 >/dev/null || apt-get update -qq
                package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
                [ -n "$package" ] || exit 1
                [ ! -e "$folder/$package/done" ] || { echo "$package" >"$folder/name" && exit 0; }
                rm -rf "${folder:?}/$package" && mkdir "$folder/$package" && cd "$folder/$package" || exit 1
                apt-get download "$package" && dpkg-deb -x "$package"_*.deb . && rm ./*.deb &&
                        depmod -b . "${package#linux-image-}" && touch done && echo "$package" >"$folder/name"
        ) 9>"$folder/lock" >>"$work/host.log" 2>&1 || vm_fail "no Debian kernel: apt-get download of linux-image-cloud-amd64"
        kernel=$folder/$(cat "$folder/name")
        version=$(cat "$folder/name")
        version=${version#linux-image-}
}

vm_end() {
        [ -z "$vm_pid" ] || kill -9 "$vm_pid" 2>/dev/null
        rm -rf "$work"
}
vm_begin() { # NAME MODULE...
        work=$(mktemp -d "/tmp/coxswain-vm-$1.XXXXXX")
        trap vm_end EXIT
        trap 'exit 1' INT TERM
        if [ "$(dpkg --print-architecture)" != amd64 ]; then
                echo "1..0 # SKIP the machine is booted for amd64 only"
                exit 0
        fi
        root=$work/root
        mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules}
        vm_kernel
        local module file
        for module in "${@:2}"; do
                modprobe -d "$kernel" -S "$version" --show-depends "$module"
        done 2>>"$work/host.log" | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$work/modules"
        while read -r file; do
                cp "$file" "$root/modules/" && basename "$file"
        done <"$work/modules" >"$root/modules/order"
        cp "$(command -v busybox)" "$root/bin/busybox" || vm_fail "busybox-static is missing"
}

vm_add() { # FILE...
        local file library
        for file in "$@"; do
                [ -x "$file" ] || vm_fail "$file is not built"
                cp "$file" "$root/bin/"
                ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
                        mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"
                done
        done
}

# True when the machine got to the end. Disks stay as they are.
vm_boot() { # ACCELERATOR SECONDS [QEMU ARG...]
        local end=$((SECONDS + $2))
        : >"$work/tap"
        qemu-system-x86_64 -machine "q35,accel=$1" -cpu qemu64 -m 512 -display none -nodefaults -no-reboot -snapshot \
                -kernel "$kernel/boot/vmlinuz-$version" -initrd "$work/initrd" -append "console=ttyS0 panic=-1 loglevel=4" \
                -serial "file:$work/console.log" -serial "file:$work/tap" "${@:3}" >"$work/qemu.log" 2>&1 &
        vm_pid=$!
        while kill -0 $vm_pid 2>/dev/null && [ $SECONDS -lt $end ]; do read -rt 0.2 <> <(:) || true; done
        kill -9 $vm_pid 2>/dev/null
        wait $vm_pid 2>/dev/null
        vm_pid=
        grep -q '^# end' "$work/tap"
}

vm_run() { # [QEMU ARG...] <SCRIPT
        cat >"$root/script"
        cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
sh /script >/dev/ttyS1 2>/dev/ttyS0
echo "# end" >/dev/ttyS1
sync
poweroff -f
INIT
        chmod +x "$root/init"
        (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd" || vm_fail "cannot make an initramfs"
        local how=emulation
        # Within another machine /dev/kvm may open, and this one crawl or stand still with it: emulation is faster then.
        if (: <>/dev/kvm) 2>/dev/null && vm_boot kvm 30 "$@"; then how=/dev/kvm; else vm_boot tcg "$VM_SECONDS" "$@"; fi
        # Each program counts for itself; the test counts them all.
        tr -d '\r' <"$work/tap" | awk '/^(not )?ok/ {sub(/ok [0-9]* *(- )?/, "ok " ++n " - ")} !/^# end/'
        grep -q '^# end' "$work/tap" || vm_fail "the machine did not get to the end"
        echo "1..$(grep -cE '^(not )?ok' "$work/tap")"
        echo "# $((SECONDS - vm_began)) s, by $how"
        ! grep -q '^not ok' "$work/tap"
}
