// SPDX-License-Identifier: Apache-2.0
// A TZif file lists when the clock changed and to what, and ends with a rule in the notation of POSIX's TZ for all the
// time after. Everything in it is bounds-checked: the bytes may be anybody's.
#include "libcommon/base/timezone.h"

#include "libcommon/base/buf.h"

#include <errno.h>

#define FOLDER "/usr/share/zoneinfo/"
#define MAX_FILE ((size_t)1 << 20)
#define MAX_OFFSET (7 * 24 * 3600) // POSIX has hours up to 167 in its rules; no zone is off by more
#define HORIZON (INT64_C(1) << 55) // moments further away are taken as this far: no arithmetic on them overflows
#define DAY INT64_C(86400)

enum rule_form { RULE_NONE, RULE_JULIAN, RULE_DAY, RULE_WEEK };
struct zone_rule { // when, within a year, a change comes
        enum rule_form form;
        int month, week, day;
        int64_t time; // seconds after midnight of the clock before the change
};

struct cx_timezone {
        size_t count; // of the changes
        int64_t *times, *offsets;
        int64_t before; // offset before the first change
        // After the last one.
        bool has_rule;
        int64_t standard, summer;
        struct zone_rule begin, end; // of summer time; RULE_NONE: there is none
};

// --- calendar --------------------------------------------------------------------------------------------------------

static int64_t floor_div(int64_t a, int64_t b)
{
        return a / b - (a % b < 0);
}

// Days since the epoch of a date in the Gregorian calendar. Years begin with March here, so leap days come last.
static int64_t days_of(int64_t year, int month, int day)
{
        year -= month <= 2;
        int64_t era = floor_div(year, 400), of_era = year - era * 400;
        int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, struct cx_wall_clock *ret)
{
        days += 719468;
        int64_t era = floor_div(days, 146097), of_era = days - era * 146097;
        int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int64_t of_year = of_era - (365 * years + years / 4 - years / 100), month = (5 * of_year + 2) / 153;
        ret->day = (int)(of_year - (153 * month + 2) / 5 + 1);
        ret->month = (int)(month < 10 ? month + 3 : month - 9);
        ret->year = years + era * 400 + (ret->month <= 2);
}

static bool is_leap(int64_t year)
{
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// --- rules -----------------------------------------------------------------------------------------------------------

static bool parse_number(const char **text, int min, int max, int *ret)
{
        int value = 0, digits = 0;
        for (; **text >= '0' && **text <= '9'; (*text)++) {
                value = value * 10 + (**text - '0');
                if (++digits > 3)
                        return false;
        }
        *ret = value;
        return digits && value >= min && value <= max;
}

// "[+-]hh[:mm[:ss]]"
static bool parse_time(const char **text, int64_t *ret)
{
        int sign = 1, hours, minutes = 0, seconds = 0;
        if (**text == '+' || **text == '-')
                sign = *(*text)++ == '-' ? -1 : 1;
        if (!parse_number(text, 0, 167, &hours))
                return false;
        if (**text == ':' && ((*text)++, !parse_number(text, 0, 59, &minutes)))
                return false;
        if (**text == ':' && ((*text)++, !parse_number(text, 0, 59, &seconds)))
                return false;
        *ret = sign * (hours * 3600 + minutes * 60 + seconds);
        return true;
}

static bool parse_zone_name(const char **text)
{
        const char *p = *text;
        size_t length;
        if (*p == '<') {
                length = strcspn(p, ">");
                *text = p + length + 1;
                return p[length] == '>';
        }
        for (length = 0; (p[length] >= 'A' && p[length] <= 'Z') || (p[length] >= 'a' && p[length] <= 'z');)
                length++;
        *text = p + length;
        return length >= 3;
}

static bool parse_rule(const char **text, struct zone_rule *ret)
{
        *ret = (struct zone_rule){.form = RULE_DAY, .time = 2 * 3600};
        bool ok;
        if (**text == 'M') {
                ret->form = RULE_WEEK;
                (*text)++;
                ok = parse_number(text, 1, 12, &ret->month) && *(*text)++ == '.' &&
                     parse_number(text, 1, 5, &ret->week) && *(*text)++ == '.' && parse_number(text, 0, 6, &ret->day);
        } else if (**text == 'J') {
                ret->form = RULE_JULIAN;
                (*text)++;
                ok = parse_number(text, 1, 365, &ret->day);
        } else {
                ok = parse_number(text, 0, 365, &ret->day);
        }
        return ok && (**text != '/' || ((*text)++, parse_time(text, &ret->time)));
}

// "EST5EDT,M3.2.0,M11.1.0": west counts positive, unlike everywhere else.
static int parse_posix(struct cx_timezone *zone, const char *text)
{
        if (!*text)
                return 0; // no rule: the last offset stays
        if (!parse_zone_name(&text) || !parse_time(&text, &zone->standard))
                return -EINVAL;
        zone->standard = -zone->standard;
        zone->has_rule = true;
        if (!*text)
                return 0;
        zone->summer = -zone->standard - 3600;
        if (!parse_zone_name(&text) || (*text && *text != ',' && !parse_time(&text, &zone->summer)))
                return -EINVAL;
        zone->summer = -zone->summer;
        if (!*text)
                text = ",M3.2.0,M11.1.0";
        if (*text++ != ',' || !parse_rule(&text, &zone->begin) || *text++ != ',' || !parse_rule(&text, &zone->end))
                return -EINVAL;
        return *text ? -EINVAL : 0;
}

// The seconds since the epoch at which the change of a year comes; `offset` is in force before.
static int64_t rule_moment(const struct zone_rule *rule, int64_t year, int64_t offset)
{
        int64_t days;
        if (rule->form == RULE_WEEK) {
                int64_t first = days_of(year, rule->month, 1);
                int64_t weekday = ((first + 4) % 7 + 7) % 7; // the epoch was a Thursday
                days = first + (rule->day - weekday + 7) % 7 + (int64_t)7 * (rule->week - 1);
                int64_t next_month = rule->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, rule->month + 1, 1);
                if (days >= next_month) // week 5 is the last
                        days -= 7;
        } else {
                days = days_of(year, 1, 1) + rule->day;
                if (rule->form == RULE_JULIAN) // never counts February 29
                        days += (is_leap(year) && rule->day >= 60) - 1;
        }
        return days * DAY + rule->time - offset;
}

