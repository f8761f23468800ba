/* JPEG through libjpeg's own API: only there can the colour space be forced, which real Aperio
 * files need (RGB in components 0, 1, 2 and no marker that says so).
 *
 * libjpeg reports errors by longjmp; setjmp stays in this file. Between tiles the decompressor
 * keeps the tables of the last one. The shared tables of a level are fed once and remembered; a
 * tile that brings tables of its own is noted, so that no tile ever decodes with what another one
 * left behind. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include "base/bytes.h"
#include "codec/jpeg_planes.h"

enum { ROWS_HANDED = 8, MAX_SCANS = 128, MAX_MEMORY = 256 << 20 };
#define ALL_TABLES 0xffffu

typedef struct jpeg {
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    struct jpeg_source_mgr src;
    struct jpeg_progress_mgr progress;
    const uint8_t *next; /* what follows when the source runs out: the body after its header */
    size_t n_next;
    jmp_buf jump;
    bool created;
    unsigned loaded;   /* tables the decompressor holds: bits 0-3 quantisation, 4-7 DC, 8-11 AC */
    bool pristine;     /* what it holds is exactly the shared stream below */
    unsigned shared;   /* tables the shared stream defines */
    uint8_t *tables;   /* copy of the shared stream */
    size_t n_tables;
    mt_scratch band, planes; /* rows on their way */
    mt_status fault;
    char text[JMSG_LENGTH_MAX];
} jpeg;

static void fail(j_common_ptr d)
{
    jpeg *s = d->client_data;
    const int code = d->err->msg_code;
    s->fault = code == JERR_OUT_OF_MEMORY     ? MT_ERR_NO_MEMORY
               : code == JERR_NO_BACKING_STORE ? MT_ERR_LIMIT /* more than MAX_MEMORY */
               : code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED ||
                       code == JERR_ARITH_NOTIMPL
                   ? MT_ERR_UNSUPPORTED
                   : MT_ERR_FORMAT;
    if (s->fault == MT_ERR_LIMIT)
        snprintf(s->text, sizeof s->text, "needs more than %d MiB", MAX_MEMORY >> 20);
    else if (code == JERR_BAD_PRECISION)
        snprintf(s->text, sizeof s->text, "%d bits a sample; 8 are read", s->d.data_precision);
    else
        s->e.format_message(d, s->text);
    longjmp(s->jump, 1);
}

/* Warnings that mean lost pixels are errors; the rest is untidiness that every reader accepts. */
static void warn(j_common_ptr d, int level)
{
    if (level >= 0) return;
    switch (d->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_TOO_MUCH_DATA:
        return;
    default:
        fail(d);
    }
}

static void silent(j_common_ptr d) {}

static void src_nothing(j_decompress_ptr d) {}

/* A stream without its end marker is accepted when all its pixels are there; a short one then warns
 * of a marker inside the data, which is an error. */
static boolean src_fill(j_decompress_ptr d)
{
    static const JOCTET end[2] = {0xff, JPEG_EOI};
    jpeg *s = d->client_data;
    d->src->next_input_byte = s->n_next ? s->next : end;
    d->src->bytes_in_buffer = s->n_next ? s->n_next : 2;
    s->n_next = 0;
    return TRUE;
}

static void src_skip(j_decompress_ptr d, long n)
{
    if (n <= 0) return;
    size_t left = (size_t)n;
    while (left > d->src->bytes_in_buffer) {
        const bool last = !((jpeg *)d->client_data)->n_next;
        left -= d->src->bytes_in_buffer;
        src_fill(d);
        if (last) return;
    }
    d->src->next_input_byte += left;
    d->src->bytes_in_buffer -= left;
}

/* A progressive stream may hold any number of scans, each as dear as a whole decode. */
static void count_scans(j_common_ptr d)
{
    j_decompress_ptr dd = (j_decompress_ptr)d;
    jpeg *s = d->client_data;
    if (dd->input_scan_number <= MAX_SCANS) return;
    s->fault = MT_ERR_LIMIT;
    snprintf(s->text, sizeof s->text, "more than %d scans", MAX_SCANS);
    longjmp(s->jump, 1);
}

static void set_source(jpeg *s, const uint8_t *data, size_t size)
{
    s->src.next_input_byte = data;
    s->src.bytes_in_buffer = size;
    s->n_next = 0;
}

/* Fresh decompressor, no tables. May longjmp. */
static void create(jpeg *s)
{
    if (s->created) jpeg_destroy_decompress(&s->d);
    s->created = false;
    s->loaded = 0;
    s->pristine = false;
    s->d.err = &s->e;
    s->d.client_data = s;
    jpeg_create_decompress(&s->d);
    s->created = true;
    s->d.mem->max_memory_to_use = MAX_MEMORY;
    s->d.src = &s->src;
}

