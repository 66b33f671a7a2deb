// SPDX-License-Identifier: Apache-2.0
// One loop: look at all Leases, act, sleep until an event or until something is due.
#include "addons/loadbalancer/keeper.h"

#include "addons/loadbalancer/decide.h"
#include "addons/loadbalancer/view.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/thread.h"
#include "libcommon/format/json.h"

#define RESCAN (30 * CX_NS_PER_S)       // of the interfaces
#define RECHECK (500 * CX_NS_PER_MS)    // of a holder that seems dead
#define RETRY (200 * CX_NS_PER_MS)      // after a write that failed
#define DISPUTE_PAUSE (1 * CX_NS_PER_S) // between looks at an address that somebody else claims
#define TIMEOUT (2 * CX_NS_PER_S)       // of a call
#define MEMBER "announcer-"

// What was seen of another announcer's Lease.
struct member_seen {
        char *renewed;
        int64_t at;      // when it changed, monotonic
        int64_t checked; // when the API server said that it has not
};
// What is known of an address besides its Lease.
struct address_seen {
        int64_t vacant_since; // 0: somebody has it
        int64_t looked;       // when a dispute was looked into
        char *taken;          // version of the Lease in whose place we wrote our name; or NULL
        char *lost;           // version of the Lease of which the API server says that it is not the newest; or NULL
        bool silenced;        // the API server could not be asked
};
struct lease_keeper {
        struct keeper_options options;
        struct cx_rest *rest; // the process', with a short patience: others act when we cannot
        char *member;         // name of the own Lease
        struct speaker *speaker;
        struct cx_informer *leases, *nodes, *slices; // slices: NULL until a Service needs them
        pthread_t thread;
        bool started;
        // Of the thread alone.
        struct cx_map members;   // Lease's name -> struct member_seen
        struct cx_map addresses; // address -> struct address_seen
        int64_t renewal, rescan; // when due, monotonic
        bool known;              // the own Lease is there
        pthread_mutex_t lock;    // guards what follows
        pthread_cond_t wake;
        bool dirty, stopping, ready;
        struct cx_map disputed; // addresses that others claim
};

static void free_member(void *value)
{
        free(((struct member_seen *)value)->renewed);
        free(value);
}

static void free_address(void *value)
{
        free(((struct address_seen *)value)->taken);
        free(((struct address_seen *)value)->lost);
        free(value);
}

static void wake(struct lease_keeper *self)
{
        pthread_mutex_lock(&self->lock);
        self->dirty = true;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
}

static void on_event(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        wake(context);
}

static void on_contested(void *context, const struct cx_address *address)
{
        struct lease_keeper *self = context;
        char text[CX_ADDRESS_TEXT];
        pthread_mutex_lock(&self->lock);
        cx_map_set(&self->disputed, cx_address_format(address, text), self);
        self->dirty = true;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
}

struct lease_keeper *keeper_new(const struct keeper_options *options)
{
        struct lease_keeper *self = cx_alloc(sizeof *self);
        *self = (struct lease_keeper){.options = *options,
                                      .rest = cx_rest_derive(options->rest, NULL),
                                      .member = cx_sprintf(MEMBER "%s", options->node),
                                      .members = CX_MAP_INIT_FREE(free_member),
                                      .addresses = CX_MAP_INIT_FREE(free_address),
                                      .leases = view_leases(options->informers, options->namespace),
                                      .nodes = view_node(options->informers, options->node)};
        cx_rest_set_timeout(self->rest, TIMEOUT, 0);
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->wake);
        cx_informer_on_event(self->leases, on_event, self);
        cx_informer_on_event(self->nodes, on_event, self);
        return self;
}

// --- interfaces ---

struct wanted_interfaces {
        const struct cx_strings *addresses;
        struct cx_strings *names;
};

static void note_interface(void *context, const struct cx_interface *interface)
{
        struct wanted_interfaces *wanted = context;
        char text[CX_ADDRESS_TEXT];
        if (cx_strings_has(wanted->addresses, cx_address_format(&interface->address, text)) &&
            !cx_strings_has(wanted->names, interface->name))
                cx_strings_add(wanted->names, interface->name);
}

static void use_interfaces(struct lease_keeper *self, const struct own_node_view *node)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        if (self->options.interfaces->count) {
                speaker_use(self->speaker, self->options.interfaces);
                return;
        }
        cx_interfaces_each(note_interface, &(struct wanted_interfaces){&node->addresses, &names});
        speaker_use(self->speaker, &names);
}

// --- who lives ---

