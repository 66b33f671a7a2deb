// SPDX-License-Identifier: Apache-2.0
// The files are kept as the documents they are; `merged` is a copy in which the first file that sets a name or a scalar
// wins and relative paths are made absolute (they are relative to the file that holds them).
#include "libcommon/client/kubeconfig.h"

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MAX_FILE ((size_t)16 << 20)

static const struct list {
        const char *name, *member;
} lists[] = {{"clusters", "cluster"}, {"users", "user"}, {"contexts", "context"}};
static const char *const path_fields[] = {"certificate-authority", "client-certificate", "client-key", "tokenFile"};

static const char *member_of(const char *list)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                if (cx_streq(lists[i].name, list))
                        return lists[i].member;
        return NULL;
}

static json_t *empty_document(void)
{
        return json_pack("{s:s, s:s, s:[], s:[], s:[], s:s, s:{}}", "apiVersion", "v1", "kind", "Config", "clusters",
                         "contexts", "users", "current-context", "", "preferences");
}

static void make_absolute(json_t *body, const char *file)
{
        const char *slash = file ? strrchr(file, '/') : NULL;
        for (size_t i = 0; i < CX_ARRAY_SIZE(path_fields); i++) {
                const char *path = json_string_value(json_object_get(body, path_fields[i]));
                if (!path || !*path || path[0] == '/' || !slash)
                        continue;
                CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%.*s/%s", (int)(slash - file), file, path);
                json_object_set_new(body, path_fields[i], json_string(whole));
        }
}

static void merge_list(json_t *merged, const struct cx_kubeconfig_file *file, const struct list *list)
{
        json_t *to = cx_json_array_at(merged, list->name);
        size_t i;
        json_t *entry;
        json_array_foreach (json_object_get(file->document, list->name), i, entry) {
                const char *name = json_string_value(json_object_get(entry, "name"));
                if (!name || cx_json_find(to, "name", name))
                        continue;
                json_t *copy = json_deep_copy(entry);
                make_absolute(json_object_get(copy, list->member), file->path);
                json_array_append_new(to, copy);
        }
}

static void merge(struct cx_kubeconfig *config)
{
        json_decref(config->merged);
        config->merged = empty_document();
        for (size_t i = 0; i < config->n_files; i++) {
                const struct cx_kubeconfig_file *file = &config->files[i];
                for (size_t j = 0; j < CX_ARRAY_SIZE(lists); j++)
                        merge_list(config->merged, file, &lists[j]);
                const char *key;
                json_t *value;
                json_object_foreach (file->document, key, value) {
                        if (member_of(key))
                                continue;
                        const json_t *have = json_object_get(config->merged, key);
                        bool unset = !have || (json_is_string(have) && !*json_string_value(have)) ||
                                     (json_is_object(have) && !json_object_size(have));
                        if (unset)
                                json_object_set_new(config->merged, key, json_deep_copy(value));
                }
        }
}

static int check_document(const json_t *document, const char *path, struct cx_error *err)
{
        if (!json_is_object(document))
                return cx_error_set(err, -EINVAL, "%s: not a kubeconfig", path);
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++) {
                const json_t *list = json_object_get(document, lists[i].name);
                if (list && !json_is_null(list) && !json_is_array(list))
                        return cx_error_set(err, -EINVAL, "%s: %s is not a list", path, lists[i].name);
        }
        return 0;
}

static int parse_document(const char *text, size_t length, const char *path, json_t **ret_document,
                          struct cx_error *err)
{
        json_auto_t *documents = NULL;
        int r = cx_yaml_parse(text, length, &documents, err);
        if (r < 0) {
                CX_ERROR why = CX_ERROR_INIT; // without the reason: a file of ours is nothing that a server refused
                static const char prefix[] = "invalid YAML at ";
                const char *reason = cx_error_text(err), *yaml = strstr(reason, prefix);
                cx_error_set(&why, r, "error loading config file \"%s\": %s%s", path, yaml ? "yaml: " : "",
                             yaml ? yaml + strlen(prefix) : reason);
                if (err)
                        cx_error_release(err);
                return cx_error_move(err, &why);
        }
        json_t *document = json_array_get(documents, 0);
        if (!document) {
                *ret_document = empty_document();
                return 0;
        }
        r = check_document(document, path, err);
        if (r < 0)
                return r;
        *ret_document = json_incref(document);
        return 0;
}

