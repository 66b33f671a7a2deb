// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kubectl/printer/gotemplate.h"
#include "libcommon/format/json.h"

static const char data_text[] =
        "{\"kind\":\"List\",\"n\":3,\"big\":1000000,\"bigger\":123456789,\"small\":0.00001,\"half\":0.5,\"on\":true,"
        "\"off\":false,\"nil\":null,\"empty\":[],"
        "\"secret\":\"aGVsbG8=\",\"map\":{\"b\":2,\"a\":\"x\",\"app.io/x\":\"dotted\"},"
        "\"list\":[{\"name\":\"a\",\"ready\":true,\"ports\":[80,443]},{\"name\":\"b\",\"ready\":false}]}";

// What upstream's kubectl prints for these.
static const struct {
        const char *template, *text; // text NULL: an error
} cases[] = {
        {"plain", "plain"},
        {"{{.kind}}", "List"},
        {"{{ .n }} {{.half}} {{.on}}", "3 0.5 true"},
        {"{{.big}} {{.bigger}} {{.small}}", "1000000 123456789 1e-05"},
        {"{{.nosuch}}", "<no value>"},
        {"{{.nosuch.deeper}}", "<no value>"},
        {"{{.nil}}", "<no value>"},
        {"{{.map}}", "map[a:x app.io/x:dotted b:2]"},
        {"{{.list}}", "[map[name:a ports:[80 443] ready:true] map[name:b ready:false]]"},
        {"{{range .list}}{{.name}}{{\"\\n\"}}{{end}}", "a\nb\n"},
        {"{{range $i, $e := .list}}{{$i}}={{$e.name}};{{end}}", "0=a;1=b;"},
        {"{{range $k, $v := .map}}{{$k}}:{{$v}} {{end}}", "a:x app.io/x:dotted b:2 "},
        {"{{range .empty}}x{{else}}none{{end}}", "none"},
        {"{{range .list}}{{if .ready}}{{.name}} is ready{{else}}, {{.name}} is not{{end}}{{end}}",
         "a is ready, b is not"},
        {"{{if .off}}1{{else if .on}}2{{else}}3{{end}}", "2"},
        {"{{if and .on (not .off)}}yes{{end}}", "yes"},
        {"{{if or .off .kind}}{{or .off .kind}}{{end}}", "List"},
        {"{{if eq .kind \"Pod\" \"List\"}}one of{{end}}", "one of"},
        {"{{if gt .n 2}}more{{end}} {{lt .n 2}} {{lt .half 1.0}}", "more false true"},
        {"{{eq .n 3}}", "true"},
        {"{{gt .n 2.0}}", NULL},
        {"{{with .map}}{{.a}}{{end}}{{with .empty}}x{{else}}-{{end}}", "x-"},
        {"{{with index .list 1}}{{.name}}{{end}}", "b"},
        {"{{index .map \"app.io/x\"}} {{index .list 0 \"ports\" 1}}", "dotted 443"},
        {"{{index .list 9}}", NULL},
        {"{{(index .list 0).name}}", "a"},
        {"{{len .list}} {{len .kind}} {{.kind | len}}", "2 4 4"},
        {"{{$x := .kind}}{{$x}} {{$x = \"new\"}}{{$x}} {{$.n}}", "List new 3"},
        {"{{range .list}}{{$.kind}}{{.name}} {{end}}", "Lista Listb "},
        {"{{.secret | base64decode}}", "hello"},
        {"{{base64decode \"%\"}}", NULL},
        {"{{if exists . \"map\" \"a\"}}is{{end}}{{if exists . \"map\" \"q\"}}is{{else}} not{{end}}", "is not"},
        {"{{printf \"%s-%v-%q-%5s|%-5s|%.2f\" .kind .n .kind \"r\" \"l\" .half}}", "List-3-\"List\"-    r|l    |0.50"},
        {"{{printf \"%d %d %d\" 42 .n .half}}", "42 3 %!d(float64=0.5)"},
        {"{{printf \"%s\"}} {{printf \"x\" 1}}", "%!s(MISSING) x%!(EXTRA int=1)"},
        {"{{print 1 2 \"a\" \"b\" 3}}{{println .kind}}", "1 2ab3List\n"},
        {"{{html \"<a>\"}} {{urlquery \"a b&c\"}}", "&lt;a&gt; a+b%26c"},
        {"{{slice .kind 1 3}}", "is"},
        {"a {{- \"b\" -}} c", "abc"},
        {"{{/* comment */}}x{{- /* more */ -}} y", "xy"},
        {"{{range .list}}{{if eq .name \"a\"}}{{continue}}{{end}}{{.name}}{{break}}{{end}}", "b"},
        {"{{define \"t\"}}<{{.name}}>{{end}}{{range .list}}{{template \"t\" .}}{{end}}", "<a><b>"},
        {"{{block \"t\" .map}}{{.a}}{{end}}", "x"},
        {"{{`raw \\n`}} {{\"\\u00e9\\t\"}}{{'a'}}", "raw \\n \xc3\xa9\t97"},
        {"{{true}} {{print nil}}", "true <nil>"},
        {"{{nil | print}}", NULL},
        {"{{range 3}}{{.}}{{end}}", "012"},
        {"{{define \"r\"}}{{template \"r\" .}}{{end}}{{template \"r\" .}}", NULL},
        {"{{template \"nosuch\"}}", NULL},
        {"{{.kind.x}}", NULL},
        {"{{nosuch}}", NULL},
        {"{{.kind", NULL},
        {"{{if .kind}}", NULL},
        {"{{end}}", NULL},
        {"{{else}}", NULL},
        {"{{break}}", NULL},
        {"{{$nosuch}}", NULL},
        {"{{\"open}}", NULL},
        {"{{(.kind}}", NULL},
        {"{{}}", NULL},
        {"{{.kind | }}", "List"},
        {"{{1 .kind}}", NULL},
        {"{{len}}", NULL},
        {"{{/* open", NULL},
};

