// SPDX-License-Identifier: Apache-2.0
// The pool: a stack of idle handles, the hottest reused first. Each handle is an easy handle with a multi handle of its
// own (which is what curl_easy_perform makes as well), so that waiting can be interrupted to look at `cancel`. DNS answers
// and TLS sessions are in a share; connections are not (libcurl 7.88 does not share them safely between threads).
#include "libcommon/net/http_client.h"

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/net/http_client_internal.h"

#include <pthread.h>
#include <strings.h>
#include <sys/stat.h>

#define USER_AGENT "coxswain/" CX_VERSION_SERIES

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
        curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void lock_share(CURL *easy CX_UNUSED, curl_lock_data data, curl_lock_access access CX_UNUSED, void *user)
{
        struct cx_http_client *client = user;
        pthread_mutex_lock(&client->share_locks[data]);
}

static void unlock_share(CURL *easy CX_UNUSED, curl_lock_data data, void *user)
{
        struct cx_http_client *client = user;
        pthread_mutex_unlock(&client->share_locks[data]);
}

static int check_url(const char *url, struct cx_error *err)
{
        return !url || cx_has_prefix(url, "http://") || cx_has_prefix(url, "https://")
                       ? 0
                       : cx_error_set(err, -EINVAL, "not an http or https URL: %s", url);
}