static int add_file(struct cx_kubeconfig *config, const char *path, bool may_be_missing, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        struct cx_kubeconfig_file file = {0};
        int r = cx_buf_read_file(&text, path);
        if (r == -ENOENT && may_be_missing) {
                file.document = empty_document();
        } else if (r < 0) {
                return cx_error_set(err, r, "stat %s: %s", path,
                                    r == -ENOENT ? "no such file or directory" : strerror(-r));
        } else {
                r = parse_document(text.data, text.length, path, &file.document, err);
                if (r < 0)
                        return r;
                file.exists = true;
        }
        file.path = cx_strdup(path);
        config->files = cx_realloc_array(config->files, config->n_files + 1, sizeof *config->files);
        config->files[config->n_files++] = file;
        return 0;
}

int cx_kubeconfig_load(const char *path, bool may_be_missing, struct cx_kubeconfig *ret_config, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        const char *list = getenv("KUBECONFIG");
        int r = 0;
        if (path && *path) {
                r = add_file(&config, path, may_be_missing, err);
        } else if (list && *list) {
                CX_STRINGS paths = CX_STRINGS_INIT;
                cx_strings_split(&paths, list, ':');
                for (size_t i = 0; i < paths.count && r == 0; i++)
                        if (*paths.items[i])
                                r = add_file(&config, paths.items[i], true, err);
        } else {
                const char *home = getenv("HOME");
                CX_CLEANUP(cx_freep) char *standard = cx_sprintf("%s/.kube/config", home && *home ? home : "/root");
                r = add_file(&config, standard, true, err);
        }
        if (r < 0)
                return r;
        merge(&config);
        *ret_config = config;
        config = (struct cx_kubeconfig)CX_KUBECONFIG_INIT;
        return 0;
}

int cx_kubeconfig_parse(const char *text, size_t length, struct cx_kubeconfig *ret_config, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        json_t *document = NULL;
        int r = parse_document(text, length, "-", &document, err);
        if (r < 0)
                return r;
        config.files = cx_alloc_array(1, sizeof *config.files);
        config.files[config.n_files++] = (struct cx_kubeconfig_file){.document = document};
        merge(&config);
        *ret_config = config;
        config = (struct cx_kubeconfig)CX_KUBECONFIG_INIT;
        return 0;
}

void cx_kubeconfig_release(struct cx_kubeconfig *config)
{
        for (size_t i = 0; i < config->n_files; i++) {
                free(config->files[i].path);
                json_decref(config->files[i].document);
        }
        free(config->files);
        json_decref(config->merged);
        *config = (struct cx_kubeconfig)CX_KUBECONFIG_INIT;
}

const char *cx_kubeconfig_current_context(const struct cx_kubeconfig *config)
{
        const char *name = json_string_value(json_object_get(config->merged, "current-context"));
        return name && *name ? name : NULL;
}

static const json_t *entry_body(const struct cx_kubeconfig *config, const char *list, const char *name)
{
        if (!name)
                return NULL;
        const json_t *entry = cx_json_find(json_object_get(config->merged, list), "name", name);
        const json_t *body = json_object_get(entry, member_of(list));
        return json_is_object(body) ? body : NULL;
}

const json_t *cx_kubeconfig_cluster(const struct cx_kubeconfig *config, const char *name)
{
        return entry_body(config, "clusters", name);
}

const json_t *cx_kubeconfig_user(const struct cx_kubeconfig *config, const char *name)
{
        return entry_body(config, "users", name);
}

const json_t *cx_kubeconfig_context(const struct cx_kubeconfig *config, const char *name)
{
        return entry_body(config, "contexts", name);
}

// New things go to the first file that exists, else to the last of the list, as upstream chooses.
static struct cx_kubeconfig_file *default_file(struct cx_kubeconfig *config)
{
        for (size_t i = 0; i < config->n_files; i++)
                if (config->files[i].exists)
                        return &config->files[i];
        return config->n_files ? &config->files[config->n_files - 1] : NULL;
}

