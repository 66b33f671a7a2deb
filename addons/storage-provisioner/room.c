// SPDX-License-Identifier: Apache-2.0
#include "addons/storage-provisioner/room.h"

#include <errno.h>
#include <stdio.h>

#define PERCENT_ENFORCED 100
#define PERCENT_WISHED 200 // of sizes that nobody is held to

#define BYTES_TEXT 32

// "5Ti" as it is asked for; what is no whole number of a large enough unit has a decimal place.
static const char *bytes_text(int64_t bytes, char to[BYTES_TEXT])
{
        static const char units[] = "KMGTPE";
        int unit = -1;
        int64_t whole = bytes;
        for (; whole >= 1024 && whole % 1024 == 0; whole /= 1024)
                unit++;
        if (whole < 10000) {
                snprintf(to, BYTES_TEXT, unit < 0 ? "%lld" : "%lld%ci", (long long)whole, units[unit < 0 ? 0 : unit]);
                return to;
        }
        double value = (double)bytes;
        for (unit = -1; value >= 10240; value /= 1024)
                unit++;
        snprintf(to, BYTES_TEXT, unit < 0 ? "%.0f" : "%.1f%ci", value, units[unit < 0 ? 0 : unit]);
        return to;
}

int64_t room_add(int64_t a, int64_t b)
{
        int64_t sum;
        a = a < 0 ? 0 : a;
        b = b < 0 ? 0 : b;
        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int64_t room_for_volumes(const struct room *room, int64_t percent)
{
        int64_t whole = room->enforced ? room_add(room->free, room->used) : room->size;
        __int128 scaled = (__int128)whole *
                          (percent          ? percent
                           : room->enforced ? PERCENT_ENFORCED
                                            : PERCENT_WISHED) /
                          100;
        return scaled > INT64_MAX ? INT64_MAX : (int64_t)scaled;
}

int room_check(const struct room *room, int64_t percent, const char *node, int64_t promised, int64_t more,
               struct cx_error *err)
{
        char asked[BYTES_TEXT], before[BYTES_TEXT], all[BYTES_TEXT], size[BYTES_TEXT], left[BYTES_TEXT];
        int64_t limit = room_for_volumes(room, percent);
        if (more <= room->free && room_add(promised, more) <= limit)
                return 0;
        return cx_error_set(err, -ENOSPC,
                            "%s more is asked of node \"%s\", which has promised %s to volumes of the %s that it may "
                            "promise; its file system of %s has %s free: ask for less, or free some",
                            bytes_text(more, asked), node, bytes_text(promised, before), bytes_text(limit, all),
                            bytes_text(room->size, size), bytes_text(room->free, left));
}