int cx_http_client_new(const struct cx_http_client_options *options, struct cx_http_client **ret_client,
                       struct cx_error *err)
{
        pthread_once(&curl_once, init_curl);
        int r = check_url(options->base_url, err);
        for (size_t i = 0; r == 0 && options->others && i < options->others->count; i++)
                r = check_url(options->others->items[i], err);
        if (r < 0)
                return r;
        struct cx_http_client *client = cx_alloc(sizeof *client);
        cx_http_servers_init(client, options);
        r = cx_http_material_init(client, options, err);
        client->token = cx_strdup(options->bearer_token);
        client->token_file = cx_strdup(options->bearer_token_file);
        client->username = cx_strdup(options->username);
        client->password = cx_strdup(options->password);
        client->server_name = cx_strdup(options->server_name);
        client->user_agent = cx_strdup(options->user_agent ? options->user_agent : USER_AGENT);
        client->unix_socket = cx_strdup(options->unix_socket);
        client->insecure = options->insecure;
        client->connect_timeout = options->connect_timeout ? options->connect_timeout : 10 * CX_NS_PER_S;
        client->max_idle = options->max_idle ? options->max_idle : 16;
        client->may_connect = options->may_connect;
        client->connect_context = options->connect_context;
        pthread_mutex_init(&client->lock, NULL);
        for (size_t i = 0; i < CX_ARRAY_SIZE(client->share_locks); i++)
                pthread_mutex_init(&client->share_locks[i], NULL);
        client->share = curl_share_init();
        curl_share_setopt(client->share, CURLSHOPT_LOCKFUNC, lock_share);
        curl_share_setopt(client->share, CURLSHOPT_UNLOCKFUNC, unlock_share);
        curl_share_setopt(client->share, CURLSHOPT_USERDATA, client);
        curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
        curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        if (r < 0) {
                cx_http_client_free(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

static void free_handle(struct cx_http_handle *handle)
{
        curl_easy_cleanup(handle->easy);
        curl_multi_cleanup(handle->multi);
        free(handle);
}

static void wipe(char *secret)
{
        if (secret)
                explicit_bzero(secret, strlen(secret));
        free(secret);
}

void cx_http_client_free(struct cx_http_client *client)
{
        if (!client)
                return;
        cx_http_client_drop_idle(client);
        curl_share_cleanup(client->share);
        for (size_t i = 0; i < CX_ARRAY_SIZE(client->share_locks); i++)
                pthread_mutex_destroy(&client->share_locks[i]);
        pthread_mutex_destroy(&client->lock);
        for (size_t i = 0; i < client->n_servers; i++)
                free(client->servers[i]);
        free(client->servers);
        cx_http_material_unref(client->material);
        cx_tls_files_release(&client->files);
        wipe(client->token);
        free(client->token_file);
        free(client->username);
        wipe(client->password);
        free(client->server_name);
        free(client->user_agent);
        free(client->unix_socket);
        free(client);
}

static struct cx_http_handle *take_handle(struct cx_http_client *client)
{
        pthread_mutex_lock(&client->lock);
        struct cx_http_handle *handle = client->idle;
        if (handle) {
                client->idle = handle->next;
                client->n_idle--;
        }
        pthread_mutex_unlock(&client->lock);
        if (handle)
                return handle;
        handle = cx_alloc(sizeof *handle);
        handle->easy = curl_easy_init();
        handle->multi = curl_multi_init();
        if (!handle->easy || !handle->multi)
                abort();
        return handle;
}

static void give_handle(struct cx_http_client *client, struct cx_http_handle *handle)
{
        pthread_mutex_lock(&client->lock);
        bool keep = client->n_idle < client->max_idle;
        if (keep) {
                handle->used = cx_time_monotonic();
                handle->next = client->idle;
                client->idle = handle;
                client->n_idle++;
        }
        pthread_mutex_unlock(&client->lock);
        if (!keep)
                free_handle(handle);
}

static void free_handles(struct cx_http_handle *handle)
{
        while (handle) {
                struct cx_http_handle *next = handle->next;
                free_handle(handle);
                handle = next;
        }
}

void cx_http_client_drop_idle(struct cx_http_client *client)
{
        pthread_mutex_lock(&client->lock);
        struct cx_http_handle *idle = client->idle;
        client->idle = NULL;
        client->n_idle = 0;
        pthread_mutex_unlock(&client->lock);
        free_handles(idle);
}

void cx_http_client_trim(struct cx_http_client *client, int64_t idle)
{
        int64_t before = cx_time_monotonic() - idle;
        pthread_mutex_lock(&client->lock);
        struct cx_http_handle **at = &client->idle, *old; // the last given back is first: those from one on are older
        while (*at && (*at)->used >= before)
                at = &(*at)->next;
        old = *at;
        *at = NULL;
        for (const struct cx_http_handle *handle = old; handle; handle = handle->next)
                client->n_idle--;
        pthread_mutex_unlock(&client->lock);
        free_handles(old);
}

// The token to send: the file's content when it changed since the last look (once a second at most). Owned by the caller.
static char *current_token(struct cx_http_client *client)
{
        if (!client->token_file)
                return cx_strdup(client->token);
        pthread_mutex_lock(&client->lock);
        int64_t now = cx_time_monotonic();
        if (!client->token_checked || now - client->token_checked > CX_NS_PER_S) {
                client->token_checked = now;
                struct stat st;
                if (stat(client->token_file, &st) == 0 &&
                    (st.st_mtim.tv_sec != client->token_mtime.tv_sec ||
                     st.st_mtim.tv_nsec != client->token_mtime.tv_nsec || !client->token)) {
                        CX_BUF text = CX_BUF_INIT_MAX(65536);
                        if (cx_buf_read_file(&text, client->token_file) == 0) {
                                while (text.length && strchr(" \r\n\t", text.data[text.length - 1]))
                                        cx_buf_truncate(&text, text.length - 1);
                                wipe(client->token);
                                client->token = cx_buf_detach(&text);
                                client->token_mtime = st.st_mtim;
                        }
                }
        }
        char *token = cx_strdup(client->token);
        pthread_mutex_unlock(&client->lock);
        return token;
}

// A header name and value from outside must not smuggle in another line.
static struct curl_slist *add_header(struct curl_slist *list, const char *line)
{
        return strpbrk(line, "\r\n") ? list : curl_slist_append(list, line);
}

static struct curl_slist *make_headers(struct cx_http_client *client, const struct cx_http_call *call)
{
        struct curl_slist *list = NULL;
        char *line = cx_sprintf("Accept: %s", call->accept ? call->accept : "application/json");
        list = add_header(list, line);
        free(line);
        if (call->body || call->content_type) {
                line = cx_sprintf("Content-Type: %s", call->content_type ? call->content_type : "application/json");
                list = add_header(list, line);
                free(line);
        }
        list = curl_slist_append(list, "Expect:");
        CX_CLEANUP(cx_freep) char *token = current_token(client);
        if (token) {
                line = cx_sprintf("Authorization: Bearer %s", token);
                list = add_header(list, line);
                wipe(line);
        }
        for (const char *const *header = call->headers; header && *header; header++)
                list = add_header(list, *header);
        return list;
}

static char *make_url(const struct cx_http_client *client, size_t server, const char *path)
{
        if (!client->n_servers || cx_has_prefix(path, "http://") || cx_has_prefix(path, "https://"))
                return cx_strdup(path);
        return cx_sprintf("%s%s%s", client->servers[server], path[0] == '/' ? "" : "/", path);
}

// libcurl verifies the name it connects by: another name to verify goes into the URL, and the real address is given with
// CURLOPT_CONNECT_TO.
static char *with_server_name(CURL *easy, const struct cx_http_client *client, const char *url,
                              struct curl_slist **ret_connect_to)
{
        CURLU *parts = curl_url();
        char *host = NULL, *port = NULL, *result = NULL, *text = NULL;
        if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
            curl_url_set(parts, CURLUPART_HOST, client->server_name, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK) {
                char *rule = cx_sprintf("%s:%s:%s:%s", client->server_name, port, host, port);
                *ret_connect_to = curl_slist_append(NULL, rule);
                free(rule);
                curl_easy_setopt(easy, CURLOPT_CONNECT_TO, *ret_connect_to);
                result = cx_strdup(text);
        }
        curl_free(host);
        curl_free(port);
        curl_free(text);
        curl_url_cleanup(parts);
        return result ? result : cx_strdup(url);
}

void cx_http_setup(CURL *easy, struct cx_http_client *client, const struct cx_http_call *call, unsigned *generation,
                   struct cx_http_setup *ret_setup)
{
        *ret_setup = (struct cx_http_setup){.client = client, .began = cx_time_monotonic()};
        cx_http_set_server(easy, client, ret_setup);
        char *url = make_url(client, ret_setup->server, call->path ? call->path : "/");
        if (client->server_name && cx_has_prefix(url, "https://")) {
                char *renamed = with_server_name(easy, client, url, &ret_setup->connect_to);
                free(url);
                url = renamed;
        }
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); // what was authorized is what is asked for
        free(url);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_SHARE, client->share);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
        // With TLS libcurl keeps a send buffer of this size for as long as a transfer lasts; a watch lasts for ever.
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, call->body_length > 16384 ? 65536L : 16384L);
        cx_http_set_tls(easy, client, generation, ret_setup);
        if (client->unix_socket)
                curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, client->unix_socket);
        if (client->username) {
                curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
                curl_easy_setopt(easy, CURLOPT_USERNAME, client->username);
                curl_easy_setopt(easy, CURLOPT_PASSWORD, cx_str(client->password));
        }
        int64_t timeout = call->timeout ? call->timeout : 60 * CX_NS_PER_S;
        if (timeout > 0)
                curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout / CX_NS_PER_MS + 1));
        if (call->stall_timeout > 0) {
                curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
                curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(call->stall_timeout / CX_NS_PER_S + 1));
        }
        const char *method = call->method ? call->method : "GET";
        if (call->body || cx_streq(method, "POST")) {
                curl_easy_setopt(easy, CURLOPT_POST, 1L);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->body ? call->body_length : 0));
                curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
        }
        if (cx_streq(method, "HEAD"))
                curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        else if (!cx_streq(method, "GET") || call->body)
                curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
        if (call->follow_redirects) {
                curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
                curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
        }
        ret_setup->headers = make_headers(client, call);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, ret_setup->headers);
}

