/* Streamed text files. */
#include <errno.h>
#include <libdeflate.h>
#include <string.h>
#include "results/writers.h"

#define BLOCK ((size_t)1 << 20)

mt_status mt_sink_open(mt_sink *s, const char *path, bool gzip, mt_err *err)
{
    /* A writer drains after every record; one record stays far below the second block. */
    *s = (mt_sink){.text = MT_BUF_INIT(2 * BLOCK), .file = MT_OUTFILE_INIT, .err = MT_ERR_INIT};
    if (gzip) {
        s->gzip = libdeflate_alloc_compressor(6);
        if (!s->gzip) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory to compress");
        s->packed_cap = libdeflate_gzip_compress_bound(s->gzip, 2 * BLOCK);
        mt_status st =
            mt_alloc_aligned(&s->packed, s->packed_cap, 8 * BLOCK, "compressed block", err);
        if (st != MT_OK) {
            mt_sink_discard(s);
            return st;
        }
    }
    mt_status st = mt_outfile_open(&s->file, path, err);
    if (st != MT_OK) mt_sink_discard(s);
    return st;
}

/* Writes the first n bytes of the text and moves the rest to the front. */
static void put(mt_sink *s, size_t n)
{
    const uint8_t *from = s->text.data;
    size_t bytes = n;
    if (s->err.code != MT_OK || !n) return;
    if (s->gzip) {
        bytes = libdeflate_gzip_compress(s->gzip, from, n, s->packed, s->packed_cap);
        from = s->packed;
        if (!bytes) mt_err_set(&s->err, MT_ERR_INTERNAL, "a block would not compress");
    }
    if (bytes && fwrite(from, 1, bytes, s->file.f) != bytes)
        mt_err_set(&s->err, MT_ERR_IO, "%s: cannot write: %s", mt_path_base(s->file.path),
                   strerror(errno));
    memmove(s->text.data, s->text.data + n, s->text.len - n);
    s->text.len -= n;
}

void mt_sink_drain(mt_sink *s)
{
    while (s->err.code == MT_OK && s->text.len >= BLOCK) put(s, BLOCK);
    if (s->err.code != MT_OK) s->text.len = 0; /* nothing more can be written */
}

mt_status mt_sink_end(mt_sink *s, mt_err *err)
{
    mt_sink_drain(s);
    put(s, s->text.len);
    mt_status st = s->err.code;
    if (st == MT_OK) st = mt_buf_status(&s->text, "a record", &s->err);
    st = st == MT_OK ? mt_outfile_commit(&s->file, err) : mt_err_set(err, st, "%s", s->err.text);
    mt_sink_discard(s);
    return st;
}

void mt_sink_discard(mt_sink *s)
{
    mt_buf_free(&s->text);
    mt_outfile_discard(&s->file);
    if (s->gzip) libdeflate_free_compressor(s->gzip);
    s->gzip = NULL;
    free(s->packed);
    s->packed = NULL;
}
