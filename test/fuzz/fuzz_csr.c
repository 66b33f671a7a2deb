// SPDX-License-Identifier: Apache-2.0
// Certificate signing requests: one that is well-formed with bytes changed, cut or added, and text as it is. What is read
// is bounded by what was sent, and nothing is signed but what is whole.
#include "libcommon/net/pki.h"

#include "libcommon/base/alloc.h"
#include "libcommon/format/base64.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
        char *ca_cert, *ca_key;
        struct cx_buf der; // of the request that is changed
} made = {.der = CX_BUF_INIT};

static void make(void)
{
        CX_CLEANUP(cx_freep) char *key = NULL;
        CX_CLEANUP(cx_freep) char *csr = NULL;
        CX_STRINGS organizations = CX_STRINGS_INIT, names = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        cx_strings_add(&organizations, "system:nodes");
        cx_strings_add(&names, "a.example.com");
        cx_strings_add(&addresses, "10.0.0.1");
        const struct cx_certificate_spec ca = {.common_name = "ca", .is_ca = true, .lifetime = 3600};
        const struct cx_certificate_spec spec = {.common_name = "system:node:a",
                                                 .organizations = &organizations,
                                                 .dns_names = &names,
                                                 .ip_addresses = &addresses};
        if (cx_pki_issue(&ca, NULL, NULL, &made.ca_cert, &made.ca_key, NULL) < 0 || cx_pki_new_key(&key, NULL) < 0 ||
            cx_pki_new_csr(&spec, key, &csr, NULL) < 0)
                abort();
        CX_BUF text = CX_BUF_INIT;
        for (const char *line = strchr(csr, '\n'); line && line[1] != '-'; line = strchr(line + 1, '\n'))
                cx_buf_append(&text, line + 1, strcspn(line + 1, "\n"));
        if (cx_base64_decode(text.data, text.length, &made.der) < 0)
                abort();
}

// The first byte says how; then pairs of a place and a byte.
static void change(const uint8_t *data, size_t size, struct cx_buf *der)
{
        cx_buf_append(der, made.der.data, made.der.length);
        for (size_t i = 1; i + 2 < size; i += 3) {
                size_t at = (data[i] << 8 | data[i + 1]) % der->length;
                der->data[at] = data[0] & 2 ? (char)(der->data[at] ^ data[i + 2]) : (char)data[i + 2];
        }
        if (data[0] & 4)
                cx_buf_truncate(der, der->length * data[size - 1] / 256);
        if (data[0] & 8)
                cx_buf_append(der, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!made.ca_cert)
                make();
        if (!size)
                return 0;
        CX_BUF der = CX_BUF_INIT, pem = CX_BUF_INIT;
        if (data[0] & 1) {
                cx_buf_append(&pem, data + 1, size - 1);
        } else {
                change(data, size, &der);
                cx_buf_add(&pem, "-----BEGIN CERTIFICATE REQUEST-----\n");
                cx_base64_encode(der.data, der.length, &pem);
                cx_buf_add(&pem, "\n-----END CERTIFICATE REQUEST-----\n");
        }
        struct cx_csr_info info = {0};
        CX_CLEANUP(cx_freep) char *cert = NULL;
        bool read = cx_pki_parse_csr(pem.data, &info, NULL) == 0;
        if (read && info.organizations.count + info.dns_names.count + info.ip_addresses.count > pem.length)
                abort();
        bool is_signed = cx_pki_sign_csr(pem.data, made.ca_cert, made.ca_key, false, true, 3600, &cert, NULL) == 0;
        if (is_signed && !read)
                abort();
        cx_csr_info_release(&info);
        return 0;
}
