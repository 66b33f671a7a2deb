// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/in_use.h"

#include "libcommon/base/map.h"

#include <pthread.h>

struct in_use {
        pthread_mutex_t lock; // guards what follows
        struct cx_map names;  // name → &waiting or &reported
        void (*changed)(void *);
        void *context;
};
static char waiting, reported;

struct in_use *in_use_new(void)
{
        struct in_use *u = cx_alloc(sizeof *u);
        pthread_mutex_init(&u->lock, NULL);
        return u;
}

void in_use_free(struct in_use *u)
{
        if (!u)
                return;
        cx_map_release(&u->names);
        pthread_mutex_destroy(&u->lock);
        free(u);
}

void in_use_on_change(struct in_use *u, void (*changed)(void *), void *context)
{
        pthread_mutex_lock(&u->lock);
        u->changed = changed;
        u->context = context;
        pthread_mutex_unlock(&u->lock);
}

static void tell(struct in_use *u)
{
        pthread_mutex_lock(&u->lock);
        void (*changed)(void *) = u->changed;
        void *context = u->context;
        pthread_mutex_unlock(&u->lock);
        if (changed)
                changed(context);
}

bool in_use_add(struct in_use *u, const char *name)
{
        pthread_mutex_lock(&u->lock);
        const char *known = cx_map_get(&u->names, name);
        if (!known)
                cx_map_set(&u->names, name, &waiting);
        pthread_mutex_unlock(&u->lock);
        if (!known)
                tell(u);
        return known == &reported;
}

void in_use_remove(struct in_use *u, const char *name)
{
        pthread_mutex_lock(&u->lock);
        bool there = cx_map_remove(&u->names, name);
        pthread_mutex_unlock(&u->lock);
        if (there)
                tell(u);
}

json_t *in_use_list(struct in_use *u)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        json_t *list = json_array();
        pthread_mutex_lock(&u->lock);
        CX_MAP_FOREACH (&u->names, entry) {
                cx_strings_add(&names, entry->key);
        }
        pthread_mutex_unlock(&u->lock);
        cx_strings_sort(&names);
        for (size_t i = 0; i < names.count; i++)
                json_array_append_new(list, json_string(names.items[i]));
        return list;
}

void in_use_reported(struct in_use *u, const json_t *list)
{
        pthread_mutex_lock(&u->lock);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *name = json_string_value(json_array_get(list, i));
                if (name && cx_map_has(&u->names, name))
                        cx_map_set(&u->names, name, &reported);
        }
        pthread_mutex_unlock(&u->lock);
}