/* Which tables a stream defines before its first scan; ALL_TABLES when that cannot be known so. */
static unsigned tables_in(const uint8_t *data, size_t size)
{
    mt_bytes c = mt_bytes_of(data, size, true);
    unsigned set = 0, components = 0;
    for (;;) {
        uint8_t ff, marker;
        uint16_t len;
        if (!mt_bytes_u8(&c, &ff)) return set;
        if (ff != 0xff) return ALL_TABLES;
        do {
            if (!mt_bytes_u8(&c, &marker)) return set;
        } while (marker == 0xff);
        if (marker == 0xd8 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;
        if (marker == 0xd9) return set;
        /* Several scans: tables may stand between them. Arithmetic coding keeps other tables. */
        if (marker == 0xc2 || (marker >= 0xc9 && marker <= 0xcf)) return ALL_TABLES;
        if (!mt_bytes_u16(&c, &len) || len < 2) return ALL_TABLES;
        const uint8_t *p = mt_bytes_take(&c, len - 2u);
        if (!p) return ALL_TABLES;
        const uint8_t *end = p + len - 2;
        if (marker == 0xda) return p < end && *p == components ? set : ALL_TABLES;
        if ((marker == 0xc0 || marker == 0xc1) && end - p > 5) components = p[5];
        while (marker == 0xdb && p < end) {
            set |= 1u << (*p & 3);
            p += 1 + (*p >> 4 ? 128 : 64);
        }
        while (marker == 0xc4 && p < end) {
            if (end - p < 17) return ALL_TABLES;
            set |= 1u << ((*p & 0x10 ? 8 : 4) + (*p & 3));
            size_t n = 0;
            for (int i = 1; i <= 16; i++) n += p[i];
            if ((size_t)(end - p) < 17 + n) return ALL_TABLES;
            p += 17 + n;
        }
    }
}

static mt_status remember_tables(jpeg *s, const mt_coding *c, mt_err *err)
{
    const size_t n = c->tables_are_header ? 0 : c->n_tables;
    if (n == s->n_tables && (!n || !memcmp(s->tables, c->tables, n))) return MT_OK;
    s->pristine = false;
    s->n_tables = 0;
    s->shared = 0;
    free(s->tables);
    s->tables = NULL;
    if (!n) return MT_OK;
    MT_TRY(mt_alloc(&s->tables, n, 1, MT_CODEC_MAX_TABLES, "JPEG tables", err));
    memcpy(s->tables, c->tables, n);
    s->n_tables = n;
    s->shared = tables_in(s->tables, s->n_tables);
    return MT_OK;
}

/* Brings the decompressor's tables to what this tile may see. May longjmp. */
static void load_tables(jpeg *s, unsigned own)
{
    if (!s->pristine) {
        /* Whatever is held and will not be overwritten must go. */
        if (!s->created || s->loaded & ~(s->shared | own) || own == ALL_TABLES ||
            s->shared == ALL_TABLES)
            create(s);
        if (s->n_tables && (s->shared & ~own || !s->loaded)) {
            set_source(s, s->tables, s->n_tables);
            if (jpeg_read_header(&s->d, FALSE) != JPEG_HEADER_TABLES_ONLY) {
                s->fault = MT_ERR_FORMAT;
                snprintf(s->text, sizeof s->text, "the shared tables are a whole picture");
                longjmp(s->jump, 1);
            }
        }
        s->loaded = s->shared;
        s->pristine = true;
    }
    if (!own) return;
    s->pristine = false;
    s->loaded |= own;
}

/* Markers win, as in every JPEG reader, then components called R, G, B (libjpeg has seen those);
 * without any of them the container knows. */
static void choose_colour(struct jpeg_decompress_struct *d, mt_colour colour)
{
    d->out_color_space = JCS_RGB;
    if (d->num_components == 1 || d->saw_JFIF_marker || d->saw_Adobe_marker ||
        d->jpeg_color_space == JCS_RGB)
        return;
    d->jpeg_color_space = colour == MT_COLOUR_RGB ? JCS_RGB : JCS_YCbCr;
}

static mt_status check_header(jpeg *s, const mt_coding *c, const mt_pixels *out, mt_err *err)
{
    const struct jpeg_decompress_struct *d = &s->d;
    if (d->num_components != c->samples)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG has %d components, the file says %d",
                          d->num_components, c->samples);
    if (d->image_width != (JDIMENSION)out->w || d->image_height < (JDIMENSION)out->h
        || d->image_height > MT_CODEC_MAX_SIDE
        || (size_t)d->image_width * d->image_height > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG is %u x %u, expected %d x %d", d->image_width,
                          d->image_height, out->w, out->h);
    return MT_OK;
}

