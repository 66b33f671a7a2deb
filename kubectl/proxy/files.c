// SPDX-License-Identifier: Apache-2.0
// Static files of `kubectl proxy --www`. A link leads to what is below the folder, and nowhere else.
#include "kubectl/proxy/message.h"
#include "kubectl/proxy/proxy.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#define SEND_TIMEOUT (60 * CX_NS_PER_S)
#define ENTRIES_MAX 10000

static const char *content_type(const char *path)
{
        static const struct {
                const char *ending, *type;
        } types[] = {{"html", "text/html; charset=utf-8"},
                     {"htm", "text/html; charset=utf-8"},
                     {"css", "text/css; charset=utf-8"},
                     {"js", "text/javascript; charset=utf-8"},
                     {"mjs", "text/javascript; charset=utf-8"},
                     {"json", "application/json"},
                     {"xml", "text/xml; charset=utf-8"},
                     {"txt", "text/plain; charset=utf-8"},
                     {"md", "text/plain; charset=utf-8"},
                     {"svg", "image/svg+xml"},
                     {"png", "image/png"},
                     {"jpg", "image/jpeg"},
                     {"jpeg", "image/jpeg"},
                     {"gif", "image/gif"},
                     {"webp", "image/webp"},
                     {"ico", "image/x-icon"},
                     {"pdf", "application/pdf"},
                     {"wasm", "application/wasm"},
                     {"woff2", "font/woff2"}};
        const char *dot = strrchr(path, '.');
        for (size_t i = 0; dot && i < CX_ARRAY_SIZE(types); i++)
                if (strcasecmp(dot + 1, types[i].ending) == 0)
                        return types[i].type;
        return "application/octet-stream";
}

static void html_escape(const char *text, struct cx_buf *to)
{
        for (; *text; text++) {
                const char *entity = *text == '&'    ? "&amp;"
                                     : *text == '<'  ? "&lt;"
                                     : *text == '>'  ? "&gt;"
                                     : *text == '"'  ? "&#34;"
                                     : *text == '\'' ? "&#39;"
                                                     : NULL;
                if (entity)
                        cx_buf_add(to, entity);
                else
                        cx_buf_add_char(to, *text);
        }
}

static bool list_folder(struct cx_wire *wire, const struct message *request, int fd)
{
        CX_BUF page = CX_BUF_INIT;
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_CLEANUP(cx_closep) int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        DIR *folder = own >= 0 ? fdopendir(own) : NULL;
        if (folder)
                own = -1; // now the folder's
        for (struct dirent *entry; folder && names.count < ENTRIES_MAX && (entry = readdir(folder));) {
                struct stat st;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                bool is_folder = fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s%s", entry->d_name, is_folder ? "/" : "");
                cx_strings_add(&names, name);
        }
        if (folder)
                closedir(folder);
        cx_strings_sort(&names);
        cx_buf_add(&page, "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n");
        for (size_t i = 0; i < names.count; i++) {
                cx_buf_add(&page, strchr(names.items[i], ':') ? "<a href=\"./" : "<a href=\"");
                CX_BUF encoded = CX_BUF_INIT;
                path_encode(names.items[i], &encoded);
                html_escape(encoded.data, &page);
                cx_buf_add(&page, "\">");
                html_escape(names.items[i], &page);
                cx_buf_add(&page, "</a>\n");
        }
        cx_buf_add(&page, "</pre>\n");
        return answer_text(wire, request, 200, "Content-Type: text/html; charset=utf-8\r\n", page.data);
}

static bool send_file(struct cx_wire *wire, const struct message *request, const char *path, int fd,
                      const struct stat *st)
{
        char when[64], block[65536];
        struct tm tm;
        strftime(when, sizeof when, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&st->st_mtime, &tm));
        CX_BUF head = CX_BUF_INIT;
        if (cx_streq(message_header(request, "If-Modified-Since"), when)) {
                cx_buf_printf(&head, "Last-Modified: %s\r\n", when);
                return answer_text(wire, request, 304, head.data, "");
        }
        bool close = request->close || !request->body.ended;
        cx_buf_printf(&head,
                      "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %lld\r\nLast-Modified: %s\r\n"
                      "Connection: %s\r\n\r\n",
                      content_type(path), (long long)st->st_size, when, close ? "close" : "keep-alive");
        if (cx_wire_write_all(wire, head.data, head.length, SEND_TIMEOUT) < 0)
                return false;
        off_t left = strcmp(request->method, "HEAD") == 0 ? 0 : st->st_size;
        while (left > 0) {
                ssize_t n = read(fd, block, left < (off_t)sizeof block ? (size_t)left : sizeof block);
                if (n <= 0 || cx_wire_write_all(wire, block, (size_t)n, SEND_TIMEOUT) < 0)
                        return false; // it has become shorter, or nobody reads
                left -= n;
        }
        return !close;
}

static bool go_to(struct cx_wire *wire, const struct message *request, const char *where)
{
        CX_BUF header = CX_BUF_INIT;
        cx_buf_add(&header, "Location: ");
        path_encode(where, &header);
        cx_buf_add(&header, "\r\n");
        return answer_text(wire, request, 301, header.data, "");
}

bool files_answer(const struct api_proxy *proxy, struct cx_wire *wire, const struct message *request, const char *path)
{
        struct stat st;
        const char *name = path + 1, *last = strrchr(path, '/') + 1;
        if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
                return answer_text(wire, request, 405, "Allow: GET, HEAD\r\n", "Method Not Allowed\n");
        if (strcmp(last, "index.html") == 0)
                return go_to(wire, request, "./");
        CX_CLEANUP(cx_closep)
        int fd = cx_open_beneath(proxy->files, *name ? name : ".", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        if (fd < 0)
                return answer_text(wire, request, fd == -EACCES ? 403 : 404, "",
                                   fd == -EACCES ? "403 Forbidden\n" : "404 page not found\n");
        if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
                if (*last) {
                        CX_CLEANUP(cx_freep) char *where = cx_sprintf("%s/", last);
                        return go_to(wire, request, where);
                }
                CX_CLEANUP(cx_closep)
                int index = cx_open_beneath(fd, "index.html", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
                if (index >= 0 && fstat(index, &st) == 0 && S_ISREG(st.st_mode))
                        return send_file(wire, request, "index.html", index, &st);
                return list_folder(wire, request, fd);
        }
        if (!S_ISREG(st.st_mode)) // a pipe or a device would never end
                return answer_text(wire, request, 404, "", "404 page not found\n");
        return send_file(wire, request, path, fd, &st);
}
