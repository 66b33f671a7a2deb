# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests, sourced by bash: virtual machines with Debian of a suite, its own kernel and systemd, that meet on a bridge. Packages
# are built in a tree of that suite, too. Trees and images are made once, below build/vm. Sources test/machines/shared.bash.
#
#   suite_builder              $builder: a tree of the suite with what building our packages needs; $packages: where they will be
#   suite_packages             builds them with the suite's compiler and libraries, without a network
#   suite_image                $image: a disk with the suite and what our packages depend on, and $kernel and $initrd from it
#   machine_start NAME NUMBER  boots a machine with the address $(address_of NUMBER)
#   machine_kill NAME          as if its power failed
#   on NAME COMMAND...         runs a command on the machine
#   put NAME FILE PATH         copies a file of this machine there
#   machines_boot NAME=NUMBER...  boots them with /dev/kvm where that works, and by emulation otherwise: $accelerator, $slowness
#   patience SECONDS           so many, or more of them when machines are slow
. "$(dirname "${BASH_SOURCE[0]}")/../../machines/shared.bash"
folder_of() { echo "$top/build/vm/$suite-$1-$(sha256sum | cut -c1-16)"; } # WHAT <WHAT IT IS MADE OF

# --- trees and images ---
# The suite's own programs, in a tree. Services that packages bring are not started there.
in_tree() { # FOLDER COMMAND...
        chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${@:2}"
}
tree_make() { # VARIANT PACKAGES FOLDER
        debootstrap --variant="$1" --include="$2" "$suite" "$3" "$(mirror)" && printf '#!/bin/sh\nexit 101\n' >"$3/usr/sbin/policy-rc.d" &&
                chmod +x "$3/usr/sbin/policy-rc.d" && cp /etc/resolv.conf "$3/etc/"
}
builder_make() { # FOLDER
        tree_make buildd ca-certificates "$1" && mkdir -p "$1/var/tmp/control/debian" && cp "$top/debian/control" "$1/var/tmp/control/debian/" &&
                in_tree "$1" apt-get -q build-dep -y --no-install-recommends /var/tmp/control &&
                in_tree "$1" apt-get -q install -y --no-install-recommends ccache lintian man-db && rm -rf "$1"/var/cache/apt/archives/*.deb
}
suite_builder() {
        builder=$(sed -n '/^Build-Depends:/,/^$/p' "$top/debian/control" | folder_of builder)
        packages=$builder/build
        tree_once "$builder" builder_make || fail_test "no tree of Debian $suite to build in"
}
suite_packages() { PATH=/usr/lib/ccache:$PATH CCACHE_DIR=/var/cache/ccache LC_ALL=C.UTF-8 ROOT=$builder unshare -n "$top/scripts/deb"; }
suite_lintian() { # the suite's own
        local said
        said=$(in_tree "$builder" sh -c 'lintian --allow-root --fail-on error,warning /build/*.changes' 2>&1) || { echo "$said"; return 1; }
        equals "$said" ""
}

# What a machine has before our packages come. The kernel is Debian's for virtual machines; its initramfs has what those need.
machine_packages=systemd,systemd-sysv,dbus,udev,kmod,procps,iproute2,util-linux,openssh-server,ca-certificates,curl,zstd
kernel_packages=(linux-image-cloud-amd64 initramfs-tools apparmor)
own_depends() { # of our packages, without each other
        local file
        [ -s "$packages/version" ] || return 1
        for file in "$packages"/*_"$(cat "$packages/version")"_*.deb; do dpkg-deb -f "$file" Pre-Depends Depends | sed 's/^[A-Z][A-Za-z-]*: //'; done |
                tr ',' '\n' | sed 's/^ *//' | grep -v '^coxswain-' | sort -u | paste -sd,
}
machine_make() { # FOLDER
        local tree=$1/tree initramfs=$1/tree/etc/initramfs-tools
        mkdir "$1" && tree_make minbase "$machine_packages" "$tree" && mkdir -p "$initramfs/conf.d" "$tree/root/.ssh" &&
                echo MODULES=list >"$initramfs/conf.d/machine" && printf '%s\n' virtio_pci virtio_blk virtio_net ext4 >"$initramfs/modules" &&
                in_tree "$tree" apt-get -q install -y --no-install-recommends -o Dpkg::Options::=--force-confold "${kernel_packages[@]}" &&
                in_tree "$tree" apt-get -q satisfy -y --no-install-recommends "$(own_depends)" &&
                ssh-keygen -q -t ed25519 -N '' -f "$1/key" && cp "$1/key.pub" "$tree/root/.ssh/authorized_keys" && machine_settle "$tree" &&
                cp "$tree"/boot/vmlinuz-* "$1/kernel" && cp "$tree"/boot/initrd.img-* "$1/initrd" &&
                truncate -s 8G "$1/disk" && mke2fs -q -t ext4 -d "$tree" "$1/disk" && rm -rf --one-file-system "$tree"
}
machine_settle() { # TREE
        rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1/usr/sbin/policy-rc.d" "$1/etc/resolv.conf" &&
                echo '/dev/vda / ext4 errors=remount-ro 0 1' >"$1/etc/fstab" && : >"$1/etc/machine-id" && rm -f "$1/etc/hostname" &&
                touch "$1/etc/.updated" "$1/var/.updated" &&
                in_tree "$1" systemctl enable systemd-networkd.service systemd-network-generator.service ssh.service &&
                in_tree "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer systemd-networkd-wait-online.service
}
suite_image() {
        local folder
        [ -s "$packages/version" ] || fail_test "no packages to make an image for"
        folder=$({ declare -f tree_make machine_make machine_settle && echo "$machine_packages ${kernel_packages[*]}" && own_depends; } | folder_of machine)
        tree_once "$folder" machine_make || fail_test "no image of Debian $suite"
        image=$folder/disk kernel=$folder/kernel initrd=$folder/initrd
        cp "$folder/key" "$work/key"
}

