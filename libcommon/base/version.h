// SPDX-License-Identifier: Apache-2.0
// The version that every executable reports: the Kubernetes API level, marked as ours.
#pragma once

#define CX_VERSION_MAJOR "1"
#define CX_VERSION_MINOR "35"
#define CX_VERSION "v1.35.0+coxswain"
#if defined(__aarch64__)
#define CX_ARCH "arm64"
#else
#define CX_ARCH "amd64"
#endif
#define CX_PLATFORM "linux/" CX_ARCH
