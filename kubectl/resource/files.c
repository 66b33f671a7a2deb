// SPDX-License-Identifier: Apache-2.0
// Reads what -f names: files, folders (*.yaml, *.yml, *.json), http(s) URLs and standard input.
#include "kubectl/kustomize/kustomize.h"
#include "kubectl/resource/builder.h"
#include "libcommon/format/yaml.h"

#include <dirent.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE ((size_t)64 << 20)
#define MAX_DOCUMENTS 1000000

static int read_url(const char *url, struct cx_buf *to, struct cx_error *err)
{
        CX_CLEANUP(cx_http_client_freep) struct cx_http_client *client = NULL;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = cx_http_client_new(&(struct cx_http_client_options){0}, &client, err);
        if (r == 0)
                r = cx_http_do(client,
                               &(struct cx_http_call){
                                       .path = url, .accept = "*/*", .follow_redirects = true, .max_reply = MAX_FILE},
                               &reply, err);
        if (r < 0)
                return ctl_explain_failure(url, r, err);
        if (reply.code != 200)
                return cx_error_set(err, -EIO, "unable to read URL \"%s\", server reported %d, status code=%d", url,
                                    reply.code, reply.code);
        cx_buf_append(to, reply.body.data, reply.body.length);
        return 0;
}

int file_read_text(struct ctl *ctl CX_UNUSED, const char *name, struct cx_buf *to, struct cx_error *err)
{
        if (strcmp(name, "-") == 0) {
                int r = cx_buf_read_fd(to, STDIN_FILENO);
                return r < 0 ? cx_error_set(err, r, "cannot read standard input: %s", strerror(-r)) : 0;
        }
        if (cx_has_prefix(name, "http://") || cx_has_prefix(name, "https://"))
                return read_url(name, to, err);
        int r = cx_buf_read_file(to, name);
        if (r == -ENOENT)
                return cx_error_set(err, r, "the path \"%s\" does not exist", name);
        return r < 0 ? cx_error_set(err, r, "open %s: %s", name, strerror(-r)) : 0;
}

void documents_release(struct input_documents *documents)
{
        for (size_t i = 0; i < documents->count; i++) {
                json_decref(documents->items[i].object);
                free(documents->items[i].source);
                cx_error_release(&documents->items[i].failure);
        }
        free(documents->items);
        *documents = (struct input_documents){0};
}

static struct input_document *add_document(struct input_documents *documents, const char *source)
{
        documents->items = cx_realloc_array(documents->items, documents->count + 1, sizeof *documents->items);
        struct input_document *document = &documents->items[documents->count++];
        *document = (struct input_document){.source = cx_strdup(source), .failure = CX_ERROR_INIT};
        return document;
}

// The documents of a text that is read as a whole: JSON, or one document of YAML. false: it ended badly.
static bool take_text(const char *text, size_t length, const char *source, struct input_documents *documents)
{
        static const char prefix[] = "invalid YAML at ";
        json_auto_t *list = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        int r = cx_yaml_parse_lax(text, length, &list, &why);
        if (r < 0) {
                const char *words = cx_error_text(&why);
                words += cx_has_prefix(words, prefix) ? strlen(prefix) : 0;
                if (cx_has_prefix(words, "line 1, ") && strchr(words, ':')) // of the first line nothing is said
                        words = strchr(words, ':') + 2;
                cx_error_set(&add_document(documents, source)->failure, r,
                             "error parsing %s: error converting YAML to JSON: yaml: %s", source, words);
                return false;
        }
        size_t i;
        json_t *object;
        json_array_foreach (list, i, object)
                if (!json_is_null(object))
                        add_document(documents, source)->object = json_incref(object);
        return true;
}

// The length of the JSON object that a text begins with; 0 when it does not end.
static size_t object_length(const char *text, size_t length)
{
        size_t depth = 0;
        bool quoted = false;
        for (size_t i = 0; i < length; i++) {
                if (quoted) {
                        i += text[i] == '\\';
                        quoted = i < length && text[i] != '"';
                        continue;
                }
                quoted = text[i] == '"';
                depth += text[i] == '{' || text[i] == '[';
                if ((text[i] == '}' || text[i] == ']') && --depth == 0)
                        return i + 1;
        }
        return 0;
}

static size_t blanks(const char *text)
{
        return strspn(text, " \t\r\n");
}

// A text that begins with two JSON objects and nothing between them goes on so to its end. false: it is another one.
static bool take_objects(const char *text, size_t length, const char *source, struct input_documents *documents)
{
        const char *end = text + length;
        text += blanks(text);
        size_t first = *text == '{' ? object_length(text, (size_t)(end - text)) : 0;
        if (!first || text[first + blanks(text + first)] != '{')
                return false;
        while (*text == '{' && documents->count <= MAX_DOCUMENTS) {
                size_t n = object_length(text, (size_t)(end - text));
                if (!n)
                        cx_error_set(&add_document(documents, source)->failure, -EINVAL,
                                     "error parsing %s: unexpected EOF", source);
                if (!n || !take_text(text, n, source, documents))
                        return true;
                text += n + blanks(text + n);
        }
        if (text < end && *text != '{')
                cx_error_set(&add_document(documents, source)->failure, -EINVAL,
                             "error parsing %s: invalid character '%c' %s", source, *text,
                             *text == '-' ? "in numeric literal" : "looking for beginning of value");
        return true;
}

