// SPDX-License-Identifier: Apache-2.0
// kubectl logs -f of what makes pods, or of a selector. A thread watches the pods and keeps the latest of each; the main one
// compares them with what is being read, and starts a thread for each instance of a container that nobody reads yet. So the
// log goes on when a container starts again and when another pod takes the place of one.
#include "kubectl/cmd/logs.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

struct followed_stream {
        struct log_following *following;
        struct log_stream stream;
        pthread_t thread;
        bool over; // guarded by the lock of the following
        bool joined;
        struct followed_stream *next;
};
struct log_following {
        struct ctl *ctl;
        const struct logs *logs;
        const char *selector;
        bool cancel; // atomic

        pthread_mutex_t lock; // guards what follows
        pthread_cond_t changed;
        json_t *pods; // name -> pod
        bool listed, woken;
        int result; // of the watch
        struct cx_error err;

        // The main thread's own.
        struct followed_stream *readers;
        size_t n_colors;
        char *chosen; // the one pod that is read; NULL: all are
        struct cx_strings refused;
};

// --- the pods --------------------------------------------------------------------------------------------------------

static void wake(struct log_following *f)
{
        f->woken = true;
        pthread_cond_signal(&f->changed);
}

static int take_event(void *context, const char *type, json_t *pod)
{
        struct log_following *f = context;
        const char *name = cx_json_string(pod, "metadata.name");
        pthread_mutex_lock(&f->lock);
        if (name && strcmp(type, "DELETED") == 0)
                json_object_del(f->pods, name);
        else if (name && strcmp(type, "BOOKMARK") != 0)
                json_object_set(f->pods, name, pod);
        wake(f);
        pthread_mutex_unlock(&f->lock);
        return __atomic_load_n(&f->cancel, __ATOMIC_RELAXED);
}

static int list_pods(struct log_following *f, const char *path, char **ret_version, struct cx_error *err)
{
        json_auto_t *list = NULL;
        int r = ctl_json(f->ctl, "GET", path, NULL, NULL, &list, err);
        if (r < 0)
                return r;
        size_t i;
        json_t *pod;
        pthread_mutex_lock(&f->lock);
        json_object_clear(f->pods);
        json_array_foreach (json_object_get(list, "items"), i, pod)
                json_object_set(f->pods, cx_json_string_or(pod, "metadata.name", ""), pod);
        f->listed = true;
        wake(f);
        pthread_mutex_unlock(&f->lock);
        free(*ret_version);
        *ret_version = cx_strdup(cx_json_string_or(list, "metadata.resourceVersion", ""));
        return 0;
}

static void *watch_pods(void *context)
{
        struct log_following *f = context;
        CX_CLEANUP(cx_freep) char *version = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        int r = 0;
        while (r == 0 && !__atomic_load_n(&f->cancel, __ATOMIC_RELAXED)) {
                CX_BUF path = CX_BUF_INIT;
                CX_ERROR failure = CX_ERROR_INIT;
                cx_rest_path(&path,
                             CX_REF(.group = "", .version = "v1", .resource = "pods", .namespace = f->ctl->namespace),
                             NULL);
                cx_rest_query(&path, "labelSelector", f->selector);
                r = list_pods(f, path.data, &version, &err);
                if (r < 0)
                        break;
                cx_rest_query(&path, "watch", "true");
                cx_rest_query(&path, "resourceVersion", version);
                // However it ends, the list that follows says whether there still is a server.
                if (ctl_watch_until(f->ctl, path.data, NULL, take_event, f, &f->cancel, &failure) < 0)
                        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        }
        pthread_mutex_lock(&f->lock);
        f->result = r;
        if (r < 0)
                f->result = cx_error_move(&f->err, &err);
        wake(f);
        pthread_mutex_unlock(&f->lock);
        return NULL;
}

// --- the readers -----------------------------------------------------------------------------------------------------

static void *read_stream(void *context)
{
        struct followed_stream *reader = context;
        log_stream_run(&reader->stream);
        pthread_mutex_lock(&reader->following->lock);
        reader->over = true;
        wake(reader->following);
        pthread_mutex_unlock(&reader->following->lock);
        return NULL;
}

static size_t n_reading(const struct log_following *f)
{
        size_t n = 0;
        for (const struct followed_stream *reader = f->readers; reader; reader = reader->next)
                n += !reader->joined;
        return n;
}

