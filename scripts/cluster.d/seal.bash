# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Files that only the holder of a key can read, and nobody else can have written: AES-256 in counter mode under a key of 256
# random bits (64 hexadecimal digits in a file), and before it a code of authentication, which is checked first.
seal_mark=coxswain-sealed-1

new_seal_key() { openssl rand -hex 32; }
check_seal_key() {
        [[ $(cat "$1" 2>/dev/null) =~ ^[0-9a-f]{64}$ ]] || fail "$1 does not hold a key of 64 hexadecimal digits"
}

seal_code() { # KEY-FILE FILE
        local key
        key=$(printf 'authentication:%s' "$(<"$1")" | openssl dgst -sha256 -r | cut -d' ' -f1)
        { printf %s "$key" && { printf %s "$key" && cat "$2"; } | openssl dgst -sha256 -binary; } |
                openssl dgst -sha256 -r | cut -d' ' -f1
}
# What is on the way is in a folder of ours: others may write where the sealed file goes, and lay something in its way.
seal() { # KEY-FILE FILE SEALED
        local folder new
        folder=$(new_folder)
        openssl enc -aes-256-ctr -pbkdf2 -salt -pass "file:$1" -in "$2" -out "$folder/body" && new=$(mktemp "$3.XXXXXX") &&
                { printf '%s\n%s\n' "$seal_mark" "$(seal_code "$1" "$folder/body")" && cat "$folder/body"; } >"$new" &&
                mv -T "$new" "$3" && rm -r "$folder"
}
unseal() { # KEY-FILE SEALED FILE
        local mark code
        { IFS= read -r mark && IFS= read -r code && cat >"$3.body"; } <"$2" 2>/dev/null || fail "$2 is not a sealed file"
        [ "$mark" = "$seal_mark" ] || fail "$2 is not a sealed file"
        [ "$code" = "$(seal_code "$1" "$3.body")" ] || fail "$2 was not sealed with this key, or was changed since"
        openssl enc -d -aes-256-ctr -pbkdf2 -pass "file:$1" -in "$3.body" -out "$3" && rm "$3.body"
}
