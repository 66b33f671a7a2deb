// SPDX-License-Identifier: Apache-2.0
// Runs CNI plugins (the standard exec protocol, 0.3.1 to 1.0.0) for pod sandboxes: the first configuration in the
// configuration folder when there is one, else our own: a bridge with addresses from the node's podCIDR.
// Any thread may call.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

#include <jansson.h>

struct cni;
struct cni_options {
        const char *conf_dir, *bin_dir; // folders; bin_dir may be a colon-separated list
        const char *state_dir;          // for host-local's leases
        const char *pod_cidr;           // NULL: not known yet
};
struct cni *cni_new(const struct cni_options *options);
void cni_free(struct cni *cni);
void cni_set_pod_cidr(struct cni *cni, const char *pod_cidr);
void cni_set_mtu(struct cni *cni, int mtu); // of the default network; before the podCIDR. 0: the interfaces' own
// Whether sandboxes can get a network: a configuration exists or the podCIDR is known. The sentence is the one of the
// node's Ready condition; NULL when all is well (constant).
const char *cni_not_ready(struct cni *cni);

struct cni_pod {
        const char *id, *netns, *namespace, *name, *uid;
        const json_t *port_mappings; // [{"hostPort","containerPort","protocol","hostIP"}], may be NULL
};
// Adds the pod to the network. ret_attachment: what cni_del needs later (the configuration and its result); keep it
// on disk. ret_ips: addresses without prefix length, IPv4 first.
int cni_add(struct cni *cni, const struct cni_pod *pod, json_t **ret_attachment, struct cx_strings *ret_ips,
            struct cx_error *err) CX_CHECK;
// Removes it. `attachment` NULL (crashed in between): with the present configuration.
int cni_del(struct cni *cni, const struct cni_pod *pod, const json_t *attachment, struct cx_error *err) CX_CHECK;
// Gives back the addresses that the default network's host-local has leased to sandboxes that are not among `ids`: a plugin
// that was killed between making the lease's file and writing its owner leaves one that nobody could give back.
void cni_keep_leases(struct cni *cni, const struct cx_strings *ids);
// Whether the pod is in the default network, whose leases are gone after a reboot.
bool cni_is_own(const json_t *attachment);
// The default configuration for a podCIDR; for tests. New reference.
json_t *cni_default_config(const char *pod_cidr, int mtu, const char *state_dir);