/* Rows are decoded to a band small enough for the first cache and go on from there: libjpeg-turbo stores
 * aligned rows past the caches, which costs whoever reads them next, and itself, more than a copy. So
 * the band is kept off that alignment. */
static mt_status make_band(uint8_t **band, size_t *stride, jpeg *s, const mt_pixels *out, mt_err *err)
{
    enum { LINE = 64, OFF = 8 };
    *stride = (3 * (size_t)((out->w + out->scale - 1) / out->scale) + LINE - 1) / LINE * LINE;
    MT_TRY(mt_scratch_need(&s->band, ROWS_HANDED * *stride + 2 * LINE, err));
    *band = (uint8_t *)(((uintptr_t)s->band.p + LINE - 1) / LINE * LINE) + OFF;
    return MT_OK;
}

static void read_rows(jpeg *s, uint8_t *band, size_t stride, const mt_pixels *out, bool inverted)
{
    struct jpeg_decompress_struct *d = &s->d;
    const int32_t n = (out->h + out->scale - 1) / out->scale, w = (out->w + out->scale - 1) / out->scale;
    JSAMPROW rows[ROWS_HANDED];
    for (int i = 0; i < ROWS_HANDED; i++) rows[i] = band + (size_t)i * stride;
    for (int32_t y = 0; y < n; y += ROWS_HANDED) {
        const JDIMENSION k = (JDIMENSION)MT_MIN(n - y, ROWS_HANDED);
        for (JDIMENSION i = 0, got; i < k; i += got)
            if ((got = jpeg_read_scanlines(d, rows + i, k - i)) == 0) ERREXIT(d, JERR_CANT_SUSPEND);
        for (size_t i = 0; inverted && i < k * stride; i++) band[i] ^= 0xff;
        if (out->sink) {
            out->sink->rows(out->sink->ctx, band, stride, y, (int32_t)k);
            continue;
        }
        for (JDIMENSION i = 0; i < k; i++)
            memcpy(out->rgb + ((size_t)y + i) * out->stride, rows[i], 3 * (size_t)w);
    }
}

#if JPEG_LIB_VERSION >= 70
#define BLOCK_W(c) (c)->DCT_h_scaled_size
#define BLOCK_H(c) (c)->DCT_v_scaled_size
#define LEAST_BLOCK(d) (d)->min_DCT_h_scaled_size
#else
#define BLOCK_W(c) (c)->DCT_scaled_size
#define BLOCK_H(c) (c)->DCT_scaled_size
#define LEAST_BLOCK(d) (d)->min_DCT_scaled_size
#endif

/* Pixels that a sample of so many in an MCU stands for; 0 when that is none of 1, 2, 4. */
static int step_of(int whole, int part)
{
    const int step = part > 0 && whole % part == 0 ? whole / part : 0;
    return step == 1 || step == 2 || step == 4 ? step : 0;
}

/* How the samples stand, when somebody wants them and they stand evenly. */
static bool lay_samples(mt_sample_rows *r, jpeg *s, const mt_coding *c, const mt_pixels *out)
{
    struct jpeg_decompress_struct *d = &s->d;
    if (!out->sink || !out->sink->samples || c->colour == MT_COLOUR_GREY_INVERTED ||
        (d->num_components != 1 && d->num_components != 3) ||
        (d->num_components == 3 && d->jpeg_color_space != JCS_RGB &&
         d->jpeg_color_space != JCS_YCbCr))
        return false;
    jpeg_calc_output_dimensions(d);
    *r = (mt_sample_rows){.planes = d->num_components, .ycbcr = d->jpeg_color_space == JCS_YCbCr};
    for (int i = 0; i < r->planes; i++) {
        const jpeg_component_info *p = &d->comp_info[i];
        r->step_x[i] = step_of(d->max_h_samp_factor * LEAST_BLOCK(d), p->h_samp_factor * BLOCK_W(p));
        r->step_y[i] = step_of(d->max_v_samp_factor * LEAST_BLOCK(d), p->v_samp_factor * BLOCK_H(p));
        r->shared_x[i] = step_of(d->max_h_samp_factor, p->h_samp_factor);
        r->shared_y[i] = step_of(d->max_v_samp_factor, p->v_samp_factor);
        if (!r->step_x[i] || !r->step_y[i] || !r->shared_x[i] || !r->shared_y[i]) return false;
    }
    return true;
}

