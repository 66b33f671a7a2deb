// SPDX-License-Identifier: Apache-2.0
// minikube config: a JSON object in a file, of keys that mean something here. The file goes with its last key.
#include "minikube/config.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"
#include "minikube/out.h"

#include <stdio.h>

static int check_path(const char *text)
{
        return *text == '/' ? 0 : -EINVAL; // it is read from anywhere
}

static int check_profile(const char *text)
{
        PROFILE_CONTENTS profile = {0};
        return profile_open(text, &profile, NULL);
}

static int check_nodes(const char *text)
{
        int64_t nodes;
        return cx_parse_int(text, 1, MAX_NODES, &nodes);
}

static int check_duration(const char *text)
{
        int64_t duration;
        return cx_duration_parse(text, &duration) < 0 || duration <= 0 ? -EINVAL : 0;
}

// All but the profile are flags of that name.
static const struct config_key {
        const char *name;
        int (*check)(const char *text);
        const char *form;
} keys[] = {{"nodes", check_nodes, "a number from 1 to 16"},
            {"profile", check_profile, "the name of a profile"},
            {"registry-config", check_path, "an absolute path"},
            {"wait-timeout", check_duration, "a time like 90s or 2m"}};

static const struct config_key *find_key(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++)
                if (strcmp(keys[i].name, name) == 0)
                        return &keys[i];
        return NULL;
}

static char *folder_path(void)
{
        CX_CLEANUP(cx_freep) char *home = minikube_home();
        return cx_sprintf("%s/config", home);
}

static int load(json_t **ret_config, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *folder = folder_path();
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/config.json", folder);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        int r = cx_buf_read_file(&text, path);
        if (r == -ENOENT) {
                *ret_config = json_object();
                return 0;
        }
        if (r < 0)
                return cx_error_set(err, -EBADMSG, "HOST_CONFIG_LOAD: cannot read %s: %s", path, strerror(-r));
        json_auto_t *config = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        if (cx_json_parse(text.data, text.length, true, &config, &why) < 0)
                return cx_error_set(err, -EBADMSG, "HOST_CONFIG_LOAD: %s: %s", path, cx_error_text(&why));
        if (!json_is_object(config))
                return cx_error_set(err, -EBADMSG, "HOST_CONFIG_LOAD: %s must be a JSON object", path);
        *ret_config = json_incref(config);
        return 0;
}

static int save(const json_t *config, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *home = minikube_home();
        CX_CLEANUP(cx_freep) char *folder = folder_path();
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/config.json", folder);
        if (!json_object_size(config)) {
                (void)unlink(path);
                (void)rmdir(folder);
                (void)rmdir(home); // unless there is a profile
                return 0;
        }
        CX_CLEANUP(cx_freep) char *text = cx_json_text(config);
        int r = cx_mkdir_all(home, 0700, err);
        if (r == 0)
                r = cx_mkdir_all(folder, 0700, err);
        return r < 0 ? r : cx_write_file(path, text, strlen(text), 0600, true, err);
}

char *config_profile(void)
{
        const char *own = getenv("MINIKUBE_PROFILE");
        json_auto_t *config = NULL;
        if (own && *own)
                return cx_strdup(own);
        // What is wrong with the file is told when flags are read from it.
        return cx_strdup(load(&config, NULL) == 0 ? cx_json_string_or(config, "profile", "minikube") : "minikube");
}

static int set(const char *key, const char *value, struct cx_error *err)
{
        json_auto_t *config = NULL;
        int r = load(&config, err);
        if (r < 0)
                return r;
        if (value)
                json_object_set_new(config, key, json_string(value));
        else
                json_object_del(config, key);
        return save(config, err);
}

int config_set_profile(const char *name, struct cx_error *err)
{
        return set("profile", name, err);
}

int config_flags(const struct cx_flag *flags, struct cx_strings *ret_owner, char ***ret_argv, struct cx_error *err)
{
        json_auto_t *config = NULL;
        int r = load(&config, err);
        if (r < 0)
                return r;
        cx_strings_add(ret_owner, "config");
        for (size_t i = 0; flags[i].name; i++) {
                const char *value = json_string_value(json_object_get(config, flags[i].name));
                CX_CLEANUP(cx_freep) char *word = cx_sprintf("--%s=%s", flags[i].name, cx_str(value));
                if (value && strcmp(flags[i].name, "profile") != 0 && find_key(flags[i].name))
                        cx_strings_add(ret_owner, word);
        }
        char **argv = cx_alloc_array(ret_owner->count + 1, sizeof *argv);
        for (size_t i = 0; i < ret_owner->count; i++)
                argv[i] = ret_owner->items[i];
        *ret_argv = argv;
        return (int)ret_owner->count;
}

// --- the command ---

static int need_key(const char *name, const struct config_key **ret_key, struct cx_error *err)
{
        CX_BUF known = CX_BUF_INIT;
        if ((*ret_key = find_key(name)))
                return 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++)
                cx_buf_printf(&known, "%s%s", i ? ", " : "", keys[i].name);
        return cx_error_set(err, -EINVAL, "MK_USAGE: property name \"%s\" not found; there are %s", name, known.data);
}

int command_config_set(struct minikube *m, struct cx_error *err)
{
        const struct config_key *key;
        const char *value = m->args.items[1];
        int r = need_key(m->args.items[0], &key, err);
        if (r == 0 && key->check(value) < 0)
                r = cx_error_set(err, -EINVAL, "MK_USAGE: %s: \"%s\" must be %s", key->name, value, key->form);
        if (r == 0)
                r = set(key->name, value, err);
        if (r == 0 && strcmp(key->name, "profile") != 0)
                out(stdout, "❗  These changes will take effect upon a minikube delete and then a minikube start\n");
        return r;
}

int command_config_unset(struct minikube *m, struct cx_error *err)
{
        const struct config_key *key;
        int r = need_key(m->args.items[0], &key, err);
        return r < 0 ? r : set(key->name, NULL, err);
}

int command_config_get(struct minikube *m, struct cx_error *err)
{
        const struct config_key *key;
        json_auto_t *config = NULL;
        int r = need_key(m->args.items[0], &key, err);
        if (r == 0)
                r = load(&config, err);
        if (r < 0)
                return r;
        const char *value = json_string_value(json_object_get(config, key->name));
        if (!value)
                return cx_error_set(err, -EINVAL, "MK_CONFIG_GET: specified key could not be found in config: %s",
                                    key->name);
        printf("%s\n", value);
        return 0;
}

int command_config_view(struct minikube *m CX_UNUSED, struct cx_error *err)
{
        json_auto_t *config = NULL;
        int r = load(&config, err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(keys); i++) {
                const char *value = json_string_value(json_object_get(config, keys[i].name));
                if (value)
                        printf("- %s: %s\n", keys[i].name, value);
        }
        return r;
}
