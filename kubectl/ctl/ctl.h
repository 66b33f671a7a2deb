// SPDX-License-Identifier: Apache-2.0
// What every kubectl command works with: the global flags, the connection, the command table, and how errors are shown.
//
// kubectl is one short-lived thread. Errors that carry a Status reason came from the server and are shown with it
// ("Error from server (NotFound): ..."); all others are local and are shown as "error: ...".
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"
#include "libcommon/base/strings.h"
#include "libcommon/client/kubeconfig.h"
#include "libcommon/client/rest.h"
#include "libcommon/format/json.h"

#include <pthread.h>

struct discovery;
struct ctl;
struct command {
        const char *name;
        const char *group;   // heading in the list of commands; NULL: hidden
        const char *summary; // one line
        const char *usage;   // what follows "kubectl NAME" in the usage line
        // Runs with the command's words removed: argv[0] is "kubectl". NULL for a group of subcommands.
        int (*run)(struct ctl *ctl, int argc, char **argv, struct cx_error *err);
        const struct command *subcommands; // ended by an entry without name
        const char *example;               // may be NULL
        const char *aliases;               // other names, with a blank around each; may be NULL
        bool helps;                        // a group that shows its help, whatever follows, and is content
};

struct ctl {
        // Global flags.
        const char *kubeconfig, *context, *cluster, *user, *namespace_flag, *server, *token, *username, *password;
        const char *certificate_authority, *client_certificate, *client_key, *tls_server_name, *as, *as_uid;
        const char *request_timeout, *cache_dir;
        struct cx_strings as_groups;
        bool insecure, help;
        int64_t verbosity;

        const struct command *commands; // all of them
        const struct command *command;  // the one that runs
        // When set, ctl_parse only calls it with the command's flags, and the command does not run.
        void (*on_parse)(struct ctl *ctl, const struct cx_flag *flags, int argc, char **argv);
        void *on_parse_context;
        char path[128];     // its words: "rollout status"
        int status;         // exit code when run returned 0
        int failure_status; // exit code after an error; 0: 1
        json_t *errors;     // reported so far: [text, bare text, position]; shown at the end, by position
        bool bare;          // errors are shown as those of a list, also one alone
        int64_t position;   // in the files, of the object that is worked on: where its errors are shown

        // Made on first use.
        struct cx_kubeconfig config;
        bool config_loaded;
        struct cx_rest *rest;
        char *namespace; // that commands use by default
        struct discovery *discovery;
        pthread_mutex_t warned_lock; // guards warned
        struct cx_strings warned;    // what servers have warned of, each shown once
};

extern const struct cx_flag *ctl_global_flags(struct ctl *ctl);

// Run by a command first: parses its flags; what is left goes to ret_args. For --help prints the help and returns
// -ECANCELED without an error, which the caller passes on.
int ctl_parse(struct ctl *ctl, const struct cx_flag *flags, int argc, char **argv, struct cx_strings *ret_args,
              int *ret_dash, struct cx_error *err) CX_CHECK;
// An error about how the command was called: adds "See 'kubectl X -h' for help and examples".
int ctl_usage_error(struct ctl *ctl, struct cx_error *err, const char *format, ...) CX_PRINTF(3, 4);
// "Unexpected args: [a b]".
int ctl_unexpected_args(struct ctl *ctl, const struct cx_strings *args, struct cx_error *err);
// Keeps an error for the end, when all are shown on standard error, and makes the exit code 1; the work goes on. Releases
// it. One error alone is shown as "error: ..."; of several, those that are not the server's are shown bare, as upstream
// does.
void ctl_report(struct ctl *ctl, struct cx_error *err);
// For commands that work through several objects: an error from the server is reported (0: the work goes on); any other, as
// when there is no server, is moved to err and ends the command.
int ctl_report_or_end(struct ctl *ctl, struct cx_error *failure, struct cx_error *err) CX_CHECK;
void ctl_show_errors(struct ctl *ctl); // those kept
// Makes one error of the first n, when there are others: "[a, b]", as upstream shows a list within a list.
void ctl_join_errors(struct ctl *ctl, size_t n);
void ctl_release(struct ctl *ctl);
// The text that is shown for an error, with its prefix and newline.
void ctl_error_text(const struct ctl *ctl, const struct cx_error *err, struct cx_buf *to);

// --- help.c
void help_root(const struct command *commands, struct cx_buf *to);
void help_command(const struct ctl *ctl, const struct cx_flag *flags, struct cx_buf *to);
void help_unknown(const char *word, const char *path, const struct command *among, struct cx_buf *to);

// --- connection.c
int ctl_config(struct ctl *ctl, struct cx_error *err) CX_CHECK;  // loads ctl->config
int ctl_connect(struct ctl *ctl, struct cx_error *err) CX_CHECK; // makes ctl->rest and ctl->namespace
struct ctl_call {
        const char *method, *path, *accept, *content_type;
        const void *body;
        size_t length;
        int (*on_data)(void *context, const struct cx_http_reply *reply, const char *data, size_t length);
        void *context;
        bool endless;       // not ended by --request-timeout
        const bool *cancel; // set by another thread to end it; may be NULL
};
// Puts a failed connection to a URL into kubectl's words. Returns r.
int ctl_explain_failure(const char *url, int r, struct cx_error *err);
// One request; prints Warning headers; logs with -v. Connects first when needed.
int ctl_call(struct ctl *ctl, const struct ctl_call *call, struct cx_http_reply *ret_reply, struct cx_error *err)
        CX_CHECK;
// JSON both ways. `body` and `ret_object` may be NULL.
int ctl_json(struct ctl *ctl, const char *method, const char *path, const char *content_type, const json_t *body,
             json_t **ret_object, struct cx_error *err) CX_CHECK;
// The headers by which a request is made for somebody else. The user is among them when it goes past cx_rest (`direct`),
// which adds that one itself.
void ctl_impersonation(struct ctl *ctl, bool direct, const char *headers[32], struct cx_buf *storage);
void ctl_log_warning(const char *text); // on standard error, in klog's form
// A watch: calls `event` with each event until it returns non-zero (returned; positive is success), the server ends the
// stream (0) or it breaks.
int ctl_watch(struct ctl *ctl, const char *path, const char *accept,
              int (*event)(void *context, const char *type, json_t *object), void *context, struct cx_error *err)
        CX_CHECK;

// The same, ended by another thread, too (-ECANCELED).
int ctl_watch_until(struct ctl *ctl, const char *path, const char *accept,
                    int (*event)(void *context, const char *type, json_t *object), void *context, const bool *cancel,
                    struct cx_error *err) CX_CHECK;

#define OUT(...) ((void)printf(__VA_ARGS__))
enum { DRY_NONE, DRY_CLIENT, DRY_SERVER }; // of --dry-run
// "none", "client", "server" and what older scripts say.
int dry_run_parse(const char *text, int *ret_mode, struct cx_error *err) CX_CHECK;
#define DRY_RUN_FLAG(target)                                                                                           \
        {                                                                                                              \
                "dry-run", 0, CX_FLAG_STRING, (target),                                                                \
                        "Must be \"none\", \"client\" (only print) or \"server\" (submit without persisting).",        \
                        "unchanged"                                                                                    \
        }
static inline const char *dry_run_suffix(int mode)
{
        return mode == DRY_CLIENT ? " (dry run)" : mode == DRY_SERVER ? " (server dry run)" : "";
}
