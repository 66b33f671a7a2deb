// SPDX-License-Identifier: Apache-2.0
// Jobs: the labels and the selector by which a Job's pods are its own.
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

// A Job's pods are its own by its uid, which nobody can choose: labels of the template and the selector are made here,
// unless the client says that it knows better.
static int prepare_create(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        static const char *const labels[][2] = {{"batch.kubernetes.io/controller-uid", "uid"},
                                                {"controller-uid", "uid"},
                                                {"batch.kubernetes.io/job-name", "name"},
                                                {"job-name", "name"}};
        json_t *spec = json_object_get(object, "spec"), *template = json_object_get(spec, "template");
        json_t *metadata = json_object_get(object, "metadata");
        if (!json_is_object(template) || cx_json_bool(spec, "manualSelector", false))
                return 0;
        json_t *to = cx_json_object_at(cx_json_object_at(template, "metadata"), "labels");
        for (size_t i = 0; i < CX_ARRAY_SIZE(labels); i++)
                json_object_set(to, labels[i][0], json_object_get(metadata, labels[i][1]));
        json_t *selector = cx_json_object_at(cx_json_object_at(spec, "selector"), "matchLabels");
        json_object_set(selector, labels[0][0], json_object_get(metadata, "uid"));
        return 0;
}

const struct strategy strategy_jobs = {.group = "batch", .resource = "jobs", .prepare_create = prepare_create};
