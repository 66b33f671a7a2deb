// SPDX-License-Identifier: Apache-2.0
// What a control group has read from and written to block devices (blkio of v1, io of v2).
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MAX_IO_DEVICES 16
#define IO_DEVICE 40

struct cgroup_io {
        char device[IO_DEVICE]; // "/dev/sda"
        uint64_t read_bytes, written_bytes, reads, writes;
};
// How many devices; none when the controller is not there. What is beyond MAX_IO_DEVICES is left out. Any thread.
size_t cgroup_io_read(const char *path, struct cgroup_io to[MAX_IO_DEVICES]);
// The name that the kernel has for a block device; its numbers when it tells none.
void io_device_name(unsigned major, unsigned minor, char to[IO_DEVICE]);
