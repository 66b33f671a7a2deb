// SPDX-License-Identifier: Apache-2.0
// The objects of `kubectl debug`, and what its profiles put into them.
#include "kubectl/cmd/debug.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/random.h"
#include "libcommon/schema/engine.h"

#include <ctype.h>

// --- images ----------------------------------------------------------------------------------------------------------

// "a", "a.b", "a_b", "a__b", "a--b": lower-case words with separators between them.
static bool is_path_part(const char *text, size_t length)
{
        for (size_t i = 0; i < length;) {
                size_t start = i;
                while (i < length && (islower((unsigned char)text[i]) || isdigit((unsigned char)text[i])))
                        i++;
                if (i == start)
                        return false;
                if (i == length)
                        return true;
                size_t n = strspn(text + i, text[i] == '-' ? "-" : text[i] == '_' ? "_" : ".");
                if (!strchr("-_.", text[i]) || (text[i] == '.' && n > 1) || (text[i] == '_' && n > 2))
                        return false;
                i += n;
        }
        return false;
}

// A host with or without a port; an IPv6 address stands in brackets.
static bool is_host(const char *text, size_t length)
{
        size_t host = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":/");
        if (host > length || (host < length && text[host] != ':'))
                return false;
        for (size_t i = host + 1; i < length; i++)
                if (!isdigit((unsigned char)text[i]))
                        return false;
        if (host + 1 == length)
                return false;
        if (*text == '[')
                return strspn(text + 1, "0123456789abcdefABCDEF:") == host - 2;
        for (size_t i = 0; i < host; i++)
                if (!isalnum((unsigned char)text[i]) &&
                    (!strchr("-.", text[i]) || i == 0 || i + 1 == host || (text[i] == '.' && text[i - 1] == '.')))
                        return false;
        return host > 0;
}

static bool is_digest(const char *text)
{
        const char *colon = strchr(text, ':');
        return colon && isalpha((unsigned char)*text) && strlen(colon + 1) >= 32 &&
               strspn(colon + 1, "0123456789abcdefABCDEF") == strlen(colon + 1) &&
               strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+._-") ==
                       (size_t)(colon - text);
}

static bool is_tag(const char *text, size_t length)
{
        if (!length || length > 128 || strchr(".-", *text))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!isalnum((unsigned char)text[i]) && !strchr("_.-", text[i]))
                        return false;
        return true;
}

bool is_image_reference(const char *text)
{
        size_t length = strcspn(text, "@");
        if (text[length] && !is_digest(text + length + 1))
                return false;
        size_t tag = length;
        while (tag && text[tag - 1] != ':' && text[tag - 1] != '/')
                tag--;
        if (tag && text[tag - 1] == ':') { // no port: no slash follows
                if (!is_tag(text + tag, length - tag))
                        return false;
                length = tag - 1;
        }
        const char *slash = memchr(text, '/', length);
        size_t at = 0;
        if (slash && is_host(text, (size_t)(slash - text)))
                at = (size_t)(slash - text) + 1;
        for (;;) {
                size_t n = strcspn(text + at, "/");
                n = n > length - at ? length - at : n;
                if (!is_path_part(text + at, n))
                        return false;
                at += n;
                if (at >= length)
                        return true;
                at++;
        }
}

// --- what the flags say ----------------------------------------------------------------------------------------------

static int check_custom(const json_t *custom, struct cx_error *err)
{
        static const char *const fixed[] = {"name", "command", "image", "lifecycle", "volumeDevices"};
        for (size_t i = 0; custom && i < CX_ARRAY_SIZE(fixed); i++) {
                const json_t *value = json_object_get(custom, fixed[i]);
                if (value && !json_is_null(value) && cx_json_count(custom, fixed[i]) + json_string_length(value) > 0)
                        return cx_error_set(err, -EINVAL,
                                            "name, command, image, lifecycle and volume devices are not modifiable via "
                                            "custom profile");
        }
        return 0;
}

