// SPDX-License-Identifier: Apache-2.0
// Configuration files of components: one YAML or JSON document of a kind that the schema describes, read as strictly as the
// API server reads objects. A field that is not known is an error and not a setting that does nothing.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/schema/schema.h"

#include <jansson.h>

// Reads the file (1 MiB at most): checked, with its defaults. New reference.
int cx_config_load(const char *path, const struct cx_kind *kind, json_t **ret_config, struct cx_error *err) CX_CHECK;
int cx_config_parse(const char *text, size_t length, const struct cx_kind *kind, json_t **ret_config,
                    struct cx_error *err) CX_CHECK;
// The same checks of what is part of a file: of a kind of its own, in place. NULL stands for an empty one.
int cx_config_check(const struct cx_kind *kind, json_t *object, struct cx_error *err) CX_CHECK;
