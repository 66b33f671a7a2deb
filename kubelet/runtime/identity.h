// SPDX-License-Identifier: Apache-2.0
// How containers and processes are told apart from others that were here before. Any thread.
#pragma once

#include <stdint.h>
#include <sys/types.h>

// A random id of 64 hexadecimal digits.
void runtime_new_id(char to[65]);
// pid's start time in clock ticks; 0 when there is no such process (or it is a zombie).
uint64_t pid_start(pid_t pid);
