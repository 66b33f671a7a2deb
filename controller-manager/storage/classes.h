// SPDX-License-Identifier: Apache-2.0
// StorageClasses as the binder and others need them.
#pragma once

#include "libcommon/api/storage.h"
#include "libcontroller/manager.h"

extern const struct object_part storage_class_part;
#define STORAGE_CLASS(object) ((const struct cx_storage_class *)object_part(object, &storage_class_part))
// The default class: of several the newest; then by name. A reference, or NULL.
const struct cx_object *default_storage_class(struct cx_informer *classes);
