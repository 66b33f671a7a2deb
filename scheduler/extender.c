// SPDX-License-Identifier: Apache-2.0
// One client for each extender. Answers are hostile until they are checked: only nodes and pods that were asked about count.
#include "scheduler/extender.h"

#include "libcommon/api/pod.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/http_client.h"

#include <strings.h>

#define MAX_ANSWER ((size_t)64 << 20)
#define MAX_SCORE_OF_EXTENDER 10
#define MAX_PEM ((size_t)1 << 20)

struct extender {
        char *url, *filter, *prioritize, *preempt, *bind; // verbs; NULL: it has no part in that
        int64_t weight, timeout;
        bool ignorable, knows_nodes; // knows_nodes: names are enough for it
        struct cx_strings resources; // cares for pods that ask for one of these; none: for all
        struct cx_http_client *client;
};
struct extenders {
        struct extender *items;
        size_t count;
};

// --- configuration ---------------------------------------------------------------------------------------------------

static char *verb_of(const json_t *from, const char *field)
{
        const char *verb = cx_json_string_or(from, field, "");
        return *verb ? cx_strdup(verb) : NULL;
}

// A PEM from its base64 or else its file; stays empty when there is neither.
static int read_tls(const json_t *tls, const char *data_field, const char *file_field, struct cx_buf *to,
                    struct cx_error *err)
{
        const char *data = cx_json_string_or(tls, data_field, ""), *file = cx_json_string_or(tls, file_field, "");
        int r = 0;
        if (*data)
                r = cx_base64_decode(data, strlen(data), to);
        else if (*file)
                r = cx_buf_read_file(to, file);
        return r < 0 ? cx_error_set(err, r, "tlsConfig.%s: cannot be read: %s", *data ? data_field : file_field,
                                    strerror(-r))
                     : 0;
}

static int make_client(const json_t *from, struct extender *to, struct cx_error *err)
{
        CX_BUF ca = CX_BUF_INIT_MAX(MAX_PEM), cert = CX_BUF_INIT_MAX(MAX_PEM), key = CX_BUF_INIT_MAX(MAX_PEM);
        const json_t *tls = json_object_get(from, "tlsConfig");
        int r = read_tls(tls, "caData", "caFile", &ca, err);
        if (r == 0)
                r = read_tls(tls, "certData", "certFile", &cert, err);
        if (r == 0)
                r = read_tls(tls, "keyData", "keyFile", &key, err);
        if (r < 0)
                return r;
        bool unverified = cx_json_bool(from, "enableHTTPS", false) && !ca.length; // as upstream
        return cx_http_client_new(
                &(struct cx_http_client_options){.base_url = to->url,
                                                 .ca_pem = ca.length ? ca.data : NULL,
                                                 .cert_pem = cert.length ? cert.data : NULL,
                                                 .key_pem = key.length ? key.data : NULL,
                                                 .server_name = cx_json_string(tls, "serverName"),
                                                 .insecure = cx_json_bool(tls, "insecure", false) || unverified},
                &to->client, err);
}

static int read_extender(const json_t *from, struct extender *to, struct cx_error *err)
{
        const char *url = cx_json_string_or(from, "urlPrefix", "");
        size_t length = strlen(url), i;
        json_t *resource;
        while (length && url[length - 1] == '/')
                length--;
        to->url = cx_strndup(url, length);
        to->filter = verb_of(from, "filterVerb");
        to->prioritize = verb_of(from, "prioritizeVerb");
        to->preempt = verb_of(from, "preemptVerb");
        to->bind = verb_of(from, "bindVerb");
        to->weight = cx_json_int(from, "weight", 0);
        to->ignorable = cx_json_bool(from, "ignorable", false);
        to->knows_nodes = cx_json_bool(from, "nodeCacheCapable", false);
        json_array_foreach (json_object_get(from, "managedResources"), i, resource)
                cx_strings_add(&to->resources, cx_json_string_or(resource, "name", ""));
        if (strncmp(to->url, "http://", 7) != 0 && strncmp(to->url, "https://", 8) != 0)
                return cx_error_set(err, -EINVAL, "urlPrefix: \"%s\" must begin with http:// or https://", url);
        if (to->prioritize && !to->weight)
                return cx_error_set(err, -EINVAL, "weight: must be above 0 with a prioritizeVerb");
        if (cx_duration_parse(cx_json_string_or(from, "httpTimeout", "5s"), &to->timeout) < 0 || to->timeout <= 0)
                return cx_error_set(err, -EINVAL, "httpTimeout: must be a duration above zero");
        return make_client(from, to, err);
}

