// SPDX-License-Identifier: Apache-2.0
// The words of kubectl port-forward.
#include "kubectl/cmd/forward_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char pod_text[] =
        "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":["
        "{\"name\":\"web\",\"containerPort\":8080},{\"name\":\"dns\",\"containerPort\":53,\"protocol\":\"UDP\"},"
        "{\"name\":\"both\",\"containerPort\":54,\"protocol\":\"UDP\"}]},{\"name\":\"d\",\"ports\":["
        "{\"name\":\"more\",\"containerPort\":9090}]}],"
        "\"initContainers\":[{\"name\":\"i\",\"ports\":[{\"name\":\"side\",\"containerPort\":7}]}]}}";
static const char service_text[] =
        "{\"kind\":\"Service\",\"metadata\":{\"name\":\"s\"},\"spec\":{\"clusterIP\":\"10.0.0.1\",\"ports\":["
        "{\"name\":\"http\",\"port\":80,\"targetPort\":\"web\"},{\"name\":\"plain\",\"port\":81,\"targetPort\":9000},"
        "{\"name\":\"same\",\"port\":82},{\"name\":\"lost\",\"port\":83,\"targetPort\":\"nowhere\"},"
        "{\"name\":\"udp\",\"port\":84,\"protocol\":\"UDP\"},{\"name\":\"udp2\",\"port\":85,\"protocol\":\"UDP\"},"
        "{\"name\":\"tcp2\",\"port\":85,\"targetPort\":86,\"protocol\":\"TCP\"}]}}";
static const char headless_text[] =
        "{\"kind\":\"Service\",\"metadata\":{\"name\":\"h\"},\"spec\":{\"clusterIP\":\"None\",\"ports\":["
        "{\"name\":\"http\",\"port\":80,\"targetPort\":\"web\"}]}}";

static void ports(void **state)
{
        (void)state;
        static const struct {
                const char *object, *word;
                int local, remote;
                const char *why;
        } cases[] = {
                {pod_text, "5000", 5000, 5000, NULL},
                {pod_text, "8888:5000", 8888, 5000, NULL},
                {pod_text, ":5000", 0, 5000, NULL},
                {pod_text, "0:5000", 0, 5000, NULL},
                {pod_text, "web", 8080, 8080, NULL},
                {pod_text, "1:more", 1, 9090, NULL},
                {pod_text, "1:side", 1, 7, NULL},
                {pod_text, "1:53", 0, 0, "UDP protocol is not supported for 53"},
                {pod_text, "1:dns", 0, 0, "UDP protocol is not supported for dns"},
                {pod_text, "1:none", 0, 0, "Pod 'p' does not have a named port 'none'"},
                {pod_text, "5000:", 0, 0, "remote port cannot be empty"},
                {pod_text, "1:2:3", 0, 0, "invalid port format '1:2:3'"},
                {pod_text, "5000:0", 0, 0, "remote port must be > 0"},
                {pod_text, "70000:1", 0, 0,
                 "error parsing local port '70000': strconv.ParseUint: parsing \"70000\": value out of range"},
                {pod_text, "x:1", 0, 0,
                 "error parsing local port 'x': strconv.ParseUint: parsing \"x\": invalid syntax"},
                {pod_text, "1:2147483647", 0, 0,
                 "error parsing remote port '2147483647': strconv.ParseUint: parsing \"2147483647\": value out of "
                 "range"},
                {pod_text, "1:-1", 0, 0,
                 "error parsing remote port '-1': strconv.ParseUint: parsing \"-1\": invalid syntax"},
                {service_text, "80", 80, 8080, NULL},
                {service_text, "http", 80, 8080, NULL},
                {service_text, "8443:http", 8443, 8080, NULL},
                {service_text, ":81", 0, 9000, NULL},
                {service_text, "82", 82, 82, NULL},
                {service_text, "85", 85, 86, NULL},
                {service_text, "83", 0, 0, "Pod 'p' does not have a named port 'nowhere'"},
                {service_text, "udp", 0, 0, "UDP protocol is not supported for udp"},
                {service_text, "1:90", 0, 0, "Service s does not have a service port 90"},
                {service_text, "1:none", 0, 0, "Service 's' does not have a named port 'none'"},
                {headless_text, "1:90", 1, 90, NULL},
                {headless_text, "http", 80, 80, NULL},
        };
        json_auto_t *pod = json_loads(pod_text, 0, NULL);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *object = json_loads(cases[i].object, 0, NULL);
                struct forwarded_port port = {0};
                CX_ERROR err = CX_ERROR_INIT;
                int r = forwarded_port_parse(cases[i].word, object, pod, &port, &err);
                if (!cases[i].why && (r < 0 || port.local != cases[i].local || port.remote != cases[i].remote))
                        fail_msg("%s: %d -> %d %s", cases[i].word, port.local, port.remote, cx_error_text(&err));
                if (cases[i].why && (r == 0 || strcmp(cx_error_text(&err), cases[i].why) != 0))
                        fail_msg("%s: %s", cases[i].word, r ? cx_error_text(&err) : "taken");
        }
}

static void addresses(void **state)
{
        (void)state;
        struct forward_address list[FORWARD_ADDRESSES_MAX];
        size_t count = 0;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(forward_address_parse("localhost", list, &count, &err), 0);
        assert_int_equal(forward_address_parse("localhost", list, &count, &err), 0);
        assert_int_equal(count, 2);
        assert_true(list[0].optional && list[1].optional);
        assert_int_equal(forward_address_parse("0.0.0.0", list, &count, &err), 0);
        assert_int_equal(forward_address_parse("::", list, &count, &err), 0);
        assert_int_equal(count, 4);
        assert_false(list[2].optional || list[3].optional);
        assert_int_equal(forward_address_parse("example.com", list, &count, &err), -EINVAL);
        assert_string_equal(cx_error_text(&err), "example.com is not a valid IP");
        for (int i = 0; count < FORWARD_ADDRESSES_MAX; i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("10.0.0.%d", i);
                assert_int_equal(forward_address_parse(text, list, &count, &err), 0);
        }
        CX_ERROR full = CX_ERROR_INIT;
        assert_int_equal(forward_address_parse("10.1.0.0", list, &count, &full), -E2BIG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(ports), cmocka_unit_test(addresses)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
