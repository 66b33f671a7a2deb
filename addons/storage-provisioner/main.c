// SPDX-License-Identifier: Apache-2.0
// storage-provisioner: runs on every node and makes volumes of the node's folders.
#include "addons/storage-provisioner/provisioner.h"
#include "libcommon/base/log.h"
#include "libcommon/client/component.h"

static const char *node, *root = "/var/lib/coxswain/volumes", *name = "coxswain.dev/local";
static int64_t overcommit;
static struct folders folders;
static struct provisioner *provisioner;

static const struct cx_flag flags[] = {
        {.name = "node-name", .kind = CX_FLAG_STRING, .target = &node, .help = "Name of the node that it runs on."},
        {.name = "folder",
         .kind = CX_FLAG_STRING,
         .target = &root,
         .help = "Folder for the folders of volumes; the size of one is enforced when its file system has project "
                 "quotas."},
        {.name = "provisioner-name",
         .kind = CX_FLAG_STRING,
         .target = &name,
         .help = "The provisioner of the storage classes that are served."},
        {.name = "overcommit",
         .kind = CX_FLAG_INT,
         .target = &overcommit,
         .max = 100000,
         .help = "Percentage that may be promised to volumes: of what the file system has for them where sizes are "
                 "enforced, and of its whole size where not. 0: 100 where they are, and 200 where not."},
        {0},
};

static int configure(struct cx_component *component CX_UNUSED, struct cx_error *err)
{
        if (!node || !*node)
                return cx_error_set(err, -EINVAL, "--node-name is missing");
        return *root == '/' ? 0 : cx_error_set(err, -EINVAL, "--folder: \"%s\" is no absolute path", root);
}

static int start(struct cx_component *component, struct cx_error *err)
{
        int r = folders_open(&folders, root, err);
        if (r < 0)
                return r;
        cx_info("Serving volumes", "provisioner", name, "node", node, "folder", folders.root, "quota",
                folders.quota ? "project" : "none");
        provisioner = provisioner_new(&(struct provisioner_options){.rest = component->rest,
                                                                    .informers = component->informers,
                                                                    .events = component->events,
                                                                    .folders = &folders,
                                                                    .name = name,
                                                                    .node = node,
                                                                    .overcommit = overcommit});
        return provisioner_start(provisioner, err);
}

static void stop(struct cx_component *component)
{
        provisioner_stop(provisioner);
        cx_informers_free(component->informers);
        component->informers = NULL;
        provisioner_free(provisioner);
        folders_close(&folders);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return provisioner_synced(provisioner);
}

int main(int argc, char **argv)
{
        static struct cx_component component = {
                .name = "storage-provisioner",
                .description = "Makes volumes of the folders of its node, and takes them back.",
                .flags = flags,
                .configure = configure,
                .start = start,
                .stop = stop,
                .ready = ready,
        };
        return cx_component_main(&component, argc, argv);
}
