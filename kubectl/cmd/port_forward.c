// SPDX-License-Identifier: Apache-2.0
// kubectl port-forward: listens here, and forwards what connects through one session with the pod's node
// (libcommon/net/forwards.h).
#include "kubectl/cmd/forward_ports.h"
#include "kubectl/cmd/session.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"
#include "libcommon/net/forwards.h"
#include "libcommon/net/listen.h"

struct forwarder {
        struct forwarded_port ports[FORWARDED_PORTS_MAX];
        size_t n_ports;
        struct forward_address addresses[FORWARD_ADDRESSES_MAX];
        size_t n_addresses;
        struct cx_forward_listener listeners[CX_FORWARD_LISTENERS_MAX];
        size_t n_listeners;
};

// --- listening -------------------------------------------------------------------------------------------------------

// One port on all addresses. Of those of "localhost" one is enough, of the others none may fail. What listens goes on.
static bool listen_port(struct forwarder *f, struct forwarded_port *port)
{
        CX_BUF errors = CX_BUF_INIT;
        int requested = port->local, optional_failed = 0, optional_good = 0, failed = 0;
        for (size_t i = 0; i < f->n_addresses && f->n_listeners < CX_FORWARD_LISTENERS_MAX; i++) {
                const struct forward_address *a = &f->addresses[i];
                char text[CX_ENDPOINT_TEXT];
                int fd = cx_listen(&a->address, &port->local);
                cx_address_format_port(&a->address, port->local, text);
                if (fd < 0) {
                        *(a->optional ? &optional_failed : &failed) += 1;
                        cx_buf_printf(&errors, "%sunable to create listener: Error listen tcp%c %s: bind: %s",
                                      errors.length ? " " : "", a->address.family == CX_IPV4 ? '4' : '6', text,
                                      strerror(-fd));
                        continue;
                }
                optional_good += a->optional;
                f->listeners[f->n_listeners++] = (struct cx_forward_listener){fd, port->local, port->remote};
                OUT("Forwarding from %s -> %d\n", text, port->remote);
        }
        fflush(stdout);
        if (!failed && (optional_good || !optional_failed))
                return true;
        fprintf(stderr, "Unable to listen on port %d: Listeners failed to create with the following errors: [%s]\n",
                requested, errors.data);
        return false;
}

static int listen_all(struct forwarder *f, struct cx_error *err)
{
        CX_BUF ports = CX_BUF_INIT;
        bool any = false;
        for (size_t i = 0; i < f->n_ports; i++)
                any |= listen_port(f, &f->ports[i]);
        for (size_t i = 0; i < f->n_ports; i++)
                cx_buf_printf(&ports, "%s{%d %d}", i ? " " : "", f->ports[i].local, f->ports[i].remote);
        return any ? 0
                   : cx_error_set(err, -EADDRINUSE, "unable to listen on any of the requested ports: [%s]", ports.data);
}

// --- forwarding ------------------------------------------------------------------------------------------------------

static void say_accepted(void *context CX_UNUSED, const struct cx_forward_listener *listener)
{
        OUT("Handling connection for %d\n", listener->local);
        fflush(stdout);
}

// The server ends a connection with an error when the pod does not listen; the session ends with it, as upstream's.
static bool say_failed(void *context CX_UNUSED, const struct cx_forward_listener *listener, const char *why)
{
        fprintf(stderr, "an error occurred forwarding %d -> %d: %s\n", listener->local, listener->port, why);
        return true;
}

static int forward(struct ctl *ctl, struct forwarder *f, const json_t *pod, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        CX_CLEANUP(cx_streams_freep) struct cx_streams *streams = NULL;
        cx_rest_path(&path,
                     CX_REF(.group = "", .version = "v1", .resource = "pods",
                            .namespace = cx_json_string(pod, "metadata.namespace"),
                            .name = cx_json_string(pod, "metadata.name")),
                     "portforward");
        int r = session_connect(ctl, path.data, cx_streams_connect_forward, &streams, &why);
        if (r < 0)
                return cx_error_set(err, r, "error upgrading connection: %s", cx_error_text(&why));
        r = listen_all(f, err);
        if (r < 0)
                return r;
        cx_forwards_run(&(struct cx_forwards_options){.streams = streams,
                                                      .listeners = f->listeners,
                                                      .n_listeners = f->n_listeners,
                                                      .accepted = say_accepted,
                                                      .failed = say_failed});
        return cx_error_set(err, -ECONNRESET, "lost connection to pod");
}

static int parse(struct forwarder *f, const struct cx_strings *words, const struct cx_strings *addresses,
                 const json_t *object, const json_t *pod, struct cx_error *err)
{
        if (words->count - 1 > FORWARDED_PORTS_MAX)
                return cx_error_set(err, -E2BIG, "more than %d ports", FORWARDED_PORTS_MAX);
        int r = 0;
        for (size_t i = 1; r == 0 && i < words->count; i++)
                r = forwarded_port_parse(words->items[i], object, pod, &f->ports[f->n_ports++], err);
        for (size_t i = 0; r == 0 && i < addresses->count; i++)
                r = forward_address_parse(addresses->items[i], f->addresses, &f->n_addresses, err);
        if (r == 0 && !addresses->count)
                r = forward_address_parse("localhost", f->addresses, &f->n_addresses, err);
        return r;
}

COMMAND(port_forward)
{
        CX_STRINGS addresses = CX_STRINGS_INIT;
        int64_t timeout = 60 * CX_NS_PER_S;
        const struct cx_flag flags[] = {
                {"address", 0, CX_FLAG_CSV, &addresses, "Addresses to listen on: IP addresses, or localhost."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &timeout, "How long to wait for a pod."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count < 2)
                return ctl_usage_error(ctl, err, "TYPE/NAME and list of ports are required for port-forward");
        json_auto_t *object = NULL, *pod = NULL;
        r = pod_behind(ctl, args.items[0], timeout, &object, &pod, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) struct forwarder *f = cx_alloc(sizeof *f);
        r = parse(f, &args, &addresses, object, pod, err);
        if (r == 0 && strcmp(cx_pod_phase(pod), "Running") != 0)
                r = cx_error_set(err, -EINVAL, "unable to forward port because pod is not running. Current status=%s",
                                 cx_pod_phase(pod));
        if (r == 0)
                r = forward(ctl, f, pod, err);
        for (size_t i = 0; i < f->n_listeners; i++)
                close(f->listeners[i].fd);
        return r;
}
