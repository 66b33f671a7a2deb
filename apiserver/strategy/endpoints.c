// SPDX-License-Identifier: Apache-2.0
// Endpoints and EndpointSlices: nodes and the API server's own proxy go where they lead, so that nobody may write an address
// there that means another thing to each of them (endpoints/backend.c looks once more before it connects).
#include "apiserver/strategy/strategy.h"
#include "libcommon/base/address.h"
#include "libcommon/format/json.h"

static void check_address(const char *text, const char *field, struct cx_error *causes)
{
        struct cx_address address;
        const char *why = cx_address_parse(text, &address) < 0
                                  ? "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                                  : cx_address_why_special(&address);
        if (why)
                cx_error_cause(causes, "FieldValueInvalid", field, "Invalid value: \"%s\": %s", text, why);
}

// The server's own endpoints are where it listens, be it the loopback.
static bool is_own_write(const struct scope *scope)
{
        return strcmp(scope->user->name, "system:apiserver") == 0 && user_in_group(scope->user, "system:masters");
}

static void validate_endpoints(const struct scope *scope, const json_t *object, const json_t *old CX_UNUSED,
                               struct cx_error *causes)
{
        static const char *const lists[] = {"addresses", "notReadyAddresses"};
        const json_t *subsets = json_object_get(object, "subsets");
        for (size_t i = 0; !is_own_write(scope) && i < json_array_size(subsets); i++)
                for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                        const json_t *list = json_object_get(json_array_get(subsets, i), lists[l]);
                        for (size_t j = 0; j < json_array_size(list); j++) {
                                CX_CLEANUP(cx_freep)
                                char *field = cx_sprintf("subsets[%zu].%s[%zu].ip", i, lists[l], j);
                                check_address(cx_json_string_or(json_array_get(list, j), "ip", ""), field, causes);
                        }
                }
}

static void validate_slice(const struct scope *scope, const json_t *object, const json_t *old CX_UNUSED,
                           struct cx_error *causes)
{
        bool names = cx_streq(cx_json_string(object, "addressType"), "FQDN");
        const json_t *endpoints = json_object_get(object, "endpoints");
        for (size_t i = 0; !names && !is_own_write(scope) && i < json_array_size(endpoints); i++) {
                const json_t *list = json_object_get(json_array_get(endpoints, i), "addresses");
                for (size_t j = 0; j < json_array_size(list); j++) {
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("endpoints[%zu].addresses[%zu]", i, j);
                        check_address(cx_str(json_string_value(json_array_get(list, j))), field, causes);
                }
        }
}

const struct strategy strategy_endpoints = {
        .group = "", .resource = "endpoints", .create_on_update = true, .validate = validate_endpoints};
const struct strategy strategy_endpoint_slices = {
        .group = "discovery.k8s.io", .resource = "endpointslices", .validate = validate_slice};
