// SPDX-License-Identifier: Apache-2.0
// A request or an answer as kubectl proxy reads it, with what follows its head, and the path that its filter sees: a body ends
// at the same place however it is cut, and a clean path stays as it is and leads nowhere up.
#include "kubectl/proxy/filter.h"
#include "kubectl/proxy/message.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Where the body ends: -1 when it is malformed.
static ssize_t end_of(struct body body, const char *bytes, size_t length, size_t step, struct cx_buf *content)
{
        size_t at = 0;
        while (at < length && !body.ended) {
                size_t some = length - at < step ? length - at : step;
                ssize_t n = body_take(&body, bytes + at, some, content);
                if (n < 0)
                        return -1;
                assert((size_t)n <= some && ((size_t)n == some || body.ended));
                at += (size_t)n;
        }
        return (ssize_t)at;
}

static void check_body(const struct message *message, const char *bytes, size_t length)
{
        CX_BUF whole = CX_BUF_INIT, parts = CX_BUF_INIT;
        ssize_t end = end_of(message->body, bytes, length, length + 1, &whole);
        assert(end_of(message->body, bytes, length, 3, &parts) == end);
        assert(end < 0 || (whole.length == parts.length && memcmp(whole.data, parts.data, whole.length) == 0));
}

static void check_path(const char *target)
{
        CX_BUF path = CX_BUF_INIT, clean = CX_BUF_INIT, again = CX_BUF_INIT, encoded = CX_BUF_INIT,
               decoded = CX_BUF_INIT;
        if (target_path(target, &path) < 0)
                return;
        path_clean(path.data, &clean);
        path_clean(clean.data, &again);
        assert(strcmp(clean.data, again.data) == 0 && *clean.data == '/');
        assert(!strstr(clean.data, "//") && !strstr(clean.data, "/../") && !strstr(clean.data, "/./"));
        path_encode(clean.data, &encoded);
        assert(!strpbrk(encoded.data, " \r\n?#") && target_path(encoded.data, &decoded) == 0);
        assert(strcmp(decoded.data, clean.data) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct message message;
        const char *text = (const char *)data;
        size_t head = message_head_length(text, size);
        if (!head)
                return 0;
        CX_ERROR err = CX_ERROR_INIT;
        if (message_parse_request(text, head, &message, &err) == 0) {
                check_path(message.target);
                check_body(&message, text + head, size - head);
        }
        message_release(&message);
        cx_error_release(&err);
        if (message_parse_answer(text, head, "GET", &message, &err) == 0)
                check_body(&message, text + head, size - head);
        message_release(&message);
        return 0;
}