static void test_templates(void **state CX_UNUSED)
{
        json_auto_t *data = json_loads(data_text, 0, NULL);
        assert_non_null(data);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(gotemplate_freep) struct gotemplate *template = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                CX_BUF out = CX_BUF_INIT;
                int r = gotemplate_parse(cases[i].template, &template, &err);
                if (r == 0)
                        r = gotemplate_print(template, data, true, &out, &err);
                if (!cases[i].text) {
                        if (r == 0)
                                fail_msg("%s: no error, but \"%s\"", cases[i].template, out.data);
                        assert_non_null(err.message);
                        continue;
                }
                if (r < 0)
                        fail_msg("%s: %s", cases[i].template, cx_error_text(&err));
                if (strcmp(out.data, cases[i].text) != 0)
                        fail_msg("%s: have \"%s\", want \"%s\"", cases[i].template, out.data, cases[i].text);
        }
}

static void test_messages(void **state CX_UNUSED)
{
        static const struct {
                const char *template, *message;
        } bad[] = {
                {"{{.kind", "template: output:1: unclosed action"},
                {"a\n{{nosuch}}", "template: output:2: function \"nosuch\" not defined"},
                {"{{if .kind}}", "template: output:1: unexpected EOF"},
                {"{{$x}}", "template: output:1: undefined variable \"$x\""},
                {"{{1e999}}", "template: output:1: bad number syntax: \"1e999\""},
                {"{{range 99999999999}}{{end}}", "the template makes too much output"},
                {"x{{.kind.y}}",
                 "template: output:1:3: executing \"output\" at <.kind.y>: can't evaluate field y in type "
                 "interface {}"},
        };
        json_auto_t *data = json_loads(data_text, 0, NULL);
        for (size_t i = 0; i < CX_ARRAY_SIZE(bad); i++) {
                CX_CLEANUP(gotemplate_freep) struct gotemplate *template = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                CX_BUF out = CX_BUF_INIT;
                if (gotemplate_parse(bad[i].template, &template, &err) == 0)
                        assert_true(gotemplate_print(template, data, true, &out, &err) < 0);
                assert_string_equal(cx_error_text(&err), bad[i].message);
        }
}

static void test_missing_keys_can_be_errors(void **state CX_UNUSED)
{
        CX_CLEANUP(gotemplate_freep) struct gotemplate *template = NULL;
        json_auto_t *data = json_loads(data_text, 0, NULL);
        CX_BUF out = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(gotemplate_parse("{{.nosuch}}", &template, NULL), 0);
        assert_true(gotemplate_print(template, data, false, &out, &err) < 0);
}

static void test_nesting_is_capped(void **state CX_UNUSED)
{
        static const char *const pieces[] = {"{{if .}}", "{{range .}}", "{{(", "{{print ("};
        for (size_t i = 0; i < CX_ARRAY_SIZE(pieces); i++) {
                CX_BUF deep = CX_BUF_INIT;
                struct gotemplate *template = NULL;
                for (int n = 0; n < 100000; n++)
                        cx_buf_add(&deep, n && i >= 2 ? "(" : pieces[i]);
                assert_true(gotemplate_parse(deep.data, &template, NULL) < 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_templates),
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_missing_keys_can_be_errors),
                cmocka_unit_test(test_nesting_is_capped),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