int extenders_new(const json_t *list, struct extenders **ret_extenders, struct cx_error *err)
{
        struct extenders *self = cx_alloc(sizeof *self);
        size_t i, binders = 0;
        json_t *item;
        int r = 0;
        self->items = cx_alloc_array(json_array_size(list) + 1, sizeof *self->items);
        json_array_foreach (list, i, item) {
                r = r < 0 ? r : read_extender(item, &self->items[self->count++], err);
                binders += r == 0 && self->items[i].bind;
                if (r == 0 && binders > 1)
                        r = cx_error_set(err, -EINVAL, "bindVerb: only one extender can bind");
                if (r < 0) {
                        r = cx_error_wrap(err, "extenders[%zu]", i);
                        break;
                }
        }
        if (r < 0 || !self->count) {
                extenders_free(self);
                self = NULL;
        }
        if (r == 0)
                *ret_extenders = self;
        return r;
}

void extenders_free(struct extenders *self)
{
        if (!self)
                return;
        for (size_t i = 0; i < self->count; i++) {
                struct extender *extender = &self->items[i];
                char *const texts[] = {extender->url, extender->filter, extender->prioritize, extender->preempt,
                                       extender->bind};
                for (size_t j = 0; j < CX_ARRAY_SIZE(texts); j++)
                        free(texts[j]);
                cx_strings_release(&extender->resources);
                cx_http_client_free(extender->client);
        }
        free(self->items);
        free(self);
}

static bool cares(const struct extender *extender, const json_t *pod)
{
        if (!extender->resources.count)
                return true;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        {
                const json_t *resources = json_object_get(walk.container, "resources");
                for (size_t i = 0; i < extender->resources.count; i++) {
                        const char *name = extender->resources.items[i];
                        if (json_object_get(json_object_get(resources, "requests"), name) ||
                            json_object_get(json_object_get(resources, "limits"), name))
                                return true;
                }
        }
        return false;
}

bool extenders_care(const struct extenders *self, const json_t *pod)
{
        for (size_t i = 0; i < self->count; i++)
                if (cares(&self->items[i], pod))
                        return true;
        return false;
}

// --- asking ----------------------------------------------------------------------------------------------------------

// Go's decoder, which extenders are written for, takes keys of any case, and so do their answers come.
static const json_t *member(const json_t *object, const char *name)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)object, key, value)
                if (strcasecmp(key, name) == 0)
                        return json_is_null(value) ? NULL : value;
        return NULL;
}

static int ask(const struct extender *extender, const char *verb, const json_t *question, json_t **ret_answer,
               struct cx_error *err)
{
        CX_BUF body = CX_BUF_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/%s", verb);
        cx_json_dump(question, &body);
        int r = cx_http_do(extender->client,
                           &(struct cx_http_call){.method = "POST",
                                                  .path = path,
                                                  .body = body.data,
                                                  .body_length = body.length,
                                                  .timeout = extender->timeout,
                                                  .max_reply = MAX_ANSWER},
                           &reply, err);
        if (r == 0 && reply.code != 200)
                r = cx_error_set(err, -EIO, "failed %s with extender at URL %s/%s, code %d", verb, extender->url, verb,
                                 reply.code);
        if (r == 0)
                r = cx_json_parse(reply.body.data, reply.body.length, false, ret_answer, err);
        const char *said = r == 0 ? json_string_value(member(*ret_answer, "Error")) : NULL;
        if (said && *said) {
                r = cx_error_set(err, -EIO, "%s", said);
                json_decref(*ret_answer);
                *ret_answer = NULL;
        }
        return r < 0 ? cx_error_wrap(err, "extender %s", extender->url) : 0;
}

