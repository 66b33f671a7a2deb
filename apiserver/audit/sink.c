// SPDX-License-Identifier: Apache-2.0
// One thread takes from the queue. What it takes at once it writes at once.
#include "apiserver/audit/sink.h"

#include "libcommon/base/log.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#define MAX_QUEUED ((size_t)64 << 20) // bytes
#define TELL_AGAIN (60 * CX_NS_PER_S)

struct queued {
        struct queued *next;
        struct cx_buf line;
};

struct audit_sink {
        struct audit_sink_options options;
        struct log_file *file;
        struct cx_metric *errors;
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t wake;
        struct queued *first, *last;
        size_t count, bytes;
        int64_t filled_at; // when the first of the queue came
        int64_t told_at;
        bool stopping;
        pthread_t thread;
        bool started;
};

void audit_sink_lost(struct audit_sink *sink, const char *plugin, const struct cx_error *why)
{
        int64_t now = cx_time_monotonic();
        cx_metric_add(sink->errors, 1, plugin);
        pthread_mutex_lock(&sink->lock);
        bool tell = !sink->told_at || now - sink->told_at >= TELL_AGAIN;
        if (tell)
                sink->told_at = now;
        pthread_mutex_unlock(&sink->lock);
        if (tell)
                cx_err(why, "Events of the audit log are lost", "plugin", plugin);
}

static bool write_now(struct audit_sink *sink, const struct cx_buf *text, size_t events)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (log_file_write(sink->file, text->data, text->length, &err) == 0)
                return true;
        for (size_t i = 1; i < events; i++)
                cx_metric_add(sink->errors, 1, "log");
        audit_sink_lost(sink, "log", &err);
        return false;
}

static bool enqueue(struct audit_sink *sink, struct cx_buf *line_steal)
{
        struct queued *queued = cx_alloc(sizeof *queued);
        queued->line = *line_steal;
        *line_steal = (struct cx_buf)CX_BUF_INIT;
        pthread_mutex_lock(&sink->lock);
        bool full = sink->count >= (size_t)sink->options.buffer || sink->bytes + queued->line.length > MAX_QUEUED;
        if (!full) {
                if (sink->last)
                        sink->last->next = queued;
                else
                        sink->first = queued;
                sink->last = queued;
                if (!sink->count++)
                        sink->filled_at = cx_time_monotonic();
                sink->bytes += queued->line.length;
                pthread_cond_signal(&sink->wake);
        }
        pthread_mutex_unlock(&sink->lock);
        if (!full)
                return true;
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_set(&err, -ENOBUFS, "audit buffer queue blocked");
        audit_sink_lost(sink, "buffered", &err);
        cx_buf_release(&queued->line);
        free(queued);
        return false;
}

bool audit_sink_put(struct audit_sink *sink, struct cx_buf *line_steal, bool may_wait)
{
        if (sink->options.batch || !may_wait)
                return enqueue(sink, line_steal);
        bool written = write_now(sink, line_steal, 1);
        cx_buf_release(line_steal);
        return written;
}

// --- the thread ---

// Takes as many as go together, with the lock held. NULL: there are none.
static struct queued *take(struct audit_sink *sink)
{
        struct queued *first = sink->first, *end = NULL;
        size_t bytes = 0;
        for (int64_t n = 0; sink->first && n < sink->options.batch_size; n++) {
                size_t length = sink->first->line.length;
                if (end && bytes + length > (size_t)sink->options.batch_bytes)
                        break;
                bytes += length;
                end = sink->first;
                sink->first = end->next;
                sink->count--;
                sink->bytes -= length;
        }
        if (end)
                end->next = NULL;
        if (!sink->first)
                sink->last = NULL;
        return first;
}

static void write_batch(struct audit_sink *sink, struct queued *first)
{
        size_t events = 0;
        CX_BUF text = CX_BUF_INIT;
        while (first) {
                struct queued *next = first->next;
                if (!text.length && !next) {
                        (void)write_now(sink, &first->line, 1);
                } else {
                        cx_buf_append(&text, first->line.data, first->line.length);
                        events++;
                }
                cx_buf_release(&first->line);
                free(first);
                first = next;
        }
        if (text.length)
                (void)write_now(sink, &text, events);
}

static void *sink_main(void *context)
{
        struct audit_sink *sink = context;
        pthread_mutex_lock(&sink->lock);
        while (!sink->stopping || sink->first) {
                int64_t due = sink->filled_at + sink->options.batch_wait;
                bool full = sink->count >= (size_t)sink->options.batch_size || sink->stopping;
                if (!sink->first || (!full && cx_time_monotonic() < due)) {
                        cx_cond_wait_until(&sink->wake, &sink->lock, sink->first ? due : INT64_MAX);
                        continue;
                }
                struct queued *batch = take(sink);
                sink->filled_at = cx_time_monotonic();
                pthread_mutex_unlock(&sink->lock);
                write_batch(sink, batch);
                pthread_mutex_lock(&sink->lock);
        }
        pthread_mutex_unlock(&sink->lock);
        return NULL;
}

int audit_sink_new(const struct audit_sink_options *options, struct cx_metrics *metrics, struct audit_sink **ret_sink,
                   struct cx_error *err)
{
        static const char *const by_plugin[] = {"plugin", NULL};
        struct audit_sink *sink = cx_alloc(sizeof *sink);
        sink->options = *options;
        if (sink->options.batch_bytes > options->file.max_size) // a batch is one write, and has to fit
                sink->options.batch_bytes = options->file.max_size;
        sink->errors =
                cx_metrics_counter(metrics, "apiserver_audit_error_total",
                                   "Events of the audit log that were lost, by the part that lost them.", by_plugin);
        pthread_mutex_init(&sink->lock, NULL);
        cx_cond_init(&sink->wake);
        int r = log_file_open(&options->file, &sink->file, err);
        if (r == 0 && pthread_create(&sink->thread, NULL, sink_main, sink) != 0)
                r = cx_error_set(err, -EAGAIN, "cannot start the thread of the audit log");
        else if (r == 0)
                sink->started = true;
        if (r < 0)
                audit_sink_free(sink);
        else
                *ret_sink = sink;
        return r;
}

void audit_sink_free(struct audit_sink *sink)
{
        if (!sink)
                return;
        pthread_mutex_lock(&sink->lock);
        sink->stopping = true;
        pthread_cond_signal(&sink->wake);
        pthread_mutex_unlock(&sink->lock);
        if (sink->started)
                pthread_join(sink->thread, NULL);
        log_file_close(sink->file);
        pthread_cond_destroy(&sink->wake);
        pthread_mutex_destroy(&sink->lock);
        free(sink);
}
