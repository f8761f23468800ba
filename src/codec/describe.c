/* What a stream's own header says of size and colours, without decoding it. The decoders go by their
 * libraries; tests hold the two together. */
#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "codec/row.h"

/* ---- JPEG: ITU-T T.81 B, JFIF, Adobe technical note 5116 ---- */

typedef struct jpeg_marks {
    bool frame, jfif, adobe;
    unsigned transform;      /* of the Adobe marker */
    uint8_t names[3];        /* of the components */
} jpeg_marks;

static void jpeg_frame(mt_stream_head *h, jpeg_marks *m, const uint8_t *p, size_t n)
{
    if (n < 6 || n < 6 + 3u * p[5] || !p[5]) return;
    m->frame = true;
    h->bits = p[0];
    h->h = (uint32_t)p[1] << 8 | p[2];
    h->w = (uint32_t)p[3] << 8 | p[4];
    h->components = p[5];
    h->sub_h = h->sub_v = 1;
    if (h->components != 3) return;
    const unsigned chroma_h = p[10] >> 4, chroma_v = p[10] & 15; /* the second component's */
    if (chroma_h && chroma_v) {
        h->sub_h = (p[7] >> 4) / chroma_h;
        h->sub_v = (p[7] & 15) / chroma_v;
    }
    for (int i = 0; i < 3; i++) m->names[i] = p[6 + 3 * i];
}

static void jpeg_says(mt_stream_head *h, const jpeg_marks *m)
{
    if (h->components != 3) return;
    if (m->jfif) {
        h->says = MT_SAYS_YCBCR;
        h->by = "JFIF marker";
    } else if (m->adobe) {
        h->says = m->transform ? MT_SAYS_YCBCR : MT_SAYS_RGB;
        h->by = "Adobe marker";
    } else if (!memcmp(m->names, "RGB", 3)) {
        h->says = MT_SAYS_RGB;
        h->by = "component names";
    }
}

bool mt_jpeg_head(mt_stream_head *out, const uint8_t *data, size_t size)
{
    mt_bytes c = mt_bytes_of(data, size, true);
    jpeg_marks m = {0};
    *out = (mt_stream_head){0};
    for (;;) {
        uint8_t ff = 0, marker = 0;
        uint16_t len = 0;
        if (!mt_bytes_u8(&c, &ff) || ff != 0xff) break;
        do {
            if (!mt_bytes_u8(&c, &marker)) break;
        } while (marker == 0xff);
        if (marker == 0xd8 || marker == 0x01) continue;
        if (marker == 0xd9 || marker == 0xda || (marker >= 0xd0 && marker <= 0xd7)) break;
        if (!mt_bytes_u16(&c, &len) || len < 2) break;
        const size_t n = len - 2u;
        const uint8_t *p = mt_bytes_take(&c, n);
        if (!p) break;
        if (marker == 0xe0 && n >= 14 && !memcmp(p, "JFIF", 5)) m.jfif = true;
        if (marker == 0xee && n >= 12 && !memcmp(p, "Adobe", 5)) {
            m.adobe = true;
            m.transform = p[11];
        }
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)
            jpeg_frame(out, &m, p, n);
    }
    jpeg_says(out, &m);
    return m.frame;
}

/* ---- JPEG 2000: ITU-T T.800 annexes A and I ---- */

/* Moves the cursor to the codestream; a bare one is where it stands. */
static bool jp2k_codestream(mt_bytes *c)
{
    if (c->size >= 2 && c->base[0] == 0xff) return true;
    uint32_t len = 0, type = 0;
    uint64_t far = 0;
    while (mt_bytes_u32(c, &len) && mt_bytes_u32(c, &type)) {
        uint64_t rest = (uint64_t)len - 8;
        if (type == 0x6a703263) return len != 1 || mt_bytes_u64(c, &far); /* jp2c */
        if (len == 1) {
            if (!mt_bytes_u64(c, &far) || far < 16) return false;
            rest = far - 16;
        } else if (len < 8) {
            return false;
        }
        if (!mt_bytes_skip(c, rest)) return false;
    }
    return false;
}

static void jp2k_size(mt_stream_head *h, const uint8_t *p, size_t n)
{
    mt_bytes c = mt_bytes_of(p, n, true);
    uint16_t caps = 0, components = 0;
    uint32_t v[8] = {0};
    uint8_t bits = 0, dx[2] = {1, 1}, dy[2] = {1, 1};
    if (!mt_bytes_u16(&c, &caps)) return;
    for (int i = 0; i < 8; i++)
        if (!mt_bytes_u32(&c, &v[i])) return;
    if (!mt_bytes_u16(&c, &components)) return;
    for (int i = 0; i < 2 && i < components; i++) {
        uint8_t depth = 0;
        if (!mt_bytes_u8(&c, &depth) || !mt_bytes_u8(&c, &dx[i]) || !mt_bytes_u8(&c, &dy[i])) return;
        if (!i) bits = (uint8_t)((depth & 0x7f) + 1);
    }
    if (v[0] < v[2] || v[1] < v[3] || !dx[0] || !dy[0]) return;
    h->w = v[0] - v[2];
    h->h = v[1] - v[3];
    h->components = components;
    h->bits = bits;
    h->sub_h = dx[1] / dx[0];
    h->sub_v = dy[1] / dy[0];
}

