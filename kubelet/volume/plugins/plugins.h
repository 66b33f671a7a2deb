// SPDX-License-Identifier: Apache-2.0
// The kinds of volumes that are built in. Another one is a file here, its name below, and a line in main's table.
#pragma once

#include "kubelet/volume/plugin.h"

extern const struct volume_plugin empty_dir_plugin, host_path_plugin, config_map_plugin, secret_plugin,
        downward_api_plugin, projected_plugin, local_volume_plugin, nfs_plugin, image_volume_plugin;
