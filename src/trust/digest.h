/* SHA-256 (OpenSSL), one shot and streaming. */
#ifndef MT_TRUST_DIGEST_H
#define MT_TRUST_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include "microtome/err.h"

typedef struct mt_sha256 { void *ctx; } mt_sha256;
MT_MUST_USE mt_status mt_sha256_begin(mt_sha256 *s, mt_err *err);
void mt_sha256_add(mt_sha256 *s, const void *p, size_t n);
/* Ends the digest and releases the state. */
void mt_sha256_end(mt_sha256 *s, uint8_t out[32]);
void mt_sha256_hex(const uint8_t digest[32], char out[65]);
/* Both steps for one block. */
MT_MUST_USE mt_status mt_sha256_of(char out[65], const void *p, size_t n, mt_err *err);

#endif
