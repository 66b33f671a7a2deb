// SPDX-License-Identifier: Apache-2.0
// A CSI driver on this node: calls of its node service over its socket. A call that is not answered in time ends with an
// error; a driver has a few calls at a time, so one that hangs holds few threads. Blocks; any thread.
#pragma once

#include "csi/csi.pb-c.h"
#include "libcommon/base/error.h"
#include "libcommon/base/map.h"

struct csi_driver;
// endpoint: the path of its socket.
int csi_driver_new(const char *name, const char *endpoint, struct csi_driver **ret_driver, struct cx_error *err)
        CX_CHECK;
struct csi_driver *csi_driver_ref(struct csi_driver *driver);
void csi_driver_unref(struct csi_driver *driver);
CX_DEFINE_CLEANUP(struct csi_driver, csi_driver_unrefp, csi_driver_unref)
const char *csi_driver_name(const struct csi_driver *driver);
const char *csi_driver_endpoint(const struct csi_driver *driver);

enum csi_can { // NodeServiceCapability.RPC.Type
        CSI_CAN_STAGE = 1,
        CSI_CAN_STATS = 2,
        CSI_CAN_EXPAND = 3,
        CSI_CAN_SINGLE_NODE_MULTI_WRITER = 5,
        CSI_CAN_MOUNT_GROUP = 6
};
// What the driver says that it can; asked once. -EAGAIN: it has as many calls as it may.
int csi_driver_can(struct csi_driver *driver, enum csi_can what, bool *ret_can, struct cx_error *err) CX_CHECK;
// One call of the node service ("NodeStageVolume"). The answer is unpacked by `type`, and freed with
// protobuf_c_message_free_unpacked; ret_answer NULL: it says nothing. The error is upstream's: "rpc error: code = X desc = …".
// -EAGAIN as above.
struct csi_call {
        const char *method;
        int64_t timeout; // ns; 0: upstream's two minutes
        const ProtobufCMessage *request;
        const ProtobufCMessageDescriptor *type;
};
int csi_driver_call(struct csi_driver *driver, const struct csi_call *call, ProtobufCMessage **ret_answer,
                    struct cx_error *err) CX_CHECK;
// The same to any socket and service, once.
struct csi_once {
        const char *socket, *method; // "/pluginregistration.Registration/GetInfo"
        int64_t timeout;             // ns
};
int csi_call_once(const struct csi_once *to, const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                  ProtobufCMessage **ret_answer, struct cx_error *err) CX_CHECK;
