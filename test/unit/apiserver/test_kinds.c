// SPDX-License-Identifier: Apache-2.0
// Kinds that come, change and leave while the server runs: everything that is served follows at once, also under load.
#include "test/unit/apiserver/http.h"

#include <unistd.h>

static struct served served;

// --- a kind made at run time: all of it on the heap, so that sanitizers see who holds on to it for too long ---

struct widget {
        char *texts[24];
        size_t n_texts;
        struct cx_field spec_fields[2], fields[5];
        struct cx_type spec_type, type;
        struct cx_kind kind;
        struct cx_subresource subresources[2];
        struct cx_column columns[3];
        struct cx_frozen frozen[1];
        const char *names[2], *none[1], *selectable[3];
        struct cx_resource resource;
};
static atomic_int alive; // how many descriptions have not been released

static const char *text_of(struct widget *w, const char *text)
{
        return w->texts[w->n_texts++] = cx_strdup(text);
}

static void free_widget(void *owner)
{
        struct widget *w = owner;
        for (size_t i = 0; i < w->n_texts; i++)
                free(w->texts[i]);
        free(w);
        atomic_fetch_sub(&alive, 1);
}

// Widgets whose size is `size` by default; `selectable`: by spec.size, too.
static struct kind_options widgets(const char *size, bool selectable)
{
        struct widget *w = cx_alloc(sizeof *w);
        const char *group = text_of(w, "example.io"), *version = text_of(w, "v1"), *kind = text_of(w, "Widget");
        atomic_fetch_add(&alive, 1);
        w->spec_fields[0] = (struct cx_field){
                .name = text_of(w, "size"), .of = CX_OF_INT32, .default_json = text_of(w, size), .min = 1, .max = 100};
        w->spec_fields[1] = (struct cx_field){.name = text_of(w, "words"), .of = CX_OF_STRING, .min = 1};
        w->spec_type = (struct cx_type){.name = text_of(w, "io.example.v1.WidgetSpec"),
                                        .fields = w->spec_fields,
                                        .n_fields = 2,
                                        .defaulted = true};
        w->fields[0] = (struct cx_field){.name = text_of(w, "apiVersion"), .of = CX_OF_STRING, .min = 1};
        w->fields[1] = (struct cx_field){.name = text_of(w, "kind"), .of = CX_OF_STRING, .min = 1};
        w->fields[2] = (struct cx_field){
                .name = text_of(w, "metadata"), .type = cx_schema_type("meta.v1.ObjectMeta"), .min = 1};
        w->fields[3] = (struct cx_field){
                .name = text_of(w, "spec"), .type = &w->spec_type, .default_json = text_of(w, "{}"), .min = 1};
        w->fields[4] = (struct cx_field){.name = text_of(w, "status"), .of = CX_OF_ANY, .min = 1};
        w->type = (struct cx_type){
                .name = text_of(w, "io.example.v1.Widget"), .fields = w->fields, .n_fields = 5, .defaulted = true};
        w->kind = (struct cx_kind){group, version, kind, &w->type};
        w->subresources[0] = (struct cx_subresource){text_of(w, "status"), group, version, kind,
                                                     CX_VERB_GET | CX_VERB_UPDATE | CX_VERB_PATCH};
        w->columns[0] = (struct cx_column){"Name", "string", "name", 0, NULL, NULL};
        w->columns[1] = (struct cx_column){"Size", "integer", "", 0, text_of(w, ".spec.size"), NULL};
        w->names[0] = text_of(w, "wd");
        if (selectable)
                w->selectable[0] = text_of(w, "spec.size");
        w->resource = (struct cx_resource){.group = group,
                                           .version = version,
                                           .resource = text_of(w, "widgets"),
                                           .singular = text_of(w, "widget"),
                                           .kind = &w->kind,
                                           .list_kind = text_of(w, "WidgetList"),
                                           .namespaced = true,
                                           .verbs = 255,
                                           .short_names = w->names,
                                           .categories = w->none,
                                           .subresources = w->subresources,
                                           .columns = w->columns,
                                           .selectable_fields = w->selectable,
                                           .prefix = text_of(w, "example.io/widgets"),
                                           .generation = CX_GENERATION_SPEC,
                                           .frozen = w->frozen};
        return (struct kind_options){.resource = &w->resource, .release = free_widget, .owner = w};
}

