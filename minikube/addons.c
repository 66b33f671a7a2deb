// SPDX-License-Identifier: Apache-2.0
// The table, and which of its rows are on.
#include "minikube/addons.h"

#include "minikube/tools.h"

#define MANIFEST(symbol, folder)                                                                                       \
        __asm__(".section .rodata\n" #symbol ": .incbin \"addons/" folder "/addon.yaml\"\n"                            \
                ".byte 0\n"                                                                                            \
                ".previous\n")

MANIFEST(dashboard_manifest, "dashboard");
MANIFEST(default_storageclass_manifest, "default-storageclass");
MANIFEST(ingress_manifest, "ingress");
MANIFEST(loadbalancer_manifest, "loadbalancer");
MANIFEST(metrics_server_manifest, "metrics-server");
MANIFEST(registry_manifest, "registry");
extern const char dashboard_manifest[], default_storageclass_manifest[], ingress_manifest[], loadbalancer_manifest[],
        metrics_server_manifest[], registry_manifest[];

static const struct addon addons[] = {
        {.name = "dashboard", .manifest = dashboard_manifest, .service = "dashboard", .on_first = true},
        {.name = "default-storageclass", .manifest = default_storageclass_manifest, .by_default = true},
        {.name = "ingress",
         .manifest = ingress_manifest,
         .service = "ingress-controller",
         .on_first = true,
         .program = "haproxy",
         .port = 80},
        {.name = "loadbalancer",
         .manifest = loadbalancer_manifest,
         .service = "loadbalancer-announcer",
         .by_default = true},
        {.name = "metrics-server",
         .manifest = metrics_server_manifest,
         .service = "metrics-server",
         .on_first = true,
         .api_service = "v1beta1.metrics.k8s.io"},
        {.name = "registry",
         .manifest = registry_manifest,
         .service = "registry",
         .on_first = true,
         .program = "docker-registry",
         .port = REGISTRY_PORT},
        {.name = "storage-provisioner", .service = "storage-provisioner", .by_default = true},
};

const struct addon *addons_all(size_t *ret_count)
{
        *ret_count = CX_ARRAY_SIZE(addons);
        return addons;
}

const struct addon *addon_find(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(addons); i++)
                if (strcmp(addons[i].name, name) == 0)
                        return &addons[i];
        return NULL;
}

int addon_check(const char *name, bool on, struct cx_error *err)
{
        const struct addon *addon = addon_find(name);
        if (addon)
                return on && addon->program ? tool_check(addon->program, addon->program, err) : 0;
        return cx_error_set(err, -EINVAL,
                            "MK_USAGE: addon '%s' is not a valid addon packaged with minikube.\n"
                            "To see the list of available addons run:\nminikube addons list",
                            name);
}

bool addon_is_on(const struct profile *profile, const char *name)
{
        return cx_strings_has(&profile->addons, name);
}

void addon_turn(struct profile *profile, const char *name, bool on)
{
        CX_STRINGS kept = CX_STRINGS_INIT;
        for (size_t i = 0; i < profile->addons.count; i++)
                if (strcmp(profile->addons.items[i], name) != 0)
                        cx_strings_add(&kept, profile->addons.items[i]);
        if (on)
                cx_strings_add(&kept, name);
        cx_strings_sort(&kept);
        struct cx_strings before = profile->addons;
        profile->addons = kept;
        kept = before;
}

void addons_turn_defaults(struct profile *profile)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(addons); i++)
                if (addons[i].by_default)
                        addon_turn(profile, addons[i].name, true);
}
