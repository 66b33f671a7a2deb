// SPDX-License-Identifier: Apache-2.0
// kubectl logs. Several containers are read one after the other; with -f each has a thread, and lines are written whole.
// What goes on with the pods that come is in logs_follow.c.
#include "kubectl/cmd/logs.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"

#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER; // guards standard output

static void write_line(const struct log_stream *stream, const char *line, size_t length)
{
        pthread_mutex_lock(&out_lock);
        if (stream->prefix)
                fputs(stream->prefix, stdout);
        fwrite(line, 1, length, stdout);
        fflush(stdout);
        pthread_mutex_unlock(&out_lock);
}

static int on_data(void *context, const struct cx_http_reply *reply, const char *data, size_t length)
{
        struct log_stream *stream = context;
        if (reply->code < 400 && !stream->prefix) {
                write_line(stream, data, length);
                return 0;
        }
        cx_buf_append(&stream->pending, data, length);
        if (reply->code >= 400)
                return 0;
        size_t start = 0;
        for (char *end; (end = memchr(stream->pending.data + start, '\n', stream->pending.length - start));) {
                size_t n = (size_t)(end - stream->pending.data) + 1 - start;
                write_line(stream, stream->pending.data + start, n);
                start += n;
        }
        cx_buf_consume(&stream->pending, start);
        return 0;
}

void *log_stream_run(void *context)
{
        struct log_stream *stream = context;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = ctl_call(stream->ctl,
                         &(struct ctl_call){.path = stream->path,
                                            .accept = "*/*",
                                            .on_data = on_data,
                                            .context = stream,
                                            .cancel = stream->cancel,
                                            .endless = !stream->ctl->request_timeout},
                         &reply, &failure);
        if (reply.code >= 400)
                r = cx_error_from_status(&stream->err, reply.code, stream->pending.data, stream->pending.length);
        else if (r == -ECONNRESET && reply.code == 200)
                r = cx_error_set(&stream->err, r, "unexpected EOF"); // the server has gone
        else if (r < 0)
                r = cx_error_move(&stream->err, &failure);
        else if (stream->pending.length)
                write_line(stream, stream->pending.data, stream->pending.length);
        stream->result = r;
        return NULL;
}

// On a terminal that shows colours each stream has one of its own (no-color.org).
static char *make_prefix(const char *pod, const char *container, size_t at)
{
        static const int colors[] = {36, 33, 32, 35, 34, 31};
        if (!isatty(STDOUT_FILENO) || *cx_str(getenv("NO_COLOR")) || cx_streq(getenv("TERM"), "dumb"))
                return cx_sprintf("[pod/%s/%s] ", pod, container);
        return cx_sprintf("\033[%dm[pod/%s/%s]\033[0m ", colors[at % CX_ARRAY_SIZE(colors)], pod, container);
}

void log_stream_make(struct ctl *ctl, const struct logs *logs, const json_t *pod, const char *container, size_t color,
                     struct log_stream *ret_stream)
{
        CX_BUF path = CX_BUF_INIT;
        const char *name = cx_json_string_or(pod, "metadata.name", "");
        cx_rest_path(&path,
                     CX_REF(.group = "", .version = "v1", .resource = "pods",
                            .namespace = cx_json_string(pod, "metadata.namespace"), .name = name),
                     "log");
        cx_rest_query(&path, "container", container);
        cx_rest_query(&path, "follow", logs->follow ? "true" : NULL);
        cx_rest_query(&path, "previous", logs->previous ? "true" : NULL);
        cx_rest_query(&path, "timestamps", logs->timestamps ? "true" : NULL);
        cx_rest_query(&path, "insecureSkipTLSVerifyBackend", logs->insecure ? "true" : NULL);
        cx_rest_query(&path, "tailLines", logs->tail >= 0 ? CX_INT(logs->tail) : NULL);
        cx_rest_query(&path, "limitBytes", logs->limit > 0 ? CX_INT(logs->limit) : NULL);
        cx_rest_query(&path, "sinceSeconds",
                      logs->since > 0 ? CX_INT((logs->since + CX_NS_PER_S - 1) / CX_NS_PER_S) : NULL);
        cx_rest_query(&path, "sinceTime", logs->since_time);
        char *prefix = logs->prefix ? make_prefix(name, container, color) : NULL;
        *ret_stream = (struct log_stream){
                .ctl = ctl,
                .path = cx_buf_detach(&path),
                .prefix = prefix,
                .pending = CX_BUF_INIT_MAX((size_t)64 << 20),
                .pod = cx_strdup(name),
                .container = cx_strdup(container),
                .instance = log_instance(pod, container),
        };
}

