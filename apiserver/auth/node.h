// SPDX-License-Identifier: Apache-2.0
// The node authorizer: rules of their own for kubelets.
#pragma once

#include "apiserver/auth/attributes.h"
#include "apiserver/storage/store.h"

bool authorize_node(struct store *store, const struct attributes *attributes);
