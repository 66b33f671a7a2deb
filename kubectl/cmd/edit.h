// SPDX-License-Identifier: Apache-2.0
// Editing objects: of kubectl edit, of create --edit and of apply edit-last-applied.
#pragma once

#include "kubectl/cmd/commands.h"

enum edit_mode { EDIT_LIVE, EDIT_BEFORE_CREATE, EDIT_LAST_APPLIED };
struct editing {
        struct ctl *ctl;
        enum edit_mode mode;
        struct output output;
        struct create *create; // EDIT_BEFORE_CREATE: how they are sent
        const char *subresource, *manager, *validate;
        bool show_patch, windows, save_config;
};
// Lets the user edit the objects, all in one file, until they are taken, unchanged, or given up.
int edit_infos(struct editing *edit, struct infos *infos, struct cx_error *err) CX_CHECK;