static int check_copy(const struct debug *d, struct cx_error *err)
{
        bool args = json_array_size(d->args) > 0;
        if (!d->copy_to && d->replace)
                return cx_error_set(err, -EINVAL, "--replace may only be used with --copy-to.");
        if (!d->copy_to && d->same_node)
                return cx_error_set(err, -EINVAL, "--same-node may only be used with --copy-to.");
        if (!d->copy_to && d->set_image.count)
                return cx_error_set(err, -EINVAL, "--set-image may only be used with --copy-to.");
        if (!d->copy_to && !*d->image)
                return cx_error_set(err, -EINVAL, "you must specify --image when not using --copy-to.");
        if (d->copy_to && !*d->image && !d->set_image.count && !args)
                return cx_error_set(err, -EINVAL, "you must specify --image, --set-image or command arguments.");
        if (d->copy_to && args && !*d->container && !*d->image)
                return cx_error_set(err, -EINVAL,
                                    "you must specify an existing container or a new image when specifying args.");
        return 0;
}

int debug_check(const struct debug *d, struct cx_error *err)
{
        static const char *const policies[] = {"", "Always", "IfNotPresent", "Never"};
        bool known = false;
        if (d->attach && d->attach_given && !*d->image && !*d->container)
                return cx_error_set(
                        err, -EINVAL,
                        "you must specify --container or create a new container using --image in order to attach.");
        int r = check_copy(d, err);
        if (r < 0)
                return r;
        if (*d->image && !is_image_reference(d->image))
                return cx_error_set(err, -EINVAL, "invalid image name \"%s\": invalid reference format", d->image);
        for (size_t i = 0; i < CX_ARRAY_SIZE(policies); i++)
                known = known || strcmp(d->pull_policy, policies[i]) == 0;
        if (!known)
                return cx_error_set(err, -EINVAL, "invalid image pull policy: %s", d->pull_policy);
        for (size_t i = 0; i < d->set_image.count; i++) {
                const char *equals = strchr(d->set_image.items[i], '=');
                if (!is_image_reference(equals + 1))
                        return cx_error_set(
                                err, -EINVAL,
                                "invalid image name \"%s\" for container \"%.*s\": invalid reference format",
                                equals + 1, (int)(equals - d->set_image.items[i]), d->set_image.items[i]);
        }
        if (*d->target && d->copy_to)
                return cx_error_set(err, -EINVAL,
                                    "--target is incompatible with --copy-to. Use --share-processes instead.");
        if (*d->target && !d->quiet)
                OUT("Targeting container \"%s\". If you don't see processes from this container it may be because the "
                    "container runtime doesn't support this feature.\n",
                    d->target);
        if (d->tty && !d->in)
                return cx_error_set(err, -EINVAL, "-i/--stdin is required for containers with -t/--tty=true");
        return check_custom(d->custom, err);
}

// --- containers ------------------------------------------------------------------------------------------------------

static void set_flag(json_t *object, const char *name, bool value)
{
        if (value)
                json_object_set_new(object, name, json_true());
        else
                json_object_del(object, name);
}

static void set_environment(const struct debug *d, json_t *container)
{
        json_t *list = json_array();
        for (size_t i = 0; i < d->env.count; i++) {
                const char *equals = strchr(d->env.items[i], '=');
                json_array_append_new(list, json_pack("{s:s%,s:s}", "name", d->env.items[i],
                                                      (size_t)(equals - d->env.items[i]), "value", equals + 1));
        }
        if (d->env.count)
                json_object_set(container, "env", list);
        json_decref(list);
}

// What all the containers have that are made here or changed.
static void fill_container(const struct debug *d, json_t *container)
{
        if (json_array_size(d->args)) {
                json_object_set(container, d->args_only ? "args" : "command", d->args);
                if (!d->args_only)
                        json_object_del(container, "args");
        }
        set_environment(d, container);
        if (*d->image)
                json_object_set_new(container, "image", json_string(d->image));
        if (*d->pull_policy)
                json_object_set_new(container, "imagePullPolicy", json_string(d->pull_policy));
        set_flag(container, "stdin", d->in);
        set_flag(container, "tty", d->tty);
}