static void add_stream(struct ctl *ctl, const struct logs *logs, const json_t *pod, const char *container,
                       struct log_stream **streams, size_t *count)
{
        *streams = cx_realloc_array(*streams, *count + 1, sizeof **streams);
        log_stream_make(ctl, logs, pod, container, *count, &(*streams)[*count]);
        (*count)++;
}

char *log_instance(const json_t *pod, const char *container)
{
        const char *id = cx_json_string(cx_pod_container_status(pod, container), "containerID");
        return id && *id ? cx_strdup(id) : NULL;
}

void log_stream_release(struct log_stream *stream)
{
        cx_error_release(&stream->err);
        free(stream->path);
        free(stream->prefix);
        free(stream->pod);
        free(stream->container);
        free(stream->instance);
        cx_buf_release(&stream->pending);
}

static int add_pod(struct ctl *ctl, const struct logs *logs, const json_t *pod, struct log_stream **streams,
                   size_t *count, struct cx_error *err)
{
        const json_t *spec = json_object_get(pod, "spec");
        const char *name = cx_json_string_or(pod, "metadata.name", "");
        if (logs->all_containers) {
                CX_POD_FOREACH(walk, spec, CX_POD_ALL)
                add_stream(ctl, logs, pod, walk.name, streams, count);
                return 0;
        }
        if (!logs->container) {
                add_stream(ctl, logs, pod, default_container(pod, false), streams, count);
                return 0;
        }
        if (cx_pod_container(spec, logs->container, CX_POD_ALL, NULL)) {
                add_stream(ctl, logs, pod, logs->container, streams, count);
                return 0;
        }
        return cx_error_set(err, -ENOENT, "container %s is not valid for pod %s", logs->container, name);
}

static int check(const struct logs *logs, struct cx_error *err)
{
        if (logs->since < 0)
                return cx_error_set(err, -EINVAL, "--since must be greater than 0");
        if (logs->container && logs->all_containers)
                return cx_error_set(err, -EINVAL,
                                    "--all-containers=true should not be specified with container name %s",
                                    logs->container);
        if (logs->since && logs->since_time)
                return cx_error_set(err, -EINVAL, "at most one of `sinceTime` or `sinceSeconds` may be specified");
        if (logs->limit < 0)
                return cx_error_set(err, -EINVAL, "--limit-bytes must be greater than 0");
        if (logs->tail < -1)
                return cx_error_set(err, -EINVAL, "--tail must be greater than or equal to -1");
        return 0;
}

