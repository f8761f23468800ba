#include "dicom_make.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "dicom_bytes.h"
#include "support.h"

typedef struct maker {
    mt_buf *b;
    bool implicit, big, undefined;
} maker;

static void bytes(maker *m, const void *p, size_t n) { mt_buf_append(m->b, p, n); }

static void append(void *buf, const void *p, size_t n) { mt_buf_append(buf, p, n); }

static dcm_bytes to(const maker *m) { return (dcm_bytes){append, m->b, m->big, m->implicit}; }

static void number(maker *m, uint64_t v, unsigned n)
{
    const dcm_bytes b = to(m);
    dcm_number(&b, v, n);
}

static void head(maker *m, uint32_t tag, const char *vr, uint32_t length)
{
    const dcm_bytes b = to(m);
    dcm_head(&b, tag, vr, length);
}

static void text(maker *m, uint32_t tag, const char *vr, const char *s)
{
    if (!s) return;
    const size_t n = strlen(s);
    head(m, tag, vr, (uint32_t)(n + n % 2));
    bytes(m, s, n);
    if (n % 2) bytes(m, strcmp(vr, "UI") ? " " : "", 1);
}

static void us(maker *m, uint32_t tag, int v)
{
    head(m, tag, "US", 2);
    number(m, (uint64_t)v, 2);
}

static void ul(maker *m, uint32_t tag, int v)
{
    head(m, tag, "UL", 4);
    number(m, (uint64_t)v, 4);
}

static void sl(maker *m, uint32_t tag, int v)
{
    head(m, tag, "SL", 4);
    number(m, (uint32_t)v, 4);
}

static void fl(maker *m, uint32_t tag, double v)
{
    const float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, 4);
    head(m, tag, "FL", 4);
    number(m, u, 4);
}

static void ds(maker *m, uint32_t tag, double v)
{
    char s[32];
    snprintf(s, sizeof s, "%g", v);
    text(m, tag, "DS", s);
}

/* Opens a sequence or item; the place of its length. */
static size_t begin(maker *m, uint32_t tag)
{
    if (tag == 0xfffee000) {
        number(m, 0xfffe, 2);
        number(m, 0xe000, 2);
        number(m, 0xffffffff, 4);
    } else {
        head(m, tag, "SQ", 0xffffffff);
    }
    return m->b->len - 4;
}

static void end(maker *m, size_t at, uint16_t delimiter)
{
    if (m->undefined) {
        number(m, 0xfffe, 2);
        number(m, delimiter, 2);
        number(m, 0, 4);
        return;
    }
    const uint64_t n = m->b->len - at - 4;
    for (int i = 0; i < 4; i++) m->b->data[at + (size_t)(m->big ? 3 - i : i)] = (uint8_t)(n >> 8 * i);
}

typedef struct pair { size_t sequence, item; } pair;

static pair open_one(maker *m, uint32_t tag)
{
    pair p;
    p.sequence = begin(m, tag);
    p.item = begin(m, 0xfffee000);
    return p;
}

static void close_one(maker *m, pair p)
{
    end(m, p.item, 0xe00d);
    end(m, p.sequence, 0xe0dd);
}

static void code(maker *m, uint32_t tag, const char *value, const char *scheme, const char *meaning)
{
    const pair p = open_one(m, tag);
    text(m, 0x00080100, "SH", value);
    text(m, 0x00080102, "SH", scheme);
    text(m, 0x00080104, "LO", meaning);
    close_one(m, p);
}

static const char *or_(const char *a, const char *b) { return a ? a : b; }
static int max_(int a, int b) { return a > b ? a : b; }

/* ---- modules ---- */

static void substance(maker *m, const char *value, const char *meaning)
{
    const size_t item = begin(m, 0xfffee000);
    text(m, 0x0040a040, "CS", "CODE");
    code(m, 0x0040a043, "424361007", "SCT", "Using substance");
    code(m, 0x0040a168, value, "SCT", meaning);
    end(m, item, 0xe00d);
}