static json_t *arguments(const struct extender *extender, const struct extender_question *question,
                         const struct cx_strings *nodes)
{
        json_t *names = json_array(), *items = json_array();
        for (size_t i = 0; i < nodes->count; i++) {
                json_t *node = extender->knows_nodes ? NULL : question->node(question->context, nodes->items[i]);
                json_array_append_new(names, json_string(nodes->items[i]));
                if (node)
                        json_array_append_new(items, node);
        }
        json_t *args = json_pack("{s:O}", "Pod", question->pod);
        if (extender->knows_nodes)
                json_object_set(args, "NodeNames", names);
        else
                json_object_set_new(args, "Nodes",
                                    json_pack("{s:s, s:s, s:{}, s:O}", "kind", "NodeList", "apiVersion", "v1",
                                              "metadata", "items", items));
        json_decref(names);
        json_decref(items);
        return args;
}

// The names that an answer lets through, of those that were asked about.
static int passed(const struct extender *extender, const json_t *answer, const struct cx_strings *asked,
                  struct cx_strings *ret_passed, struct cx_error *err)
{
        const json_t *names = extender->knows_nodes ? member(answer, "NodeNames") : NULL;
        const json_t *list = names ? names : member(member(answer, "Nodes"), "items");
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)list, i, item) {
                const char *name = names ? json_string_value(item) : cx_json_string(item, "metadata.name");
                if (!name || !cx_strings_has(asked, name))
                        return cx_error_set(
                                err, -EPROTO,
                                "extender \"%s\" claims a filtered node \"%s\" which is not found in the input node "
                                "list",
                                extender->url, cx_str(name));
                cx_strings_add(ret_passed, name);
        }
        return 0;
}

static void refuse(struct verdicts *verdicts, const json_t *failed, const struct cx_strings *asked, bool for_good)
{
        const char *node;
        json_t *why;
        json_object_foreach ((json_t *)failed, node, why) {
                if (!cx_strings_has(asked, node))
                        continue;
                struct node_verdict *verdict = verdicts_of(verdicts, node);
                free(verdict->reason);
                verdict->reason = cx_strdup(cx_str(json_string_value(why)));
                verdict->for_good = for_good;
        }
}

// Narrows `nodes` to those that it lets through.
static int filter(const struct extender *extender, const struct extender_question *question, struct cx_strings *nodes,
                  struct verdicts *verdicts, struct cx_error *err)
{
        CX_STRINGS left = CX_STRINGS_INIT;
        json_auto_t *args = arguments(extender, question, nodes), *answer = NULL;
        int r = ask(extender, extender->filter, args, &answer, err);
        if (r == 0)
                r = passed(extender, answer, nodes, &left, err);
        if (r < 0)
                return r;
        refuse(verdicts, member(answer, "FailedNodes"), nodes, false);
        refuse(verdicts, member(answer, "FailedAndUnresolvableNodes"), nodes, true);
        for (size_t i = 0; i < nodes->count; i++) {
                struct node_verdict *verdict = verdicts_of(verdicts, nodes->items[i]);
                if (!cx_strings_has(&left, nodes->items[i]) && !verdict->reason)
                        verdict->reason = cx_sprintf("node(s) were refused by extender %s", extender->url);
        }
        cx_strings_release(nodes);
        *nodes = left;
        left = (struct cx_strings)CX_STRINGS_INIT;
        return 0;
}

// Nobody's score is worth an error: upstream goes on without it.
static void prioritize(const struct extender *extender, const struct extender_question *question,
                       const struct cx_strings *nodes, struct verdicts *verdicts)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *args = arguments(extender, question, nodes), *answer = NULL;
        size_t i;
        json_t *item;
        if (ask(extender, extender->prioritize, args, &answer, &err) < 0) {
                cx_err(&err, "Cannot prioritize nodes");
                return;
        }
        json_array_foreach (answer, i, item) {
                const char *host = json_string_value(member(item, "Host"));
                json_int_t score = json_integer_value(member(item, "Score"));
                if (!host || !cx_strings_has(nodes, host) || score < 0)
                        continue;
                score = score < MAX_SCORE_OF_EXTENDER ? score : MAX_SCORE_OF_EXTENDER;
                verdicts_of(verdicts, host)->score += score * (MAX_SCORE / MAX_SCORE_OF_EXTENDER) * extender->weight;
        }
}

