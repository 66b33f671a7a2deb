// SPDX-License-Identifier: Apache-2.0
// Header blocks of SPDY/3: a count, then names and values with their lengths, all blocks of one direction being a single zlib
// stream that begins with a dictionary both ends know.
#include "libcommon/net/spdy.h"

#include <assert.h>
#include <endian.h>
#include <string.h>
#include <zlib.h>

#define HEADERS_MAX 16384 // of a block, inflated
#define DICTIONARY_MAX 2048
#define DEFLATE_WINDOW 11 // bits: the dictionary just fits, and a session takes 10 KB
#define DEFLATE_MEMORY 1

struct cx_spdy_codec {
        z_stream in, out;
        unsigned char dictionary[DICTIONARY_MAX];
        unsigned dictionary_length;
};

// The dictionary: these words, each with its length, and the text after them as it is.
static const char *const words[] = {
        "options",
        "head",
        "post",
        "put",
        "delete",
        "trace",
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "accept-ranges",
        "age",
        "allow",
        "authorization",
        "cache-control",
        "connection",
        "content-base",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "date",
        "etag",
        "expect",
        "expires",
        "from",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "last-modified",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "referer",
        "retry-after",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "vary",
        "via",
        "warning",
        "www-authenticate",
        "method",
        "get",
        "status",
        "200 OK",
        "version",
        "HTTP/1.1",
        "url",
        "public",
        "set-cookie",
        "keep-alive",
        "origin",
};
static const char text[] =
        "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
        "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
        "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
        "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
        "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
        "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static void add_bytes(struct cx_spdy_codec *codec, const void *bytes, size_t length)
{
        assert(codec->dictionary_length + length <= sizeof codec->dictionary);
        memcpy(codec->dictionary + codec->dictionary_length, bytes, length);
        codec->dictionary_length += (unsigned)length;
}

struct cx_spdy_codec *cx_spdy_codec_new(void)
{
        struct cx_spdy_codec *codec = cx_alloc(sizeof *codec);
        for (size_t i = 0; i < CX_ARRAY_SIZE(words); i++) {
                uint32_t length = htobe32((uint32_t)strlen(words[i]));
                add_bytes(codec, &length, sizeof length);
                add_bytes(codec, words[i], strlen(words[i]));
        }
        add_bytes(codec, text, sizeof text - 1);
        if (inflateInit(&codec->in) != Z_OK ||
            deflateInit2(&codec->out, Z_BEST_SPEED, Z_DEFLATED, DEFLATE_WINDOW, DEFLATE_MEMORY, Z_DEFAULT_STRATEGY) !=
                    Z_OK ||
            deflateSetDictionary(&codec->out, codec->dictionary, codec->dictionary_length) != Z_OK)
                abort();
        return codec;
}

void cx_spdy_codec_free(struct cx_spdy_codec *codec)
{
        if (!codec)
                return;
        inflateEnd(&codec->in);
        deflateEnd(&codec->out);
        free(codec);
}

static void add_number(struct cx_buf *to, size_t number)
{
        uint32_t big = htobe32((uint32_t)number);
        cx_buf_append(to, &big, sizeof big);
}

void cx_spdy_headers_write(struct cx_spdy_codec *codec, const char *const *headers, struct cx_buf *to)
{
        CX_BUF block = CX_BUF_INIT_MAX(HEADERS_MAX);
        size_t count = 0;
        while (headers[count])
                count++;
        add_number(&block, count / 2);
        for (size_t i = 0; i < count; i++) {
                add_number(&block, strlen(headers[i]));
                cx_buf_add(&block, headers[i]);
        }
        assert(!block.overflow);
        codec->out.next_in = (unsigned char *)block.data;
        codec->out.avail_in = (unsigned)block.length;
        do {
                unsigned char piece[1024];
                codec->out.next_out = piece;
                codec->out.avail_out = sizeof piece;
                if (deflate(&codec->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
                        abort();
                cx_buf_append(to, piece, sizeof piece - codec->out.avail_out);
        } while (codec->out.avail_out == 0);
}

static int inflate_block(struct cx_spdy_codec *codec, const void *block, size_t length, unsigned char *to,
                         size_t *ret_n)
{
        z_stream *in = &codec->in;
        in->next_in = (unsigned char *)block;
        in->avail_in = (unsigned)length;
        in->next_out = to;
        in->avail_out = HEADERS_MAX;
        int r = inflate(in, Z_SYNC_FLUSH);
        if (r == Z_NEED_DICT && inflateSetDictionary(in, codec->dictionary, codec->dictionary_length) == Z_OK)
                r = inflate(in, Z_SYNC_FLUSH);
        // Full means that there may be more.
        if (r != Z_OK || in->avail_in || !in->avail_out)
                return -EPROTO;
        *ret_n = HEADERS_MAX - in->avail_out;
        return 0;
}

struct cursor {
        const unsigned char *at, *end;
};

static bool take_number(struct cursor *c, uint32_t *ret_number)
{
        if (c->end - c->at < 4)
                return false;
        memcpy(ret_number, c->at, 4);
        *ret_number = be32toh(*ret_number);
        c->at += 4;
        return true;
}

// A value that is several is taken up to the first zero byte that parts them.
static bool take_text(struct cursor *c, struct cx_buf *to)
{
        uint32_t length;
        if (!take_number(c, &length) || length > c->end - c->at)
                return false;
        cx_buf_append(to, c->at, strnlen((const char *)c->at, length));
        cx_buf_add_char(to, '\0');
        c->at += length;
        return true;
}

int cx_spdy_headers_read(struct cx_spdy_codec *codec, const void *block, size_t length, struct cx_buf *ret_headers)
{
        unsigned char plain[HEADERS_MAX];
        size_t n = 0;
        uint32_t count;
        cx_buf_clear(ret_headers);
        int r = inflate_block(codec, block, length, plain, &n);
        if (r < 0)
                return r;
        struct cursor c = {plain, plain + n};
        if (!take_number(&c, &count))
                return -EPROTO;
        for (uint32_t i = 0; i < count; i++)
                if (!take_text(&c, ret_headers) || !take_text(&c, ret_headers))
                        return -EPROTO;
        return ret_headers->overflow ? -EPROTO : 0;
}

const char *cx_spdy_header(const struct cx_buf *headers, const char *name)
{
        const char *end = headers->data + headers->length;
        for (const char *p = headers->data; p < end;) {
                const char *value = p + strlen(p) + 1;
                if (strcmp(p, name) == 0)
                        return value;
                p = value + strlen(value) + 1;
        }
        return NULL;
}