static void specimen(maker *m, const dm_image *im)
{
    if (!im->stain) return;
    const pair d = open_one(m, 0x00400560);
    text(m, 0x00400551, "LO", "DOE^JANE");
    const pair p = open_one(m, 0x00400610);
    const size_t steps = begin(m, 0x00400612);
    substance(m, "12710003", "hematoxylin stain");
    substance(m, "36879007", "water soluble eosin stain");
    end(m, steps, 0xe0dd);
    close_one(m, p);
    close_one(m, d);
}

static void optical_paths(maker *m, const dm_image *im)
{
    if (!im->n_paths && !im->icc) return;
    const size_t s = begin(m, 0x00480105);
    for (int i = 0; i < max_(im->n_paths, 1); i++) {
        const size_t item = begin(m, 0xfffee000);
        code(m, 0x00220016, im->epifluorescence ? "111743" : "111744", "DCM", "illumination");
        if (im->icc) {
            head(m, 0x00282000, "OB", (uint32_t)im->icc);
            for (int k = 0; k < im->icc; k++) bytes(m, "", 1);
        }
        text(m, 0x00480106, "SH", or_(im->paths[i], "1"));
        ds(m, 0x00480112, 20);
        if (im->palette) {
            const pair p = open_one(m, 0x00480120);
            us(m, 0x00280002, 1);
            close_one(m, p);
        }
        end(m, item, 0xe00d);
    }
    end(m, s, 0xe0dd);
}

static void measures(maker *m, const dm_image *im)
{
    if (im->spacing_x < 0) return;
    const pair p = open_one(m, 0x00289110);
    char s[64]; /* rows first */
    snprintf(s, sizeof s, "%g\\%g", im->spacing_y > 0 ? im->spacing_y : 0.0005,
             im->spacing_x > 0 ? im->spacing_x : 0.0005);
    text(m, 0x00280030, "DS", s);
    close_one(m, p);
}

static void groups(maker *m, const dm_image *im)
{
    const pair shared = open_one(m, 0x52009229);
    measures(m, im);
    close_one(m, shared);
    if (!im->organization || strcmp(im->organization, "TILED_FULL") == 0) return;
    const size_t s = begin(m, 0x52009230);
    for (int i = 0; i < im->n_frames; i++) {
        const dm_frame *f = &im->frames[i];
        const size_t item = begin(m, 0xfffee000);
        pair p = open_one(m, 0x0048021a);
        if (isnan(f->z)) fl(m, 0x0040074a, f->z); /* text cannot say it */
        else ds(m, 0x0040074a, f->z);
        if (!f->nowhere) {
            sl(m, 0x0048021e, f->x);
            sl(m, 0x0048021f, f->y);
        }
        close_one(m, p);
        if (im->n_paths > 1) {
            p = open_one(m, 0x00480207);
            text(m, 0x00480106, "SH", im->paths[f->path]);
            close_one(m, p);
        }
        end(m, item, 0xe00d);
    }
    end(m, s, 0xe0dd);
}

/* ---- pixel data ---- */

static void item(maker *m, const uint8_t *p, size_t n)
{
    number(m, 0xfffe, 2);
    number(m, 0xe000, 2);
    number(m, n + n % 2, 4);
    bytes(m, p, n);
    if (n % 2) bytes(m, "", 1);
}

static size_t padded(size_t n) { return n + n % 2; }

/* Size of piece k of a frame that is cut into `of`. */
static size_t piece(size_t n, int k, int of)
{
    const size_t each = n / (size_t)of / 2 * 2;
    return k + 1 == of ? n - each * (size_t)(of - 1) : each;
}

