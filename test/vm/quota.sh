#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Project quotas, proved on a kernel that has them: boots Debian's, with an ext4 and an XFS disk, and runs quota.c there.
# Uses /dev/kvm when that can be opened, and emulation otherwise. Prints TAP.
. "$(dirname "$0")/vm.bash"
disk() { # NAME MKFS...: an empty disk with a file system
        truncate -s 400M "$work/$1"
        "${@:2}" "$work/$1" >>"$work/host.log" 2>&1
}
vm_begin quota virtio_pci virtio_blk ext4 xfs quota_v2
disk ext4 mkfs.ext4 -q -O quota,project -E quotatype=prjquota && disk xfs mkfs.xfs -q || vm_fail "cannot make file systems"
vm_add "$top/build/release/test/vm/quota"
vm_run -drive "file=$work/ext4,if=virtio,format=raw" -drive "file=$work/xfs,if=virtio,format=raw" <<'INIT'
disk=a
for type in ext4 xfs; do
        mkdir /$type
        mount -t $type -o prjquota /dev/vd$disk /$type && chmod 711 /$type && /bin/quota $type /$type/volumes || echo "not ok - $type"
        umount /$type
        disk=b
done
INIT
