// SPDX-License-Identifier: Apache-2.0
// DaemonSets: an annotation counts the templates that a set has had. It stands for a field of old versions of the API, and
// clients cannot choose it.
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

#define GENERATION "deprecated.daemonset.template.generation"

static void set_generation(json_t *object, int64_t generation)
{
        json_t *annotations = cx_json_object_at(cx_json_object_at(object, "metadata"), "annotations");
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%ld", (long)generation);
        json_object_set_new(annotations, GENERATION, json_string(text));
}

static int prepare_create(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        set_generation(object, 1);
        return 0;
}

static int prepare_update(const struct scope *scope CX_UNUSED, json_t *object, const json_t *old,
                          struct cx_error *err CX_UNUSED)
{
        const json_t *annotations = cx_json_get(old, "metadata.annotations");
        const char *text = json_string_value(json_object_get(annotations, GENERATION));
        int64_t generation;
        if (cx_parse_int(text, 0, INT64_MAX - 1, &generation) < 0)
                generation = 0;
        bool same = json_equal(cx_json_get(object, "spec.template"), cx_json_get(old, "spec.template"));
        set_generation(object, generation + !same);
        return 0;
}

const struct strategy strategy_daemon_sets = {
        .group = "apps", .resource = "daemonsets", .prepare_create = prepare_create, .prepare_update = prepare_update};
