// SPDX-License-Identifier: Apache-2.0
// The node authorizer: rules of their own for kubelets.
#pragma once

#include "apiserver/auth/attributes.h"
#include "apiserver/request/apiserver.h"

bool authorize_node(const struct apiserver *api, const struct attributes *attributes);