static void encapsulated(maker *m, const dm_image *im)
{
    const int of = max_(im->fragments, 1);
    mt_buf table = MT_BUF_INIT((size_t)1 << 26), lengths = MT_BUF_INIT((size_t)1 << 26);
    maker t = {&table, false, false, false}, l = {&lengths, false, false, false};
    uint64_t at = 0;
    for (int i = 0; i < im->n_frames; i++) {
        number(&t, im->table == DM_BASIC_WRONG && i ? at + 2 : at, im->table == DM_EXTENDED ? 8 : 4);
        number(&l, im->frames[i].n, 8);
        for (int k = 0; k < of; k++) at += 8 + padded(piece(im->frames[i].n, k, of));
    }
    if (im->table == DM_EXTENDED) {
        head(m, 0x7fe00001, "OV", (uint32_t)table.len);
        bytes(m, table.data, table.len);
        head(m, 0x7fe00002, "OV", (uint32_t)lengths.len);
        bytes(m, lengths.data, lengths.len);
        table.len = 0;
    }
    if (im->table == DM_EMPTY) table.len = 0;
    head(m, 0x7fe00010, "OB", 0xffffffff);
    item(m, table.data, table.len);
    for (int i = 0; i < im->n_frames; i++) {
        const uint8_t *p = im->frames[i].data;
        for (int k = 0; k < of; k++) {
            const size_t n = piece(im->frames[i].n, k, of);
            item(m, p, n);
            p += n;
        }
    }
    number(m, 0xfffe, 2);
    number(m, 0xe0dd, 2);
    number(m, 0, 4);
    mt_buf_free(&table);
    mt_buf_free(&lengths);
}

static void native(maker *m, const dm_image *im)
{
    size_t n = 0;
    for (int i = 0; i < im->n_frames; i++) n += im->frames[i].n;
    head(m, 0x7fe00010, im->bytes ? "OB" : "OW", (uint32_t)padded(n));
    for (int i = 0; i < im->n_frames; i++) bytes(m, im->frames[i].data, im->frames[i].n);
    if (n % 2) bytes(m, "", 1);
}

static bool is_native(const char *syntax)
{
    static const char root[] = "1.2.840.10008.1.2";
    const char *tail = syntax + strlen(root);
    if (strncmp(syntax, root, strlen(root))) return false;
    return !strcmp(tail, "") || !strcmp(tail, ".1") || !strcmp(tail, ".2") || !strcmp(tail, ".1.99");
}

/* ---- the file ---- */

static void data_set(maker *m, const dm_image *im, const char *syntax)
{
    const int samples = im->samples ? im->samples : 3, bits = im->bits ? im->bits : 8;
    char image_type[64], frames[16], number_of[16];
    snprintf(image_type, sizeof image_type, "DERIVED\\PRIMARY\\%s\\NONE", or_(im->flavour, "VOLUME"));
    snprintf(frames, sizeof frames, "%d", im->say_frames ? im->say_frames : im->n_frames);
    snprintf(number_of, sizeof number_of, "%d", im->planes);
    text(m, 0x00080008, "CS", image_type);
    text(m, 0x00080016, "UI", or_(im->class_uid, "1.2.840.10008.5.1.4.1.1.77.1.6"));
    text(m, 0x00080018, "UI", or_(im->instance, "1.2.3.4.5"));
    text(m, 0x00080019, "UI", im->pyramid);
    text(m, 0x00080070, "LO", "Maker");
    text(m, 0x00081090, "LO", "Model 7");
    text(m, 0x00100010, "PN", "DOE^JANE");
    text(m, 0x0020000d, "UI", or_(im->study, "1.2.3"));
    text(m, 0x0020000e, "UI", or_(im->series, "1.2.3.1"));
    if (im->concatenation) {
        text(m, 0x00209161, "UI", im->concatenation);
        us(m, 0x00209162, im->part);
        if (im->parts) us(m, 0x00209163, im->parts);
        ul(m, 0x00209228, im->part_offset);
    }
    if (!im->organization || im->organization[0])
        text(m, 0x00209311, "CS", or_(im->organization, "TILED_FULL"));
    us(m, 0x00280002, samples);
    text(m, 0x00280004, "CS", or_(im->photometric, samples == 1 ? "MONOCHROME2" : "RGB"));
    if (samples > 1) us(m, 0x00280006, im->planar);
    text(m, 0x00280008, "IS", frames);
    us(m, 0x00280010, im->rows);
    us(m, 0x00280011, im->columns);
    us(m, 0x00280100, bits);
    us(m, 0x00280101, im->stored ? im->stored : bits);
    us(m, 0x00280102, (im->stored ? im->stored : bits) - 1);
    us(m, 0x00280103, 0);
    if (!im->nameless_container) text(m, 0x00400512, "LO", or_(im->container, "GLASS-1"));
    specimen(m, im);
    if (im->volume_w > 0) {
        fl(m, 0x00480001, im->volume_w);
        fl(m, 0x00480002, im->volume_h);
    }
    if (!im->no_matrix) {
        ul(m, 0x00480006, im->width);
        ul(m, 0x00480007, im->height);
    }
    if (im->absent_lab[0] || im->absent_lab[1] || im->absent_lab[2]) {
        head(m, 0x00480015, "US", 6);
        for (int i = 0; i < 3; i++) number(m, (uint64_t)im->absent_lab[i], 2);
    }
    optical_paths(m, im);
    if (im->n_paths) ul(m, 0x00480302, im->n_paths);
    if (im->planes) ul(m, 0x00480303, im->planes);
    groups(m, im);
    if (im->no_pixels) return;
    if (is_native(syntax)) native(m, im);
    else encapsulated(m, im);
}

