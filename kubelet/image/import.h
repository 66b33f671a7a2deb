// SPDX-License-Identifier: Apache-2.0
// Takes image archives into the store: what `docker save` writes, or an OCI layout in a tar. Archives that appear in the
// folder <images>/import (by rename) are taken and removed; one that cannot be is removed too, and <name>.error says why.
#pragma once

#include "kubelet/image/store.h"

// Every digest that the archive states is verified. Blocks; any thread.
int cx_image_import(struct cx_image_store *store, const char *archive, struct cx_error *err) CX_CHECK;

struct cx_importer;
int cx_importer_start(struct cx_image_store *store, const char *folder, struct cx_importer **ret_importer,
                      struct cx_error *err) CX_CHECK;
void cx_importer_free(struct cx_importer *importer);
