// SPDX-License-Identifier: Apache-2.0
// The files of configMap, secret, downwardAPI and projected volumes: collected from their sources, then written so that a
// reader sees all of one version or all of the next.
#pragma once

#include "kubelet/volume/plugin.h"
#include "libcommon/base/map.h"

struct files {
        struct volume_job *job;
        unsigned mode;         // of those whose item says none: the volume's defaultMode
        struct cx_map payload; // see atomic_writer.h
};
#define FILES CX_CLEANUP(files_release) struct files
#define FILES_INIT(job) files_of(job)
struct files files_of(struct volume_job *job);
void files_release(struct files *files);

// Each adds what one source holds; the source is the JSON object of that kind. -ENOENT with upstream's sentence for a key
// that is not there and not optional.
int files_add_config_map(struct files *files, const json_t *source, struct cx_error *err) CX_CHECK;
int files_add_secret(struct files *files, const json_t *source, const char *name, struct cx_error *err) CX_CHECK;
int files_add_downward(struct files *files, const json_t *source, struct cx_error *err) CX_CHECK;
int files_add_token(struct files *files, const json_t *source, struct cx_error *err) CX_CHECK;
// Makes the volume's folder hold exactly these.
int files_write(struct files *files, struct cx_error *err) CX_CHECK;
