// SPDX-License-Identifier: Apache-2.0
// The kernel's rules: saved, compared, written.
#include "kube-proxy/apply.h"

#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/net/iptables.h"

#define TIMEOUT (30 * CX_NS_PER_S)

static const char *const table_names[TABLE_COUNT] = {"nat", "filter"};

struct applier {
        struct cx_map written[TABLE_COUNT]; // what is in the kernel: name -> char *
        bool known;                         // `written` is right
};

struct applier *applier_new(void)
{
        struct applier *self = cx_alloc(sizeof *self);
        for (int table = 0; table < TABLE_COUNT; table++)
                self->written[table].free_value = free;
        return self;
}

void applier_free(struct applier *self)
{
        if (!self)
                return;
        for (int table = 0; table < TABLE_COUNT; table++)
                cx_map_release(&self->written[table]);
        free(self);
}

void applier_forget(struct applier *self)
{
        self->known = false;
}

// --- the output of iptables-save ---

struct saved {
        struct cx_strings chains[TABLE_COUNT]; // those whose names begin with KUBE-
        bool jumps[64];                        // by rule_jumps
};

static void saved_release(struct saved *saved)
{
        for (int table = 0; table < TABLE_COUNT; table++)
                cx_strings_release(&saved->chains[table]);
}

static int table_of(const char *line)
{
        for (int table = 0; table < TABLE_COUNT; table++)
                if (strcmp(line + 1, table_names[table]) == 0)
                        return table;
        return -1;
}

static bool is_jump(const char *line, const struct jump *jump)
{
        CX_CLEANUP(cx_freep) char *start = cx_sprintf("-A %s ", jump->from), *end = cx_sprintf(" -j %s", jump->to);
        return cx_has_prefix(line, start) && cx_has_suffix(line, end);
}

static void parse_saved_line(const char *line, int *table, struct saved *to)
{
        if (*line == '*') {
                *table = table_of(line);
        } else if (*table >= 0 && cx_has_prefix(line, ":KUBE-")) {
                cx_strings_add_length(&to->chains[*table], line + 1, strcspn(line + 1, " "));
        } else if (*table >= 0 && *line == '-' && strstr(line, " -j KUBE-")) {
                for (size_t i = 0; i < n_rule_jumps; i++)
                        if (rule_jumps[i].table == *table && is_jump(line, &rule_jumps[i]))
                                to->jumps[i] = true;
        }
}

static void for_lines(const char *text, void (*each)(const char *line, int *table, void *context), void *context)
{
        int table = -1;
        while (*text) {
                size_t length = strcspn(text, "\n");
                CX_CLEANUP(cx_freep) char *line = cx_strndup(text, length);
                each(line, &table, context);
                text += length + (text[length] == '\n');
        }
}

static void each_saved(const char *line, int *table, void *context)
{
        parse_saved_line(line, table, context);
}

// --- texts ---

static void declare(struct cx_buf *to, const char *chain)
{
        cx_buf_printf(to, ":%s - [0:0]\n", chain);
}

static void write_all(int table, const struct saved *saved, const struct ruleset *rules, struct cx_buf *to)
{
        const struct cx_map *chains = &rules->chains[table];
        CX_BUF deletions = CX_BUF_INIT;
        CX_MAP_FOREACH (chains, entry)
                declare(to, entry->key);
        for (size_t i = 0; i < saved->chains[table].count; i++) {
                const char *name = saved->chains[table].items[i];
                if (!is_service_chain(name) || cx_map_has(chains, name))
                        continue;
                declare(to, name);
                cx_buf_printf(&deletions, "-X %s\n", name);
        }
        CX_MAP_FOREACH (chains, entry)
                cx_buf_add(to, entry->value);
        for (size_t i = 0; i < n_rule_jumps; i++)
                if (rule_jumps[i].table == table && !saved->jumps[i])
                        cx_buf_printf(to, "-I %s 1 %s -m comment --comment \"kubernetes\" -j %s\n", rule_jumps[i].from,
                                      rule_jumps[i].match, rule_jumps[i].to);
        cx_buf_append(to, deletions.data, deletions.length);
}

