// SPDX-License-Identifier: Apache-2.0
// What minikube decides by flags and this one does not.
#include "minikube/habits.h"

#include "libcommon/base/version.h"
#include "minikube/out.h"

const struct habit habits[] = {
        {"driver", false, "nodes are network namespaces of this machine, and need no driver"},
        {"vm-driver", false, "nodes are network namespaces of this machine, and need no driver"},
        {"memory", false, "nodes share the memory of this machine"},
        {"cpus", false, "nodes share the processors of this machine"},
        {"disk-size", false, "nodes share the disk of this machine"},
        {"gpus", false, "nodes share the devices of this machine"},
        {"container-runtime", false, "the kubelet runs containers itself, with runc"},
        {"cri-socket", false, "the kubelet runs containers itself, with runc"},
        {"cni", false, "pods are joined by the CNI plugin bridge"},
        {"network-plugin", false, "pods are joined by the CNI plugin bridge"},
        {"network", false, "each cluster has a network of its own"},
        {"base-image", false, "nodes are no containers, and have no image"},
        {"iso-url", false, "nodes are no virtual machines, and have no image"},
        {"image-mirror-country", false, "the cluster itself needs no images; --registry-config sets mirrors for yours"},
        {"image-repository", false, "the cluster itself needs no images; --registry-config sets mirrors for yours"},
        {"bootstrapper", false, "minikube starts the components itself"},
        {"wait", false, "minikube always waits until the cluster can be used"},
        {"preload", true, "the cluster itself needs no images"},
        {"cache-images", true, "the cluster itself needs no images"},
        {"force", true, "there is no check to be skipped"},
        {"force-systemd", true, "control groups are made by runc itself"},
        {"delete-on-failure", true, "a start that failed goes on where it ended; minikube delete removes it"},
        {"interactive", true, "minikube asks nothing"},
        {"auto-update-drivers", true, "there are no drivers"},
        {0},
};
_Static_assert(CX_ARRAY_SIZE(habits) <= MAX_HABITS + 1, "room for their values");

void habits_tell(const struct minikube *m)
{
        for (size_t i = 0; habits[i].name; i++)
                if (m->habits[i])
                        out(stdout, "💡  --%s=%s decides nothing here: %s\n", habits[i].name, m->habits[i],
                            habits[i].why);
}

int habits_check_version(const char *version, struct cx_error *err)
{
        static const char *const names[] = {"stable", "latest", CX_VERSION_SERIES, CX_VERSION};
        if (!version || !*version)
                return 0;
        const char *number = version + (*version == 'v');
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (strcmp(number, names[i]) == 0 || strcmp(version, names[i]) == 0)
                        return 0;
        int major, minor, patch, end = 0;
        if (sscanf(number, "%4d.%4d%n.%4d%n", &major, &minor, &end, &patch, &end) < 2 ||
            (number[end] && number[end] != '-' && number[end] != '+'))
                return cx_error_set(
                        err, -EINVAL,
                        "MK_USAGE: Unable to parse \"%s\": --kubernetes-version must be like " CX_VERSION_API, version);
        CX_CLEANUP(cx_freep) char *series = cx_sprintf("%d.%d", major, minor);
        if (strcmp(series, CX_VERSION_SERIES) == 0)
                return 0;
        bool older = major < 1 || (major == 1 && minor < strtol(CX_VERSION_MINOR, NULL, 10));
        return cx_error_set(err, -ENOTSUP,
                            "%s: Specified Kubernetes version %s is %s supported version: " CX_VERSION_API
                            ". This minikube is Kubernetes " CX_VERSION_SERIES " and nothing else",
                            older ? "K8S_OLD_UNSUPPORTED" : "K8S_NEW_UNSUPPORTED", number,
                            older ? "less than the oldest" : "newer than the newest");
}
