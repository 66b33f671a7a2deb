// SPDX-License-Identifier: Apache-2.0
// Rules for names, character by character.
#include "libcommon/api/names.h"

#include "libcommon/base/address.h"
#include "libcommon/base/alloc.h"

#include <errno.h>

static bool lower_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alphanumeric(char c)
{
        return lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_dns_label(const char *text, size_t length)
{
        if (!length || !lower_or_digit(text[0]) || !lower_or_digit(text[length - 1]))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!lower_or_digit(text[i]) && text[i] != '-')
                        return false;
        return true;
}

const char *cx_check_dns1123_label(const char *text)
{
        size_t length = strlen(text);
        if (length > 63)
                return "must be no more than 63 characters";
        if (!is_dns_label(text, length))
                return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                       "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
                       "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
        return NULL;
}

const char *cx_check_dns1123_subdomain(const char *text)
{
        if (strlen(text) > 253)
                return "must be no more than 253 characters";
        for (const char *p = text;; p++) {
                const char *dot = strchrnul(p, '.');
                if (!is_dns_label(p, (size_t)(dot - p)))
                        return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
                               "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "
                               "regex used for validation is "
                               "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
                if (!*dot)
                        return NULL;
                p = dot;
        }
}

const char *cx_check_dns1035_label(const char *text)
{
        size_t length = strlen(text);
        if (length > 63)
                return "must be no more than 63 characters";
        if (!is_dns_label(text, length) || text[0] < 'a')
                return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                       "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
                       "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
        return NULL;
}

static bool is_qualified_part(const char *text, size_t length)
{
        if (!length || !alphanumeric(text[0]) || !alphanumeric(text[length - 1]))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!alphanumeric(text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.')
                        return false;
        return true;
}

const char *cx_check_qualified_name(const char *text)
{
        const char *slash = strchr(text, '/');
        if (slash) {
                CX_CLEANUP(cx_freep) char *prefix = cx_strndup(text, (size_t)(slash - text));
                if (!*prefix)
                        return "prefix part must be non-empty";
                if (cx_check_dns1123_subdomain(prefix))
                        return "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                               "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
                               "'example.com', regex used for validation is "
                               "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
                text = slash + 1;
        }
        size_t length = strlen(text);
        if (!length)
                return "name part must be non-empty";
        if (length > 63)
                return "name part must be no more than 63 characters";
        if (!is_qualified_part(text, length))
                return "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
                       "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
                       "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        return NULL;
}

const char *cx_check_label_value(const char *text)
{
        size_t length = strlen(text);
        if (length > 63)
                return "must be no more than 63 characters";
        if (length && !is_qualified_part(text, length))
                return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
                       "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
                       "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
        return NULL;
}

const char *cx_check_path_segment(const char *text)
{
        if (strcmp(text, ".") == 0)
                return "may not be '.'";
        if (strcmp(text, "..") == 0)
                return "may not be '..'";
        if (strchr(text, '/'))
                return "may not contain '/'";
        if (strchr(text, '%'))
                return "may not contain '%'";
        return NULL;
}

const char *cx_check_env_name(const char *text)
{
        // relaxed since 1.32: any printable ASCII but '='
        if (!*text)
                return "environment variable name must not be empty";
        for (const char *p = text; *p; p++)
                if (*p < 0x20 || *p > 0x7e || *p == '=')
                        return "a valid environment variable name must consist only of printable ASCII characters "
                               "other than '='";
        return NULL;
}

const char *cx_check_config_key(const char *text)
{
        size_t length = strlen(text);
        if (length > 253)
                return "must be no more than 253 characters";
        bool good = length > 0;
        for (const char *p = text; *p; p++)
                good &= alphanumeric(*p) || *p == '-' || *p == '_' || *p == '.';
        if (!good)
                return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
                       " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
        if (strcmp(text, ".") == 0 || cx_has_prefix(text, ".."))
                return text[1] ? "must not start with '..'" : "must not be '.'";
        return NULL;
}

const char *cx_check_port_name(const char *text)
{
        size_t length = strlen(text);
        if (length > 15)
                return "must be no more than 15 characters";
        if (!is_dns_label(text, length))
                return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        if (strstr(text, "--"))
                return "must not contain consecutive hyphens";
        for (const char *p = text; *p; p++)
                if (*p >= 'a' && *p <= 'z')
                        return NULL;
        return "must contain at least one letter (a-z)";
}

const char *cx_check_ip(const char *text)
{
        return cx_is_address(text) ? NULL : "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}