static json_t *new_container(const char *name)
{
        return json_pack("{s:s,s:s,s:{}}", "name", name, "terminationMessagePolicy", "File", "resources");
}

static char *container_name(const struct debug *d, const json_t *spec)
{
        if (*d->container)
                return cx_strdup(d->container);
        char suffix[6], *name = NULL;
        do {
                free(name);
                cx_random_suffix(suffix, 5);
                name = cx_sprintf("debugger-%s", suffix);
        } while (cx_pod_container(spec, name, CX_POD_ALL, NULL));
        if (!d->quiet)
                OUT("Defaulting debug container name to %s.\n", name);
        return name;
}

// --- profiles --------------------------------------------------------------------------------------------------------

enum debug_target { ON_POD, ON_COPY, ON_NODE };

static void add_capabilities(json_t *container, const char *const *names)
{
        json_t *capabilities = cx_json_object_at(cx_json_object_at(container, "securityContext"), "capabilities");
        for (; *names; names++)
                json_array_append_new(cx_json_array_at(capabilities, "add"), json_string(*names));
}

static void set_host_namespaces(json_t *spec)
{
        json_object_set_new(spec, "hostNetwork", json_true());
        json_object_set_new(spec, "hostPID", json_true());
        json_object_set_new(spec, "hostIPC", json_true());
}

static void mount_root(json_t *spec, json_t *container)
{
        json_array_append_new(cx_json_array_at(spec, "volumes"),
                              json_pack("{s:s,s:{s:s}}", "name", "host-root", "hostPath", "path", "/"));
        json_array_append_new(cx_json_array_at(container, "volumeMounts"),
                              json_pack("{s:s,s:s}", "name", "host-root", "mountPath", "/host"));
}

// A copy must not be ended by its probes, nor do what annotations ask for.
static void strip_copy(const struct debug *d, json_t *pod)
{
        json_t *metadata = json_object_get(pod, "metadata"), *spec = json_object_get(pod, "spec");
        if (!d->keep_annotations)
                json_object_del(metadata, "annotations");
        if (!d->keep_init)
                json_object_del(spec, "initContainers");
        size_t i;
        json_t *container;
        json_array_foreach (json_object_get(spec, "containers"), i, container) {
                if (!d->keep_liveness)
                        json_object_del(container, "livenessProbe");
                if (!d->keep_readiness)
                        json_object_del(container, "readinessProbe");
                if (!d->keep_startup)
                        json_object_del(container, "startupProbe");
        }
        if (!json_object_get(spec, "shareProcessNamespace"))
                json_object_set_new(spec, "shareProcessNamespace", json_true());
}

struct debug_profile {
        const char *name;
        const char *capabilities[3];
        bool privileged, restricted, clears;
        bool host, root; // of a pod on a node: the host's namespaces, its file system
};
static const struct debug_profile profiles[] = {
        {.name = "legacy", .host = true, .root = true},
        {.name = "general", .capabilities = {"SYS_PTRACE"}, .host = true, .root = true},
        {.name = "baseline", .clears = true},
        {.name = "restricted", .restricted = true},
        {.name = "netadmin", .capabilities = {"NET_ADMIN", "NET_RAW"}, .host = true},
        {.name = "sysadmin", .privileged = true, .host = true, .root = true},
};

static const struct debug_profile *find_profile(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(profiles); i++)
                if (strcmp(name, profiles[i].name) == 0)
                        return &profiles[i];
        return NULL;
}

bool debug_knows_profile(const char *name)
{
        return find_profile(name) != NULL;
}