# --- machines ---
machine_start() { # NAME NUMBER
        local folder=$work/$1 link address
        mkdir -p "$folder"
        echo "$2" >"$folder/number"
        link=$(link_of "$1") address=$(address_of "$2")
        [ -e "$folder/disk" ] || qemu-img create -q -f qcow2 -F raw -b "$image" "$folder/disk" || return 1
        ip link show "$link" >/dev/null 2>&1 || ip tuntap add "$link" mode tap || return 1
        ip link set "$link" master "$bridge" && ip link set "$link" up || return 1
        qemu-system-x86_64 -name "$1" -machine q35 -accel "$accelerator" -cpu "$(cpu_of "$accelerator")" -smp "$(processors_of "$accelerator")" -m "${MACHINE_MB:-1024}" -display none -nodefaults \
                -kernel "$kernel" -initrd "$initrd" -append "root=/dev/vda rw console=ttyS0 panic=5 net.ifnames=0 systemd.hostname=$1 ip=$address::$prefix.1:255.255.255.0::eth0:off $(words_of "$accelerator")" \
                -drive "file=$folder/disk,if=virtio,format=qcow2,cache=unsafe" -device virtio-rng-pci -serial "file:$folder/console.log" \
                -netdev "tap,id=net,ifname=$link,script=no,downscript=no" -device "virtio-net-pci,netdev=net,mac=$(printf '52:54:00:00:00:%02x' "$2")" \
                </dev/null >"$folder/qemu.log" 2>&1 &
        echo $! >"$folder/pid"
        disown $!
}
cpu_of() { if [ "$1" = kvm ]; then echo host; else echo Westmere; fi; } # which emulation does well
words_of() { [ "$1" = kvm ] || echo mitigations=off; } # which are for real processors, and half of an emulated one's time
# A kernel rewrites its own code while it runs; of several emulated processors one may still see the old, and the kernel panics ("int3").
processors_of() { if [ "$1" = kvm ]; then echo 2; else echo 1; fi; }
machine_kill() { # NAME
        local pid
        pid=$(cat "$work/$1/pid" 2>/dev/null) || return 0
        ! grep -qaF "$work/$1/" "/proc/$pid/cmdline" 2>/dev/null || kill -9 "$pid"
        until_true 20 gone "$pid" >/dev/null || :
        rm -f "$work/$1/pid" "$work/$1/ssh"
        ip link delete "$(link_of "$1")" 2>/dev/null
}
gone() { ! kill -0 "$1" 2>/dev/null; }
secure_shell() { # NAME ARGUMENT...
        ssh -F /dev/null -i "$work/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=5 \
                -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o ControlPath="$work/$1/ssh" "root@$(address_of "$(cat "$work/$1/number")")" "${@:2}"
}
# One connection serves all commands; it ends with the machine, and at the latest when nobody has used it for a minute.
on() { # NAME COMMAND...
        secure_shell "$1" -O check 2>/dev/null || secure_shell "$1" -fNM -o ControlPersist=60 </dev/null >/dev/null 2>&1 || { echo "$1 is down" >&2; return 1; }
        timeout -s KILL "${ON_LIMIT:-900}" "$(command -v ssh)" -F /dev/null -o ControlPath="$work/$1/ssh" -o BatchMode=yes "root@$1" \
                "$(printf '%q ' env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "${@:2}")"
}
put() { on "$1" tee "$3" <"$2" >/dev/null; } # NAME FILE PATH
machine_runs() { local state; state=$(ON_LIMIT=10 on "$1" systemctl is-system-running 2>/dev/null); [[ $state == running || $state == degraded ]]; }
machines_show() {
        local folder
        for folder in "$work"/*/; do
                [ ! -e "$folder/pid" ] || { echo "--- $(basename "$folder")"; ON_LIMIT=20 on "$(basename "$folder")" journalctl -b -q -n 25 --no-hostname -o cat -p notice || tail -n 15 "$folder/console.log"; }
        done
}

patience() { echo $(($1 * slowness)); }
machines_start() { local pair; for pair in "$@"; do machine_start "${pair%=*}" "${pair#*=}" || return 1; done; }
machines_run() { local pair; for pair in "$@"; do machine_runs "${pair%=*}" || return 1; done; }
machines_speak() { local pair; for pair in "$@"; do [ -s "$work/${pair%=*}/console.log" ] || return 1; done; }
# Within another machine /dev/kvm may open, and this one die, crawl or stand still with it: emulation is faster then.
machines_boot() { # NAME=NUMBER...
        local pair
        accelerator=${VM_ACCELERATOR:-kvm} slowness=1
        if [ "$accelerator" = kvm ] && (: <>/dev/kvm) 2>/dev/null; then
                machines_start "$@" && until_true 20 machines_speak "$@" && until_true 90 machines_run "$@" && return 0
                for pair in "$@"; do machine_kill "${pair%=*}" && rm -rf "${work:?}/${pair%=*}"; done
        fi
        accelerator=tcg slowness=10
        machines_start "$@" && until_true "$(patience 90)" machines_run "$@"
}