static bool is_read(const struct log_following *f, const char *pod, const char *container, const char *instance)
{
        for (struct followed_stream *reader = f->readers; reader; reader = reader->next) {
                if (strcmp(reader->stream.pod, pod) != 0 || strcmp(reader->stream.container, container) != 0)
                        continue;
                if (!reader->stream.instance) // it was asked for before it was known to have started
                        reader->stream.instance = cx_strdup(instance);
                if (strcmp(reader->stream.instance, instance) == 0)
                        return true;
        }
        return false;
}

static void start_reader(struct log_following *f, const struct logs *logs, const json_t *pod, const char *container)
{
        struct followed_stream *reader = cx_alloc(sizeof *reader);
        reader->following = f;
        log_stream_make(f->ctl, logs, pod, container, f->n_colors++, &reader->stream);
        reader->stream.cancel = &f->cancel;
        reader->next = f->readers;
        f->readers = reader;
        if (pthread_create(&reader->thread, NULL, read_stream, reader) != 0)
                abort();
}

// A new instance of a container, read from its start.
static void follow_container(struct log_following *f, const json_t *pod, const char *container)
{
        const char *name = cx_json_string_or(pod, "metadata.name", "");
        CX_CLEANUP(cx_freep) char *instance = log_instance(pod, container);
        struct logs logs = *f->logs;
        if (!instance || is_read(f, name, container, instance))
                return;
        if ((int64_t)n_reading(f) >= f->logs->max_requests) {
                if (!cx_strings_has(&f->refused, instance))
                        fprintf(stderr,
                                "not following container %s of pod/%s: %zu log streams are open, use "
                                "--max-log-requests "
                                "to increase the limit\n",
                                container, name, n_reading(f));
                cx_strings_add(&f->refused, instance);
                return;
        }
        logs.tail = -1;
        logs.previous = false;
        start_reader(f, &logs, pod, container);
}

static void follow_pod(struct log_following *f, const json_t *pod)
{
        const json_t *spec = json_object_get(pod, "spec");
        if (f->logs->all_containers) {
                CX_POD_FOREACH(walk, spec, CX_POD_ALL)
                follow_container(f, pod, walk.name);
        } else if (!f->logs->container) {
                follow_container(f, pod, default_container(pod, true));
        } else if (cx_pod_container(spec, f->logs->container, CX_POD_ALL, NULL)) {
                follow_container(f, pod, f->logs->container);
        }
}

// Ends with the first failure, unless these are ignored. A stream whose pod was deleted meanwhile has just ended.
static int join_readers(struct log_following *f, const json_t *pods, struct cx_error *err)
{
        for (struct followed_stream *reader = f->readers; reader; reader = reader->next) {
                pthread_mutex_lock(&f->lock);
                bool over = reader->over;
                pthread_mutex_unlock(&f->lock);
                if (!over || reader->joined)
                        continue;
                pthread_join(reader->thread, NULL);
                reader->joined = true;
                if (reader->stream.result >= 0 || !json_object_get(pods, reader->stream.pod))
                        continue;
                if (!f->logs->ignore_errors)
                        return cx_error_move(err, &reader->stream.err);
                OUT("error: %s\n", cx_error_text(&reader->stream.err));
        }
        return 0;
}

// --- following -------------------------------------------------------------------------------------------------------

static bool is_over(const json_t *pod)
{
        return !pod || cx_pod_is_terminal(pod) || cx_pod_is_terminating(pod);
}

// When one pod is read and has ended, another one that has started takes its place: the youngest.
static void choose(struct log_following *f, const json_t *pods)
{
        const char *name;
        json_t *pod, *best = NULL;
        if (!f->chosen || !is_over(json_object_get(pods, f->chosen)) || n_reading(f))
                return;
        json_object_foreach ((json_t *)pods, name, pod) {
                const char *when = cx_json_string_or(pod, "metadata.creationTimestamp", "");
                if (!is_over(pod) && strcmp(cx_pod_phase(pod), "Running") == 0 &&
                    (!best || strcmp(cx_json_string_or(best, "metadata.creationTimestamp", ""), when) < 0))
                        best = pod;
        }
        if (!best)
                return;
        free(f->chosen);
        f->chosen = cx_strdup(cx_json_string(best, "metadata.name"));
        fflush(stdout);
        fprintf(stderr, "Now using pod/%s\n", f->chosen);
}