static void apply_security(const struct debug_profile *profile, enum debug_target target, json_t *container)
{
        if (profile->clears)
                json_object_del(container, "securityContext");
        if (profile->restricted)
                json_object_set_new(container, "securityContext",
                                    json_pack("{s:b,s:{s:[s]},s:b,s:{s:s}}", "allowPrivilegeEscalation", 0,
                                              "capabilities", "drop", "ALL", "runAsNonRoot", 1, "seccompProfile",
                                              "type", "RuntimeDefault"));
        if (profile->privileged)
                json_object_set_new(cx_json_object_at(container, "securityContext"), "privileged", json_true());
        // On a node the general profile has the host's namespaces, but no more rights in them.
        if (profile->capabilities[0] && !(target == ON_NODE && profile->root))
                add_capabilities(container, profile->capabilities);
}

static int apply_profile(const struct debug *d, enum debug_target target, json_t *pod, json_t *container,
                         struct cx_error *err)
{
        json_t *spec = json_object_get(pod, "spec");
        const struct debug_profile *profile = find_profile(d->profile);
        if (!profile)
                return cx_error_set(err, -EINVAL, "unknown profile: %s", d->profile);
        if (target == ON_NODE && profile->root)
                mount_root(spec, container);
        if (target == ON_NODE && profile->host)
                set_host_namespaces(spec);
        bool legacy = profile == &profiles[0];
        if (target == ON_COPY && (legacy || !d->keep_labels))
                cx_json_remove(pod, "metadata.labels");
        if (target == ON_COPY && !legacy)
                strip_copy(d, pod);
        apply_security(profile, target, container);
        return 0;
}

// Merges the part of a container that --custom gives into the one that was made.
static int apply_custom(const struct debug *d, json_t **pod, const char *list, const char *name, struct cx_error *err)
{
        if (!d->custom)
                return 0;
        json_auto_t *part = json_deep_copy(d->custom);
        json_object_set_new(part, "name", json_string(name));
        json_auto_t *patch = json_pack("{s:{s:[O]}}", "spec", list, part);
        json_t *patched = NULL;
        int r = cx_patch_strategic(cx_schema_kind("", "v1", "Pod")->type, *pod, patch, &patched, err);
        if (r < 0)
                return cx_error_wrap(err, "error creating three way patch to add debug container");
        json_decref(*pod);
        *pod = patched;
        return 0;
}

// --- the three kinds -------------------------------------------------------------------------------------------------

int debug_ephemeral(const struct debug *d, const json_t *pod, json_t **ret_pod, char **ret_container,
                    struct cx_error *err)
{
        json_auto_t *copy = json_deep_copy(pod);
        CX_CLEANUP(cx_freep) char *name = container_name(d, json_object_get(pod, "spec"));
        json_t *container = json_pack("{s:s,s:s}", "name", name, "terminationMessagePolicy", "File");
        json_array_append_new(cx_json_array_at(cx_json_object_at(copy, "spec"), "ephemeralContainers"), container);
        json_object_set_new(container, "resources", json_object());
        fill_container(d, container);
        if (*d->target)
                json_object_set_new(container, "targetContainerName", json_string(d->target));
        int r = apply_profile(d, ON_POD, copy, container, err);
        if (r == 0)
                r = apply_custom(d, &copy, "ephemeralContainers", name, err);
        if (r < 0)
                return r;
        *ret_pod = cx_steal(&copy);
        *ret_container = cx_steal(&name);
        return 0;
}

static void set_images(const struct debug *d, json_t *spec)
{
        size_t i;
        json_t *container;
        json_array_foreach (json_object_get(spec, "containers"), i, container) {
                const char *image = NULL, *name = cx_json_string_or(container, "name", "");
                for (size_t k = 0; k < d->set_image.count; k++) {
                        const char *word = d->set_image.items[k], *equals = strchr(word, '=');
                        size_t n = (size_t)(equals - word);
                        bool exact = strlen(name) == n && strncmp(name, word, n) == 0;
                        if (exact || (n == 1 && *word == '*' && !image))
                                image = equals + 1;
                        if (exact)
                                break;
                }
                if (image)
                        json_object_set_new(container, "image", json_string(image));
        }
}