static void note_members(struct lease_keeper *self, const struct cx_objects *leases, int64_t now)
{
        for (size_t i = 0; i < leases->count; i++) {
                const struct lease_view *view = lease_view(leases->items[i]);
                if (!view->of_member)
                        continue;
                struct member_seen *member = cx_map_get(&self->members, leases->items[i]->name);
                if (!member) {
                        member = cx_alloc(sizeof *member);
                        cx_map_set(&self->members, leases->items[i]->name, member);
                }
                if (cx_streq(member->renewed, view->renewed))
                        continue;
                free(member->renewed);
                member->renewed = cx_strdup(view->renewed);
                member->at = now;
        }
        CX_MAP_FOREACH (&self->members, entry) { // nodes that are gone, with their Leases
                CX_OBJECT *lease = cx_informer_get(self->leases, self->options.namespace, entry->key);
                if (!lease)
                        cx_map_remove(&self->members, entry->key);
        }
}

// Until when a holder counts as alive; 0: it does not.
static int64_t alive_until(const struct lease_keeper *self, const char *holder, int64_t now)
{
        CX_CLEANUP(cx_freep) char *name = cx_sprintf(MEMBER "%s", holder);
        const struct member_seen *member = cx_map_get(&self->members, name);
        return member && member->at + ANNOUNCER_TTL > now ? member->at + ANNOUNCER_TTL : 0;
}

// Before an address is taken from a holder that seems dead: a slow API server holds up the holder's renewals, too, and
// this question comes after them.
static bool has_renewed(struct lease_keeper *self, const char *holder)
{
        CX_CLEANUP(cx_freep) char *name = cx_sprintf(MEMBER "%s", holder);
        struct member_seen *member = cx_map_get(&self->members, name);
        json_auto_t *lease = NULL;
        if (member && member->checked && cx_time_monotonic() - member->checked < RECHECK)
                return false; // it had more than one address
        if (!member ||
            cx_rest_get(self->rest, CX_REF("coordination.k8s.io", "v1", "leases", self->options.namespace, name),
                        &lease, NULL) < 0)
                return false;
        const char *renewed = cx_json_string_or(lease, "spec.renewTime", "");
        if (cx_streq(renewed, member->renewed)) {
                member->checked = cx_time_monotonic();
                return false;
        }
        free(member->renewed);
        member->renewed = cx_strdup(renewed);
        member->at = cx_time_monotonic();
        return true;
}

static json_t *now_micro(void)
{
        char text[CX_TIME_TEXT];
        cx_time_format_micro(cx_time_now(), text);
        return json_string(text);
}

// The own Lease, which goes with the Node.
static int create_member(struct lease_keeper *self, const struct cx_object *node, struct cx_error *err)
{
        json_auto_t *lease = json_pack(
                "{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:[{s:s, s:s, s:s, s:s}]}, s:{s:s, s:i, s:o}}", "apiVersion",
                "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name", self->member, "namespace",
                self->options.namespace, "labels", "loadbalancer.coxswain.dev/kind", "announcer", "ownerReferences",
                "apiVersion", "v1", "kind", "Node", "name", node->name, "uid", node->uid, "spec", "holderIdentity",
                self->options.node, "leaseDurationSeconds", 2, "renewTime", now_micro());
        return cx_rest_create(self->rest, CX_REF("coordination.k8s.io", "v1", "leases", self->options.namespace), lease,
                              NULL, err);
}

static int renew(struct lease_keeper *self, const struct cx_object *node, struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:o}}", "spec", "renewTime", now_micro());
        const struct cx_ref *ref = CX_REF("coordination.k8s.io", "v1", "leases", self->options.namespace, self->member);
        int r = cx_rest_patch(self->rest, ref, NULL, CX_PATCH_MERGE, patch, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                r = create_member(self, node, err);
        }
        self->known |= r == 0;
        self->renewal = cx_time_monotonic() + ANNOUNCER_RENEWAL;
        return r;
}

// --- addresses ---

// Names the holder ("": nobody), for the version of the Lease that was seen.
static int write_holder(struct lease_keeper *self, const struct cx_object *lease, const char *holder,
                        struct cx_error *err)
{
        int64_t transitions = lease_view(lease)->transitions + (*holder ? 1 : 0);
        json_auto_t *patch = json_pack("{s:{s:s}, s:{s:s, s:o, s:I}}", "metadata", "resourceVersion",
                                       lease->resource_version, "spec", "holderIdentity", holder, "acquireTime",
                                       now_micro(), "leaseTransitions", (json_int_t)transitions);
        return cx_rest_patch(self->rest,
                             CX_REF("coordination.k8s.io", "v1", "leases", self->options.namespace, lease->name), NULL,
                             CX_PATCH_MERGE, patch, NULL, err);
}

static bool is_eligible(struct lease_keeper *self, const struct own_node_view *node, const struct lease_view *lease)
{
        if (node->excluded)
                return false;
        for (size_t i = 0; i < lease->local.count; i++) {
                if (!self->slices) {
                        self->slices = view_slices(self->options.informers, self->options.node);
                        cx_informer_on_event(self->slices, on_event, self);
                        cx_informer_start(self->slices);
                }
                if (!cx_informer_synced(self->slices) || !slices_here(self->slices, lease->local.items[i]))
                        return false;
        }
        return true;
}

