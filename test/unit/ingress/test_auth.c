// SPDX-License-Identifier: Apache-2.0
// Passwords, the proxy's questions about them, certificates as the proxy would load them.
#include "addons/ingress/auth.h"
#include "addons/ingress/htpasswd.h"
#include "addons/ingress/secrets.h"
#include "addons/ingress/spop.h"
#include "libcommon/base/process.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/pki.h"
#include "test/unit/quoted_json.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static void test_hashes(void **state)
{
        (void)state;
        // As `htpasswd` and `openssl passwd` made them.
        static const struct {
                const char *hash, *password;
                bool right;
        } cases[] = {
                {"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret", true},
                {"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "Secret", false},
                {"{SHA}5en6", "secret", false},
                {"{PLAIN}secret", "secret", false},
                {"secret", "secret", false},
                {"", "", false},
                {"*", "x", false},
                {"$apr1$", "x", false},
                {"$apr1$toolongasalt$0123456789012345678901", "x", false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++)
                assert_int_equal(htpasswd_matches(cases[i].hash, cases[i].password), cases[i].right);
}

// What other programs make of random passwords, so that nothing of ours judges itself.
static void test_against_openssl(void **state)
{
        (void)state;
        static const char *const kinds[] = {"-apr1", "-1", "-5", "-6"};
        static const char *const passwords[] = {"a", "seven77", "sixteen characte",
                                                "a much longer password, with blanks and more"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++)
                for (size_t j = 0; j < CX_ARRAY_SIZE(passwords); j++) {
                        CX_BUF out = CX_BUF_INIT;
                        CX_ERROR err = CX_ERROR_INIT;
                        assert_int_equal(
                                cx_run_ok((const char *const[]){"openssl", "passwd", kinds[i], passwords[j], NULL},
                                          &out, &err),
                                0);
                        out.data[strcspn(out.data, "\n")] = '\0';
                        assert_true(htpasswd_matches(out.data, passwords[j]));
                        assert_false(htpasswd_matches(out.data, "another"));
                        assert_false(htpasswd_matches(out.data, ""));
                }
}

static void test_lines(void **state)
{
        (void)state;
        const char *lines = "# comment\nann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\r\n\nbob:x:y\nno colon\nanna:{SHA}AAAA";
        assert_true(htpasswd_accepts(lines, "ann", "secret"));
        assert_false(htpasswd_accepts(lines, "anna", "secret"));
        assert_false(htpasswd_accepts(lines, "an", "secret"));
        assert_false(htpasswd_accepts(lines, "eve", "secret"));
        assert_false(htpasswd_accepts(lines, "", "secret"));
        assert_false(htpasswd_accepts("", "ann", "secret"));
}

static const char question[] = "\x03\x00\x00\x00\x01\x05\x07"
                               "\x05"
                               "check\x02"
                               "\x02id\x08\x03"
                               "abc"
                               "\x0b"
                               "credentials\x08\x04"
                               "text";

static void test_frames(void **state)
{
        (void)state;
        struct spop_frame frame;
        assert_int_equal(spop_parse(question, sizeof question - 1, &frame), 0);
        assert_int_equal(frame.type, SPOP_NOTIFY);
        assert_int_equal(frame.stream, 5);
        assert_int_equal(frame.frame, 7);
        assert_string_equal(frame.id, "abc");
        assert_string_equal(frame.credentials, "text");
        CX_BUF verdict = CX_BUF_INIT;
        spop_write_verdict(&frame, true, &verdict);
        static const char expected[] = "\x00\x00\x00\x10\x67\x00\x00\x00\x01\x05\x07\x01\x03\x02\x04user\x11";
        assert_int_equal(verdict.length, sizeof expected - 1);
        assert_memory_equal(verdict.data, expected, verdict.length);
        spop_frame_release(&frame);
        for (size_t length = 0; length < sizeof question - 1; length++) // any piece
                if (spop_parse(question, length, &frame) == 0)
                        spop_frame_release(&frame);
        assert_int_equal(spop_parse("\x03\x00\x00\x00\x00\x05\x07", 7, &frame), -EPROTO); // more would follow
        assert_int_equal(
                spop_parse("\x01\x00\x00\x00\x01\x00\x00\x01x\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20, &frame),
                -EPROTO);
}

static bool asks(struct auth_agent *agent, const char *id, const char *who)
{
        CX_BUF header = CX_BUF_INIT;
        cx_buf_add(&header, "Basic ");
        cx_base64_encode(who, strlen(who), &header);
        return auth_agent_accepts(agent, id, header.data);
}

static void test_agent(void **state)
{
        (void)state;
        char path[] = "/tmp/coxswain-auth.XXXXXX";
        assert_non_null(mkdtemp(path));
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/auth.sock", path);
        struct auth_agent *agent;
        CX_ERROR err = CX_ERROR_INIT;
        CX_MAP users = CX_MAP_INIT;
        assert_int_equal(auth_agent_new(file, &agent, &err), 0);
        assert_false(asks(agent, "abc", "ann:secret"));
        cx_map_set(&users, "abc", (void *)"ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
        cx_map_set(&users, "empty", (void *)"");
        auth_agent_set(agent, &users);
        for (int i = 0; i < 2; i++) { // the second time it is known
                assert_true(asks(agent, "abc", "ann:secret"));
                assert_false(asks(agent, "abc", "ann:other"));
                assert_false(asks(agent, "empty", "ann:secret"));
                assert_false(asks(agent, "xyz", "ann:secret"));
        }
        assert_false(auth_agent_accepts(agent, "abc", "Bearer x"));
        assert_false(auth_agent_accepts(agent, "abc", NULL));
        assert_false(auth_agent_accepts(agent, NULL, "Basic eDp5"));
        cx_map_set(&users, "abc", (void *)"ann:{SHA}AAAA\n");
        auth_agent_set(agent, &users);
        assert_false(asks(agent, "abc", "ann:secret")); // what was known is forgotten
        // Over its socket: a question without a greeting is one as well.
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        assert_true(cx_copy_string(address.sun_path, sizeof address.sun_path, file));
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        const unsigned char head[] = {0, 0, 0, sizeof question - 1};
        unsigned char answer[20];
        assert_int_equal(send(fd, head, sizeof head, 0), sizeof head);
        assert_int_equal(send(fd, question, sizeof question - 1, 0), sizeof question - 1);
        assert_int_equal(recv(fd, answer, sizeof answer, MSG_WAITALL), sizeof answer);
        assert_int_equal(answer[19], 0x01); // false
        auth_agent_free(agent);             // with a connection that is open
        (void)rmdir(path);
}

static void test_certificates(void **state)
{
        (void)state;
        CX_CLEANUP(cx_freep) char *cert = NULL, *key = NULL, *other_cert = NULL, *other_key = NULL;
        CX_STRINGS names = CX_STRINGS_INIT, found = CX_STRINGS_INIT;
        CX_BUF pem = CX_BUF_INIT;
        cx_strings_add(&names, "x.org");
        cx_strings_add(&names, "*.y.org");
        struct cx_certificate_spec spec = {.common_name = "z", .dns_names = &names, .server = true, .lifetime = 3600};
        assert_int_equal(cx_pki_issue(&spec, NULL, NULL, &cert, &key, NULL), 0);
        assert_int_equal(cx_pki_issue(&spec, NULL, NULL, &other_cert, &other_key, NULL), 0);
        assert_null(certificate_check(cert, strlen(cert), key, strlen(key), &found, &pem));
        assert_int_equal(found.count, 2);
        assert_string_equal(found.items[1], "*.y.org");
        assert_null(strstr(pem.data, "\n\n")); // an empty line would end it early
        CX_CLEANUP(cx_freep) char *noisy = cx_sprintf("add server x\n\n%s\nset\n", cert);
        CX_BUF again = CX_BUF_INIT;
        assert_null(certificate_check(noisy, strlen(noisy), key, strlen(key), &found, &again));
        assert_string_equal(again.data, pem.data);
        assert_non_null(certificate_check(cert, strlen(cert), other_key, strlen(other_key), &found, &pem));
        assert_non_null(certificate_check("", 0, key, strlen(key), &found, &pem));
        assert_non_null(certificate_check(key, strlen(key), key, strlen(key), &found, &pem));
        spec.lifetime = -3600;
        CX_CLEANUP(cx_freep) char *old_cert = NULL, *old_key = NULL;
        assert_int_equal(cx_pki_issue(&spec, NULL, NULL, &old_cert, &old_key, NULL), 0);
        assert_non_null(certificate_check(old_cert, strlen(old_cert), old_key, strlen(old_key), &found, &pem));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hashes), cmocka_unit_test(test_against_openssl),
                cmocka_unit_test(test_lines),  cmocka_unit_test(test_frames),
                cmocka_unit_test(test_agent),  cmocka_unit_test(test_certificates),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