int debug_copy(const struct debug *d, const json_t *pod, json_t **ret_pod, char **ret_container, struct cx_error *err)
{
        json_auto_t *spec = json_deep_copy(json_object_get(pod, "spec"));
        json_auto_t *copy = json_pack(
                "{s:s,s:s,s:{s:s,s:O,s:O*,s:O*},s:O}", "apiVersion", "v1", "kind", "Pod", "metadata", "name",
                d->copy_to, "namespace", cx_json_get(pod, "metadata.namespace"), "annotations",
                cx_json_get(pod, "metadata.annotations"), "labels", cx_json_get(pod, "metadata.labels"), "spec", spec);
        json_object_del(spec, "ephemeralContainers");
        if (d->share_given)
                json_object_set_new(spec, "shareProcessNamespace", json_boolean(d->share_processes));
        if (!d->same_node)
                json_object_del(spec, "nodeName");
        set_images(d, spec);
        json_t *container = cx_pod_container(spec, d->container, CX_POD_ALL, NULL);
        CX_CLEANUP(cx_freep) char *name = NULL;
        if (!container && !*d->image) {
                if (!d->set_image.count)
                        return cx_error_set(err, -EINVAL, "you must specify image when creating new container");
                *ret_pod = cx_steal(&copy);
                *ret_container = NULL;
                return 0;
        }
        name = container ? cx_strdup(d->container) : container_name(d, spec);
        if (!container) {
                container = new_container(name);
                json_array_append_new(cx_json_array_at(spec, "containers"), container);
        }
        fill_container(d, container);
        int r = apply_profile(d, ON_COPY, copy, container, err);
        if (r == 0)
                r = apply_custom(d, &copy, "containers", name, err);
        if (r < 0)
                return r;
        *ret_pod = cx_steal(&copy);
        *ret_container = cx_steal(&name);
        return 0;
}

int debug_node(const struct debug *d, const json_t *node, json_t **ret_pod, char **ret_container, struct cx_error *err)
{
        const char *on = cx_json_string_or(node, "metadata.name", ""),
                   *name = *d->container ? d->container : "debugger";
        char suffix[6];
        cx_random_suffix(suffix, 5);
        CX_CLEANUP(cx_freep) char *pod_name = cx_sprintf("node-debugger-%s-%s", on, suffix);
        if (!d->quiet)
                OUT("Creating debugging pod %s with container %s on node %s.\n", pod_name, name, on);
        json_t *container = new_container(name);
        json_auto_t *pod = json_pack("{s:s,s:s,s:{s:s,s:{s:s}},s:{s:[o],s:s,s:s,s:[{s:s}]}}", "apiVersion", "v1",
                                     "kind", "Pod", "metadata", "name", pod_name, "labels",
                                     "app.kubernetes.io/managed-by", "kubectl-debug", "spec", "containers", container,
                                     "nodeName", on, "restartPolicy", "Never", "tolerations", "operator", "Exists");
        fill_container(d, container);
        int r = apply_profile(d, ON_NODE, pod, container, err);
        if (r == 0)
                r = apply_custom(d, &pod, "containers", name, err);
        if (r < 0)
                return r;
        *ret_pod = cx_steal(&pod);
        *ret_container = cx_strdup(name);
        return 0;
}

bool debug_wants_root(const json_t *pod, const char *container)
{
        const json_t *spec = json_object_get(pod, "spec");
        const json_t *c = container ? cx_pod_container(spec, container, CX_POD_ALL, NULL) : NULL;
        return c && cx_json_int(spec, "securityContext.runAsUser", 0) != 0 && cx_json_get(c, "securityContext") &&
               cx_json_int(c, "securityContext.runAsUser", 1) != 0 &&
               (cx_json_bool(c, "securityContext.privileged", false) ||
                cx_json_count(c, "securityContext.capabilities.add") > 0);
}