static struct cx_zone_span span_by_rule(const struct cx_timezone *zone, int64_t seconds, int64_t since)
{
        if (zone->begin.form == RULE_NONE)
                return (struct cx_zone_span){zone->standard, since, INT64_MAX};
        struct cx_wall_clock date;
        date_of(floor_div(seconds, DAY), &date);
        int64_t begin = rule_moment(&zone->begin, date.year, zone->standard),
                end = rule_moment(&zone->end, date.year, zone->summer);
        int64_t within = zone->summer, outside = zone->standard;
        if (end < begin) { // south of the equator, summer lasts over the new year
                int64_t swap = begin;
                begin = end;
                end = swap;
                within = zone->standard;
                outside = zone->summer;
        }
        if (seconds < begin)
                return (struct cx_zone_span){outside, days_of(date.year, 1, 1) * DAY, begin};
        if (seconds >= end)
                return (struct cx_zone_span){outside, end, days_of(date.year + 1, 1, 1) * DAY};
        return (struct cx_zone_span){within, begin, end};
}

// --- files -----------------------------------------------------------------------------------------------------------

struct zone_reader {
        const unsigned char *data;
        size_t left;
};

static const unsigned char *take(struct zone_reader *reader, size_t length)
{
        if (length > reader->left)
                return NULL;
        const unsigned char *data = reader->data;
        reader->data += length;
        reader->left -= length;
        return data;
}

static int64_t big_endian(const unsigned char *data, int bytes)
{
        uint64_t value = data[0] & 0x80 ? UINT64_MAX : 0;
        for (int i = 0; i < bytes; i++)
                value = value << 8 | data[i];
        return (int64_t)value;
}

struct tzif_header {
        int version;
        uint32_t n_ut, n_standard, n_leaps, n_times, n_types, n_chars;
};