int extenders_judge(const struct extenders *self, const struct extender_question *question,
                    struct verdicts *ret_verdicts, struct cx_error *err)
{
        CX_STRINGS nodes = CX_STRINGS_INIT;
        for (size_t i = 0; i < question->nodes->count; i++) {
                cx_strings_add(&nodes, question->nodes->items[i]);
                verdicts_of(ret_verdicts, question->nodes->items[i])->candidate = true;
        }
        for (size_t i = 0; i < self->count && nodes.count; i++) {
                const struct extender *extender = &self->items[i];
                CX_ERROR why = CX_ERROR_INIT;
                if (!extender->filter || !cares(extender, question->pod) ||
                    filter(extender, question, &nodes, ret_verdicts, &why) == 0)
                        continue;
                if (!extender->ignorable)
                        return cx_error_move(err, &why);
                cx_err(&why, "Extender is skipped, since it may be ignored");
        }
        for (size_t i = 0; i < self->count && nodes.count > 1; i++)
                if (self->items[i].prioritize && cares(&self->items[i], question->pod))
                        prioritize(&self->items[i], question, &nodes, ret_verdicts);
        return 0;
}

// --- preemption, binding ---------------------------------------------------------------------------------------------

static json_t *victims_of(const struct extender *extender, const json_t *victims)
{
        json_t *pods = json_array();
        size_t i;
        json_t *pod;
        json_array_foreach ((json_t *)victims, i, pod)
                json_array_append_new(pods,
                                      extender->knows_nodes
                                              ? json_pack("{s:s}", "UID", cx_json_string_or(pod, "metadata.uid", ""))
                                              : json_incref(pod));
        return json_pack("{s:o, s:i}", "Pods", pods, "NumPDBViolations", 0);
}

// Leaves only the victims that an answer names.
static void keep(json_t *victims, const json_t *answer)
{
        for (size_t i = json_array_size(victims); i-- > 0;) {
                const char *uid = cx_json_string(json_array_get(victims, i), "metadata.uid");
                bool named = false;
                size_t j;
                json_t *pod;
                json_array_foreach ((json_t *)member(answer, "Pods"), j, pod)
                        named |= cx_streq(json_string_value(member(pod, "UID")), uid);
                if (!named)
                        json_array_remove(victims, i);
        }
}

int extenders_preempt(const struct extenders *self, const json_t *pod, const char *node, json_t *victims,
                      bool *ret_agreed, struct cx_error *err)
{
        *ret_agreed = true;
        for (size_t i = 0; i < self->count && *ret_agreed; i++) {
                const struct extender *extender = &self->items[i];
                CX_ERROR why = CX_ERROR_INIT;
                if (!extender->preempt || !cares(extender, pod))
                        continue;
                json_auto_t *answer = NULL,
                            *args = json_pack("{s:O, s:{s:o}}", "Pod", pod,
                                              extender->knows_nodes ? "NodeNameToMetaVictims" : "NodeNameToVictims",
                                              node, victims_of(extender, victims));
                if (ask(extender, extender->preempt, args, &answer, &why) < 0) {
                        if (!extender->ignorable)
                                return cx_error_move(err, &why);
                        cx_err(&why, "Extender is skipped, since it may be ignored");
                        continue;
                }
                const json_t *kept = json_object_get(member(answer, "NodeNameToMetaVictims"), node);
                *ret_agreed = kept;
                if (kept)
                        keep(victims, kept);
        }
        return 0;
}

bool extenders_bind(const struct extenders *self, const json_t *pod, const char *node, int *ret_result,
                    struct cx_error *err)
{
        for (size_t i = 0; i < self->count; i++) {
                const struct extender *extender = &self->items[i];
                if (!extender->bind || !cares(extender, pod))
                        continue;
                json_auto_t *answer = NULL,
                            *args = json_pack("{s:s, s:s, s:s, s:s}", "PodName",
                                              cx_json_string_or(pod, "metadata.name", ""), "PodNamespace",
                                              cx_json_string_or(pod, "metadata.namespace", ""), "PodUID",
                                              cx_json_string_or(pod, "metadata.uid", ""), "Node", node);
                *ret_result = ask(extender, extender->bind, args, &answer, err);
                return true;
        }
        return false;
}