// Somebody else speaks for an address of ours: who is right, the API server says.
static void look_into(struct lease_keeper *self, const struct cx_object *lease, struct address_seen *seen, int64_t now)
{
        json_auto_t *newest = NULL;
        seen->looked = now;
        int r = cx_rest_get(self->rest,
                            CX_REF("coordination.k8s.io", "v1", "leases", self->options.namespace, lease->name),
                            &newest, NULL);
        seen->silenced = r < 0;
        if (r == 0 && cx_streq(cx_json_string(newest, "spec.holderIdentity"), self->options.node)) {
                cx_warn("Somebody else claims an address", "lease", lease->name);
                speaker_tell(self->speaker, &lease_view(lease)->address);
        } else if (r == 0) {
                free(seen->lost);
                seen->lost = cx_strdup(lease->resource_version);
        }
}

static struct address_seen *seen_of(struct lease_keeper *self, const char *address)
{
        struct address_seen *seen = cx_map_get(&self->addresses, address);
        if (!seen) {
                seen = cx_alloc(sizeof *seen);
                cx_map_set(&self->addresses, address, seen);
        }
        return seen;
}

static bool is_disputed(struct lease_keeper *self, const char *address)
{
        pthread_mutex_lock(&self->lock);
        bool disputed = cx_map_remove(&self->disputed, address);
        pthread_mutex_unlock(&self->lock);
        return disputed;
}

static void sooner(int64_t *deadline, int64_t at)
{
        *deadline = at < *deadline ? at : *deadline;
}

// Takes the address; false: it did not succeed.
static bool take(struct lease_keeper *self, const struct cx_object *node, const struct cx_object *lease)
{
        const char *holder = lease_view(lease)->holder;
        CX_ERROR err = CX_ERROR_INIT;
        if (*holder && strcmp(holder, self->options.node) != 0 && has_renewed(self, holder))
                return false;
        // Whoever sees us hold it must see us live.
        int r = cx_time_monotonic() < self->renewal ? 0 : renew(self, node, &err);
        if (r == 0)
                r = write_holder(self, lease, self->options.node, &err);
        if (r < 0 && !cx_error_is(&err, CX_REASON_CONFLICT) && !cx_error_is(&err, CX_REASON_NOT_FOUND))
                cx_err(&err, "Cannot take an address", "lease", lease->name);
        return r == 0;
}

// With nobody else there is nobody to take turns with, nor to tell that one lives.
static bool has_others(const struct lease_keeper *self)
{
        return self->members.count > (cx_map_has(&self->members, self->member) ? 1 : 0);
}

// Does what is to be done about an address. True: we hold it.
static bool act(struct lease_keeper *self, const struct cx_object *node, const struct cx_object *lease,
                int64_t *deadline)
{
        const struct lease_view *view = lease_view(lease);
        char text[CX_ADDRESS_TEXT];
        struct address_seen *seen = seen_of(self, cx_address_format(&view->address, text));
        int64_t now = cx_time_monotonic(), wait = 0;
        // Our own write counts before the informer shows it.
        bool mine = strcmp(view->holder, self->options.node) == 0 || cx_streq(seen->taken, lease->resource_version);
        int64_t until = *view->holder && !mine ? alive_until(self, view->holder, now) : 0;
        if (mine && (is_disputed(self, text) || seen->silenced) && now - seen->looked >= DISPUTE_PAUSE)
                look_into(self, lease, seen, now);
        if (seen->silenced)
                sooner(deadline, seen->looked + DISPUTE_PAUSE);
        if (mine || until)
                seen->vacant_since = 0;
        else if (!seen->vacant_since)
                seen->vacant_since = now;
        const struct address_view state = {
                .mine = mine,
                .held = until,
                .eligible = is_eligible(self, node_view(node), view),
                .disputed = seen->silenced || cx_streq(seen->lost, lease->resource_version),
                .vacant = seen->vacant_since ? now - seen->vacant_since : 0,
                .turn = has_others(self) ? address_turn(text, self->options.node, node_view(node)->ready) : 0};
        enum address_step step = address_decide(&state, &wait);
        if (until)
                sooner(deadline, until);
        if (step == STEP_WAIT)
                sooner(deadline, now + wait);
        if (step == STEP_TAKE && take(self, node, lease)) {
                free(seen->taken);
                seen->taken = cx_strdup(lease->resource_version);
                step = STEP_ANNOUNCE;
        }
        if (step == STEP_ANNOUNCE) {
                speaker_begin(self->speaker, &view->address);
                return true;
        }
        speaker_end(self->speaker, &view->address);
        CX_ERROR err = CX_ERROR_INIT;
        if (step == STEP_TAKE)
                sooner(deadline, now + RETRY);
        if (step == STEP_GIVE_UP && write_holder(self, lease, "", &err) < 0)
                sooner(deadline, now + RETRY);
        return false;
}

