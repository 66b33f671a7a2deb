// SPDX-License-Identifier: Apache-2.0
// minikube dashboard: a link that logs in as the profile's administrator, once and within a minute. The credentials go to
// the dashboard over a socket in the profile's folder, which nobody else can enter; the link holds only what it gave for
// them, behind the "#", where no server and no log gets to see it.
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/addons.h"
#include "minikube/certs.h"
#include "minikube/commands.h"
#include "minikube/out.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PAUSE_MS 25
#define OPEN_TIMEOUT (10 * CX_NS_PER_S)

// By way of the folder's descriptor: a socket's path is short, a profile's may be long.
static int connect_once(const struct profile *profile, int *ret_fd)
{
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "run");
        CX_CLEANUP(cx_closep) int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (folder < 0)
                return -errno;
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/dashboard.sock", folder);
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
                return -errno;
        *ret_fd = cx_steal_fd(&fd);
        return 0;
}

// The dashboard may just be starting.
static int connect_until(const struct minikube *m, int *ret_fd, struct cx_error *err)
{
        int64_t deadline = cx_time_monotonic() + m->wait_timeout;
        for (;;) {
                int r = connect_once(&m->profile, ret_fd);
                if (r == 0)
                        return 0;
                if (cx_time_monotonic() > deadline)
                        return cx_error_set(err, r, "the dashboard does not answer (%s); see its log in %s/logs",
                                            strerror(-r), m->profile.folder);
                (void)poll(NULL, 0, PAUSE_MS);
        }
}

static int read_credentials(const struct profile *profile, char **ret_text, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cert_path = profile_path(profile, "certs/admin.crt");
        CX_CLEANUP(cx_freep) char *key_path = profile_path(profile, "certs/admin.key");
        CX_CLEANUP(cx_freep) char *cert = NULL, *key = NULL;
        int r = certs_read(cert_path, &cert, err);
        if (r == 0)
                r = certs_read(key_path, &key, err);
        if (r < 0)
                return r;
        json_auto_t *json = json_pack("{s:s,s:s}", "certificate", cert, "key", key);
        *ret_text = cx_json_text(json);
        return 0;
}

static int exchange(int fd, const char *text, char **ret_code, struct cx_error *err)
{
        CX_BUF answer = CX_BUF_INIT_MAX(65536);
        json_auto_t *json = NULL;
        size_t length = strlen(text);
        ssize_t n = 0;
        for (size_t sent = 0; sent < length && n >= 0; sent += n > 0 ? (size_t)n : 0)
                n = send(fd, text + sent, length - sent, MSG_NOSIGNAL);
        int r = n < 0 || shutdown(fd, SHUT_WR) < 0 ? -errno : cx_buf_read_fd(&answer, fd);
        if (r < 0)
                return cx_error_set(err, r, "the dashboard: %s", strerror(-r));
        r = cx_json_parse(answer.data, answer.length, true, &json, err);
        const char *code = json_string_value(json_object_get(json, "code"));
        if (r == 0 && !code)
                r = cx_error_set(err, -EPROTO, "the dashboard: %s", cx_json_string_or(json, "error", "no code"));
        if (r == 0)
                *ret_code = cx_strdup(code);
        return r;
}

static int make_link(const struct minikube *m, char **ret_link, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = -1;
        CX_CLEANUP(cx_freep) char *credentials = NULL, *code = NULL;
        CX_CLEANUP(cx_freep) char *address = node_address(&m->profile, 0);
        int r = connect_until(m, &fd, err);
        if (r == 0)
                r = read_credentials(&m->profile, &credentials, err);
        if (r == 0)
                r = exchange(fd, credentials, &code, err);
        if (r == 0)
                *ret_link = cx_sprintf("https://%s:%d/#/login?code=%s", address, DASHBOARD_PORT, code);
        return r;
}

// By way of a file that nobody else can read: the words of a command are there for everybody on the machine to see, and
// whoever is quicker than the browser is the administrator.
static bool open_browser(const struct profile *profile, const char *link)
{
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "run/dashboard.html");
        CX_CLEANUP(cx_freep) char *address = cx_sprintf("file://%s", path);
        CX_CLEANUP(cx_freep)
        char *page = cx_sprintf("<!doctype html><meta http-equiv=\"refresh\" content=\"0;url=%s\">\n", link);
        const char *const argv[] = {"xdg-open", address, NULL};
        const struct cx_run_options options = {.argv = argv, .timeout = OPEN_TIMEOUT};
        CX_ERROR err = CX_ERROR_INIT;
        int status = 0;
        if (cx_write_file(path, page, strlen(page), 0600, false, &err) < 0)
                return false;
        return cx_run(&options, NULL, NULL, &status, &err) == 0 && status == 0;
}

int command_dashboard(struct minikube *m, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *link = NULL;
        int r = need_running(m, err);
        if (r == 0 && !addon_is_on(&m->profile, "dashboard")) {
                out(stderr, "🔌  Enabling dashboard ...\n");
                r = addon_set(m, "dashboard", true, err);
        }
        if (r == 0)
                out(stderr, "🤔  Verifying dashboard health ...\n");
        if (r == 0)
                r = make_link(m, &link, err);
        if (r < 0)
                return r;
        if (m->url) {
                printf("%s\n", link);
        } else if (open_browser(&m->profile, link)) {
                out(stderr, "🎉  Opened the dashboard in your default browser\n");
        } else {
                out(stderr, "👉  No browser could be opened from here. Open this link yourself, within a minute; it "
                            "works once:\n");
                printf("%s\n", link);
        }
        return 0;
}