// Whether nothing will come any more.
static bool finished(const struct log_following *f, const json_t *pods)
{
        const char *name;
        json_t *pod;
        if (f->logs->remakes || n_reading(f))
                return false;
        json_object_foreach ((json_t *)pods, name, pod)
                if (!is_over(pod))
                        return false;
        return true;
}

// What there is now, once something has changed.
static json_t *wait_for_pods(struct log_following *f, int *ret_result, struct cx_error *err)
{
        pthread_mutex_lock(&f->lock);
        while (!f->woken || (!f->listed && !f->result))
                cx_cond_wait_until(&f->changed, &f->lock, INT64_MAX);
        f->woken = false;
        json_t *pods = json_copy(f->pods);
        *ret_result = f->result < 0 ? cx_error_move(err, &f->err) : 0;
        pthread_mutex_unlock(&f->lock);
        return pods;
}

static int follow(struct log_following *f, struct cx_error *err)
{
        for (;;) {
                int r;
                const char *name;
                json_t *pod;
                json_auto_t *pods = wait_for_pods(f, &r, err);
                if (r == 0)
                        r = join_readers(f, pods, err);
                if (r < 0)
                        return r;
                choose(f, pods);
                json_object_foreach (pods, name, pod)
                        if (!f->chosen || strcmp(name, f->chosen) == 0)
                                follow_pod(f, pod);
                if (finished(f, pods))
                        return 0;
        }
}

// The streams that the command line stands for: what upstream would read. Of several, those that have not started yet are
// read when they do.
static void start_first(struct log_following *f, const struct log_stream *first, size_t count)
{
        bool any = false;
        for (size_t i = 0; i < count; i++)
                any = any || first[i].instance;
        for (size_t i = 0; i < count; i++) {
                if (any && !first[i].instance)
                        continue;
                struct followed_stream *reader = cx_alloc(sizeof *reader);
                reader->following = f;
                reader->stream = (struct log_stream){.ctl = f->ctl,
                                                     .path = cx_strdup(first[i].path),
                                                     .prefix = cx_strdup(first[i].prefix),
                                                     .pod = cx_strdup(first[i].pod),
                                                     .container = cx_strdup(first[i].container),
                                                     .instance = cx_strdup(first[i].instance),
                                                     .cancel = &f->cancel,
                                                     .pending = CX_BUF_INIT_MAX(first[i].pending.max)};
                reader->next = f->readers;
                f->readers = reader;
                f->n_colors++;
                if (pthread_create(&reader->thread, NULL, read_stream, reader) != 0)
                        abort();
        }
}

static void end_readers(struct log_following *f)
{
        for (struct followed_stream *reader = f->readers, *next; reader; reader = next) {
                next = reader->next;
                if (!reader->joined)
                        pthread_join(reader->thread, NULL);
                log_stream_release(&reader->stream);
                free(reader);
        }
        f->readers = NULL;
}

int logs_follow(struct ctl *ctl, const struct logs *logs, const struct log_stream *first, size_t count,
                struct cx_error *err)
{
        struct log_following f = {.ctl = ctl,
                                  .logs = logs,
                                  .selector = logs->selector ? logs->selector : logs->owner_selector,
                                  .pods = json_object()};
        pthread_t watcher;
        bool one = !logs->selector && !logs->all_pods && count;
        if (!count && !logs->remakes)
                return json_decref(f.pods), 0;
        f.chosen = one ? cx_strdup(first[0].pod) : NULL;
        pthread_mutex_init(&f.lock, NULL);
        cx_cond_init(&f.changed);
        start_first(&f, first, count);
        if (pthread_create(&watcher, NULL, watch_pods, &f) != 0)
                abort();
        int r = follow(&f, err);
        __atomic_store_n(&f.cancel, true, __ATOMIC_RELAXED);
        pthread_join(watcher, NULL);
        end_readers(&f);
        pthread_cond_destroy(&f.changed);
        pthread_mutex_destroy(&f.lock);
        cx_error_release(&f.err);
        cx_strings_release(&f.refused);
        json_decref(f.pods);
        free(f.chosen);
        return r;
}