void cx_http_setup_release(struct cx_http_setup *setup)
{
        curl_slist_free_all(setup->headers);
        curl_slist_free_all(setup->connect_to);
        cx_http_material_unref(setup->material);
        *setup = (struct cx_http_setup){0};
}

struct transfer {
        CURL *easy;
        const struct cx_http_call *call;
        struct cx_http_reply *reply;
        size_t max;
        bool begun; // the final answer's headers are complete: more of them are trailers
        bool too_large, aborted, interim;
};

static void note_code(struct transfer *transfer)
{
        long code = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
        transfer->reply->code = (int)code;
}

static void begin(struct transfer *transfer)
{
        transfer->begun = true;
        if (transfer->call->on_headers)
                transfer->call->on_headers(transfer->call->context, transfer->reply);
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
        struct transfer *transfer = user;
        size_t length = size * count;
        bool first = length > 5 && strncmp(data, "HTTP/", 5) == 0;
        if (transfer->begun && !(first && transfer->call->follow_redirects))
                return length; // trailers are not passed on
        if (first) {           // a new header block: after a 100, or a redirect
                cx_buf_clear(&transfer->reply->headers);
                cx_buf_clear(&transfer->reply->body);
                transfer->begun = false;
        }
        cx_buf_append(&transfer->reply->headers, data, length);
        if (transfer->reply->headers.overflow) {
                transfer->too_large = true;
                return 0;
        }
        note_code(transfer);
        // The last line is empty, however it is ended: libcurl takes bare newlines too.
        if (length && (*data == '\r' || *data == '\n') && transfer->reply->code >= 200)
                begin(transfer);
        return length;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
        struct transfer *transfer = user;
        size_t length = size * count;
        note_code(transfer);
        transfer->interim = transfer->reply->code < 200; // 101, which nobody asked for
        if (transfer->interim)
                return 0;
        if (!transfer->begun)
                begin(transfer);
        if (transfer->call->on_data) {
                if (transfer->call->on_data(transfer->call->context, transfer->reply, data, length)) {
                        transfer->aborted = true;
                        return 0;
                }
                return length;
        }
        if (transfer->reply->body.length + length > transfer->max) {
                transfer->too_large = true;
                return 0;
        }
        cx_buf_append(&transfer->reply->body, data, length);
        return length;
}

