#include "trust/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

mt_status mt_sha256_begin(mt_sha256 *s, mt_err *err)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(c);
        s->ctx = NULL;
        return mt_err_set(err, MT_ERR_NO_MEMORY, "SHA-256: OpenSSL gave no context");
    }
    s->ctx = c;
    return MT_OK;
}

void mt_sha256_add(mt_sha256 *s, const void *p, size_t n) { EVP_DigestUpdate(s->ctx, p, n); }

void mt_sha256_end(mt_sha256 *s, uint8_t out[32])
{
    EVP_DigestFinal_ex(s->ctx, out, NULL);
    EVP_MD_CTX_free(s->ctx);
    s->ctx = NULL;
}

void mt_sha256_hex(const uint8_t digest[32], char out[65])
{
    for (int i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

mt_status mt_sha256_of(char out[65], const void *p, size_t n, mt_err *err)
{
    mt_sha256 s;
    mt_status st = mt_sha256_begin(&s, err);
    if (st != MT_OK) return st;
    uint8_t d[32];
    mt_sha256_add(&s, p, n);
    mt_sha256_end(&s, d);
    mt_sha256_hex(d, out);
    return MT_OK;
}
