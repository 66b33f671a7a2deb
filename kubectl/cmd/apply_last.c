// SPDX-License-Identifier: Apache-2.0
// kubectl apply view-last-applied and set-last-applied: the annotation that a client-side apply leaves.
#include "kubectl/cmd/apply.h"

COMMAND(apply_view_last)
{
        BUILDER builder = {0};
        OUTPUT output = {.text = "yaml"};
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                SELECTOR_FLAGS(&builder),
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types."},
                {"output", 'o', CX_FLAG_STRING, &output.text, "yaml or json."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                json_auto_t *original = NULL;
                CX_BUF text = CX_BUF_INIT;
                r = last_applied(infos.items[i]->object, &original, err);
                if (r == 0 && !original)
                        return cx_error_set(err, -ENOENT,
                                            "no last-applied-configuration annotation found on resource: %s",
                                            infos.items[i]->name);
                if (r == 0 && output.form == OUTPUT_JSON) {
                        json_dump_escaped(original, JSON_INDENT(2), &text);
                        cx_buf_add_char(&text, '\n');
                } else if (r == 0) {
                        r = output_object(&output, original, &text, err);
                }
                fputs(text.data, stdout);
        }
        return r;
}
