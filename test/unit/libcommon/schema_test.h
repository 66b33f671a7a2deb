// SPDX-License-Identifier: Apache-2.0
// Helpers of the schema's tests: JSON written with single quotes, compared as values.
#pragma once

#include "libcommon/schema/engine.h"
#include "test/unit/quoted_json.h"

static inline void assert_json(const json_t *got, const char *wanted)
{
        json_auto_t *want = quoted_json(wanted);
        if (json_equal(got, want))
                return;
        char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
        print_error("got  %s\nwant %s\n", text, wanted);
        free(text);
        fail();
}

// What validation says of an object that was decoded and defaulted.
struct validate_case {
        const char *group, *kind, *object, *message; // message NULL: valid
};

static CX_UNUSED void check_messages(const struct validate_case *cases, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                CX_ERROR err = CX_ERROR_INIT;
                const char *version = cx_streq(cases[i].group, "autoscaling") ? "v2" : "v1";
                const struct cx_kind *kind = cx_schema_kind(cases[i].group, version, cases[i].kind);
                assert_non_null(kind);
                json_auto_t *object = quoted_json(cases[i].object);
                assert_int_equal(cx_schema_decode(kind->type, object, CX_FIELDS_STRICT, NULL, NULL, NULL), 0);
                cx_schema_default(kind, object);
                int r = cx_schema_validate(kind, object, &err);
                if (!cases[i].message && r < 0)
                        fail_msg("%s: %s", cases[i].object, err.message);
                if (!cases[i].message)
                        continue;
                if (r == 0)
                        fail_msg("%s: valid, not %s", cases[i].object, cases[i].message);
                assert_int_equal(r, -EINVAL);
                assert_int_equal(err.reason, CX_REASON_INVALID);
                assert_string_equal(err.message, cases[i].message);
                assert_true(err.n_causes >= 1);
        }
}

// What is stored of an object that decodes without complaint.
struct stored_case {
        const char *type, *object, *stored;
};

static CX_UNUSED void check_stored(const struct stored_case *cases, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *object = quoted_json(cases[i].object);
                if (cx_schema_decode(cx_schema_type(cases[i].type), object, CX_FIELDS_STRICT, NULL, NULL, &err) < 0)
                        fail_msg("%s: %s", cases[i].object, err.message);
                assert_json(object, cases[i].stored);
        }
}
