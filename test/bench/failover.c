// SPDX-License-Identifier: Apache-2.0
// What a component sees of its API servers while some of them are lost: one thread reads, one writes, an informer watches what
// is written. At SIGTERM it prints, for each, how many calls (or events) there were, how many calls failed, and the longest
// time in milliseconds between two that went well.
//
//     failover KUBECONFIG NAME [PAUSE_MS]    NAME: of the ConfigMap that is written
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/rest.h"
#include "libcommon/format/json.h"
#include "libcommon/net/http_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

struct figures {
        int64_t count, failed, longest, last;
        char *why; // of the last failure
};

static struct {
        struct cx_rest *rest;
        const char *name;
        int64_t pause;
        atomic_bool stop;
        char written[24];                 // the last; the writer's until it has ended
        struct figures get, write, watch; // each of one thread
} world;

static void went_well(struct figures *figures)
{
        int64_t now = cx_time_monotonic();
        if (figures->last && now - figures->last > figures->longest)
                figures->longest = now - figures->last;
        figures->last = now;
        figures->count++;
}

static void went_wrong(struct figures *figures, struct cx_error *err)
{
        figures->failed++;
        free(figures->why);
        figures->why = cx_strdup(cx_error_text(err));
}

static void *read_on(void *context CX_UNUSED)
{
        const struct cx_ref *ref = CX_REF("", "v1", "namespaces", NULL, "default");
        while (!atomic_load(&world.stop)) {
                CX_ERROR err = CX_ERROR_INIT;
                if (cx_rest_get(world.rest, ref, NULL, &err) == 0)
                        went_well(&world.get);
                else
                        went_wrong(&world.get, &err);
                usleep((useconds_t)world.pause);
        }
        return NULL;
}

static void *write_on(void *context CX_UNUSED)
{
        const struct cx_ref *ref = CX_REF("", "v1", "configmaps", "default", world.name);
        for (int64_t n = 0; !atomic_load(&world.stop); n++) {
                CX_ERROR err = CX_ERROR_INIT;
                char text[24];
                snprintf(text, sizeof text, "%lld", (long long)n);
                json_auto_t *patch = json_pack("{s:{s:s}}", "data", "n", text);
                if (cx_rest_patch(world.rest, ref, NULL, CX_PATCH_MERGE, patch, NULL, &err) == 0) {
                        went_well(&world.write);
                        memcpy(world.written, text, sizeof text);
                } else
                        went_wrong(&world.write, &err);
                usleep((useconds_t)world.pause);
        }
        return NULL;
}

static void on_event(void *context CX_UNUSED, const struct cx_object *old CX_UNUSED,
                     const struct cx_object *now CX_UNUSED)
{
        went_well(&world.watch);
}

// What was written last has to come, at the latest now.
static void wait_for_last(const struct cx_informer *maps)
{
        for (int64_t end = cx_time_monotonic() + 60 * CX_NS_PER_S; cx_time_monotonic() < end; usleep(1000)) {
                CX_OBJECT *object = cx_informer_get(maps, "default", world.name);
                json_auto_t *map = object ? cx_object_json(object) : NULL;
                if (cx_streq(cx_json_string(map, "data.n"), world.written))
                        return;
        }
}

static void say(const char *what, const struct figures *figures)
{
        printf("%s %lld failed %lld longest %lld ms%s%s\n", what, (long long)figures->count, (long long)figures->failed,
               (long long)(figures->longest / CX_NS_PER_MS), figures->why ? ": " : "", cx_str(figures->why));
}

int main(int argc, char **argv)
{
        CX_ERROR err = CX_ERROR_INIT;
        pthread_t reader, writer;
        if (argc < 3)
                return 2;
        cx_process_init();
        world.name = argv[2];
        world.pause = argc > 3 ? strtol(argv[3], NULL, 10) * 1000 : 20000;
        if (cx_rest_from_kubeconfig(argv[1], NULL, &world.rest, &err) < 0) {
                fprintf(stderr, "%s\n", cx_error_text(&err));
                return 1;
        }
        json_auto_t *map = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap", "metadata", "name",
                                     world.name);
        (void)!cx_rest_create(world.rest, CX_REF("", "v1", "configmaps", "default"), map, NULL, NULL);
        struct cx_informers *informers = cx_informers_new(world.rest);
        struct cx_informer *maps = cx_informers_add(
                informers, &(struct cx_informer_options){.ref = {"", "v1", "configmaps", "default", world.name}});
        cx_informer_on_event(maps, on_event, NULL);
        cx_informers_start(informers);
        if (cx_informers_wait_synced(informers, 60 * CX_NS_PER_S, &err) < 0 ||
            pthread_create(&reader, NULL, read_on, NULL) || pthread_create(&writer, NULL, write_on, NULL)) {
                fprintf(stderr, "%s\n", cx_error_text(&err));
                return 1;
        }
        puts("ready");
        (void)fflush(stdout);
        (void)cx_process_wait_stop();
        atomic_store(&world.stop, true);
        pthread_join(reader, NULL);
        pthread_join(writer, NULL);
        wait_for_last(maps);
        say("reads", &world.get);
        say("writes", &world.write);
        say("events", &world.watch);
        printf("at %s\n", cx_http_client_server(cx_rest_http(world.rest)));
        cx_informers_free(informers);
        cx_rest_free(world.rest);
        return 0;
}
