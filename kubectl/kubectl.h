// SPDX-License-Identifier: Apache-2.0
// What every kubectl command works with: the global flags, the connection, the command table, and how errors are shown.
//
// kubectl is one short-lived thread. Errors that carry a Status reason came from the server and are shown with it
// ("Error from server (NotFound): ..."); all others are local and are shown as "error: ...".
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/flags.h"
#include "client/kubeconfig.h"
#include "client/rest.h"
#include "format/json.h"

struct cx_discovery;
struct cx_ctl;
struct cx_command {
        const char *name;
        const char *group;   // heading in the list of commands; NULL: hidden
        const char *summary; // one line
        const char *usage;   // what follows "kubectl NAME" in the usage line
        // Runs with the command's words removed: argv[0] is "kubectl". NULL for a group of subcommands.
        int (*run)(struct cx_ctl *ctl, int argc, char **argv, struct cx_error *err);
        const struct cx_command *subcommands; // ended by an entry without name
        const char *example;                  // may be NULL
        const char *aliases;                  // other names, with a blank around each; may be NULL
};

struct cx_ctl {
        // Global flags.
        const char *kubeconfig, *context, *cluster, *user, *namespace_flag, *server, *token, *username, *password;
        const char *certificate_authority, *client_certificate, *client_key, *tls_server_name, *as, *as_uid;
        const char *request_timeout, *cache_dir;
        struct cx_strings as_groups;
        bool insecure, help;
        int64_t verbosity;

        const struct cx_command *command; // the one that runs
        char path[128];                   // its words: "rollout status"
        int status;                       // exit code when run returned 0
        json_t *errors;                   // reported so far: [text, bare text]; shown at the end

        // Made on first use.
        struct cx_kubeconfig config;
        bool config_loaded;
        struct cx_rest *rest;
        char *namespace; // that commands use by default
        struct cx_discovery *discovery;
};

extern const struct cx_command cx_commands[];
extern const struct cx_flag *cx_ctl_global_flags(struct cx_ctl *ctl);

// Run by a command first: parses its flags; what is left goes to ret_args. For --help prints the help and returns
// -ECANCELED without an error, which the caller passes on.
int cx_ctl_parse(struct cx_ctl *ctl, const struct cx_flag *flags, int argc, char **argv, struct cx_strings *ret_args,
                 int *ret_dash, struct cx_error *err) CX_CHECK;
// An error about how the command was called: adds "See 'kubectl X -h' for help and examples".
int cx_ctl_usage_error(struct cx_ctl *ctl, struct cx_error *err, const char *format, ...) CX_PRINTF(3, 4);
// Keeps an error for the end, when all are shown on standard error, and makes the exit code 1; the work goes on. Releases
// it. One error alone is shown as "error: ..."; of several, those that are not the server's are shown bare, as upstream
// does.
void cx_ctl_report(struct cx_ctl *ctl, struct cx_error *err);
// For commands that work through several objects: an error from the server is reported (0: the work goes on); any other, as
// when there is no server, is moved to err and ends the command.
int cx_ctl_report_or_end(struct cx_ctl *ctl, struct cx_error *failure, struct cx_error *err) CX_CHECK;
void cx_ctl_show_errors(struct cx_ctl *ctl); // those kept
void cx_ctl_release(struct cx_ctl *ctl);
// The text that is shown for an error, with its prefix and newline.
void cx_ctl_error_text(const struct cx_ctl *ctl, const struct cx_error *err, struct cx_buf *to);

// --- help.c
void cx_help_root(struct cx_buf *to);
void cx_help_command(const struct cx_ctl *ctl, const struct cx_flag *flags, struct cx_buf *to);
void cx_help_unknown(const char *word, const char *path, const struct cx_command *among, struct cx_buf *to);

// --- connection.c
int cx_ctl_config(struct cx_ctl *ctl, struct cx_error *err) CX_CHECK;  // loads ctl->config
int cx_ctl_connect(struct cx_ctl *ctl, struct cx_error *err) CX_CHECK; // makes ctl->rest and ctl->namespace
struct cx_ctl_call {
        const char *method, *path, *accept, *content_type;
        const void *body;
        size_t length;
        int (*on_data)(void *context, const struct cx_http_reply *reply, const char *data, size_t length);
        void *context;
        bool endless; // not ended by --request-timeout
};
// Puts a failed connection to a URL into kubectl's words. Returns r.
int cx_ctl_explain_failure(const char *url, int r, struct cx_error *err);
// One request; prints Warning headers; logs with -v. Connects first when needed.
int cx_ctl_call(struct cx_ctl *ctl, const struct cx_ctl_call *call, struct cx_http_reply *ret_reply,
                struct cx_error *err) CX_CHECK;
// JSON both ways. `body` and `ret_object` may be NULL.
int cx_ctl_json(struct cx_ctl *ctl, const char *method, const char *path, const char *content_type, const json_t *body,
                json_t **ret_object, struct cx_error *err) CX_CHECK;
void cx_ctl_impersonation(struct cx_ctl *ctl, const char *headers[32], struct cx_buf *storage);
// A watch: calls `event` with each event until it returns non-zero (returned; positive is success), the server ends the
// stream (0) or it breaks.
int cx_ctl_watch(struct cx_ctl *ctl, const char *path, const char *accept,
                 int (*event)(void *context, const char *type, json_t *object), void *context, struct cx_error *err)
        CX_CHECK;

#define CX_OUT(...) ((void)printf(__VA_ARGS__))
enum { CX_DRY_NONE, CX_DRY_CLIENT, CX_DRY_SERVER }; // of --dry-run
// "none", "client", "server" and what older scripts say.
int cx_dry_run_parse(const char *text, int *ret_mode, struct cx_error *err) CX_CHECK;
#define CX_DRY_RUN_FLAG(target)                                                                                        \
        {                                                                                                              \
                "dry-run", 0, CX_FLAG_STRING, (target),                                                                \
                        "Must be \"none\", \"client\" (only print) or \"server\" (submit without persisting).",        \
                        "unchanged"                                                                                    \
        }
static inline const char *cx_dry_run_suffix(int mode)
{
        return mode == CX_DRY_CLIENT ? " (dry run)" : mode == CX_DRY_SERVER ? " (server dry run)" : "";
}
