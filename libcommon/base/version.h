// SPDX-License-Identifier: Apache-2.0
// The version that every executable reports: the Kubernetes API level, marked as ours. Spelled here and nowhere else.
#pragma once

#define CX_VERSION_MAJOR "1"
#define CX_VERSION_MINOR "35"
#define CX_VERSION_SERIES CX_VERSION_MAJOR "." CX_VERSION_MINOR // "1.35"
#define CX_VERSION_NUMBER CX_VERSION_SERIES ".0"                // "1.35.0"
#define CX_VERSION_API "v" CX_VERSION_NUMBER                    // the release of Kubernetes that it stands for
#define CX_VERSION CX_VERSION_API "+coxswain"
#if defined(__aarch64__)
#define CX_ARCH "arm64"
#else
#define CX_ARCH "amd64"
#endif
#define CX_PLATFORM "linux/" CX_ARCH
