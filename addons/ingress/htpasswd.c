// SPDX-License-Identifier: Apache-2.0
#include "addons/ingress/htpasswd.h"

#include "libcommon/format/base64.h"

#include <crypt.h>
#include <openssl/evp.h>

#define MD5_SIZE 16
#define SHA1_SIZE 20
#define MAX_PASSWORD 512

// --- Apache's variant of MD5 crypt, which crypt(3) lacks ---

struct md5_part {
        const void *data;
        size_t length;
};

static void md5(const struct md5_part *parts, size_t count, unsigned char to[MD5_SIZE])
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_DigestInit_ex(context, EVP_md5(), NULL);
        for (size_t i = 0; i < count; i++)
                EVP_DigestUpdate(context, parts[i].data, parts[i].length);
        EVP_DigestFinal_ex(context, to, NULL);
        EVP_MD_CTX_free(context);
}

static void apr1_begin(const char *password, size_t length, const char *salt, size_t salt_length,
                       unsigned char to[MD5_SIZE])
{
        struct md5_part parts[3 + MAX_PASSWORD / MD5_SIZE + 1 + 16] = {
                {password, length}, {"$apr1$", 6}, {salt, salt_length}};
        unsigned char inner[MD5_SIZE];
        size_t n = 3;
        md5((const struct md5_part[]){{password, length}, {salt, salt_length}, {password, length}}, 3, inner);
        for (size_t left = length; left; left -= left < MD5_SIZE ? left : MD5_SIZE)
                parts[n++] = (struct md5_part){inner, left < MD5_SIZE ? left : MD5_SIZE};
        for (size_t bits = length; bits; bits >>= 1)
                parts[n++] = (struct md5_part){bits & 1 ? "" : password, 1};
        md5(parts, n, to);
}

static void apr1_round(int round, const char *password, size_t length, const char *salt, size_t salt_length,
                       unsigned char digest[MD5_SIZE])
{
        struct md5_part parts[4];
        size_t n = 0;
        parts[n++] = round & 1 ? (struct md5_part){password, length} : (struct md5_part){digest, MD5_SIZE};
        if (round % 3)
                parts[n++] = (struct md5_part){salt, salt_length};
        if (round % 7)
                parts[n++] = (struct md5_part){password, length};
        parts[n++] = round & 1 ? (struct md5_part){digest, MD5_SIZE} : (struct md5_part){password, length};
        unsigned char next[MD5_SIZE];
        md5(parts, n, next);
        memcpy(digest, next, MD5_SIZE);
}

static void apr1_text(const unsigned char digest[MD5_SIZE], char to[23])
{
        static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        static const unsigned char order[5][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
        size_t n = 0;
        for (int i = 0; i < 5; i++) {
                unsigned value =
                        (unsigned)digest[order[i][0]] << 16 | (unsigned)digest[order[i][1]] << 8 | digest[order[i][2]];
                for (int j = 0; j < 4; j++, value >>= 6)
                        to[n++] = letters[value & 63];
        }
        to[n++] = letters[digest[11] & 63];
        to[n++] = letters[digest[11] >> 6];
        to[n] = '\0';
}

static bool matches_apr1(const char *hash, const char *password)
{
        const char *salt = hash + strlen("$apr1$");
        size_t salt_length = strcspn(salt, "$"), length = strlen(password);
        unsigned char digest[MD5_SIZE];
        char text[23];
        if (salt_length > 8 || salt[salt_length] != '$' || strlen(salt + salt_length + 1) != 22)
                return false;
        apr1_begin(password, length, salt, salt_length, digest);
        for (int round = 0; round < 1000; round++)
                apr1_round(round, password, length, salt, salt_length, digest);
        apr1_text(digest, text);
        return cx_equal_constant_time(text, 22, salt + salt_length + 1, 22);
}

// --- SHA-1, with salt or without ---

static bool matches_sha(const char *encoded, bool salted, const char *password)
{
        CX_BUF raw = CX_BUF_INIT_MAX(256);
        unsigned char digest[SHA1_SIZE];
        if (cx_base64_decode(encoded, strlen(encoded), &raw) < 0 || raw.length < SHA1_SIZE ||
            (!salted && raw.length != SHA1_SIZE))
                return false;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_DigestInit_ex(context, EVP_sha1(), NULL);
        EVP_DigestUpdate(context, password, strlen(password));
        EVP_DigestUpdate(context, raw.data + SHA1_SIZE, raw.length - SHA1_SIZE);
        EVP_DigestFinal_ex(context, digest, NULL);
        EVP_MD_CTX_free(context);
        return cx_equal_constant_time(digest, SHA1_SIZE, raw.data, SHA1_SIZE);
}

static bool matches_crypt(const char *hash, const char *password)
{
        struct crypt_data *data = cx_alloc(sizeof *data);
        const char *text = crypt_r(password, hash, data);
        bool same = text && *text != '*' && cx_equal_constant_time(text, strlen(text), hash, strlen(hash));
        explicit_bzero(data, sizeof *data);
        free(data);
        return same;
}

bool htpasswd_matches(const char *hash, const char *password)
{
        if (strlen(password) > MAX_PASSWORD || !*hash || strlen(hash) > 256)
                return false;
        return cx_has_prefix(hash, "$apr1$")   ? matches_apr1(hash, password)
               : cx_has_prefix(hash, "{SHA}")  ? matches_sha(hash + strlen("{SHA}"), false, password)
               : cx_has_prefix(hash, "{SSHA}") ? matches_sha(hash + strlen("{SSHA}"), true, password)
               : *hash == '{'                  ? false
                                               : matches_crypt(hash, password);
}

bool htpasswd_accepts(const char *lines, const char *user, const char *password)
{
        CX_CLEANUP(cx_freep) char *hash = NULL;
        bool found = false;
        size_t length = strlen(user);
        for (const char *line = lines; *line && !found; line += strcspn(line, "\n"), line += *line == '\n') {
                const char *colon = strchr(line, ':');
                if (!colon || colon > line + strcspn(line, "\n"))
                        continue;
                found = (size_t)(colon - line) == length && memcmp(line, user, length) == 0;
                if (!found && hash) // the first stands in for the one that is not there
                        continue;
                free(hash);
                hash = cx_strndup(colon + 1, strcspn(colon + 1, "\r\n: "));
        }
        return hash && htpasswd_matches(hash, password) && found;
}