static bool read_header(struct zone_reader *reader, struct tzif_header *ret)
{
        const unsigned char *head = take(reader, 44);
        if (!head || memcmp(head, "TZif", 4) != 0)
                return false;
        uint32_t counts[6];
        for (size_t i = 0; i < CX_ARRAY_SIZE(counts); i++) {
                counts[i] = (uint32_t)big_endian(head + 20 + 4 * i, 4);
                if (counts[i] > MAX_FILE)
                        return false;
        }
        *ret = (struct tzif_header){head[4], counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
        return true;
}

// The changes of one block; `wide`: of eight bytes each.
static bool read_block(struct zone_reader *reader, const struct tzif_header *h, int wide, struct cx_timezone *zone)
{
        const unsigned char *times = take(reader, (size_t)h->n_times * (size_t)wide);
        const unsigned char *kinds = take(reader, h->n_times), *types = take(reader, (size_t)h->n_types * 6);
        size_t rest = (size_t)h->n_chars + (size_t)h->n_leaps * (size_t)(wide + 4) + h->n_standard + h->n_ut;
        if (!times || !kinds || !types || !take(reader, rest) || !h->n_types)
                return false;
        if (!zone)
                return true;
        zone->times = cx_alloc_array((size_t)h->n_times + 1, sizeof *zone->times);
        zone->offsets = cx_alloc_array((size_t)h->n_times + 1, sizeof *zone->offsets);
        zone->count = h->n_times;
        zone->before = big_endian(types, 4);
        for (uint32_t i = 0; i < h->n_times; i++) {
                if (kinds[i] >= h->n_types)
                        return false;
                zone->times[i] = big_endian(times + (size_t)i * (size_t)wide, wide);
                zone->offsets[i] = big_endian(types + (size_t)kinds[i] * 6, 4);
                if ((i && zone->times[i] <= zone->times[i - 1]) || zone->offsets[i] < -MAX_OFFSET ||
                    zone->offsets[i] > MAX_OFFSET)
                        return false;
        }
        return zone->before >= -MAX_OFFSET && zone->before <= MAX_OFFSET;
}

static int read_zone(struct zone_reader *reader, struct cx_timezone *zone)
{
        struct tzif_header header;
        if (!read_header(reader, &header))
                return -EINVAL;
        if (header.version < '2')
                return read_block(reader, &header, 4, zone) ? 0 : -EINVAL;
        // Newer files say everything twice: the first block is for readers of old.
        if (!read_block(reader, &header, 4, NULL) || !read_header(reader, &header) ||
            !read_block(reader, &header, 8, zone))
                return -EINVAL;
        const unsigned char *newline = take(reader, 1);
        const unsigned char *end = newline ? memchr(reader->data, '\n', reader->left) : NULL;
        if (!end || *newline != '\n')
                return -EINVAL;
        CX_CLEANUP(cx_freep) char *rule = cx_strndup((const char *)reader->data, (size_t)(end - reader->data));
        return parse_posix(zone, rule);
}

int cx_timezone_parse(const void *data, size_t length, struct cx_timezone **ret_zone)
{
        struct zone_reader reader = {data, length};
        CX_CLEANUP(cx_timezone_freep) struct cx_timezone *zone = cx_alloc(sizeof *zone);
        int r = read_zone(&reader, zone);
        if (r == 0)
                *ret_zone = cx_steal(&zone);
        return r;
}

int cx_timezone_load(const char *name, struct cx_timezone **ret_zone)
{
        if (!*name || strcmp(name, "UTC") == 0) {
                *ret_zone = cx_alloc(sizeof **ret_zone);
                return 0;
        }
        if (*name == '/' || strstr(name, "..") || strlen(name) > 255)
                return -ENOENT;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(FOLDER "%s", name);
        CX_BUF file = CX_BUF_INIT_MAX(MAX_FILE);
        if (cx_buf_read_file(&file, path) < 0)
                return -ENOENT;
        return cx_timezone_parse(file.data, file.length, ret_zone) < 0 ? -ENOENT : 0;
}

void cx_timezone_free(struct cx_timezone *zone)
{
        if (!zone)
                return;
        free(zone->times);
        free(zone->offsets);
        free(zone);
}

// --- clocks ----------------------------------------------------------------------------------------------------------

static int64_t within_horizon(int64_t seconds)
{
        return seconds < -HORIZON ? -HORIZON : seconds > HORIZON ? HORIZON : seconds;
}

struct cx_zone_span cx_timezone_at(const struct cx_timezone *zone, int64_t seconds)
{
        seconds = within_horizon(seconds);
        size_t low = 0, high = zone->count; // how many changes have been: in [low, high]
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (zone->times[middle] <= seconds)
                        low = middle + 1;
                else
                        high = middle;
        }
        int64_t start = low ? zone->times[low - 1] : INT64_MIN;
        if (low == zone->count && zone->has_rule)
                return span_by_rule(zone, seconds, start);
        return (struct cx_zone_span){low ? zone->offsets[low - 1] : zone->before, start,
                                     low < zone->count ? zone->times[low] : INT64_MAX};
}

struct cx_wall_clock cx_wall_clock_at(const struct cx_timezone *zone, int64_t seconds)
{
        seconds = within_horizon(seconds);
        seconds += cx_timezone_at(zone, seconds).offset;
        int64_t days = floor_div(seconds, DAY), rest = seconds - days * DAY;
        struct cx_wall_clock clock = {.hour = (int)(rest / 3600),
                                      .minute = (int)(rest / 60 % 60),
                                      .second = (int)(rest % 60),
                                      .weekday = (int)(((days + 4) % 7 + 7) % 7)};
        date_of(days, &clock);
        return clock;
}

int64_t cx_wall_clock_moment(const struct cx_timezone *zone, const struct cx_wall_clock *clock)
{
        int64_t year = clock->year + floor_div(clock->month - 1, 12);
        int month = (int)(clock->month - 1 - floor_div(clock->month - 1, 12) * 12) + 1;
        int64_t seconds = within_horizon((days_of(year, month, 1) + clock->day - 1) * DAY +
                                         clock->hour * INT64_C(3600) + clock->minute * INT64_C(60) + clock->second);
        // The offset that would hold if the clock showed UTC is right unless a change is near.
        struct cx_zone_span span = cx_timezone_at(zone, seconds);
        int64_t moment = seconds - span.offset;
        if (moment < span.start || moment >= span.end)
                moment = seconds - cx_timezone_at(zone, moment).offset;
        return moment;
}
