// SPDX-License-Identifier: Apache-2.0
// Lines "user:hash" as htpasswd writes them. Any thread.
#pragma once

#include <stdbool.h>

// Whether one of the lines is for the user and the password is right. Hashes: $apr1$ (htpasswd's own), those of crypt(3) (bcrypt
// of htpasswd -B, SHA-256 and SHA-512 among them), {SHA} and {SSHA}. It takes as long for a user who is not there.
bool htpasswd_accepts(const char *lines, const char *user, const char *password);
bool htpasswd_matches(const char *hash, const char *password);
