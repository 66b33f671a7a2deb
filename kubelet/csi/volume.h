// SPDX-License-Identifier: Apache-2.0
// The plugin of CSI volumes, of PersistentVolumes and of pods' own ("ephemeral inline"). See volume/plugin.h.
#pragma once

#include "kubelet/csi/drivers.h"
#include "kubelet/volume/in_use.h"
#include "kubelet/volume/plugin.h"

struct csi {
        const struct kubelet *kubelet;
        struct csi_drivers *drivers;
        struct in_use *in_use;
};
// Takes up what an earlier kubelet used. The caller keeps `csi` for as long as the plugin is used.
struct volume_plugin csi_plugin(struct csi *csi);
