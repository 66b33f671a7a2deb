// SPDX-License-Identifier: Apache-2.0
// What the API takes as an Ingress and as an IngressClass, in upstream's words.
#include "test/unit/libcommon/schema_test.h"

#define INGRESS(rest) "{'metadata':{'name':'i'},'spec':{" rest "}}"
#define RULE(host, path, type, backend)                                                                                \
        INGRESS("'rules':[{'host':'" host "','http':{'paths':[{'path':'" path "','pathType':'" type                    \
                "','backend':{" backend "}}]}}]")
#define TO "'service':{'name':'s','port':{'number':80}}"
#define IS "Ingress.networking.k8s.io \"i\" is invalid: "
#define AT "spec.rules[0].http.paths[0]."

static const struct validate_case cases[] = {
        {"networking.k8s.io", "Ingress", RULE("x.org", "/a", "Prefix", TO), NULL},
        {"networking.k8s.io", "Ingress", RULE("*.x.org", "/a", "Exact", TO), NULL},
        {"networking.k8s.io", "Ingress", RULE("", "/a(/|$)(.*)", "ImplementationSpecific", TO), NULL},
        {"networking.k8s.io", "Ingress", RULE("", "", "ImplementationSpecific", TO), NULL},
        {"networking.k8s.io", "Ingress", RULE("10.0.0.1", "/", "Prefix", TO),
         IS "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "a", "Prefix", TO),
         IS AT "path: Invalid value: \"a\": must be an absolute path"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "", "Exact", TO),
         IS AT "path: Invalid value: \"\": must be an absolute path"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "/a//b", "Prefix", TO),
         IS AT "path: Invalid value: \"/a//b\": must not contain '//'"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "/a/..", "Exact", TO),
         IS AT "path: Invalid value: \"/a/..\": cannot end with '/..'"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "/", "Prefix", ""),
         IS AT "backend: Invalid value: \"\": resource or service backend is required"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "/", "Prefix", TO ",'resource':{'kind':'K','name':'n'}"),
         IS AT "backend: Invalid value: \"\": cannot set both resource and service backends"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "/", "Prefix", "'service':{'name':'s'}"),
         IS AT "backend: Required value: port name or number is required"},
        {"networking.k8s.io", "Ingress",
         RULE("x.org", "/", "Prefix", "'service':{'name':'s','port':{'name':'n','number':80}}"),
         IS AT "backend: Invalid value: \"\": cannot set both port name & port number"},
        {"networking.k8s.io", "Ingress", RULE("x.org", "/", "Prefix", "'service':{'name':'s','port':{'number':70000}}"),
         IS AT "backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive"},
        {"networking.k8s.io", "Ingress", INGRESS("'rules':[{'http':{'paths':[]}}]"),
         IS "spec.rules[0].http.paths: Required value"},
        {"networking.k8s.io", "Ingress", INGRESS("'rules':[{}],'tls':[{'hosts':['a b']}]"),
         IS "spec.tls[0].hosts[0]: Invalid value: \"a b\": a lowercase RFC 1123 subdomain must consist of lower case "
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
            "'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"},
        {"networking.k8s.io", "Ingress",
         "{'metadata':{'name':'i','annotations':{'kubernetes.io/"
         "ingress.class':'a'}},'spec':{'ingressClassName':'b','rules':[{}]}}",
         IS "spec.ingressClassName: Invalid value: \"b\": can not be set when the annotation "
            "kubernetes.io/ingress.class is "
            "also set"},
        {"networking.k8s.io", "IngressClass", "{'metadata':{'name':'c'},'spec':{'controller':'x.io/y'}}", NULL},
        {"networking.k8s.io", "IngressClass", "{'metadata':{'name':'c'},'spec':{}}",
         "IngressClass.networking.k8s.io \"c\" is invalid: spec.controller: Required value"},
        {"networking.k8s.io", "IngressClass", "{'metadata':{'name':'c'},'spec':{'controller':'y'}}",
         "IngressClass.networking.k8s.io \"c\" is invalid: spec.controller: Invalid value: \"y\": must be a "
         "domain-prefixed path (such as \"acme.io/foo\")"},
};

static void test_ingress_messages(void **state)
{
        (void)state;
        check_messages(cases, CX_ARRAY_SIZE(cases));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_ingress_messages)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
