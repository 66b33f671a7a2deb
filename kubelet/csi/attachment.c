// SPDX-License-Identifier: Apache-2.0
#include "kubelet/csi/attachment.h"

#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

char *csi_unique_name(const char *driver, const char *handle)
{
        return cx_sprintf("kubernetes.io/csi/%s^%s", driver, handle);
}

// The name that the attach/detach controller gives it.
static char *attachment_name(const char *driver, const char *handle, const char *node)
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s%s%s", handle, driver, node);
        char hex[65];
        cx_sha256_hex(text, strlen(text), hex);
        return cx_sprintf("csi-%s", hex);
}

static int check_node(const struct kubelet *k, const char *unique, struct cx_error *err)
{
        json_auto_t *node = NULL;
        int r = cx_rest_get(k->rest, CX_REF(.version = "v1", .resource = "nodes", .name = k->node_name), &node, err);
        if (r < 0)
                return r;
        return cx_json_find(cx_json_get(node, "status.volumesAttached"), "name", unique)
                       ? 0
                       : cx_error_set(err, -EAGAIN, "Volume not attached according to node status for volume \"%s\"",
                                      unique);
}

static int check_attachment(const struct kubelet *k, const char *driver, const char *name, struct csi_pairs *context,
                            struct cx_error *err)
{
        json_auto_t *attachment = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_get(
                k->rest,
                CX_REF(.group = "storage.k8s.io", .version = "v1", .resource = "volumeattachments", .name = name),
                &attachment, &failure);
        // Of one that is not there a node is not told that it is not.
        if (r < 0 && failure.reason != CX_REASON_NOT_FOUND && failure.reason != CX_REASON_FORBIDDEN)
                return cx_error_move(err, &failure);
        const char *why = cx_json_string(attachment, "status.attachError.message");
        if (attachment && cx_json_string(attachment, "metadata.deletionTimestamp"))
                return cx_error_set(err, -EAGAIN, "VolumeAttachment %s is being deleted", name);
        if (!attachment || !cx_json_bool(attachment, "status.attached", false))
                return cx_error_set(err, -EAGAIN,
                                    "timed out waiting for external-attacher of %s CSI driver to attach volume%s%s",
                                    driver, why ? ": " : "", cx_str(why));
        csi_pairs_set_all(context, cx_json_get(attachment, "status.attachmentMetadata"));
        return 0;
}

int csi_attachment_wait(const struct kubelet *k, struct in_use *in_use, const char *driver, const char *handle,
                        struct csi_pairs *context, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *unique = csi_unique_name(driver, handle);
        CX_CLEANUP(cx_freep) char *name = attachment_name(driver, handle, k->node_name);
        if (!k->rest)
                return cx_error_set(err, -EHOSTUNREACH, "there is no apiserver to ask whether it is attached");
        if (!in_use_add(in_use, unique))
                return cx_error_set(err, -EAGAIN,
                                    "Volume has not been added to the list of VolumesInUse in the node's volume status "
                                    "for volume \"%s\"",
                                    unique);
        int r = check_node(k, unique, err);
        return r < 0 ? r : check_attachment(k, driver, name, context, err);
}
