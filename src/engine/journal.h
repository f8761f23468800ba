/* The tile journal of one slide: what a killed run has already paid for.
 *
 * File, little-endian. A header of 128 bytes:
 *
 *      0  magic "MTJRNL\r\n"
 *      8  u32 format version, u32 n_tiles, u32 n_classes, u32 bytes of a record
 *     24  key, 64 hex digits
 *     88  first 32 hex digits of the slide's digest
 *    120  u32 zero, u32 CRC-32C of bytes 0..123
 *
 * then records {u32 tile, u8 state, float32 probs[n_classes], u32 CRC-32C of the record before it}
 * in the order the tiles were finished. Appends are whole group writes; what a kill leaves is cut
 * back to the last whole record. The file is locked (flock) while it is open: one process a slide.
 */
#ifndef MT_ENGINE_JOURNAL_H
#define MT_ENGINE_JOURNAL_H

#include "microtome/grade.h"

typedef struct mt_journal mt_journal;

/* Opens or creates the journal at path and takes its lock. TEMPORARY when a living process holds
 * it. Nothing in it is believed before mt_journal_begin. *out is the caller's. */
MT_MUST_USE mt_status mt_journal_open(mt_journal **out, const char *path, mt_err *err);

/* Believes the records of a journal with this very key and shape: fills probs (n_tiles x n_classes)
 * and state (n_tiles) for them, counts them in *n_found and cuts the file behind the last good one.
 * A journal of another key, or none, is started anew. probs and state must come in as "pending". */
MT_MUST_USE mt_status mt_journal_begin(mt_journal *j, const char key[65], const char *slide_digest,
                                       uint32_t n_tiles, uint32_t n_classes, float *probs,
                                       uint8_t *state, uint32_t *n_found, mt_err *err);

/* Empties the file: what it held is not believed. Between open and begin. */
MT_MUST_USE mt_status mt_journal_forget(mt_journal *j, mt_err *err);

/* Appends one tile. Thread-safe; buffered, written in groups, flushed to disk every few seconds.
 * probs is looked at for DONE only. */
MT_MUST_USE mt_status mt_journal_add(mt_journal *j, uint32_t tile, uint8_t state,
                                     const float *probs, mt_err *err);

/* Writes what is buffered and flushes it to disk. */
MT_MUST_USE mt_status mt_journal_sync(mt_journal *j, mt_err *err);

/* Writes what is buffered as far as possible and closes; the file stays. NULL is accepted. */
void mt_journal_close(mt_journal **j);

/* Removes the file, then closes: the slide is finished. */
void mt_journal_remove(mt_journal **j);

/* Gives the lock up with nothing done: what an earlier run has paid for stays in the file, a file that
 * the opening made goes. Instead of begin. */
void mt_journal_release(mt_journal **j);

/* First 32 hex digits of the digest of the slide a journal belongs to; "" when the file is none. */
void mt_journal_owner(char out[33], const char *path);

/* The records of a journal held in memory (also what the fuzzer feeds): bytes that are good from
 * the start, 0 when the header is not one of key and shape. */
size_t mt_journal_parse(const uint8_t *data, size_t size, const char key[65], uint32_t n_tiles,
                        uint32_t n_classes, float *probs, uint8_t *state, uint32_t *n_found);

#endif
