// SPDX-License-Identifier: Apache-2.0
#pragma once

// Unmounts (lazily) everything that is mounted at or below a folder, deepest first. Any thread may call.
void unmount_below(const char *folder);