static void write_changes(const struct cx_map *written, const struct cx_map *chains, struct cx_buf *to)
{
        CX_BUF text = CX_BUF_INIT;
        CX_MAP_FOREACH (chains, entry) {
                const char *old = cx_map_get(written, entry->key);
                if (old && strcmp(old, entry->value) == 0)
                        continue;
                declare(to, entry->key);
                cx_buf_add(&text, entry->value);
        }
        CX_MAP_FOREACH (written, entry) {
                if (cx_map_has(chains, entry->key))
                        continue;
                declare(to, entry->key);
                cx_buf_printf(&text, "-X %s\n", entry->key);
        }
        cx_buf_append(to, text.data, text.length);
}

void applier_difference(const struct cx_map written[TABLE_COUNT], const char *saved, const struct ruleset *rules,
                        struct cx_buf *to)
{
        CX_CLEANUP(saved_release) struct saved parsed = {0};
        if (!written)
                for_lines(saved, each_saved, &parsed);
        for (int table = 0; table < TABLE_COUNT; table++) {
                CX_BUF text = CX_BUF_INIT;
                if (written)
                        write_changes(&written[table], &rules->chains[table], &text);
                else
                        write_all(table, &parsed, rules, &text);
                if (text.length)
                        cx_buf_printf(to, "*%s\n%sCOMMIT\n", table_names[table], text.data);
        }
}

// --- the kernel ---

static int save(struct cx_buf *ret_text, struct cx_error *err)
{
        int r = 0;
        for (int table = 0; table < TABLE_COUNT && r == 0; table++)
                r = cx_iptables_save(CX_IPV4, table_names[table], ret_text, err);
        return r;
}

static size_t count_rules(const char *text)
{
        size_t n = 0;
        for (const char *p = text; (p = strstr(p, "\n-")); p++) // declarations begin otherwise
                n++;
        return n;
}

int applier_apply(struct applier *self, struct ruleset *rules, size_t *ret_written, struct cx_error *err)
{
        CX_BUF saved = CX_BUF_INIT, text = CX_BUF_INIT;
        int r = 0;
        if (!self->known)
                r = save(&saved, err);
        if (r == 0) {
                applier_difference(self->known ? self->written : NULL, saved.data, rules, &text);
                r = text.length ? cx_iptables_restore(CX_IPV4, &text, err) : 0;
                *ret_written = count_rules(text.data);
        }
        self->known = r == 0;
        if (r < 0)
                return r;
        for (int table = 0; table < TABLE_COUNT; table++) {
                cx_map_release(&self->written[table]);
                self->written[table] = rules->chains[table];
                rules->chains[table] = (struct cx_map)CX_MAP_INIT_FREE(free);
        }
        return 0;
}

bool applier_intact(void)
{
        for (int table = 0; table < TABLE_COUNT; table++)
                if (!cx_iptables_has_chain(CX_IPV4, table_names[table], "KUBE-PROXY-CANARY"))
                        return false;
        return true;
}

// --- cleanup ---

struct cleanup {
        struct cx_buf declarations[TABLE_COUNT], jumps[TABLE_COUNT], deletions[TABLE_COUNT];
};

static void each_cleanup(const char *line, int *table, void *context)
{
        struct cleanup *cleanup = context;
        if (*line == '*') {
                *table = table_of(line);
        } else if (*table >= 0 && cx_has_prefix(line, ":KUBE-") && !cx_has_prefix(line, ":KUBE-KUBELET")) {
                CX_CLEANUP(cx_freep) char *name = cx_strndup(line + 1, strcspn(line + 1, " "));
                declare(&cleanup->declarations[*table], name);
                cx_buf_printf(&cleanup->deletions[*table], "-X %s\n", name);
        } else if (*table >= 0 && cx_has_prefix(line, "-A ") && !cx_has_prefix(line, "-A KUBE-") &&
                   strstr(line, " -j KUBE-")) {
                cx_buf_printf(&cleanup->jumps[*table], "-D %s\n", line + 3);
        }
}

