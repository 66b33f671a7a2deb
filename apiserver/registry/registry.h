// SPDX-License-Identifier: Apache-2.0
// The generic registry: how objects of every kind are created, changed and deleted. What a kind does beyond that is a
// strategy (apiserver/strategy); what a cluster adds is admission (apiserver/admission). It knows nothing of HTTP: the
// handlers (apiserver/endpoints), the server's own objects (apiserver/bootstrap) and allocators all call it with a
// scope. Functions block; they run on workers.
#pragma once

#include "apiserver/request/write.h"

// The contracts are those of struct writes (request/write.h).
int registry_create(const struct scope *scope, json_t *object_steal, struct stored **ret_stored, struct cx_error *err)
        CX_CHECK;
int registry_update(const struct scope *scope, const struct change *change, struct stored **ret_stored,
                    bool *ret_created, struct cx_error *err) CX_CHECK;
int registry_delete(const struct scope *scope, const struct delete_options *options, struct stored **ret_stored,
                    char **ret_uid, struct cx_error *err) CX_CHECK;
// CONFLICT when the object is not the one that the options speak of.
int delete_preconditions(const struct scope *scope, const json_t *object, const struct delete_options *options,
                         struct cx_error *err) CX_CHECK;
extern const struct writes registry_writes;
