// SPDX-License-Identifier: Apache-2.0
#include "kubelet/csi/registrar.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"

#define TIMEOUT (10 * CX_NS_PER_S)

void registrar_answer_release(struct registrar_answer *answer)
{
        if (answer->driver)
                csi_driver_unref(answer->driver);
        if (answer->node)
                protobuf_c_message_free_unpacked(&answer->node->base, NULL);
        *answer = (struct registrar_answer){0};
}

static bool is_driver_name(const char *name)
{
        size_t n = strlen(name);
        if (!n || n > 63)
                return false;
        for (size_t i = 0; i < n; i++) {
                bool alnum = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
                             (name[i] >= '0' && name[i] <= '9');
                if (!alnum && (i == 0 || i == n - 1 || !strchr("-.", name[i])))
                        return false;
        }
        return true;
}

static int check_info(const Csi__PluginInfo *info, struct cx_error *err)
{
        bool v1 = false;
        if (strcmp(info->type, "CSIPlugin") != 0)
                return cx_error_set(err, -ENOTSUP, "no handler registered for plugin type: %.64s at socket",
                                    info->type);
        for (size_t i = 0; i < info->n_supported_versions; i++)
                v1 = v1 || cx_has_prefix(info->supported_versions[i], "1.") ||
                     cx_has_prefix(info->supported_versions[i], "v1.");
        if (!v1)
                return cx_error_set(err, -ENOTSUP, "the driver supports no version 1.x of CSI");
        if (!is_driver_name(info->name))
                return cx_error_set(err, -EINVAL, "\"%.64s\" is not a driver name", info->name);
        if (info->endpoint[0] && info->endpoint[0] != '/')
                return cx_error_set(err, -EINVAL, "endpoint \"%.256s\" is not an absolute path", info->endpoint);
        return 0;
}

static int ask_driver(const char *name, const char *endpoint, struct registrar_answer *ret_answer, struct cx_error *err)
{
        ProtobufCMessage *answer = NULL;
        Csi__Empty nothing = CSI__EMPTY__INIT;
        const struct csi_once to = {endpoint, "/csi.v1.Node/NodeGetInfo", TIMEOUT};
        int r = csi_call_once(&to, &nothing.base, &csi__node_info__descriptor, &answer, err);
        if (r < 0)
                return cx_error_wrap(err, "error during CSI NodeGetInfo() call");
        r = csi_driver_new(name, endpoint, &ret_answer->driver, err);
        if (r < 0)
                protobuf_c_message_free_unpacked(answer, NULL);
        else
                ret_answer->node = (Csi__NodeInfo *)answer;
        return r;
}

int registrar_ask(const char *socket, struct registrar_answer *ret_answer, bool *ret_known, struct cx_error *err)
{
        ProtobufCMessage *answer = NULL;
        Csi__Empty nothing = CSI__EMPTY__INIT;
        const struct csi_once to = {socket, "/pluginregistration.Registration/GetInfo", TIMEOUT};
        *ret_known = false;
        int r = csi_call_once(&to, &nothing.base, &csi__plugin_info__descriptor, &answer, err);
        if (r < 0)
                return r;
        const Csi__PluginInfo *info = (const Csi__PluginInfo *)answer;
        *ret_known = true;
        r = check_info(info, err);
        if (r == 0)
                r = ask_driver(info->name, *info->endpoint ? info->endpoint : socket, ret_answer, err);
        protobuf_c_message_free_unpacked(answer, NULL);
        return r;
}

void registrar_tell(const char *socket, const struct cx_error *failure)
{
        Csi__RegistrationStatus status = CSI__REGISTRATION_STATUS__INIT;
        status.plugin_registered = !failure;
        status.error = (char *)(failure ? cx_error_text(failure) : "");
        CX_ERROR err = CX_ERROR_INIT;
        const struct csi_once to = {socket, "/pluginregistration.Registration/NotifyRegistrationStatus", TIMEOUT};
        if (csi_call_once(&to, &status.base, NULL, NULL, &err) < 0)
                cx_info("Cannot tell a registrar", "socket", socket, "why", cx_error_text(&err));
}