void applier_cleanup_text(const char *saved, struct cx_buf *to)
{
        struct cleanup cleanup;
        for (int table = 0; table < TABLE_COUNT; table++)
                cleanup.declarations[table] = cleanup.jumps[table] = cleanup.deletions[table] =
                        (struct cx_buf)CX_BUF_INIT;
        for_lines(saved, each_cleanup, &cleanup);
        for (int table = 0; table < TABLE_COUNT; table++) {
                if (cleanup.declarations[table].length)
                        cx_buf_printf(to, "*%s\n%s%s%sCOMMIT\n", table_names[table], cleanup.declarations[table].data,
                                      cleanup.jumps[table].data, cleanup.deletions[table].data);
                cx_buf_release(&cleanup.declarations[table]);
                cx_buf_release(&cleanup.jumps[table]);
                cx_buf_release(&cleanup.deletions[table]);
        }
}

int applier_cleanup(struct cx_error *err)
{
        CX_BUF saved = CX_BUF_INIT, text = CX_BUF_INIT;
        int r = save(&saved, err);
        if (r < 0)
                return r;
        applier_cleanup_text(saved.data, &text);
        return text.length ? cx_iptables_restore(CX_IPV4, &text, err) : 0;
}

// --- connection tracking ---

#define MANY 32 // endpoints that are gone at once: then all that is not answered is forgotten

// It says 1 when there was nothing to forget.
static void forget(const char *const *argv, const char *what)
{
        CX_BUF out = CX_BUF_INIT, problem = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int status;
        if (cx_run(&(struct cx_run_options){.argv = argv, .timeout = TIMEOUT}, &out, &problem, &status, &err) < 0)
                cx_err(&err, "Cannot clean connection tracking", "address", what);
}

static void forget_udp(const char *address, const char *endpoint)
{
        bool node_port = *address == ':';
        const char *argv[12] = {"conntrack",
                                "-D",
                                "-f",
                                "ipv4",
                                "-p",
                                "udp",
                                node_port ? "--orig-port-dst" : "--orig-dst",
                                node_port ? address + 1 : address};
        if (endpoint) {
                argv[8] = "--dst-nat";
                argv[9] = endpoint;
        }
        forget(argv, address);
}

// What is not answered by an endpoint; NULL: by any.
static void forget_unanswered(const char *endpoint)
{
        const char *argv[12] = {"conntrack", "-D", "-f", "ipv4", "-p", "tcp", "--state", "SYN_SENT", "--dst-nat"};
        argv[9] = endpoint;
        forget(argv, endpoint ? endpoint : "all");
}

static void clean_tcp(const struct ruleset *old, const struct ruleset *now)
{
        CX_STRINGS gone = CX_STRINGS_INIT;
        CX_MAP_FOREACH (&old->tcp_endpoints, entry)
                if (!cx_map_has(&now->tcp_endpoints, entry->key))
                        cx_strings_add(&gone, entry->key);
        if (gone.count > MANY) {
                forget_unanswered(NULL);
                return;
        }
        for (size_t i = 0; i < gone.count; i++)
                forget_unanswered(gone.items[i]);
}

void conntrack_clean(const struct ruleset *old, const struct ruleset *now)
{
        if (!old)
                return;
        CX_MAP_FOREACH (&old->udp_endpoints, entry) {
                if (cx_map_has(&now->udp_endpoints, entry->key))
                        continue;
                size_t length = strcspn(entry->key, " ");
                CX_CLEANUP(cx_freep) char *address = cx_strndup(entry->key, length);
                forget_udp(address, entry->key + length + 1);
        }
        CX_MAP_FOREACH (&now->udp_served, entry) {
                if (!cx_map_has(&old->udp_served, entry->key))
                        forget_udp(entry->key, NULL);
        }
        clean_tcp(old, now);
}
