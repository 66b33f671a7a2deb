// SPDX-License-Identifier: Apache-2.0
// What else can be asked of a node's images by a file in the folder <images>/import: a JSON object with "verb" and "image".
//
//     remove   takes the name away; an image without names goes at the next collection, unless it is in use
//     tag      gives the image the name "name", too
//     pull     pulls it with the node's registries, whether or not it is there
//     save     writes it to <request without its suffix>.saved, an OCI layout in a tar
#pragma once

#include "kubelet/image/store.h"

// Does what a file says. Blocks; any thread.
int image_request(struct image_store *store, const char *registry_config, const char *path, struct cx_error *err)
        CX_CHECK;