static void add(const char *size, bool selectable)
{
        struct kind_options options = widgets(size, selectable);
        CX_ERROR err = CX_ERROR_INIT;
        if (kinds_add(served.fixture.api.kinds, &options, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
}

static void replace(const char *size, bool selectable)
{
        struct kind_options options = widgets(size, selectable);
        CX_ERROR err = CX_ERROR_INIT;
        if (kinds_replace(served.fixture.api.kinds, &options, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
}

static void drop(void)
{
        assert_int_equal(kinds_remove(served.fixture.api.kinds, "example.io", "v1", "widgets", NULL), 0);
}

static int start(void **state CX_UNUSED)
{
        served_start(&served, NULL);
        return 0;
}

static int end(void **state CX_UNUSED)
{
        served_end(&served);
        assert_int_equal(atomic_load(&alive), 0);
        return 0;
}

#define GROUP "/apis/example.io/v1"
#define WIDGETS GROUP "/namespaces/default/widgets"
#define MERGE "application/merge-patch+json"

static int code_of(const char *path)
{
        return ask(&served, "GET", path, NULL, NULL, NULL);
}

static int post(const char *path, const char *format, const char *name)
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf(format, name);
        return ask(&served, "POST", path, NULL, text, NULL);
}

static bool holds(const char *path, const char *accept, const char *what)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        struct cx_http_call call = {.path = path, .accept = accept};
        assert_int_equal(cx_http_do(served.client, &call, &reply, NULL), 0);
        assert_int_equal(reply.code, 200);
        return strstr(reply.body.data, what);
}

// --- a watch on a thread of its own ---

struct watching {
        pthread_t thread;
        const char *path;
        pthread_mutex_t lock; // guards text
        struct cx_buf text;
        bool stop;
        int code;
        atomic_bool over;
};

static int on_watch_data(void *context, const struct cx_http_reply *reply CX_UNUSED, const char *data, size_t length)
{
        struct watching *watching = context;
        pthread_mutex_lock(&watching->lock);
        cx_buf_append(&watching->text, data, length);
        pthread_mutex_unlock(&watching->lock);
        return 0;
}

static void *watch_main(void *context)
{
        struct watching *watching = context;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        struct cx_http_call call = {.path = watching->path,
                                    .on_data = on_watch_data,
                                    .context = watching,
                                    .timeout = -1,
                                    .cancel = &watching->stop};
        (void)!cx_http_do(served.client, &call, &reply, NULL);
        watching->code = reply.code;
        atomic_store(&watching->over, true);
        return NULL;
}

static void watch_start(struct watching *watching, const char *path)
{
        *watching = (struct watching){.path = path, .text = CX_BUF_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};
        assert_int_equal(pthread_create(&watching->thread, NULL, watch_main, watching), 0);
}

static bool watch_saw(struct watching *watching, const char *what)
{
        pthread_mutex_lock(&watching->lock);
        bool saw = strstr(watching->text.data, what);
        pthread_mutex_unlock(&watching->lock);
        return saw;
}

static void watch_end(struct watching *watching)
{
        __atomic_store_n(&watching->stop, true, __ATOMIC_RELEASE);
        pthread_join(watching->thread, NULL);
        cx_buf_release(&watching->text);
}

#define UNTIL(condition)                                                                                               \
        for (int tries_ = 0; !(condition); tries_++) {                                                                 \
                if (tries_ == 2000)                                                                                    \
                        fail_msg("never: %s", #condition);                                                             \
                usleep(5000);                                                                                          \
        }

// --- one kind, step by step ---

static const char plain[] = "{'kind':'Widget','apiVersion':'example.io/v1','metadata':{'name':'%s'}}";

static void test_it_comes(void **state CX_UNUSED)
{
        assert_int_equal(code_of(WIDGETS), 404);
        assert_int_equal(code_of(GROUP), 404);
        assert_false(holds("/apis", NULL, "example.io"));
        assert_false(holds("/openapi/v2", NULL, "io.example.v1.Widget"));
        add("3", false);
        assert_int_equal(post(WIDGETS, plain, "a"), 201);
        json_auto_t *widget = NULL, *patched = NULL, *status = NULL;
        assert_int_equal(ask(&served, "GET", WIDGETS "/a", NULL, NULL, &widget), 200);
        assert_int_equal(cx_json_int(widget, "spec.size", 0), 3);
        assert_int_equal(cx_json_int(widget, "metadata.generation", 0), 1);
        assert_int_equal(ask(&served, "PATCH", WIDGETS "/a", MERGE, "{'spec':{'size':4,'unknown':1}}", &patched), 200);
        assert_int_equal(cx_json_int(patched, "metadata.generation", 0), 2);
        assert_null(cx_json_get(patched, "spec.unknown"));
        assert_int_equal(ask(&served, "PATCH", WIDGETS "/a/status", MERGE, "{'status':{'ready':true}}", &status), 200);
        assert_true(cx_json_bool(status, "status.ready", false));
        assert_int_equal(ask(&served, "PATCH", WIDGETS "/a", MERGE, "{'spec':{'size':400}}", NULL), 422);
        assert_int_equal(ask(&served, "PATCH", WIDGETS "/a", MERGE, "{'spec':{'size':'x'}}", NULL), 400);
        assert_true(holds("/apis", NULL, "example.io"));
        assert_true(holds(GROUP, NULL, "\"widgets/status\""));
        assert_true(
                holds("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "example.io"));
        assert_true(holds("/openapi/v2", NULL, "io.example.v1.WidgetList"));
        assert_true(holds("/openapi/v3", NULL, "apis/example.io/v1"));
        assert_true(holds("/openapi/v3" GROUP, NULL, "io.example.v1.WidgetSpec"));
        assert_true(holds(WIDGETS, "application/json;as=Table;v=v1;g=meta.k8s.io", "\"Size\""));
        struct kind_options again = widgets("1", false);
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(kinds_add(served.fixture.api.kinds, &again, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_ALREADY_EXISTS));
}

static void test_it_changes(void **state CX_UNUSED)
{
        struct watching watching, selecting;
        watch_start(&watching, WIDGETS "?watch=true");
        UNTIL(watch_saw(&watching, "\"name\":\"a\""));
        replace("7", false); // watches go on
        assert_int_equal(post(WIDGETS, plain, "b"), 201);
        UNTIL(watch_saw(&watching, "\"name\":\"b\""));
        assert_true(watch_saw(&watching, "\"size\":7"));
        assert_false(atomic_load(&watching.over));
        assert_int_equal(code_of(WIDGETS "?fieldSelector=spec.size%3D7"), 400);
        replace("7", true); // selected by something else: they begin anew
        UNTIL(atomic_load(&watching.over));
        assert_int_equal(watching.code, 200);
        watch_end(&watching);
        json_auto_t *list = NULL;
        assert_int_equal(ask(&served, "GET", WIDGETS "?fieldSelector=spec.size%3D7", NULL, NULL, &list), 200);
        assert_int_equal(cx_json_count(list, "items"), 1);
        watch_start(&selecting, WIDGETS "?watch=true&fieldSelector=spec.size%3D9");
        assert_int_equal(ask(&served, "PATCH", WIDGETS "/b", MERGE, "{'spec':{'size':9}}", NULL), 200);
        UNTIL(watch_saw(&selecting, "\"type\":\"ADDED\""));
        watch_end(&selecting);
}

static void test_it_leaves(void **state CX_UNUSED)
{
        struct watching watching;
        watch_start(&watching, WIDGETS "?watch=true");
        UNTIL(watch_saw(&watching, "\"name\":\"b\""));
        drop();
        UNTIL(atomic_load(&watching.over));
        assert_int_equal(watching.code, 200);
        watch_end(&watching);
        assert_int_equal(code_of(WIDGETS), 404);
        assert_int_equal(code_of(WIDGETS "/a"), 404);
        assert_int_equal(code_of(GROUP), 404);
        assert_int_equal(code_of("/openapi/v3" GROUP), 404);
        assert_false(holds("/apis", NULL, "example.io"));
        assert_false(holds("/openapi/v2", NULL, "io.example.v1.Widget"));
        UNTIL(atomic_load(&alive) == 0); // once the last request is over
        CX_ERROR err = CX_ERROR_INIT, builtin_kind = CX_ERROR_INIT;
        struct kinds *kinds = served.fixture.api.kinds;
        assert_true(kinds_remove(kinds, "example.io", "v1", "widgets", &err) < 0);
        assert_true(kinds_remove(kinds, "", "v1", "pods", &builtin_kind) < 0);
        assert_true(cx_error_is(&builtin_kind, CX_REASON_NOT_FOUND));
        add("1", false); // what is stored is there again
        json_auto_t *list = NULL;
        assert_int_equal(ask(&served, "GET", WIDGETS, NULL, NULL, &list), 200);
        assert_int_equal(cx_json_count(list, "items"), 2);
        drop();
}

// --- under load ---

static atomic_bool stopping;
static atomic_int created, refused, wrong, watched, ended;

static void expect(int code, int good, int otherwise)
{
        if (code != good && code != otherwise)
                atomic_fetch_add(&wrong, 1);
}

static void *create_widgets(void *number)
{
        for (int i = 0; !atomic_load(&stopping); i++) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("load-%d-%d", (int)(intptr_t)number, i);
                int code = post(WIDGETS, plain, name);
                atomic_fetch_add(code == 201 ? &created : &refused, 1);
                expect(code, 201, 404);
        }
        return NULL;
}

static void *create_others(void *context CX_UNUSED)
{
        for (int i = 0; !atomic_load(&stopping); i++) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("other-%d", i);
                expect(post("/api/v1/namespaces/default/configmaps", "{'metadata':{'name':'%s'}}", name), 201, 201);
        }
        return NULL;
}

static void *list_widgets(void *context CX_UNUSED)
{
        while (!atomic_load(&stopping)) {
                expect(code_of(WIDGETS), 200, 404);
                expect(code_of(WIDGETS "?resourceVersion=0&labelSelector=a%3Db"), 200, 404);
                expect(code_of(WIDGETS "?limit=2"), 200, 404);
                expect(ask(&served, "PATCH", WIDGETS "/a", MERGE, "{'spec':{'words':'w'}}", NULL), 200, 404);
        }
        return NULL;
}

static void *watch_widgets(void *context CX_UNUSED)
{
        while (!atomic_load(&stopping)) {
                struct watching watching;
                watch_start(&watching, WIDGETS "?watch=true");
                while (!atomic_load(&stopping) && !atomic_load(&watching.over))
                        usleep(1000);
                if (atomic_load(&watching.over)) {
                        atomic_fetch_add(&ended, watching.code == 200);
                        expect(watching.code, 200, 404);
                }
                atomic_fetch_add(&watched, watch_saw(&watching, "\"type\":\"ADDED\""));
                watch_end(&watching);
        }
        return NULL;
}

static void *read_documents(void *context CX_UNUSED)
{
        static const char *const paths[] = {"/apis", GROUP, "/openapi/v3", "/openapi/v3" GROUP, "/apis/example.io"};
        while (!atomic_load(&stopping)) {
                for (size_t i = 0; i < CX_ARRAY_SIZE(paths); i++)
                        expect(code_of(paths[i]), 200, 404);
                (void)holds("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "");
        }
        return NULL;
}

static void test_under_load(void **state CX_UNUSED)
{
        void *(*const mains[])(void *) = {create_widgets, create_widgets, create_others,  list_widgets,
                                          watch_widgets,  watch_widgets,  read_documents, read_documents};
        pthread_t threads[CX_ARRAY_SIZE(mains)];
        for (size_t i = 0; i < CX_ARRAY_SIZE(mains); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, mains[i], (void *)(intptr_t)i), 0);
        for (int round = 0; round < 6; round++) {
                int before = atomic_load(&created), saw = atomic_load(&ended);
                add("1", round % 2);
                UNTIL(atomic_load(&created) > before + 5);
                replace("2", round % 2);
                UNTIL(atomic_load(&created) > before + 10);
                replace("3", round % 3);
                UNTIL(atomic_load(&created) > before + 15);
                drop();
                int gone = atomic_load(&refused);
                UNTIL(atomic_load(&refused) > gone);
                UNTIL(atomic_load(&ended) > saw);
        }
        atomic_store(&stopping, true);
        for (size_t i = 0; i < CX_ARRAY_SIZE(mains); i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&wrong), 0);
        assert_true(atomic_load(&watched) > 0);
        add("1", false);
        json_auto_t *list = NULL;
        assert_int_equal(ask(&served, "GET", WIDGETS, NULL, NULL, &list), 200);
        assert_int_equal(cx_json_count(list, "items"), atomic_load(&created) + 2);
        drop();
        UNTIL(atomic_load(&alive) == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_comes), cmocka_unit_test(test_it_changes),
                                           cmocka_unit_test(test_it_leaves), cmocka_unit_test(test_under_load)};
        return cmocka_run_group_tests(tests, start, end);
}
