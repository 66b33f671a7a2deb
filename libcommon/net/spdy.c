// SPDX-License-Identifier: Apache-2.0
// Frames are read through one buffer, which a whole control frame fits into; data is handed on as it comes. What is sent is
// gathered in one of two buffers, while the other one is written: TLS wants a write that it could not finish again with the
// same bytes at the same place, from whichever thread that is.
#include "libcommon/net/spdy.h"

#include "libcommon/base/time.h"

#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#define HEAD 8             // bytes of every frame
#define IN_MAX 32768       // and of a control frame
#define WHOLE_MAX 1024     // a frame of so little data is handed on in one piece: the size of a terminal
#define DATA_MAX 32768     // of a frame that we send
#define WAITING_MAX 131072 // bytes that wait for the wire: a frame of data, and what a peer makes us answer
#define CLOSE_PATIENCE (10 * CX_NS_PER_S)
#define LOOK_PERIOD_MS 1000
#define STREAM_MAX 0x7fffffffU

#define VERSION 3
#define FLAG_FIN 1
enum { SYN_STREAM = 1, SYN_REPLY, RST_STREAM, SETTINGS, PING = 6, GOAWAY, HEADERS, WINDOW_UPDATE };

struct cx_spdy {
        struct cx_wire *wire;
        bool server;
        pthread_mutex_t lock; // guards the next
        struct cx_spdy_codec *writer;
        struct cx_buf buffers[2];
        int writing; // which of them is being written
        size_t written;
        int broken;            // negative errno
        bool closing;          // we sent a GOAWAY
        int64_t closing_since; // monotonic
        uint32_t last_own, last_ping;
        uint32_t last_peer; // stream that the peer opened; atomic, set by the receiver
        // the receiver's own
        struct cx_spdy_codec *reader;
        unsigned char in[IN_MAX];
        size_t start, end;
        uint32_t data_stream, data_left; // of the frame of data at hand
        bool data_fin, in_data;
};

struct cx_spdy *cx_spdy_new(struct cx_wire *wire, bool server)
{
        struct cx_spdy *s = cx_alloc(sizeof *s);
        s->wire = wire;
        s->server = server;
        s->reader = cx_spdy_codec_new();
        s->writer = cx_spdy_codec_new();
        s->last_own = s->last_ping = server ? 0 : (uint32_t)-1;
        s->buffers[0] = s->buffers[1] = (struct cx_buf)CX_BUF_INIT_MAX(WAITING_MAX);
        pthread_mutex_init(&s->lock, NULL);
        return s;
}