bool cx_kubeconfig_set(struct cx_kubeconfig *config, const char *list, const char *name, json_t *body_steal)
{
        json_auto_t *body = body_steal;
        const char *member = member_of(list);
        for (size_t i = 0; i < config->n_files && member; i++) {
                struct cx_kubeconfig_file *file = &config->files[i];
                json_t *entries = json_object_get(file->document, list);
                json_t *entry = cx_json_find(entries, "name", name);
                if (!entry)
                        continue;
                file->changed = true;
                if (body) {
                        json_object_set(entry, member, body);
                } else {
                        for (size_t j = json_array_size(entries); j-- > 0;)
                                if (json_array_get(entries, j) == entry)
                                        json_array_remove(entries, j);
                }
                merge(config);
                return true;
        }
        struct cx_kubeconfig_file *file = default_file(config);
        if (!body || !file || !member)
                return false;
        json_t *entries = json_object_get(file->document, list);
        if (!json_is_array(entries))
                json_object_set_new(file->document, list, entries = json_array());
        size_t at = 0; // upstream writes them sorted
        while (at < json_array_size(entries) &&
               strcmp(cx_json_string_or(json_array_get(entries, at), "name", ""), name) < 0)
                at++;
        json_array_insert_new(entries, at, json_pack("{s:s, s:O}", "name", name, member, body));
        file->changed = true;
        merge(config);
        return true;
}

void cx_kubeconfig_set_current(struct cx_kubeconfig *config, const char *context)
{
        // In the first file that exists, where it is found first.
        struct cx_kubeconfig_file *file = default_file(config);
        if (!file)
                return;
        for (size_t i = 0; !context && i < config->n_files; i++)
                if (json_object_get(config->files[i].document, "current-context")) {
                        json_object_set_new(config->files[i].document, "current-context", json_string(""));
                        config->files[i].changed = true;
                }
        json_object_set_new(file->document, "current-context", json_string(cx_str(context)));
        file->changed = true;
        merge(config);
}

// "<path>.lock" keeps other writers out, as upstream does. One left behind by a crash is stale after ten seconds.
static int take_lock(const char *lock, struct cx_error *err)
{
        for (int i = 0; i < 100; i++) {
                int fd = open(lock, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
                if (fd >= 0) {
                        close(fd);
                        return 0;
                }
                if (errno != EEXIST)
                        return cx_error_set(err, -errno, "cannot make %s: %s", lock, strerror(errno));
                struct stat st;
                if (stat(lock, &st) == 0 && cx_time_now() / CX_US_PER_S - st.st_mtim.tv_sec > 10)
                        unlink(lock);
                else
                        usleep(20000);
        }
        return cx_error_set(err, -EBUSY, "%s is held by another process", lock);
}

static int save_file(struct cx_kubeconfig_file *file, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        int r = cx_yaml_dump(file->document, &text, err);
        if (r < 0)
                return r;
        const char *slash = strrchr(file->path, '/');
        if (slash && slash != file->path) {
                CX_CLEANUP(cx_freep) char *folder = cx_strndup(file->path, (size_t)(slash - file->path));
                r = cx_mkdir_all(folder, 0755, err);
                if (r < 0)
                        return r;
        }
        // A symbolic link stays one: its target is replaced.
        CX_CLEANUP(cx_freep) char *real = realpath(file->path, NULL);
        const char *path = real ? real : file->path;
        CX_CLEANUP(cx_freep) char *lock = cx_sprintf("%s.lock", file->path);
        r = take_lock(lock, err);
        if (r < 0)
                return r;
        struct stat st;
        unsigned mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0600;
        r = cx_write_file(path, text.data, text.length, mode, true, err);
        unlink(lock);
        if (r == 0) {
                file->changed = false;
                file->exists = true;
        }
        return r;
}

int cx_kubeconfig_save(struct cx_kubeconfig *config, struct cx_error *err)
{
        for (size_t i = 0; i < config->n_files; i++) {
                if (!config->files[i].changed || !config->files[i].path)
                        continue;
                int r = save_file(&config->files[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}
