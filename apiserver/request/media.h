// SPDX-License-Identifier: Apache-2.0
// Media types of an Accept header, with the parameters by which Kubernetes' clients say what form they want: "as", "g"
// and "v". Weights are not looked at: clients name first what they want most.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct media {
        const char *type; // "application/json", as it was spelled
        size_t length;
        char as[64], group[64], version[32]; // "" when not given
};
// The next part of the header, which is moved on; false at its end.
bool media_next(const char **header, struct media *ret_media);
bool media_is(const struct media *media, const char *type);
bool media_is_json(const struct media *media); // or anything that JSON is one of
