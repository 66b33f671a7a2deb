// SPDX-License-Identifier: Apache-2.0
// Running iptables: no shell, bounded time and output.
#include "libcommon/net/iptables.h"

#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <assert.h>

#define TIMEOUT (30 * CX_NS_PER_S)
#define MAX_SAVED ((size_t)256 << 20)
#define LOCK_SECONDS "20"

static const char *program(enum cx_family family, const char *four, const char *six)
{
        return family == CX_IPV6 ? six : four;
}

static int on_rule(enum cx_family family, const char *const *rule, const char *action, struct cx_error *err)
{
        const char *argv[CX_IPTABLES_WORDS + 8] = {
                program(family, "iptables", "ip6tables"), "-w", LOCK_SECONDS, "-t", rule[0], action, rule[1]};
        size_t n = 7;
        for (const char *const *word = rule + 2; *word; word++) {
                assert(n <= CX_IPTABLES_WORDS);
                argv[n++] = *word;
        }
        return cx_run_ok(argv, NULL, err);
}

int cx_iptables_ensure(enum cx_family family, const char *const *rule, bool first, struct cx_error *err)
{
        return on_rule(family, rule, "-C", NULL) == 0 ? 0 : on_rule(family, rule, first ? "-I" : "-A", err);
}

void cx_iptables_remove(enum cx_family family, const char *const *rule)
{
        while (on_rule(family, rule, "-D", NULL) == 0)
                ;
}

bool cx_iptables_has_chain(enum cx_family family, const char *table, const char *chain)
{
        return on_rule(family, (const char *const[]){table, chain, NULL}, "-S", NULL) == 0;
}

static int run(const struct cx_run_options *options, struct cx_buf *out, struct cx_error *err)
{
        CX_BUF problem = CX_BUF_INIT;
        int status = 0;
        int r = cx_run(options, out, &problem, &status, err);
        if (r < 0)
                return r;
        return status ? cx_error_set(err, -EIO, "%s: %s", options->argv[0], problem.data) : 0;
}

int cx_iptables_save(enum cx_family family, const char *table, struct cx_buf *ret_text, struct cx_error *err)
{
        const char *const argv[] = {program(family, "iptables-save", "ip6tables-save"), "-t", table, NULL};
        int r = run(&(struct cx_run_options){.argv = argv, .max_output = MAX_SAVED, .timeout = TIMEOUT}, ret_text, err);
        if (r == 0 && ret_text->length && ret_text->data[ret_text->length - 1] != '\n')
                cx_buf_add_char(ret_text, '\n');
        return r;
}

int cx_iptables_restore(enum cx_family family, const struct cx_buf *text, struct cx_error *err)
{
        const char *const argv[] = {program(family, "iptables-restore", "ip6tables-restore"), "-w", LOCK_SECONDS,
                                    "--noflush", NULL};
        CX_BUF out = CX_BUF_INIT;
        cx_debug(9, "Restoring", "rules", text->data);
        return run(
                &(struct cx_run_options){
                        .argv = argv, .input = text->data, .input_length = text->length, .timeout = TIMEOUT},
                &out, err);
}