static bool is_idempotent(const char *method)
{
        return !method || cx_streq(method, "GET") || cx_streq(method, "PUT") || cx_streq(method, "DELETE") ||
               cx_streq(method, "HEAD");
}

int cx_http_curl_error(CURLcode code, const char *detail, const char *what, struct cx_error *err)
{
        static const struct {
                CURLcode curl;
                int code;
        } codes[] = {
                {CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH},
                {CURLE_COULDNT_CONNECT, -ECONNREFUSED},
                {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
                {CURLE_PEER_FAILED_VERIFICATION, -EPROTO},
                {CURLE_SSL_CONNECT_ERROR, -EPROTO},
                {CURLE_SSL_CERTPROBLEM, -EPROTO},
                {CURLE_SSL_CACERT_BADFILE, -EPROTO},
                {CURLE_SEND_ERROR, -ECONNRESET},
                {CURLE_RECV_ERROR, -ECONNRESET},
                {CURLE_GOT_NOTHING, -ECONNRESET},
                {CURLE_PARTIAL_FILE, -ECONNRESET},
                {CURLE_URL_MALFORMAT, -EINVAL},
                {CURLE_UNSUPPORTED_PROTOCOL, -EINVAL},
                {CURLE_WEIRD_SERVER_REPLY, -EPROTO},
        };
        int result = -EIO;
        for (size_t i = 0; i < CX_ARRAY_SIZE(codes); i++)
                if (codes[i].curl == code)
                        result = codes[i].code;
        if (code == CURLE_OUT_OF_MEMORY) // so libcurl calls a header line of more than 100 KB
                return cx_error_set(err, -EMSGSIZE, "%s: a header of the answer is too large", what);
        return cx_error_set(err, result, "%s: %s", what, detail && *detail ? detail : curl_easy_strerror(code));
}

static CURLcode drive(struct cx_http_handle *handle, const bool *cancel, bool *ret_canceled)
{
        CURLcode result = CURLE_FAILED_INIT;
        if (curl_multi_add_handle(handle->multi, handle->easy) != CURLM_OK)
                return result;
        for (;;) {
                int running = 0;
                if (curl_multi_perform(handle->multi, &running) != CURLM_OK)
                        break;
                if (!running) {
                        int left;
                        CURLMsg *message = curl_multi_info_read(handle->multi, &left);
                        if (message && message->msg == CURLMSG_DONE)
                                result = message->data.result;
                        break;
                }
                if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED)) {
                        *ret_canceled = true;
                        break;
                }
                curl_multi_poll(handle->multi, NULL, 0, cancel ? 100 : 1000, NULL);
        }
        curl_multi_remove_handle(handle->multi, handle->easy);
        return result;
}

static void close_connections(struct cx_http_handle *handle)
{
        curl_multi_cleanup(handle->multi);
        handle->multi = curl_multi_init();
        if (!handle->multi)
                abort();
}

