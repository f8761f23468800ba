/* What the mean colours of the tissue grid say of ink, dirt and density; and which of it is ink. */
#ifndef MT_TILES_EVIDENCE_H
#define MT_TILES_EVIDENCE_H

#include "microtome/tiles.h"
#include "base/mem.h"

/* A byte a pixel: kind in the two high bits, the rest by kind. 0: too pale to say anything. */
enum {
    EVIDENCE_WARM = 0x00,  /* absorbs far less red than green; low bits: hue */
    EVIDENCE_COLD = 0x40,  /* absorbs red too; low bits: hue */
    EVIDENCE_GREEN = 0x80, /* absorbs green least; low bits: 1 a little, 2 much */
    EVIDENCE_GREY = 0xC0,  /* low bits: 1 greyish, 2 grey, 3 opaque */
    EVIDENCE_KIND = 0xC0,
    EVIDENCE_INK = 0xFF    /* decided: ink */
};
enum { EVIDENCE_GREYISH = EVIDENCE_GREY | 1, EVIDENCE_OPAQUE = EVIDENCE_GREY | 3 };

typedef struct mt_tissue_evidence {
    int32_t width, height;
    uint8_t *code;
    /* or NULL, both: */
    uint8_t *dens; /* 200 x sqrt(mean OD x colour OD): doubled where tissue lies double */
    uint8_t *warm; /* 100 x red OD / green OD, at least 1; 0: too pale */
    int32_t od[256]; /* optical density x 1000 */
} evidence;

MT_MUST_USE mt_status evidence_new(evidence **out, int32_t width, int32_t height, bool with_density,
                                   mt_err *err);
void evidence_free(evidence **e);

/* Row of mean colours. Different rows may come from different threads. */
void evidence_row(evidence *e, int32_t row, const uint8_t *rgb);

/* Finds ink of any colour and marks it EVIDENCE_INK: pieces whose hue lies outside what stains of this
 * slide do. Grey is left to the rooms above: it may be ink, dirt or glass. px_um: side of a pixel. */
MT_MUST_USE mt_status evidence_find_ink(evidence *e, double px_um, mt_err *err);

#endif