// Addresses that have no Lease any more.
static void forget_gone(struct lease_keeper *self, const struct cx_map *present)
{
        CX_MAP_FOREACH (&self->addresses, entry) {
                struct cx_address address;
                if (cx_map_has(present, entry->key))
                        continue;
                if (cx_address_parse(entry->key, &address) == 0)
                        speaker_end(self->speaker, &address);
                cx_map_remove(&self->addresses, entry->key);
        }
}

// Looks at everything once; returns when to look again at the latest.
static int64_t look(struct lease_keeper *self)
{
        CX_OBJECTS leases = CX_OBJECTS_INIT;
        CX_OBJECT *node = cx_informer_get(self->nodes, NULL, self->options.node);
        CX_MAP present = CX_MAP_INIT;
        int64_t now = cx_time_monotonic(), deadline = now + RESCAN;
        bool holds = false;
        if (!node) { // not registered yet, or deleted: its event comes
                forget_gone(self, &present);
                return deadline;
        }
        if (now >= self->rescan) {
                use_interfaces(self, node_view(node));
                self->rescan = now + RESCAN;
        }
        cx_informer_list(self->leases, NULL, &leases);
        note_members(self, &leases, now);
        for (size_t i = 0; i < leases.count; i++) {
                char text[CX_ADDRESS_TEXT];
                if (!lease_view(leases.items[i])->of_address)
                        continue;
                cx_map_set(&present, cx_address_format(&lease_view(leases.items[i])->address, text), self);
                holds |= act(self, node, leases.items[i], &deadline);
        }
        forget_gone(self, &present);
        if (self->known && !(holds && has_others(self)))
                return deadline;
        if (cx_time_monotonic() >= self->renewal) {
                CX_ERROR err = CX_ERROR_INIT;
                if (renew(self, node, &err) < 0)
                        cx_err(&err, "Cannot renew");
        }
        sooner(&deadline, self->renewal);
        return deadline;
}

static void *keep(void *context)
{
        struct lease_keeper *self = context;
        if (cx_informer_wait_synced(self->leases, -1, NULL) < 0 || cx_informer_wait_synced(self->nodes, -1, NULL) < 0)
                return NULL; // stopped
        for (;;) {
                int64_t deadline = look(self);
                pthread_mutex_lock(&self->lock);
                self->ready = true;
                while (!self->dirty && !self->stopping && !cx_cond_wait_until(&self->wake, &self->lock, deadline))
                        ;
                self->dirty = false;
                bool stopping = self->stopping;
                pthread_mutex_unlock(&self->lock);
                if (stopping)
                        return NULL;
        }
}

int keeper_start(struct lease_keeper *self, struct cx_error *err)
{
        int r = speaker_new(&(struct speaker_options){on_contested, self}, &self->speaker, err);
        if (r < 0)
                return r;
        cx_informers_start(self->options.informers);
        if (pthread_create(&self->thread, NULL, keep, self))
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        self->started = true;
        return 0;
}

bool keeper_ready(struct lease_keeper *self)
{
        pthread_mutex_lock(&self->lock);
        bool ready = self->ready;
        pthread_mutex_unlock(&self->lock);
        return ready;
}

// What others would wait for otherwise. The addresses are spoken for until somebody else does.
static void give_up_all(struct lease_keeper *self)
{
        CX_OBJECTS leases = CX_OBJECTS_INIT;
        cx_informer_list(self->leases, NULL, &leases);
        for (size_t i = 0; i < leases.count; i++) {
                const struct lease_view *view = lease_view(leases.items[i]);
                CX_ERROR err = CX_ERROR_INIT;
                if (view->of_address && strcmp(view->holder, self->options.node) == 0 &&
                    write_holder(self, leases.items[i], "", &err) < 0 && !cx_error_is(&err, CX_REASON_CONFLICT))
                        break;
        }
}

void keeper_stop(struct lease_keeper *self)
{
        if (!self->started)
                return;
        pthread_mutex_lock(&self->lock);
        self->stopping = true;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
        cx_informers_cancel_waits(self->options.informers);
        pthread_join(self->thread, NULL);
        give_up_all(self);
}

void keeper_free(struct lease_keeper *self)
{
        speaker_free(self->speaker);
        cx_rest_free(self->rest);
        cx_map_release(&self->members);
        cx_map_release(&self->addresses);
        cx_map_release(&self->disputed);
        pthread_cond_destroy(&self->wake);
        pthread_mutex_destroy(&self->lock);
        free(self->member);
        free(self);
}
