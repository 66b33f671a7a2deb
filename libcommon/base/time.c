// SPDX-License-Identifier: Apache-2.0
// Clocks; RFC 3339 and Go's durations, read and written.
#include "libcommon/base/time.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t cx_time_now(void)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * CX_US_PER_S + now.tv_nsec / 1000;
}

int64_t cx_time_monotonic(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * CX_NS_PER_S + now.tv_nsec;
}

static time_t split_seconds(int64_t us, int64_t *ret_rest)
{
        int64_t seconds = us / CX_US_PER_S, rest = us % CX_US_PER_S;
        if (rest < 0) {
                rest += CX_US_PER_S;
                seconds--;
        }
        *ret_rest = rest;
        return (time_t)seconds;
}

void cx_time_format(int64_t us, char to[CX_TIME_TEXT])
{
        int64_t rest;
        struct tm utc;
        time_t seconds = split_seconds(us, &rest);
        gmtime_r(&seconds, &utc);
        strftime(to, CX_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void cx_time_format_micro(int64_t us, char to[CX_TIME_TEXT])
{
        int64_t rest;
        struct tm utc;
        time_t seconds = split_seconds(us, &rest);
        gmtime_r(&seconds, &utc);
        size_t n = strftime(to, CX_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &utc);
        (void)snprintf(to + n, CX_TIME_TEXT - n, ".%06dZ", (int)rest);
}

static int digits(const char **text, int count)
{
        int value = 0;
        for (int i = 0; i < count; i++, (*text)++) {
                if (**text < '0' || **text > '9')
                        return -1;
                value = value * 10 + (**text - '0');
        }
        return value;
}

// "+02:00" or "Z" as seconds; -EINVAL otherwise.
static int parse_offset(const char *p, int *ret_seconds)
{
        *ret_seconds = 0;
        if (*p == 'Z' || *p == 'z')
                return p[1] ? -EINVAL : 0;
        if (*p != '+' && *p != '-')
                return -EINVAL;
        int sign = *p++ == '-' ? -1 : 1;
        int hours = digits(&p, 2);
        if (hours < 0 || hours > 23 || *p++ != ':')
                return -EINVAL;
        int minutes = digits(&p, 2);
        if (minutes < 0 || minutes > 59 || *p)
                return -EINVAL;
        *ret_seconds = sign * (hours * 3600 + minutes * 60);
        return 0;
}

int cx_time_parse(const char *text, int64_t *ret_us)
{
        struct tm t = {0};
        const char *p = text ? text : "";
        struct {
                int *to, count, offset, min, max;
                char after;
        } parts[] = {
                {&t.tm_year, 4, -1900, 0, 9999, '-'}, {&t.tm_mon, 2, -1, 1, 12, '-'}, {&t.tm_mday, 2, 0, 1, 31, 'T'},
                {&t.tm_hour, 2, 0, 0, 23, ':'},       {&t.tm_min, 2, 0, 0, 59, ':'},  {&t.tm_sec, 2, 0, 0, 60, 0},
        };
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
                int value = digits(&p, parts[i].count);
                if (value < parts[i].min || value > parts[i].max)
                        return -EINVAL;
                *parts[i].to = value + parts[i].offset;
                if (parts[i].after && *p != parts[i].after && !(parts[i].after == 'T' && *p == 't'))
                        return -EINVAL;
                p += parts[i].after != 0;
        }
        int64_t fraction = 0;
        if (*p == '.') {
                int64_t scale = 100000;
                const char *start = ++p;
                for (; *p >= '0' && *p <= '9'; p++, scale /= 10)
                        fraction += (*p - '0') * scale;
                if (p == start)
                        return -EINVAL;
        }
        int offset;
        if (parse_offset(p, &offset) < 0)
                return -EINVAL;
        *ret_us = ((int64_t)timegm(&t) - offset) * CX_US_PER_S + fraction;
        return 0;
}

static const struct {
        const char *name;
        double ns;
} units[] = {
        {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"μs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},
};

// One "<decimal><unit>" group at *text, in ns.
static int parse_group(const char **text, double *ret_ns)
{
        const char *p = *text;
        double value = 0, scale = 1;
        bool any = false;
        for (; *p >= '0' && *p <= '9'; p++, any = true)
                value = value * 10 + (*p - '0');
        if (*p == '.')
                for (p++; *p >= '0' && *p <= '9'; p++, any = true)
                        value += (*p - '0') * (scale /= 10);
        if (!any)
                return -EINVAL;
        size_t n = strcspn(p, ".0123456789");
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
                if (strlen(units[i].name) == n && strncmp(units[i].name, p, n) == 0) {
                        *ret_ns = value * units[i].ns;
                        *text = p + n;
                        return 0;
                }
        return -EINVAL;
}

int cx_duration_parse(const char *text, int64_t *ret_ns)
{
        if (!text || !*text)
                return -EINVAL;
        bool negative = *text == '-';
        if (*text == '-' || *text == '+')
                text++;
        if (strcmp(text, "0") == 0) {
                *ret_ns = 0;
                return 0;
        }
        double total = 0;
        if (!*text)
                return -EINVAL;
        while (*text) {
                double ns;
                if (parse_group(&text, &ns) < 0)
                        return -EINVAL;
                total += ns;
        }
        if (total > 9.2e18)
                return -EINVAL;
        int64_t rounded = (int64_t)llround(total);
        *ret_ns = negative ? -rounded : rounded;
        return 0;
}

void cx_duration_format(int64_t ns, char to[CX_TIME_TEXT])
{
        const char *sign = ns < 0 ? "-" : "";
        uint64_t u = ns < 0 ? (uint64_t)0 - (uint64_t)ns : (uint64_t)ns;
        if (u == 0) {
                (void)snprintf(to, CX_TIME_TEXT, "0s");
        } else if (u < 1000) {
                (void)snprintf(to, CX_TIME_TEXT, "%s%luns", sign, (unsigned long)u);
        } else if (u < (uint64_t)CX_NS_PER_S) {
                (void)snprintf(to, CX_TIME_TEXT, "%s%.6g%s", sign, u < 1000000 ? (double)u / 1e3 : (double)u / 1e6,
                               u < 1000000 ? "µs" : "ms");
        } else {
                unsigned long hours = u / 3600000000000u, minutes = u / 60000000000u % 60;
                double seconds = (double)(u % 60000000000u) / 1e9;
                int n = snprintf(to, CX_TIME_TEXT, "%s", sign);
                if (hours)
                        n += snprintf(to + n, CX_TIME_TEXT - (size_t)n, "%luh", hours);
                if (hours || minutes)
                        n += snprintf(to + n, CX_TIME_TEXT - (size_t)n, "%lum", minutes);
                (void)snprintf(to + n, CX_TIME_TEXT - (size_t)n, "%.9gs", seconds);
        }
}

void cx_duration_human(int64_t ns, char to[CX_TIME_TEXT])
{
        // The steps of k8s.io/apimachinery/pkg/util/duration: one unit, two where the second still matters.
        long s = (long)(ns / CX_NS_PER_S), m = s / 60, h = m / 60, d = h / 24, y = d / 365;
        if (s < -1)
                (void)snprintf(to, CX_TIME_TEXT, "<invalid>");
        else if (s < 120)
                (void)snprintf(to, CX_TIME_TEXT, "%lds", s < 0 ? 0 : s);
        else if (m < 10 && s % 60)
                (void)snprintf(to, CX_TIME_TEXT, "%ldm%lds", m, s % 60);
        else if (m < 180)
                (void)snprintf(to, CX_TIME_TEXT, "%ldm", m);
        else if (h < 8 && m % 60)
                (void)snprintf(to, CX_TIME_TEXT, "%ldh%ldm", h, m % 60);
        else if (h < 48)
                (void)snprintf(to, CX_TIME_TEXT, "%ldh", h);
        else if (d < 8 && h % 24)
                (void)snprintf(to, CX_TIME_TEXT, "%ldd%ldh", d, h % 24);
        else if (d < 730)
                (void)snprintf(to, CX_TIME_TEXT, "%ldd", d);
        else if (y < 8 && d % 365)
                (void)snprintf(to, CX_TIME_TEXT, "%ldy%ldd", y, d % 365);
        else
                (void)snprintf(to, CX_TIME_TEXT, "%ldy", y);
}