/* An MCU row at a time: few enough samples for the first cache. */
static mt_status read_samples(jpeg *s, mt_sample_rows *r, const mt_pixels *out, mt_err *err)
{
    enum { MOST_ROWS = MAX_SAMP_FACTOR * DCTSIZE };
    struct jpeg_decompress_struct *d = &s->d;
    const int32_t n = (out->h + out->scale - 1) / out->scale,
                  high = d->max_v_samp_factor * LEAST_BLOCK(d);
    JSAMPROW rows[3][MOST_ROWS];
    JSAMPARRAY planes[3] = {rows[0], rows[1], rows[2]};
    size_t need = 0, begin[3];
    for (int i = 0; i < r->planes; i++) {
        const jpeg_component_info *p = &d->comp_info[i];
        r->stride[i] = (size_t)p->width_in_blocks * (size_t)BLOCK_W(p);
        begin[i] = need;
        need += r->stride[i] * (size_t)(p->v_samp_factor * BLOCK_H(p));
    }
    MT_TRY(mt_scratch_need(&s->band, need, err));
    for (int i = 0; i < r->planes; i++) {
        const jpeg_component_info *p = &d->comp_info[i];
        r->px[i] = s->band.p + begin[i];
        for (int k = 0; k < p->v_samp_factor * BLOCK_H(p); k++)
            rows[i][k] = s->band.p + begin[i] + (size_t)k * r->stride[i];
    }
    d->raw_data_out = TRUE;
    jpeg_start_decompress(d);
    for (r->y = 0; r->y < n; r->y += high) {
        if (jpeg_read_raw_data(d, planes, (JDIMENSION)high) == 0) ERREXIT(d, JERR_CANT_SUSPEND);
        r->n = MT_MIN(n - r->y, high);
        out->sink->samples(out->sink->ctx, r);
    }
    return MT_OK;
}

static mt_status decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err)
{
    jpeg *s = state;
    uint8_t *band;
    size_t stride;
    MT_TRY(remember_tables(s, c, err));
    MT_TRY(make_band(&band, &stride, s, out, err));
    s->fault = MT_OK;
    if (setjmp(s->jump)) {
        /* Half-read tables are nobody's: the next tile starts from nothing. */
        if (s->created) jpeg_destroy_decompress(&s->d);
        s->created = s->pristine = false;
        s->loaded = 0;
        return mt_err_set(err, s->fault, "JPEG: %s", s->text);
    }
    const bool apart = c->tables_are_header;
    load_tables(s, apart ? tables_in(c->tables, c->n_tables) : tables_in(data, size));
    set_source(s, apart ? c->tables : data, apart ? c->n_tables : size);
    s->next = data;
    s->n_next = apart ? size : 0;
    jpeg_read_header(&s->d, TRUE);
    mt_status st = check_header(s, c, out, err);
    if (st == MT_OK) {
        choose_colour(&s->d, c->colour);
        s->d.progress = jpeg_has_multiple_scans(&s->d) ? &s->progress : NULL;
        s->d.scale_num = 1;
        s->d.scale_denom = (unsigned)out->scale;
        mt_sample_rows samples;
        mt_ycc_kind kind;
        if (lay_samples(&samples, s, c, out)) {
            st = read_samples(s, &samples, out, err);
        } else if (mt_jpeg_has_planes(&kind, &s->d, out)) {
            st = mt_jpeg_read_planes(&s->d, &s->planes, kind, out, err);
        } else {
            jpeg_start_decompress(&s->d);
            read_rows(s, band, stride, out, c->colour == MT_COLOUR_GREY_INVERTED);
        }
    }
    jpeg_abort_decompress(&s->d); /* what follows the last row is of no interest */
    return st;
}

static mt_status jpeg_open(void **state, mt_err *err)
{
    jpeg *s = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "JPEG decoder", err));
    jpeg_std_error(&s->e);
    s->e.error_exit = fail;
    s->e.emit_message = warn;
    s->e.output_message = silent;
    s->progress.progress_monitor = count_scans;
    s->src.init_source = src_nothing;
    s->src.fill_input_buffer = src_fill;
    s->src.skip_input_data = src_skip;
    s->src.resync_to_restart = jpeg_resync_to_restart;
    s->src.term_source = src_nothing;
    *state = s;
    return MT_OK;
}

static void jpeg_close(void *state)
{
    jpeg *s = state;
    if (s->created) jpeg_destroy_decompress(&s->d);
    free(s->tables);
    free(s->band.p);
    free(s->planes.p);
    free(s);
}

const mt_codec_row mt_codec_jpeg = {"jpeg", true, jpeg_open, jpeg_close, decode, NULL};