/* Deflate without compression: stored blocks. */
static void deflate(mt_buf *out, const uint8_t *p, size_t n)
{
    do {
        const size_t k = n < 65535 ? n : 65535;
        const uint8_t h[5] = {n == k, (uint8_t)k, (uint8_t)(k >> 8), (uint8_t)~k, (uint8_t)(~k >> 8)};
        mt_buf_append(out, h, 5);
        mt_buf_append(out, p, k);
        p += k;
        n -= k;
    } while (n);
}

void dm_build(mt_buf *out, const dm_image *im)
{
    const char *syntax = or_(im->syntax, "1.2.840.10008.1.2.1");
    uint8_t preamble[132] = {0};
    memcpy(preamble + 128, "DICM", 4);
    if (im->dual) memcpy(preamble, "II*\0\x84\0\0\0", 8);
    mt_buf_append(out, preamble, sizeof preamble);
    maker meta = {out, false, false, false};
    head(&meta, 0x00020000, "UL", 4);
    const size_t at = out->len;
    number(&meta, 0, 4);
    text(&meta, 0x00020002, "UI", or_(im->class_uid, "1.2.840.10008.5.1.4.1.1.77.1.6"));
    text(&meta, 0x00020003, "UI", or_(im->instance, "1.2.3.4.5"));
    text(&meta, 0x00020010, "UI", syntax);
    const uint32_t n = (uint32_t)(out->len - at - 4);
    for (int i = 0; i < 4; i++) out->data[at + (size_t)i] = (uint8_t)(n >> 8 * i);
    mt_buf set = MT_BUF_INIT((size_t)1 << 30);
    maker m = {&set, !strcmp(syntax, "1.2.840.10008.1.2"), !strcmp(syntax, "1.2.840.10008.1.2.2"),
               im->undefined};
    data_set(&m, im, syntax);
    if (!strcmp(syntax, "1.2.840.10008.1.2.1.99")) deflate(out, set.data, set.len);
    else mt_buf_append(out, set.data, set.len);
    mt_buf_free(&set);
    out->len -= im->cut < out->len ? im->cut : out->len;
}

void dm_write(const char *path, const dm_image *im)
{
    mt_err err = MT_ERR_INIT;
    mt_buf b = MT_BUF_INIT((size_t)1 << 30);
    dm_build(&b, im);
    tt_ok(mt_buf_status(&b, "fixture", &err), &err);
    tt_ok(mt_file_write(path, b.data, b.len, &err), &err);
    mt_buf_free(&b);
}
