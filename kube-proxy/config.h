// SPDX-License-Identifier: Apache-2.0
// A KubeProxyConfiguration file: the fields that have a flag count where the flag was not given. Others may be there as long as
// they say nothing (empty, false, 0); what says something that would not be heeded is refused by its name.
#pragma once

#include "libcommon/base/flags.h"

#include <jansson.h>

struct proxy_field {
        const char *path; // in the file
        enum cx_flag_kind kind;
        void *target;
        const bool *given; // as a flag
};
// `fields` ends with one without a path. ret_config owns the texts that the targets are set to.
int proxy_config_load(const char *file, const struct proxy_field *fields, json_t **ret_config, struct cx_error *err)
        CX_CHECK;
// The same for a text; for tests.
int proxy_config_parse(const char *text, size_t length, const struct proxy_field *fields, json_t **ret_config,
                       struct cx_error *err) CX_CHECK;