// Once, at the server of the moment. ret_again: that one was lost, and the call may be sent to the next.
static int do_once(struct cx_http_client *client, const struct cx_http_call *call, struct cx_http_reply *ret_reply,
                   bool *ret_again, struct cx_error *err)
{
        struct cx_http_handle *handle = take_handle(client);
        struct cx_http_setup setup;
        char detail[CURL_ERROR_SIZE] = "";
        cx_buf_clear(&ret_reply->body);
        cx_buf_clear(&ret_reply->headers);
        ret_reply->code = 0;
        struct transfer transfer = {.easy = handle->easy,
                                    .call = call,
                                    .reply = ret_reply,
                                    .max = call->max_reply ? call->max_reply : (size_t)256 << 20};
        curl_easy_reset(handle->easy);
        unsigned before = handle->generation;
        cx_http_setup(handle->easy, client, call, &handle->generation, &setup);
        if (before && before != handle->generation)
                close_connections(handle);
        curl_easy_setopt(handle->easy, CURLOPT_ERRORBUFFER, detail);
        curl_easy_setopt(handle->easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(handle->easy, CURLOPT_HEADERDATA, &transfer);
        curl_easy_setopt(handle->easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(handle->easy, CURLOPT_WRITEDATA, &transfer);
        bool canceled = false;
        CURLcode result = drive(handle, call->cancel, &canceled);
        long code = 0;
        curl_off_t sent_at = 0;
        curl_easy_getinfo(handle->easy, CURLINFO_RESPONSE_CODE, &code);
        curl_easy_getinfo(handle->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
        ret_reply->code = (int)code;
        bool own_end = canceled || transfer.aborted || transfer.too_large || transfer.interim;
        *ret_again = !own_end && cx_http_server_lost(&setup, handle->easy, result) && !transfer.begun &&
                     (!sent_at || is_idempotent(call->method));
        curl_easy_reset(handle->easy); // it refers to what goes now
        cx_http_setup_release(&setup);
        give_handle(client, handle);

        const char *path = call->path ? call->path : "/";
        if (canceled)
                return cx_error_set(err, -ECANCELED, "%s: canceled", path);
        if (transfer.aborted)
                return cx_error_set(err, -ECANCELED, "%s: aborted by the reader", path);
        if (transfer.too_large)
                return cx_error_set(err, -EMSGSIZE, "%s: the answer is too large", path);
        if (result != CURLE_OK && !transfer.interim) {
                int r = cx_http_curl_error(result, detail, path, err);
                if (r == -ECONNREFUSED && sent_at) // on a connection that was there: it may have been done
                        r = err->code = -ECONNRESET;
                return r;
        }
        if (code < 200)
                return cx_error_set(err, -EPROTO, "%s: the answer has no final status", path);
        if (!transfer.begun)
                begin(&transfer);
        return 0;
}

int cx_http_do(struct cx_http_client *client, const struct cx_http_call *call, struct cx_http_reply *ret_reply,
               struct cx_error *err)
{
        for (size_t left = client->n_servers;; left--) {
                CX_ERROR failure = CX_ERROR_INIT;
                bool again = false;
                int r = do_once(client, call, ret_reply, &again, &failure);
                if (r == 0 || !again || left <= 1)
                        return r < 0 ? cx_error_move(err, &failure) : 0;
        }
}

void cx_http_reply_release(struct cx_http_reply *reply)
{
        cx_buf_release(&reply->body);
        cx_buf_release(&reply->headers);
        reply->code = 0;
}

char *cx_http_reply_header(const struct cx_http_reply *reply, const char *name)
{
        size_t length = strlen(name);
        const char *line = reply->headers.data;
        while (line && *line) {
                const char *end = strchrnul(line, '\n');
                if ((size_t)(end - line) > length && line[length] == ':' && strncasecmp(line, name, length) == 0) {
                        const char *value = line + length + 1;
                        const char *stop = end;
                        while (value < stop && (*value == ' ' || *value == '\t'))
                                value++;
                        while (stop > value && strchr(" \t\r", stop[-1]))
                                stop--;
                        return cx_strndup(value, (size_t)(stop - value));
                }
                line = *end ? end + 1 : end;
        }
        return NULL;
}

void cx_http_reply_headers(const struct cx_http_reply *reply,
                           void (*each)(void *context, const char *name, const char *value), void *context)
{
        for (const char *line = cx_str(reply->headers.data), *end; *line; line = *end ? end + 1 : end) {
                end = strchrnul(line, '\n');
                const char *colon = memchr(line, ':', (size_t)(end - line)), *stop = end;
                if (!colon || colon == line)
                        continue;
                const char *value = colon + 1;
                while (value < stop && (*value == ' ' || *value == '\t'))
                        value++;
                while (stop > value && strchr(" \t\r", stop[-1]))
                        stop--;
                CX_CLEANUP(cx_freep) char *name = cx_strndup(line, (size_t)(colon - line));
                CX_CLEANUP(cx_freep) char *text = cx_strndup(value, (size_t)(stop - value));
                each(context, name, text);
        }
}

void cx_url_encode(struct cx_buf *to, const char *text)
{
        static const char hex[] = "0123456789ABCDEF";
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                             *p == '-' || *p == '.' || *p == '_' || *p == '~';
                if (plain)
                        cx_buf_add_char(to, (char)*p);
                else
                        cx_buf_append(to, (char[]){'%', hex[*p >> 4], hex[*p & 15]}, 3);
        }
}
