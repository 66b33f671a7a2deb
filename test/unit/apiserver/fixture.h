// SPDX-License-Identifier: Apache-2.0
// An apiserver without sockets over an etcd in memory, and short words for what tests do with it.
#pragma once

#include "apiserver/admission/admission.h"
#include "apiserver/auth/rbac.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/registry/apply.h"
#include "apiserver/registry/patch.h"
#include "apiserver/registry/registry.h"
#include "apiserver/strategy/allocator.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "test/unit/apiserver/memory_etcd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
        struct apiserver api;
        struct cx_strings warnings;
        struct user user; // scope_of's
};

static void fixture_start(struct fixture *fixture, const struct admission_plugin *const *plugins)
{
        struct apiserver *api = &fixture->api;
        CX_ERROR err = CX_ERROR_INIT;
        *fixture = (struct fixture){0};
        api->options = (struct apiserver_options){.service_cluster_ip_range = "10.96.0.0/24",
                                                  .service_node_port_range = "30000-30009",
                                                  .advertise_address = "192.168.1.1",
                                                  .secure_port = 6443,
                                                  .event_ttl = 3600 * CX_NS_PER_S,
                                                  .min_request_timeout = 1800};
        cx_strings_add(&api->options.authorization_modes, "Node");
        cx_strings_add(&api->options.authorization_modes, "RBAC");
        fixture->user.name = cx_strdup("admin");
        cx_strings_add(&fixture->user.groups, "system:masters");
        api->writes = &registry_writes;
        api->admission = admission_chain_new(plugins ? plugins : admission_plugins, &api->options.enable_admission,
                                             &api->options.disable_admission);
        assert_int_equal(allocator_new(&api->options, &api->allocator, &err), 0);
        assert_int_equal(cx_etcd_new(NULL, &api->etcd, &err), 0);
        api->store = store_new(api->etcd);
        assert_int_equal(kinds_new(api->store, strategy_of, &api->kinds, &err), 0);
        assert_int_equal(store_start(api->store, &err), 0);
        api->rbac = rbac_new(api->kinds);
        assert_int_equal(bootstrap_objects(api, &err), 0);
}

static void fixture_end(struct fixture *fixture)
{
        struct apiserver *api = &fixture->api;
        rbac_free(api->rbac);
        kinds_free(api->kinds);
        store_free(api->store);
        cx_etcd_free(api->etcd);
        allocator_free(api->allocator);
        admission_chain_free(api->admission);
        cx_strings_release(&api->options.authorization_modes);
        cx_strings_release(&fixture->warnings);
        user_release(&fixture->user);
}

// "pods", "deployments.apps", "pods/status"; in namespace "default" where there are namespaces.
CX_UNUSED static struct scope scope_of(struct fixture *fixture, const char *what, const char *name)
{
        CX_CLEANUP(cx_freep) char *word = cx_strndup(what, strcspn(what, "/"));
        const char *slash = strchr(what, '/');
        const struct cx_resource *resource = cx_schema_find(word);
        assert_non_null(resource);
        return (struct scope){.api = &fixture->api,
                              .user = &fixture->user,
                              .kind = builtin(&fixture->api, resource->group, resource->version, resource->resource),
                              .resource = resource,
                              .subresource = slash ? slash + 1 : NULL,
                              .namespace = resource->namespaced ? "default" : "",
                              .name = name,
                              .manager = "tester",
                              .warnings = &fixture->warnings};
}

CX_UNUSED static json_t *parse(const char *text)
{
        CX_CLEANUP(cx_freep) char *json = cx_strdup(text);
        for (char *p = json; *p; p++) // what is typed in C is easier to read with these
                if (*p == '\'')
                        *p = '"';
        json_t *object = json_loads(json, 0, NULL);
        assert_non_null(object);
        return object;
}

static json_t *take(struct stored *stored_steal)
{
        STORED *stored = stored_steal;
        return stored ? stored_parse(stored) : NULL;
}

// An object as a client writes it: kind and apiVersion are filled in. Returns 0 and the answer, or the error.
CX_UNUSED static int create(const struct scope *scope, const char *text, json_t **ret_object, struct cx_error *err)
{
        json_t *object = parse(text);
        struct stored *stored = NULL;
        char version[128];
        json_object_set_new(object, "kind", json_string(scope->resource->kind->kind));
        json_object_set_new(
                object, "apiVersion",
                json_string(cx_join_api_version(version, scope->resource->group, scope->resource->version)));
        int r = registry_create(scope, object, &stored, err);
        json_t *answer = take(stored);
        if (ret_object)
                *ret_object = answer;
        else
                json_decref(answer);
        return r;
}

CX_UNUSED static json_t *must_create(struct fixture *fixture, const char *what, const char *text)
{
        struct scope scope = scope_of(fixture, what, "");
        CX_ERROR err = CX_ERROR_INIT;
        json_t *object = NULL;
        if (create(&scope, text, &object, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        return object;
}

CX_UNUSED static int patch(const struct scope *scope, enum patch_kind kind, const char *text, json_t **ret_object,
                           struct cx_error *err)
{
        json_auto_t *body = parse(text);
        struct patch how = {.kind = kind, .body = body};
        struct change change = {.compute = patch_compute, .context = &how};
        struct stored *stored = NULL;
        int r = registry_update(scope, &change, &stored, NULL, err);
        json_t *answer = take(stored);
        if (ret_object)
                *ret_object = answer;
        else
                json_decref(answer);
        return r;
}

CX_UNUSED static json_t *get(struct fixture *fixture, const char *what, const char *name)
{
        struct scope scope = scope_of(fixture, what, name);
        return scope_find_json(&scope);
}

CX_UNUSED static void assert_string_at(const json_t *object, const char *path, const char *expected)
{
        const char *found = cx_json_string(object, path);
        if (!found)
                fail_msg("nothing at %s", path);
        assert_string_equal(found, expected);
}
