// SPDX-License-Identifier: Apache-2.0
// What is said with the registrar of a CSI driver, through its socket in the plugin folder. What it says is checked before it
// counts. Blocks, each call ten seconds at most; any thread.
#pragma once

#include "kubelet/csi/driver.h"

struct registrar_answer {
        struct csi_driver *driver; // a reference
        Csi__NodeInfo *node;       // what the driver knows of this node
};
#define REGISTRAR_ANSWER_INIT                                                                                          \
        {                                                                                                              \
                0                                                                                                      \
        }
void registrar_answer_release(struct registrar_answer *answer);
// Asks who is there, and then the driver where it is. `ret_known`: the registrar has answered, and is to be told what came of it.
int registrar_ask(const char *socket, struct registrar_answer *ret_answer, bool *ret_known, struct cx_error *err)
        CX_CHECK;
void registrar_tell(const char *socket, const struct cx_error *failure); // NULL: it is registered
