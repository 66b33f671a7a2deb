// SPDX-License-Identifier: Apache-2.0
// The Status objects that errors become.
#include "libcommon/api/status.h"
#include "libcommon/format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// Clients look into the details of some reasons without a check; others have none when there is nothing to tell.
static void details(void **state)
{
        (void)state;
        static const struct {
                enum cx_reason reason;
                const char *text, *details;
        } cases[] = {
                {CX_REASON_NOT_FOUND, "the server could not find the requested resource", "{}"},
                {CX_REASON_METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource", "{}"},
                {CX_REASON_ALREADY_EXISTS, "x", "{}"},
                {CX_REASON_CONFLICT, "x", "{}"},
                {CX_REASON_FORBIDDEN, "x", "{}"},
                {CX_REASON_INVALID, "x", "{}"},
                {CX_REASON_TIMEOUT, "x", "{}"},
                {CX_REASON_TOO_MANY_REQUESTS, "x", "{}"},
                {CX_REASON_INTERNAL, "Internal error occurred: disk is full",
                 "{\"causes\":[{\"message\":\"disk is full\"}]}"},
                {CX_REASON_BAD_REQUEST, "x", NULL},
                {CX_REASON_UNAUTHORIZED, "x", NULL},
                {CX_REASON_EXPIRED, "x", NULL},
                {CX_REASON_UNAVAILABLE, "x", NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                (void)cx_error_reason(&err, cases[i].reason, "%s", cases[i].text);
                json_auto_t *status = cx_status_from_error(&err);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(json_object_get(status, "details"));
                const char *seen = json_object_get(status, "details") ? text : NULL;
                if (!cx_streq(seen, cases[i].details))
                        fail_msg("%s: details %s", cx_reason_name(cases[i].reason), cx_str(seen));
        }
}

static void details_are_told(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_NOT_FOUND, "pods \"x\" not found");
        cx_error_about(&err, "", "pods", "x");
        json_auto_t *status = cx_status_from_error(&err);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(json_object_get(status, "details"));
        assert_string_equal(text, "{\"name\":\"x\",\"kind\":\"pods\"}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(details), cmocka_unit_test(details_are_told)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
