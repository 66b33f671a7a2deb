// SPDX-License-Identifier: Apache-2.0
// A field is a set of bits. The next time is found by going on, month by month, day by day, hour by hour, to what fits,
// and starting over when the larger field has changed. Hours are steps of real time and days are dates: that decides
// what happens when clocks change.
#include "libcommon/api/cron.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/strings.h"
#include "libcommon/base/time.h"

#define STAR (UINT64_C(1) << 63) // the field was "*"
#define SPACE " \t\n\v\f\r"
#define FAR (INT64_C(1) << 40) // seconds from the epoch beyond which nothing is looked for
#define MOST_STEPS 10000       // of a search; five years take less, in a zone whose clocks behave

struct field_bounds {
        int min, max;
        const char *const *names; // of `min` and those after it; NULL: none
};
static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct field_bounds minute_bounds = {0, 59, NULL}, hour_bounds = {0, 23, NULL}, day_bounds = {1, 31, NULL},
                                 month_bounds = {1, 12, month_names}, weekday_bounds = {0, 6, weekday_names};

// --- reading ---------------------------------------------------------------------------------------------------------

static int parse_number(const char *text, int64_t *ret, struct cx_error *err)
{
        const char *digits = *text == '+' || *text == '-' ? text + 1 : text;
        int r = *digits && strspn(digits, "0123456789") == strlen(digits) ? cx_parse_int(digits, 0, INT64_MAX, ret)
                                                                          : -EINVAL;
        if (r < 0)
                return cx_error_set(err, -EINVAL, "failed to parse int from %s: strconv.Atoi: parsing \"%s\": %s", text,
                                    text, r == -ERANGE ? "value out of range" : "invalid syntax");
        if (*text == '-' && *ret)
                return cx_error_set(err, -EINVAL, "negative number (%lld) not allowed: %s", -(long long)*ret, text);
        return 0;
}

static int parse_value(const char *text, const struct field_bounds *bounds, int64_t *ret, struct cx_error *err)
{
        for (int i = 0; bounds->names && bounds->names[i]; i++) {
                if (strcasecmp(bounds->names[i], text) == 0) {
                        *ret = bounds->min + i;
                        return 0;
                }
        }
        return parse_number(text, ret, err);
}

static int check_range(const struct field_bounds *bounds, int64_t start, int64_t end, int64_t step, const char *text,
                       struct cx_error *err)
{
        if (start < bounds->min)
                return cx_error_set(err, -EINVAL, "beginning of range (%lld) below minimum (%d): %s", (long long)start,
                                    bounds->min, text);
        if (end > bounds->max)
                return cx_error_set(err, -EINVAL, "end of range (%lld) above maximum (%d): %s", (long long)end,
                                    bounds->max, text);
        if (start > end)
                return cx_error_set(err, -EINVAL, "beginning of range (%lld) beyond end of range (%lld): %s",
                                    (long long)start, (long long)end, text);
        return step ? 0 : cx_error_set(err, -EINVAL, "step of range should be a positive number: %s", text);
}

// "*", "5", "1-5", each perhaps with "/2"; "5/2" is "5-max/2".
static int parse_range(const char *text, const struct field_bounds *bounds, uint64_t *bits, struct cx_error *err)
{
        CX_STRINGS parts = CX_STRINGS_INIT, ends = CX_STRINGS_INIT;
        cx_strings_split(&parts, text, '/');
        cx_strings_split(&ends, parts.items[0], '-');
        int64_t start = bounds->min, end = bounds->max, step = 1;
        bool star = strcmp(ends.items[0], "*") == 0 || strcmp(ends.items[0], "?") == 0;
        int r = 0;
        if (!star) {
                r = parse_value(ends.items[0], bounds, &start, err);
                if (r == 0 && ends.count > 2)
                        r = cx_error_set(err, -EINVAL, "too many hyphens: %s", text);
                if (r == 0 && ends.count == 2)
                        r = parse_value(ends.items[1], bounds, &end, err);
                else if (parts.count == 1)
                        end = start;
        }
        if (r == 0 && parts.count > 2)
                r = cx_error_set(err, -EINVAL, "too many slashes: %s", text);
        if (r == 0 && parts.count == 2)
                r = parse_number(parts.items[1], &step, err);
        if (r == 0)
                r = check_range(bounds, start, end, step, text, err);
        if (r < 0)
                return r;
        step = step <= bounds->max ? step : bounds->max + 1;
        for (int64_t value = start; value <= end && value < 63; value += step)
                *bits |= UINT64_C(1) << value;
        if (star && step == 1)
                *bits |= STAR;
        return 0;
}