static int find_streams(struct ctl *ctl, struct logs *logs, const struct cx_strings *args, struct log_stream **streams,
                        size_t *count, struct cx_error *err)
{
        int r = 0;
        if (logs->selector) {
                r = check(logs, err);
                if (r < 0)
                        return r;
                CX_BUF path = CX_BUF_INIT;
                r = ctl_connect(ctl, err);
                if (r < 0)
                        return r;
                cx_rest_path(&path,
                             CX_REF(.group = "", .version = "v1", .resource = "pods", .namespace = ctl->namespace),
                             NULL);
                cx_rest_query(&path, "labelSelector", logs->selector);
                json_auto_t *pods = list_objects(ctl, path.data, err);
                if (!pods)
                        return err ? err->code : -EIO;
                if (!json_array_size(pods))
                        fprintf(stderr, "No resources found in %s namespace.\n", ctl->namespace);
                for (size_t i = 0; i < json_array_size(pods); i++)
                        if ((r = add_pod(ctl, logs, json_array_get(pods, i), streams, count, err)) < 0)
                                return r;
                return 0;
        }
        CX_STRINGS words = CX_STRINGS_INIT;
        BUILDER builder = {.default_type = "pods"};
        INFOS infos = INFOS_INIT;
        cx_strings_add(&words, args->items[0]);
        r = builder_targets(ctl, &builder, &words, &infos, err);
        if (r == 0)
                r = info_fetch(ctl, infos.items[0], err);
        if (r < 0 && err && err->reason == CX_REASON_NOT_FOUND) {
                CX_ERROR local = CX_ERROR_INIT;
                cx_error_set(&local, r, "error from server (NotFound): %s in namespace \"%s\"", cx_error_text(err),
                             ctl->namespace);
                cx_error_release(err);
                return cx_error_move(err, &local);
        }
        json_auto_t *pods = NULL;
        if (r == 0)
                r = check(logs, err);
        if (r == 0)
                r = pods_of(ctl, infos.items[0], &pods, err);
        if (r < 0)
                return r;
        if (strcmp(infos.items[0]->mapping->kind, "Pod") != 0) {
                logs->owner_selector = selector_of(infos.items[0]->object);
                logs->remakes = strcmp(infos.items[0]->mapping->kind, "Job") != 0;
        }
        if (!json_array_size(pods)) {
                json_auto_t *pod = NULL; // one may be on its way
                r = pod_of(ctl, args->items[0], logs->running_timeout, &pod, err);
                return r < 0 ? r : add_pod(ctl, logs, pod, streams, count, err);
        }
        for (size_t i = 0; logs->all_pods && i < json_array_size(pods); i++)
                if ((r = add_pod(ctl, logs, json_array_get(pods, i), streams, count, err)) < 0)
                        return r;
        if (logs->all_pods)
                return 0;
        json_auto_t *pod = NULL;
        r = pod_of(ctl, args->items[0], 0, &pod, err);
        if (r < 0)
                return r;
        if (json_array_size(pods) > 1) {
                fflush(stdout);
                fprintf(stderr, "Found %zu pods, using pod/%s\n", json_array_size(pods),
                        cx_json_string_or(pod, "metadata.name", ""));
        }
        return add_pod(ctl, logs, pod, streams, count, err);
}

static void release_streams(struct log_stream *streams, size_t count)
{
        for (size_t i = 0; i < count; i++)
                log_stream_release(&streams[i]);
        free(streams);
}

static void run_all(const struct logs *logs, struct log_stream *streams, size_t count)
{
        if (!logs->follow || count < 2) {
                for (size_t i = 0; i < count; i++)
                        log_stream_run(&streams[i]);
                return;
        }
        CX_CLEANUP(cx_freep) pthread_t *threads = cx_alloc_array(count, sizeof *threads);
        for (size_t i = 0; i < count; i++)
                if (pthread_create(&threads[i], NULL, log_stream_run, &streams[i]) != 0)
                        abort();
        for (size_t i = 0; i < count; i++)
                pthread_join(threads[i], NULL);
}

int follow_logs(struct ctl *ctl, const json_t *pod, const char *container, struct cx_error *err)
{
        const struct logs logs = {.follow = true, .tail = -1, .container = container};
        struct log_stream *streams = NULL;
        size_t count = 0;
        add_stream(ctl, &logs, pod, container, &streams, &count);
        run_all(&logs, streams, count);
        int r = streams[0].result < 0 ? cx_error_move(err, &streams[0].err) : 0;
        release_streams(streams, count);
        return r;
}

