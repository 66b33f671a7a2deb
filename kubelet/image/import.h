// SPDX-License-Identifier: Apache-2.0
// Takes image archives into the store: what `docker save` writes, or an OCI layout in a tar. Archives that appear in the
// folder <images>/import (by rename) are taken and removed; one that cannot be is removed too, and <name>.error says why.
#pragma once

#include "kubelet/image/store.h"

// Every digest that the archive states is verified. Blocks; any thread.
int image_import(struct image_store *store, const char *archive, struct cx_error *err) CX_CHECK;

// Requests (request.h) are taken from the same folder, and answered in the same way.
struct importer;
int importer_start(struct image_store *store, const char *registry_config, const char *folder,
                   struct importer **ret_importer, struct cx_error *err) CX_CHECK;
void importer_free(struct importer *importer);