// Documents are separated by lines that begin with "---" before any of them is looked at, so that those before a broken
// one are read, and lines are counted from the document's own beginning.
static int read_one(struct ctl *ctl, const char *name, struct input_documents *documents, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        int r = file_read_text(ctl, name, &text, err);
        if (r < 0)
                return r;
        const char *source = strcmp(name, "-") == 0 ? "STDIN" : name;
        const char *begin = text.data, *end = text.data + text.length;
        bool objects = take_objects(begin, text.length, source, documents);
        bool object = !objects && begin[blanks(begin)] == '{';
        if (object)
                (void)take_text(begin, text.length, source, documents);
        if (objects || object)
                return documents->count > MAX_DOCUMENTS
                               ? cx_error_set(err, -E2BIG, "more than %d documents", MAX_DOCUMENTS)
                               : 0;
        while (begin < end) {
                const char *next = cx_has_prefix(begin, "---") ? begin : strstr(begin, "\n---");
                if (!take_text(begin, (size_t)((next ? next : end) - begin), source, documents) || !next)
                        break;
                begin = strchrnul(next + 1, '\n'); // past the separator
                begin += *begin != 0;
                if (documents->count > MAX_DOCUMENTS)
                        return cx_error_set(err, -E2BIG, "more than %d documents", MAX_DOCUMENTS);
        }
        return 0;
}

static bool is_manifest(const char *name)
{
        return cx_has_suffix(name, ".yaml") || cx_has_suffix(name, ".yml") || cx_has_suffix(name, ".json");
}

static int read_folder(struct ctl *ctl, const char *path, bool recursive, int depth, struct input_documents *documents,
                       struct cx_error *err)
{
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort), r = 0;
        if (n < 0)
                return cx_error_set(err, -errno, "open %s: %s", path, strerror(errno));
        for (int i = 0; i < n; i++) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s/%s", path, entries[i]->d_name);
                struct stat st;
                bool dots = strcmp(entries[i]->d_name, ".") == 0 || strcmp(entries[i]->d_name, "..") == 0;
                free(entries[i]);
                if (r < 0 || dots || stat(name, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode) && recursive && depth < 64)
                        r = read_folder(ctl, name, recursive, depth + 1, documents, err);
                else if (S_ISREG(st.st_mode) && is_manifest(name))
                        r = read_one(ctl, name, documents, err);
        }
        free(entries);
        return r;
}

static int read_path(struct ctl *ctl, const struct builder *builder, const char *name,
                     struct input_documents *documents, struct cx_error *err)
{
        struct stat st;
        bool local = strcmp(name, "-") != 0 && !strstr(name, "://");
        if (!local)
                return read_one(ctl, name, documents, err);
        if (stat(name, &st) < 0) {
                glob_t found = {0};
                int r = 0;
                if (glob(name, 0, NULL, &found) == 0 && found.gl_pathc && strpbrk(name, "*?[")) {
                        for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
                                r = read_path(ctl, builder, found.gl_pathv[i], documents, err);
                        globfree(&found);
                        return r;
                }
                globfree(&found);
                return cx_error_set(err, -ENOENT, "the path \"%s\" does not exist", name);
        }
        if (!S_ISDIR(st.st_mode))
                return read_one(ctl, name, documents, err);
        CX_CLEANUP(cx_freep) char *folder = cx_strdup(name);
        for (size_t length = strlen(folder); length > 1 && folder[length - 1] == '/';)
                folder[--length] = 0;
        size_t before = documents->count;
        int r = read_folder(ctl, folder, builder->recursive, 0, documents, err);
        if (r == 0 && documents->count == before)
                return cx_error_set(err, -ENOENT,
                                    "error reading [%s]: recognized file extensions are [.json .yaml .yml]", name);
        return r;
}

static int read_kustomization(const char *folder, struct input_documents *documents, struct cx_error *err)
{
        const struct kustomize_options options = {.sorted = true};
        json_auto_t *objects = NULL;
        size_t i;
        json_t *object;
        int r = kustomize_build(folder, &options, &objects, err);
        json_array_foreach (objects, i, object)
                add_document(documents, folder)->object = json_incref(object);
        return r;
}

int files_read(struct ctl *ctl, const struct builder *builder, struct input_documents *ret_documents,
               struct cx_error *err)
{
        if (builder->kustomize && builder->files.count)
                return cx_error_set(err, -EINVAL, "only one of -f or -k can be specified");
        if (builder->kustomize && builder->recursive)
                return cx_error_set(err, -EINVAL, "the -k flag can't be used with -f or -R");
        if (builder->kustomize)
                return read_kustomization(builder->kustomize, ret_documents, err);
        for (size_t i = 0; i < builder->files.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                int r = read_path(ctl, builder, builder->files.items[i], ret_documents, &failure);
                // A name that is not a file ends it all; of files that cannot be read, the others are still used.
                if (r < 0 && (builder->files.count == 1 || r == -ENOENT))
                        return cx_error_move(err, &failure);
                if (r < 0)
                        ctl_report(ctl, &failure);
        }
        return 0;
}