COMMAND(logs)
{
        struct logs logs = {.tail = -1, .max_requests = 5, .running_timeout = 20 * CX_NS_PER_S};
        bool tail_given = false;
        int64_t moment;
        const struct cx_flag flags[] = {
                {"follow", 'f', CX_FLAG_BOOL, &logs.follow, "Stream the logs."},
                {"previous", 'p', CX_FLAG_BOOL, &logs.previous, "Logs of the container's previous instance."},
                {"container", 'c', CX_FLAG_STRING, &logs.container, "The container."},
                {"all-containers", 0, CX_FLAG_BOOL, &logs.all_containers, "All containers of the pod."},
                {"all-pods", 0, CX_FLAG_BOOL, &logs.all_pods, "All pods of TYPE/NAME, with --prefix."},
                {"selector", 'l', CX_FLAG_STRING, &logs.selector, "Selector (label query) of pods."},
                {"prefix", 0, CX_FLAG_BOOL, &logs.prefix, "Begin each line with pod and container."},
                {"timestamps", 0, CX_FLAG_BOOL, &logs.timestamps, "Begin each line with its time."},
                {"tail", 0, CX_FLAG_INT, &logs.tail, "The last lines; -1: all (10 with a selector).", NULL, &tail_given,
                 INT64_MIN, INT64_MAX},
                {"since", 0, CX_FLAG_DURATION, &logs.since, "Only logs newer than this (5s, 2m, 3h)."},
                {"since-time", 0, CX_FLAG_STRING, &logs.since_time, "Only logs after this moment (RFC 3339)."},
                {"limit-bytes", 0, CX_FLAG_INT, &logs.limit, "At most this many bytes."},
                {"max-log-requests", 0, CX_FLAG_INT, &logs.max_requests, "At most this many streams at once."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &logs.running_timeout, "How long to wait for a pod."},
                {"ignore-errors", 0, CX_FLAG_BOOL, &logs.ignore_errors, "Go on when a container's logs cannot be had."},
                {"insecure-skip-tls-verify-backend", 0, CX_FLAG_BOOL, &logs.insecure,
                 "Do not check the kubelet's certificate."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (logs.selector && args.count)
                return ctl_usage_error(ctl, err, "only a selector (-l) or a POD name is allowed");
        if (logs.selector ? args.count > 0 : args.count < 1 || args.count > 2)
                return ctl_usage_error(ctl, err,
                                       "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or "
                                       "TYPE/NAME is a required argument for the logs command");
        if (args.count == 2) {
                if (logs.container)
                        return cx_error_set(err, -EINVAL, "only one of -c or an inline [CONTAINER] arg is allowed");
                logs.container = args.items[1];
        }
        if (logs.selector && !tail_given)
                logs.tail = 10;
        logs.prefix = logs.prefix || logs.all_pods;
        struct log_stream *streams = NULL;
        size_t count = 0;
        if (logs.running_timeout <= 0)
                return cx_error_set(err, -EINVAL, "--pod-running-timeout must be higher than zero");
        if (logs.since_time && cx_time_parse(logs.since_time, &moment) < 0)
                return cx_error_set(err, -EINVAL,
                                    "parsing time \"%s\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"%s\" as "
                                    "\"2006\"",
                                    logs.since_time, logs.since_time);
        r = find_streams(ctl, &logs, &args, &streams, &count, err);
        if (r == 0 && logs.follow && count > 1 && (int64_t)count > logs.max_requests)
                r = cx_error_set(
                        err, -EINVAL,
                        "you are attempting to follow %zu log streams, but maximum allowed concurrency is %lld, use "
                        "--max-log-requests to increase the limit",
                        count, (long long)logs.max_requests);
        if (r == 0 && logs.follow && (logs.selector || logs.owner_selector))
                r = logs_follow(ctl, &logs, streams, count, err);
        else if (r == 0)
                run_all(&logs, streams, count);
        free(logs.owner_selector);
        for (size_t i = 0; i < count; i++) {
                if (r == 0 && streams[i].result < 0 && logs.ignore_errors) {
                        OUT("error: %s\n", cx_error_text(&streams[i].err));
                } else if (r == 0 && streams[i].result < 0) {
                        r = cx_error_move(err, &streams[i].err);
                }
        }
        release_streams(streams, count);
        return r;
}