bool mt_jp2k_head(mt_stream_head *out, const uint8_t *data, size_t size)
{
    mt_bytes c = mt_bytes_of(data, size, true);
    *out = (mt_stream_head){0};
    if (!jp2k_codestream(&c)) return false;
    uint16_t marker = 0, len = 0;
    if (!mt_bytes_u16(&c, &marker) || marker != 0xff4f) return false;
    while (mt_bytes_u16(&c, &marker) && marker != 0xff90 && marker != 0xffd9) {
        if (!mt_bytes_u16(&c, &len) || len < 2) break;
        const uint8_t *p = mt_bytes_take(&c, len - 2u);
        if (!p) break;
        if (marker == 0xff51) jp2k_size(out, p, len - 2u);
        if (marker == 0xff52 && len >= 7 && p[4]) {
            out->says = MT_SAYS_RGB; /* the codec undoes the transform by itself */
            out->by = "MCT";
        }
    }
    if (out->components < 3) out->says = MT_SAYS_NOTHING;
    return out->components > 0;
}

bool mt_codec_head(mt_stream_head *out, mt_codec_id id, const void *data, size_t size)
{
    return id == MT_CODEC_JPEG   ? mt_jpeg_head(out, data, size)
           : id == MT_CODEC_JP2K ? mt_jp2k_head(out, data, size)
                                 : false;
}

/* ---- words ---- */

static const char *ratio(const mt_stream_head *h)
{
    static const struct { unsigned h, v; const char *word; } known[] = {
        {1, 1, " 4:4:4"}, {2, 1, " 4:2:2"}, {2, 2, " 4:2:0"}, {1, 2, " 4:4:0"}, {4, 1, " 4:1:1"}};
    for (size_t i = 0; i < MT_COUNT(known); i++)
        if (h->sub_h == known[i].h && h->sub_v == known[i].v) return known[i].word;
    return " of an odd subsampling";
}

/* " 16 bit / 257", " 12 bit * 255 / 4095"; nothing for 8. */
static void depth_words(char words[24], unsigned bits)
{
    words[0] = 0;
    if (bits == 16) snprintf(words, 24, " 16 bit / 257");
    else if (bits && bits < 16 && bits != 8) snprintf(words, 24, " %u bit * 255 / %u", bits, ((1u << bits) - 1) & 0xffff);
}

static void describe_samples(char words[48], const mt_coding *c)
{
    static const char *const names[] = {
        [MT_COLOUR_GREY] = "grey", [MT_COLOUR_GREY_INVERTED] = "grey, 0 is white",
        [MT_COLOUR_RGB] = "RGB", [MT_COLOUR_YCBCR] = "YCbCr by header",
        [MT_COLOUR_PALETTE] = "palette"};
    char depth[24];
    depth_words(depth, (unsigned)(c->stored ? c->stored : c->bits ? c->bits : 8));
    const bool alpha = (c->samples == 2 || c->samples == 4) && c->alpha != MT_ALPHA_IGNORED;
    snprintf(words, 48, "%s%s%s", names[c->colour], depth, alpha ? " over white" : "");
}

static void describe_stream(char words[48], const mt_coding *c, const mt_stream_head *h)
{
    char depth[24];
    depth_words(depth, h->bits <= 16 ? h->bits : 8);
    if (c->samples == 1) {
        snprintf(words, 48, "grey%s%s", c->colour == MT_COLOUR_GREY_INVERTED ? ", 0 is white" : "",
                 depth);
        return;
    }
    const bool ycc = h->says == MT_SAYS_YCBCR ||
                     (h->says == MT_SAYS_NOTHING && c->colour == MT_COLOUR_YCBCR);
    snprintf(words, 48, "%s%s%s by %s", ycc ? "YCbCr" : "RGB", ycc && h->sub_h ? ratio(h) : "",
             depth, h->says == MT_SAYS_NOTHING ? "header" : h->by);
}

void mt_codec_describe(char words[48], char warning[160], const mt_coding *c, const void *data,
                       size_t size)
{
    mt_stream_head h = {0};
    warning[0] = 0;
    if (c->codec == MT_CODEC_JPEG) {
        if (c->tables_are_header) mt_jpeg_head(&h, c->tables, c->n_tables);
        else if (data) mt_jpeg_head(&h, data, size);
        const bool told_rgb = c->colour == MT_COLOUR_RGB;
        if (c->samples == 3 && h.says != MT_SAYS_NOTHING && told_rgb != (h.says == MT_SAYS_RGB))
            snprintf(warning, 160,
                     "photometric interpretation says %s, the JPEG stream says %s; the stream is "
                     "believed", told_rgb ? "RGB" : "YCbCr", told_rgb ? "YCbCr" : "RGB");
        describe_stream(words, c, &h);
    } else if (c->codec == MT_CODEC_JP2K) {
        if (data) mt_jp2k_head(&h, data, size);
        describe_stream(words, c, &h);
    } else {
        describe_samples(words, c);
    }
}