static int parse_field(const char *text, const struct field_bounds *bounds, uint64_t *ret_bits, struct cx_error *err)
{
        CX_STRINGS ranges = CX_STRINGS_INIT;
        cx_strings_split(&ranges, text, ',');
        uint64_t bits = 0;
        for (size_t i = 0; i < ranges.count; i++) {
                if (!*ranges.items[i])
                        continue;
                int r = parse_range(ranges.items[i], bounds, &bits, err);
                if (r < 0)
                        return r;
        }
        *ret_bits = bits;
        return 0;
}

static int parse_macro(const char *text, const char **ret_fields, int64_t *ret_every, struct cx_error *err)
{
        static const char *const macros[][2] = {{"@yearly", "0 0 1 1 *"},  {"@annually", "0 0 1 1 *"},
                                                {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
                                                {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                                                {"@hourly", "0 * * * *"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(macros); i++) {
                if (strcmp(macros[i][0], text) == 0) {
                        *ret_fields = macros[i][1];
                        return 0;
                }
        }
        int64_t ns;
        if (!cx_has_prefix(text, "@every "))
                return cx_error_set(err, -EINVAL, "unrecognized descriptor: %s", text);
        if (cx_duration_parse(text + strlen("@every "), &ns) < 0)
                return cx_error_set(err, -EINVAL, "failed to parse duration %s: time: invalid duration \"%s\"", text,
                                    text + strlen("@every "));
        *ret_every = ns < CX_NS_PER_S ? 1 : ns / CX_NS_PER_S;
        return 0;
}

static void split_fields(const char *text, struct cx_strings *ret_fields)
{
        for (text += strspn(text, SPACE); *text; text += strspn(text, SPACE)) {
                size_t length = strcspn(text, SPACE);
                cx_strings_add_length(ret_fields, text, length);
                text += length;
        }
}

int cx_cron_parse(const char *text, struct cx_cron *ret_cron, struct cx_error *err)
{
        struct cx_cron cron = {0};
        struct {
                const struct field_bounds *bounds;
                uint64_t *bits;
        } parts[] = {{&minute_bounds, &cron.minutes},
                     {&hour_bounds, &cron.hours},
                     {&day_bounds, &cron.days},
                     {&month_bounds, &cron.months},
                     {&weekday_bounds, &cron.weekdays}};
        if (!*text)
                return cx_error_set(err, -EINVAL, "empty spec string");
        int r = *text == '@' ? parse_macro(text, &text, &cron.every, err) : 0;
        CX_STRINGS fields = CX_STRINGS_INIT;
        if (r == 0 && !cron.every)
                split_fields(text, &fields);
        if (r == 0 && !cron.every && fields.count != CX_ARRAY_SIZE(parts)) {
                CX_CLEANUP(cx_freep) char *found = cx_strings_join(&fields, " ");
                r = cx_error_set(err, -EINVAL, "expected exactly 5 fields, found %zu: [%s]", fields.count, found);
        }
        for (size_t i = 0; r == 0 && i < fields.count; i++)
                r = parse_field(fields.items[i], parts[i].bounds, parts[i].bits, err);
        if (r == 0)
                *ret_cron = cron;
        return r;
}

// --- the next time ---------------------------------------------------------------------------------------------------

struct cron_search {
        const struct cx_cron *cron;
        const struct cx_timezone *zone;
        int64_t moment;
        struct cx_wall_clock clock; // at the moment
        bool moved;                 // from where the search began: the smaller fields are at their beginning
        int steps;
};

static void go_to(struct cron_search *s, int64_t moment)
{
        s->moment = moment;
        s->clock = cx_wall_clock_at(s->zone, moment);
        s->steps++;
}

static void set_clock(struct cron_search *s, struct cx_wall_clock clock)
{
        go_to(s, cx_wall_clock_moment(s->zone, &clock));
}

static bool fits(uint64_t bits, int value)
{
        return bits >> value & 1;
}

// Where one of the two is "*", the other decides; else either is enough.
static bool day_fits(const struct cron_search *s)
{
        bool day = fits(s->cron->days, s->clock.day), weekday = fits(s->cron->weekdays, s->clock.weekday);
        return (s->cron->days | s->cron->weekdays) & STAR ? day && weekday : day || weekday;
}

// Each goes on until its field fits; false when a larger field has changed on the way.
static bool find_month(struct cron_search *s)
{
        while (!fits(s->cron->months, s->clock.month)) {
                if (s->steps > MOST_STEPS)
                        return false;
                struct cx_wall_clock next = s->clock;
                if (!s->moved)
                        next = (struct cx_wall_clock){.year = s->clock.year, .month = s->clock.month, .day = 1};
                s->moved = true;
                next.month++;
                set_clock(s, next);
                if (s->clock.month == 1)
                        return false;
        }
        return true;
}

static bool find_day(struct cron_search *s)
{
        while (!day_fits(s)) {
                if (s->steps > MOST_STEPS)
                        return false;
                struct cx_wall_clock next = s->clock;
                if (!s->moved)
                        next.hour = next.minute = next.second = 0;
                s->moved = true;
                next.day++;
                set_clock(s, next);
                if (s->clock.hour) // there is no midnight on that day
                        go_to(s,
                              s->moment + (s->clock.hour > 12 ? 24 - s->clock.hour : -s->clock.hour) * INT64_C(3600));
                if (s->clock.day == 1)
                        return false;
        }
        return true;
}

static bool find_hour(struct cron_search *s)
{
        while (!fits(s->cron->hours, s->clock.hour)) {
                if (s->steps > MOST_STEPS)
                        return false;
                if (!s->moved) {
                        struct cx_wall_clock full = s->clock;
                        full.minute = full.second = 0;
                        set_clock(s, full);
                }
                s->moved = true;
                go_to(s, s->moment + 3600);
                if (s->clock.hour == 0)
                        return false;
        }
        return true;
}

static bool find_minute(struct cron_search *s)
{
        while (!fits(s->cron->minutes, s->clock.minute)) {
                if (s->steps > MOST_STEPS)
                        return false;
                if (!s->moved)
                        go_to(s, s->moment - (s->moment % 60 + 60) % 60);
                s->moved = true;
                go_to(s, s->moment + 60);
                if (s->clock.minute == 0)
                        return false;
        }
        return true;
}

static bool find_second(struct cron_search *s)
{
        while (s->clock.second != 0) {
                if (s->steps > MOST_STEPS)
                        return false;
                s->moved = true;
                go_to(s, s->moment + 1);
                if (s->clock.second == 0)
                        return false;
        }
        return true;
}

bool cx_cron_next(const struct cx_cron *cron, const struct cx_timezone *zone, int64_t after, int64_t *ret_next)
{
        if (cron->every) {
                *ret_next = after > INT64_MAX - cron->every ? INT64_MAX : after + cron->every;
                return true;
        }
        if (after < -FAR || after > FAR)
                return false;
        struct cron_search search = {.cron = cron, .zone = zone};
        go_to(&search, after + 1);
        int64_t last_year = search.clock.year + 5;
        while (search.clock.year <= last_year && search.steps <= MOST_STEPS) {
                if (find_month(&search) && find_day(&search) && find_hour(&search) && find_minute(&search) &&
                    find_second(&search)) {
                        *ret_next = search.moment;
                        return true;
                }
        }
        return false;
}
