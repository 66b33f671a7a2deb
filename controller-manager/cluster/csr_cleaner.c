// SPDX-License-Identifier: Apache-2.0
// Deletes CertificateSigningRequests that are done: an hour after they were approved, denied or have failed, a day after
// they were made when nobody has decided, and when what was issued has expired.
#include "controller-manager/cluster/csr_cleaner.h"

#include "libcommon/format/base64.h"
#include "libcommon/net/pki.h"
#include "libcontroller/manager.h"

#define DECIDED (INT64_C(3600) * CX_US_PER_S)
#define PENDING (INT64_C(24) * 3600 * CX_US_PER_S)

struct csr_cleaner {
        struct manager *manager;
        struct cx_informer *requests;
};

static void take_earlier(int64_t *moment, int64_t other)
{
        if (other < *moment)
                *moment = other;
}

int64_t csr_ends_at(const json_t *request)
{
        int64_t ends = INT64_MAX, since;
        size_t i;
        const json_t *condition;
        json_array_foreach (cx_json_get(request, "status.conditions"), i, condition) {
                const char *type = cx_json_string_or(condition, "type", "");
                bool decides =
                        strcmp(type, "Approved") == 0 || strcmp(type, "Denied") == 0 || strcmp(type, "Failed") == 0;
                if (decides && cx_time_parse(cx_json_string_or(condition, "lastUpdateTime", ""), &since) == 0)
                        take_earlier(&ends, since + DECIDED);
        }
        if (!cx_json_count(request, "status.conditions") &&
            cx_time_parse(cx_json_string_or(request, "metadata.creationTimestamp", ""), &since) == 0)
                ends = since + PENDING;
        const char *encoded = cx_json_string_or(request, "status.certificate", "");
        CX_BUF pem = CX_BUF_INIT_MAX(1 << 20);
        CX_ERROR bad = CX_ERROR_INIT;
        if (*encoded && cx_base64_decode(encoded, strlen(encoded), &pem) >= 0 &&
            cx_pki_not_after(pem.data, &since, &bad) == 0)
                take_earlier(&ends, since * CX_US_PER_S);
        return ends;
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct csr_cleaner *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->requests = manager_informer(manager, "certificates.k8s.io", "certificatesigningrequests");
        manager_enqueue_all(self->requests, queue);
        return self;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct csr_cleaner *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->requests, key);
        if (!object)
                return 0;
        json_auto_t *request = cx_object_json(object);
        int64_t ends = csr_ends_at(request), now = cx_time_now();
        if (ends == INT64_MAX)
                return 0;
        if (ends > now) {
                *retry_after = (ends - now) * 1000 + CX_NS_PER_S;
                return 0;
        }
        struct cx_delete_options options = {.grace = -1, .uid = object->uid};
        int r = cx_rest_delete(self->manager->rest,
                               CX_REF("certificates.k8s.io", "v1", "certificatesigningrequests", NULL, key), &options,
                               err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

const struct controller csr_cleaner_controller = {.name = "certificatesigningrequest-cleaner-controller",
                                                  .account = "certificate-controller",
                                                  .workers = 1,
                                                  .init = init,
                                                  .reconcile = reconcile,
                                                  .free = free};
