// SPDX-License-Identifier: Apache-2.0
// Force-included by the Makefile into every file of ours: functions that are too easy to misuse do not compile.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol localtime gmtime system popen gets tmpnam
