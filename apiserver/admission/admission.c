// SPDX-License-Identifier: Apache-2.0
// Asks the plugins that want a request, one after the other.
#include "apiserver/admission/admission.h"

#include "libcommon/base/map.h"

#define LEDGERS 32

struct admission_chain {
        const struct admission_plugin **plugins;
        size_t count;
        pthread_mutex_t ledgers[LEDGERS]; // by namespace: held while its accounts are changed; guard nothing else
};

struct admission_chain *admission_chain_new(const struct admission_plugin *const *plugins,
                                            const struct cx_strings *enabled, const struct cx_strings *disabled)
{
        struct admission_chain *chain = cx_alloc(sizeof *chain);
        size_t count = 0;
        for (size_t i = 0; i < LEDGERS; i++)
                pthread_mutex_init(&chain->ledgers[i], NULL);
        while (plugins[count])
                count++;
        chain->plugins = cx_alloc_array(count, sizeof *chain->plugins);
        for (size_t i = 0; i < count; i++)
                if (!cx_strings_has(disabled, plugins[i]->name) &&
                    (!plugins[i]->off_by_default || cx_strings_has(enabled, plugins[i]->name)))
                        chain->plugins[chain->count++] = plugins[i];
        return chain;
}

int admission_check_names(const struct admission_plugin *const *plugins, const char *flag,
                          const struct cx_strings *names, struct cx_error *err)
{
        for (size_t i = 0; i < names->count; i++) {
                const struct admission_plugin *const *plugin = plugins;
                while (*plugin && strcmp((*plugin)->name, names->items[i]) != 0)
                        plugin++;
                if (!*plugin)
                        return cx_error_set(err, -EINVAL, "%s plugin \"%s\" is unknown", flag, names->items[i]);
        }
        return 0;
}

void admission_chain_free(struct admission_chain *chain)
{
        if (!chain)
                return;
        for (size_t i = 0; i < LEDGERS; i++)
                pthread_mutex_destroy(&chain->ledgers[i]);
        free(chain->plugins);
        free(chain);
}

static bool is_any_or(const char *wanted, const char *given)
{
        return strcmp(wanted, "*") == 0 || strcmp(wanted, given) == 0;
}

static bool wants(const struct admission_plugin *plugin, const struct admission_request *request)
{
        const struct scope *scope = request->scope;
        for (const struct admission_want *want = plugin->wants; want->operations; want++)
                if ((want->operations & request->operation) && is_any_or(want->resource, scope->resource->resource) &&
                    is_any_or(want->group, scope->resource->group) &&
                    is_any_or(want->subresource, cx_str(scope->subresource)))
                        return true;
        return false;
}

struct touch {
        bool any;     // some plugin may have changed the object
        bool outside; // one from outside has
};

static int mutate(const struct admission_request *request, bool own_only, struct touch *touch, struct cx_error *err)
{
        const struct admission_chain *chain = request->scope->api->admission;
        for (size_t i = 0; i < chain->count; i++) {
                const struct admission_plugin *plugin = chain->plugins[i];
                if (!plugin->mutate || (own_only && plugin->outside) || !wants(plugin, request))
                        continue;
                json_auto_t *before = plugin->outside ? json_deep_copy(request->object) : NULL;
                int r = plugin->mutate(request, err);
                if (r < 0)
                        return r;
                touch->any |= !plugin->only_refuses;
                touch->outside |= plugin->outside && !json_equal(before, request->object);
        }
        return 0;
}

int admit_mutating(const struct admission_request *request, bool *ret_touched, struct cx_error *err)
{
        struct touch touch = {0};
        int r = mutate(request, false, &touch, err);
        if (r == 0 && touch.outside)
                r = mutate(request, true, &touch, err);
        if (ret_touched)
                *ret_touched = touch.any;
        return r;
}

int admit_validating(const struct admission_request *request, struct cx_error *err)
{
        const struct admission_chain *chain = request->scope->api->admission;
        for (size_t i = 0; i < chain->count; i++) {
                if (!chain->plugins[i]->validate || !wants(chain->plugins[i], request))
                        continue;
                int r = chain->plugins[i]->validate(request, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

void admission_charges_release(struct admission_charges *charges)
{
        for (; charges->count; charges->count--) {
                json_decref(charges->items[charges->count - 1].object);
                json_decref(charges->items[charges->count - 1].before);
        }
        charges->accounts = NULL;
        charges->newest = 0;
        if (charges->held)
                pthread_mutex_unlock(cx_steal(&charges->held));
}

void admission_charges_hold(struct admission_charges *charges, const struct scope *scope)
{
        const char *namespace = scope->namespace;
        if (charges->held)
                return;
        charges->held = &scope->api->admission->ledgers[cx_hash(namespace, strlen(namespace)) % LEDGERS];
        pthread_mutex_lock(charges->held);
}

int admit_charge(const struct admission_request *request, bool fresh, struct admission_charges *ret_charges,
                 struct cx_error *err)
{
        const struct admission_chain *chain = request->scope->api->admission;
        for (size_t i = 0; i < chain->count; i++) {
                if (!chain->plugins[i]->charge || !wants(chain->plugins[i], request))
                        continue;
                int r = chain->plugins[i]->charge(request, fresh, ret_charges, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int admit(const struct admission_request *request, struct cx_error *err)
{
        int r = admit_mutating(request, NULL, err);
        return r < 0 ? r : admit_validating(request, err);
}
