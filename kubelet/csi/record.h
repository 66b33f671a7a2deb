// SPDX-License-Identifier: Apache-2.0
// What a kubelet has to know of a CSI volume after it was killed: a small file beside the mount, under upstream's name and
// keys (vol_data.json). It is written before a driver is asked for anything, and removed once all has been undone.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

struct csi_record {
        char *driver, *handle, *volume; // volume: the name in paths and events
        bool ephemeral, attachable, block;
        bool asked;     // the driver may have been asked for something
        bool done;      // of this boot: staged or published
        bool republish; // now and then again
        int64_t when;   // written, µs
};
#define CSI_RECORD CX_CLEANUP(csi_record_release) struct csi_record
void csi_record_release(struct csi_record *record);
// In a folder. -ENOENT: none.
int csi_record_read(const char *folder, struct csi_record *ret_record, struct cx_error *err) CX_CHECK;
int csi_record_write(const char *folder, const struct csi_record *record, struct cx_error *err) CX_CHECK;
void csi_record_remove(const char *folder);
// Whether a pod other than the one with that uid has a record of the volume.
bool csi_record_others(const char *pods, const char *pod_uid, const struct csi_record *record);
