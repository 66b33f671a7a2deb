// SPDX-License-Identifier: Apache-2.0
// Frames as they are on the wire: what is understood, what is not, and that what is made is understood again.
#include "addons/loadbalancer/decide.h"
#include "addons/loadbalancer/frame.h"
#include "libcommon/base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const unsigned char own[MAC_LENGTH] = {2, 0, 0, 0, 0, 9}, theirs[MAC_LENGTH] = {2, 0, 0, 0, 0, 7};

static struct cx_address address(const char *text)
{
        struct cx_address parsed;
        assert_int_equal(cx_address_parse(text, &parsed), 0);
        return parsed;
}

static size_t bytes_of(const char *hex, unsigned char *to)
{
        size_t n = 0;
        for (; *hex; hex += strspn(hex, " ")) {
                char byte[3] = {hex[0], hex[1]};
                to[n++] = (unsigned char)strtoul(byte, NULL, 16);
                hex += 2;
        }
        return n;
}

#define ARP_HEAD "ff ff ff ff ff ff 02 00 00 00 00 07 08 06 00 01 08 00 06 04 "
#define IPV6_HEAD "33 33 ff 00 00 80 02 00 00 00 00 07 86 dd 60 00 00 00 "
#define SOURCE "fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 07 "
#define GROUP "ff 02 00 00 00 00 00 00 00 00 00 01 ff 00 00 80 "
#define TARGET "fd 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80 "
#define NOWHERE "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "

static void test_parse(void **state)
{
        (void)state;
        static const struct {
                const char *hex, *address, *asker; // address NULL: not understood
                enum neighbor_kind kind;
        } cases[] = {
                // Who has 10.0.0.9? Tell 10.0.0.7.
                {ARP_HEAD "00 01 02 00 00 00 00 07 0a 00 00 07 00 00 00 00 00 00 0a 00 00 09", "10.0.0.9", "10.0.0.7",
                 NEIGHBOR_ASKED},
                // A probe: nobody asks.
                {ARP_HEAD "00 01 02 00 00 00 00 07 00 00 00 00 00 00 00 00 00 00 0a 00 00 09", "10.0.0.9", NULL,
                 NEIGHBOR_ASKED},
                // 10.0.0.9 is at …, said in both ways.
                {ARP_HEAD "00 02 02 00 00 00 00 07 0a 00 00 09 ff ff ff ff ff ff 0a 00 00 01", "10.0.0.9", NULL,
                 NEIGHBOR_CLAIMED},
                {ARP_HEAD "00 01 02 00 00 00 00 07 0a 00 00 09 00 00 00 00 00 00 0a 00 00 09", "10.0.0.9", NULL,
                 NEIGHBOR_CLAIMED},
                // Cut off, of no single station, of another kind.
                {ARP_HEAD "00 01 02 00 00 00 00 07 0a 00 00 07 00 00 00 00 00 00 0a 00 00", NULL, NULL, 0},
                {ARP_HEAD "00 01 ff ff ff ff ff ff 0a 00 00 07 00 00 00 00 00 00 0a 00 00 09", NULL, NULL, 0},
                {ARP_HEAD "00 01 00 00 00 00 00 00 0a 00 00 07 00 00 00 00 00 00 0a 00 00 09", NULL, NULL, 0},
                {ARP_HEAD "00 03 02 00 00 00 00 07 0a 00 00 07 00 00 00 00 00 00 0a 00 00 09", NULL, NULL, 0},
                {"ff ff ff ff ff ff 02 00 00 00 00 07 08 06 00 01 08 00 06 06 00 01", NULL, NULL, 0},
                {"", NULL, NULL, 0},
                // A solicitation with its option.
                {IPV6_HEAD "00 20 3a ff " SOURCE GROUP "87 00 7b 0f 00 00 00 00 " TARGET "01 01 02 00 00 00 00 07",
                 "fd00::80", "fe80::7", NEIGHBOR_ASKED},
                // Duplicate address detection: nobody asks.
                {IPV6_HEAD "00 18 3a ff " NOWHERE GROUP "87 00 7c a7 00 00 00 00 " TARGET, "fd00::80", NULL,
                 NEIGHBOR_ASKED},
                // A wrong checksum; one that was routed; an option without a length; one that is longer than the message.
                {IPV6_HEAD "00 20 3a ff " SOURCE GROUP "87 00 7b 0e 00 00 00 00 " TARGET "01 01 02 00 00 00 00 07",
                 NULL, NULL, 0},
                {IPV6_HEAD "00 20 3a fe " SOURCE GROUP "87 00 7b 0f 00 00 00 00 " TARGET "01 01 02 00 00 00 00 07",
                 NULL, NULL, 0},
                {IPV6_HEAD "00 20 3a ff " SOURCE GROUP "87 00 7b 10 00 00 00 00 " TARGET "01 00 02 00 00 00 00 07",
                 NULL, NULL, 0},
                {IPV6_HEAD "00 20 3a ff " SOURCE GROUP "87 00 7b 0e 00 00 00 00 " TARGET "01 02 02 00 00 00 00 07",
                 NULL, NULL, 0},
                {IPV6_HEAD "ff ff 3a ff " SOURCE GROUP "87 00 7b 0f 00 00 00 00 " TARGET "01 01 02 00 00 00 00 07",
                 NULL, NULL, 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                unsigned char frame[128];
                char text[CX_ADDRESS_TEXT];
                struct neighbor_message message;
                // An exact block, so that a sanitizer sees a step beyond it.
                size_t length = bytes_of(cases[i].hex, frame);
                CX_CLEANUP(cx_freep) unsigned char *exact = cx_alloc(length + 1);
                exact = cx_realloc_array(exact, length ? length : 1, 1);
                memcpy(exact, frame, length);
                bool understood = frame_parse(exact, length, &message);
                if (understood != (cases[i].address != NULL))
                        fail_msg("case %zu: %d", i, understood);
                if (!understood)
                        continue;
                assert_int_equal(message.kind, cases[i].kind);
                assert_string_equal(cx_address_format(&message.address, text), cases[i].address);
                if (cases[i].asker)
                        assert_string_equal(cx_address_format(&message.asker, text), cases[i].asker);
                else
                        assert_int_equal(message.asker.family, CX_FAMILY_NONE);
                assert_memory_equal(message.sender, theirs, MAC_LENGTH);
        }
}

// What is made says that the address is ours, to whom it should.
static void test_made(void **state)
{
        (void)state;
        static const char *const texts[] = {"10.0.0.9", "fd00::80"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                for (int way = 0; way < 4; way++) {
                        static const unsigned char everybody[2][MAC_LENGTH] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                                                               {0x33, 0x33, 0, 0, 0, 1}};
                        unsigned char frame[FRAME_MAX];
                        struct neighbor_message question = {.kind = NEIGHBOR_ASKED, .address = address(texts[i])},
                                                heard;
                        memcpy(question.sender, theirs, MAC_LENGTH);
                        if (way == 3)
                                question.asker = address(i ? "fe80::7" : "10.0.0.7");
                        size_t length = way < 2 ? frame_announce(&question.address, own, way, frame)
                                                : frame_answer(&question, own, frame);
                        assert_true(length <= FRAME_MAX && frame_parse(frame, length, &heard));
                        assert_int_equal(heard.kind, NEIGHBOR_CLAIMED);
                        assert_int_equal(cx_address_compare(&heard.address, &question.address), 0);
                        assert_memory_equal(heard.sender, own, MAC_LENGTH);
                        bool alone = way == 3 || (way == 2 && i == 0);
                        assert_memory_equal(frame, alone ? theirs : everybody[i], MAC_LENGTH);
                }
        struct cx_address target = address("fd00::12:3456"), group = solicited_group(&target);
        char text[CX_ADDRESS_TEXT];
        assert_string_equal(cx_address_format(&group, text), "ff02::1:ff12:3456");
}

static void test_decide(void **state)
{
        (void)state;
        static const struct {
                struct address_view view;
                enum address_step step;
        } cases[] = {
                {{.mine = true, .eligible = true}, STEP_ANNOUNCE},
                {{.mine = true, .eligible = true, .disputed = true}, STEP_NONE},
                {{.mine = true}, STEP_GIVE_UP},
                {{.held = true, .eligible = true, .vacant = 0}, STEP_NONE},
                {{.eligible = true, .vacant = 5, .turn = 9}, STEP_WAIT},
                {{.eligible = true, .vacant = 9, .turn = 9}, STEP_TAKE},
                {{.eligible = true}, STEP_TAKE},
                {{.vacant = 9}, STEP_NONE},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int64_t wait = 0;
                assert_int_equal(address_decide(&cases[i].view, &wait), cases[i].step);
                assert_int_equal(wait, cases[i].step == STEP_WAIT ? 4 : 0);
        }
        // Nodes have different turns, each its own for an address; one that is not Ready comes later.
        int differ = 0;
        for (int i = 0; i < 10; i++) {
                char text[CX_ADDRESS_TEXT];
                struct cx_address at = address("10.0.0.1");
                at.bytes[3] = (unsigned char)(i + 1);
                cx_address_format(&at, text);
                differ += (address_turn(text, "a", true) < address_turn(text, "b", true)) !=
                          (address_turn("10.0.0.1", "a", true) < address_turn("10.0.0.1", "b", true));
                assert_true(address_turn(text, "a", true) < address_turn(text, "b", false));
        }
        assert_true(differ > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_made),
                                           cmocka_unit_test(test_decide)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
