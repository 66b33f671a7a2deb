// SPDX-License-Identifier: Apache-2.0
// The kubelet's port: logs, exec, attach, port-forward, pods, stats, metrics, health.
#pragma once

#include "kubelet/base/config.h"
#include "kubelet/base/kubelet.h"

struct kubelet_server;
struct pods;
struct volumes;
struct probes;
int kubelet_server_start(const struct kubelet *kubelet, const struct kubelet_settings *settings, struct pods *pods,
                         struct volumes *volumes, struct probes *probes, struct kubelet_server **ret_server,
                         struct cx_error *err) CX_CHECK;
// Serves with this certificate and key from now on.
int kubelet_server_use(struct kubelet_server *server, const char *pair, struct cx_error *err) CX_CHECK;
bool kubelet_server_alive(const struct kubelet_server *server,
                          int64_t limit); // its ports answer within `limit` ns each
void kubelet_server_free(struct kubelet_server *server);