void cx_spdy_free(struct cx_spdy *s)
{
        if (!s)
                return;
        cx_spdy_codec_free(s->reader);
        cx_spdy_codec_free(s->writer);
        cx_buf_release(&s->buffers[0]);
        cx_buf_release(&s->buffers[1]);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

// --- sending; called with the lock -----------------------------------------------------------------------------------

static bool is_waiting(const struct cx_spdy *s)
{
        return s->buffers[0].length || s->buffers[1].length;
}

// Writes what there is room for. 0 when that was all, -EAGAIN, or what broke the connection.
static int drain(struct cx_spdy *s)
{
        while (!s->broken) {
                struct cx_buf *out = &s->buffers[s->writing];
                if (s->written == out->length) {
                        cx_buf_clear(out);
                        s->written = 0;
                        s->writing = !s->writing;
                        if (!s->buffers[s->writing].length)
                                return 0;
                        continue;
                }
                ssize_t n = cx_wire_write(s->wire, out->data + s->written, out->length - s->written);
                if (n == -EAGAIN)
                        return -EAGAIN;
                if (n > 0)
                        s->written += (size_t)n;
                else
                        s->broken = n < 0 ? (int)n : -EPIPE;
        }
        return s->broken;
}

// Where the next frame goes: never into what is being written.
static struct cx_buf *gathering(struct cx_spdy *s)
{
        return &s->buffers[!s->writing];
}

static void add_word(struct cx_buf *to, uint32_t word)
{
        word = htobe32(word);
        cx_buf_append(to, &word, sizeof word);
}

static void add_head(struct cx_buf *to, uint32_t first, unsigned flags, size_t length)
{
        add_word(to, first);
        add_word(to, flags << 24 | (uint32_t)length);
}

// Sends a control frame as far as there is room now; the rest follows by itself.
static int send_control(struct cx_spdy *s, int type, unsigned flags, const struct cx_buf *content)
{
        if (s->broken || s->closing)
                return s->broken ? s->broken : -EPIPE;
        struct cx_buf *to = gathering(s);
        add_head(to, 0x80000000U | VERSION << 16 | (unsigned)type, flags, content->length);
        cx_buf_append(to, content->data, content->length);
        if (to->overflow)
                return s->broken = -ENOBUFS;
        int r = drain(s);
        return r == -EAGAIN ? 0 : r;
}

static int send_words(struct cx_spdy *s, int type, const uint32_t *words, size_t count)
{
        CX_BUF content = CX_BUF_INIT;
        for (size_t i = 0; i < count; i++)
                add_word(&content, words[i]);
        pthread_mutex_lock(&s->lock);
        int r = send_control(s, type, 0, &content);
        pthread_mutex_unlock(&s->lock);
        return r;
}

// Waits until all that was gathered is written. The lock is let go while it waits.
static int flush(struct cx_spdy *s)
{
        for (;;) {
                int r = drain(s);
                if (r != -EAGAIN)
                        return r;
                if (s->closing && cx_time_monotonic() - s->closing_since > CLOSE_PATIENCE)
                        return -ETIMEDOUT;
                pthread_mutex_unlock(&s->lock);
                struct pollfd p = {s->wire->fd, POLLOUT, 0};
                r = poll(&p, 1, LOOK_PERIOD_MS) < 0 && errno != EINTR ? -errno : 0;
                pthread_mutex_lock(&s->lock);
                if (r < 0)
                        return r;
        }
}

// --- what is sent ----------------------------------------------------------------------------------------------------

int cx_spdy_open(struct cx_spdy *s, const char *const *headers, bool ended, uint32_t *ret_stream)
{
        CX_BUF content = CX_BUF_INIT;
        pthread_mutex_lock(&s->lock);
        int r = -ENOSPC;
        uint32_t stream = s->last_own + 2;
        if (stream <= STREAM_MAX) {
                s->last_own = stream;
                add_word(&content, stream);
                add_word(&content, 0);              // associated to none
                cx_buf_append(&content, "\0\0", 2); // priority, slot
                cx_spdy_headers_write(s->writer, headers, &content);
                r = send_control(s, SYN_STREAM, ended ? FLAG_FIN : 0, &content);
        }
        pthread_mutex_unlock(&s->lock);
        if (r == 0)
                *ret_stream = stream;
        return r;
}

int cx_spdy_reply(struct cx_spdy *s, uint32_t stream)
{
        static const char *const none[] = {NULL};
        CX_BUF content = CX_BUF_INIT;
        add_word(&content, stream);
        pthread_mutex_lock(&s->lock);
        cx_spdy_headers_write(s->writer, none, &content);
        int r = send_control(s, SYN_REPLY, 0, &content);
        pthread_mutex_unlock(&s->lock);
        return r;
}

int cx_spdy_reset(struct cx_spdy *s, uint32_t stream, int status)
{
        return send_words(s, RST_STREAM, (uint32_t[]){stream, (uint32_t)status}, 2);
}

int cx_spdy_ping(struct cx_spdy *s)
{
        pthread_mutex_lock(&s->lock);
        s->last_ping = (s->last_ping + 2) & STREAM_MAX;
        uint32_t number = s->last_ping;
        pthread_mutex_unlock(&s->lock);
        return send_words(s, PING, &number, 1);
}

void cx_spdy_close(struct cx_spdy *s)
{
        CX_BUF content = CX_BUF_INIT;
        add_word(&content, __atomic_load_n(&s->last_peer, __ATOMIC_RELAXED));
        add_word(&content, 0); // in good order
        pthread_mutex_lock(&s->lock);
        if (!s->closing) {
                (void)!send_control(s, GOAWAY, 0, &content);
                s->closing = true;
                s->closing_since = cx_time_monotonic();
                (void)!flush(s);
        }
        pthread_mutex_unlock(&s->lock);
}

int cx_spdy_send(struct cx_spdy *s, uint32_t stream, const void *data, size_t length, bool ended)
{
        const char *from = data;
        int r = 0;
        pthread_mutex_lock(&s->lock);
        do {
                size_t n = length < DATA_MAX ? length : DATA_MAX;
                if (s->closing)
                        r = -EPIPE;
                else
                        r = flush(s); // so that there is room
                if (r < 0)
                        break;
                length -= n;
                add_head(gathering(s), stream, ended && !length ? FLAG_FIN : 0, n);
                cx_buf_append(gathering(s), from, n);
                from += n;
                r = flush(s);
        } while (r == 0 && length);
        pthread_mutex_unlock(&s->lock);
        return r;
}

// --- what is received ------------------------------------------------------------------------------------------------

static uint32_t word_at(const unsigned char *at)
{
        uint32_t word;
        memcpy(&word, at, sizeof word);
        return be32toh(word);
}

static size_t gathered(const struct cx_spdy *s)
{
        return s->end - s->start;
}

// A piece of the frame of data at hand: 1; 0 when none has come.
static int take_data(struct cx_spdy *s, struct cx_spdy_event *ret_event, struct cx_buf *data)
{
        size_t n = gathered(s) < s->data_left ? gathered(s) : s->data_left;
        if (!n && s->data_left)
                return 0;
        cx_buf_clear(data);
        cx_buf_append(data, s->in + s->start, n);
        s->start += n;
        s->data_left -= (uint32_t)n;
        s->in_data = s->data_left > 0;
        *ret_event = (struct cx_spdy_event){CX_SPDY_DATA, s->data_stream, !s->in_data && s->data_fin};
        return data->overflow ? -EMSGSIZE : 1;
}

// Numbers are the peer's own kind, and only grow.
static int on_opened(struct cx_spdy *s, const unsigned char *content, size_t length, struct cx_spdy_event *event,
                     struct cx_buf *headers)
{
        if (length < 10 || event->stream % 2 != (s->server ? 1 : 0))
                return -EPROTO;
        event->kind = CX_SPDY_OPENED;
        int r = cx_spdy_headers_read(s->reader, content + 10, length - 10, headers);
        if (r < 0)
                return r;
        if (event->stream <= s->last_peer)
                return cx_spdy_reset(s, event->stream, CX_SPDY_PROTOCOL_ERROR);
        __atomic_store_n(&s->last_peer, event->stream, __ATOMIC_RELAXED);
        return 1;
}

static int answer_ping(struct cx_spdy *s, uint32_t number)
{
        if (number % 2 != (s->server ? 1 : 0))
                return 0; // an answer to ours
        int r = send_words(s, PING, &number, 1);
        return r == -EPIPE ? 0 : r; // we have closed
}

// 1 when the frame is an event, 0 when it is none. Headers have to be read in any case: the next ones build on them.
static int take_control(struct cx_spdy *s, int type, const unsigned char *content, size_t length,
                        struct cx_spdy_event *event, struct cx_buf *headers)
{
        if (type == SETTINGS)
                return 0;
        if (length < 4)
                return -EPROTO;
        uint32_t number = word_at(content);
        event->stream = number & STREAM_MAX;
        int r;
        switch (type) {
        case SYN_STREAM:
                return on_opened(s, content, length, event, headers);
        case SYN_REPLY:
        case HEADERS:
                r = cx_spdy_headers_read(s->reader, content + 4, length - 4, headers);
                event->kind = CX_SPDY_REPLIED;
                return r < 0 ? r : type == SYN_REPLY;
        case RST_STREAM:
                event->kind = CX_SPDY_RESET;
                return 1;
        case PING:
                return answer_ping(s, number);
        case GOAWAY:
        case WINDOW_UPDATE:
                return 0;
        default:
                return -EPROTO;
        }
}

// The next event of what was read: 1; 0 when more has to be read.
static int take_event(struct cx_spdy *s, struct cx_spdy_event *ret_event, struct cx_buf *data)
{
        for (;;) {
                if (s->in_data)
                        return take_data(s, ret_event, data);
                if (gathered(s) < HEAD)
                        return 0;
                const unsigned char *frame = s->in + s->start;
                uint32_t first = word_at(frame), second = word_at(frame + 4);
                size_t length = second & 0xffffff;
                unsigned flags = second >> 24;
                if (!(first & 0x80000000U)) {
                        if (length <= WHOLE_MAX && gathered(s) < HEAD + length)
                                return 0;
                        s->start += HEAD;
                        s->in_data = length || (flags & FLAG_FIN);
                        s->data_stream = first;
                        s->data_left = (uint32_t)length;
                        s->data_fin = flags & FLAG_FIN;
                        continue;
                }
                if ((first >> 16 & 0x7fff) != VERSION || HEAD + length > IN_MAX)
                        return -EPROTO;
                if (gathered(s) < HEAD + length)
                        return 0;
                s->start += HEAD + length;
                struct cx_spdy_event event = {0};
                int r = take_control(s, (int)(first & 0xffff), frame + HEAD, length, &event, data);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                event.ended = event.kind != CX_SPDY_RESET && (flags & FLAG_FIN);
                *ret_event = event;
                return 1;
        }
}

static ssize_t read_more(struct cx_spdy *s)
{
        if (s->start) {
                memmove(s->in, s->in + s->start, gathered(s)); // less than a control frame
                s->end -= s->start;
                s->start = 0;
        }
        ssize_t n = cx_wire_read(s->wire, s->in + s->end, sizeof s->in - s->end);
        if (n > 0)
                s->end += (size_t)n;
        return n;
}

// Waits for the wire; what waits to be written is written meanwhile.
static int wait_for_peer(struct cx_spdy *s)
{
        pthread_mutex_lock(&s->lock);
        int r = is_waiting(s) ? drain(s) : s->broken;
        bool late = s->closing && cx_time_monotonic() - s->closing_since > CLOSE_PATIENCE;
        pthread_mutex_unlock(&s->lock);
        if (late)
                return -ETIMEDOUT;
        if (r < 0 && r != -EAGAIN)
                return r;
        struct pollfd p = {s->wire->fd, (short)(POLLIN | (r == -EAGAIN ? POLLOUT : 0)), 0};
        return poll(&p, 1, LOOK_PERIOD_MS) < 0 && errno != EINTR ? -errno : 0;
}

int cx_spdy_receive(struct cx_spdy *s, struct cx_spdy_event *ret_event, struct cx_buf *ret_data)
{
        for (;;) {
                int r = take_event(s, ret_event, ret_data);
                if (r != 0)
                        return r;
                ssize_t n = read_more(s);
                if (n == 0 || (n < 0 && n != -EAGAIN))
                        return (int)n;
                r = n < 0 ? wait_for_peer(s) : 0;
                if (r < 0)
                        return r;
        }
}
