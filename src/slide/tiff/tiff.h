/* TIFF directories over bytes in memory: classic and BigTIFF, both byte orders.
 *
 * Nothing is copied out of the file but the directories' scalars: strings, tables and the arrays of
 * tile offsets stay where they are and are read in place, so that a slide of a million tiles costs
 * a few hundred bytes. Every position was checked against the size when it was parsed. */
#ifndef MT_SLIDE_TIFF_H
#define MT_SLIDE_TIFF_H

#include "base/mem.h"

#define MT_TIFF_MAX_DIRS 1024

/* Bytes of the file; p is NULL when the tag is absent. */
typedef struct mt_tiff_bytes {
    const uint8_t *p;
    size_t n;
} mt_tiff_bytes;

/* An array of unsigned integers of `width` bytes each, in the file's byte order. */
typedef struct mt_tiff_array {
    const uint8_t *p;
    uint64_t count;
    unsigned width;
} mt_tiff_array;

typedef struct mt_tiff_dir {
    uint64_t at;             /* where it stands in the file */
    int parent;              /* directory whose SubIFDs (tag 330) name it; -1 in the chain */
    uint64_t width, height;  /* 0 when absent */
    uint64_t tile_w, tile_h; /* 0 when stored in strips */
    uint64_t rows_per_strip;
    uint64_t subfile; /* NewSubfileType: 1 reduced image, 4 mask */
    unsigned compression, photometric, planar, predictor, orientation, fill_order;
    unsigned samples, bits, sample_format, extra_sample;
    bool mixed_bits; /* samples of several sizes */
    bool has_photometric;
    mt_tiff_array offsets, counts; /* of tiles or strips */
    mt_tiff_bytes description, software, xmp, jpeg_tables;
    uint64_t icc_bytes;
    mt_tiff_array sub_dirs; /* offsets of its SubIFDs */
    double x_res, y_res;    /* 0 when absent or not a number */
    unsigned res_unit;      /* 1 none, 2 inch, 3 centimetre */
    bool hamamatsu;         /* carries the tag that marks NDPI files */
} mt_tiff_dir;

typedef struct mt_tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian, big_tiff;
    bool ndpi;   /* Hamamatsu's dialect of the classic layout: see tiff.c */
    int n_chain; /* directories of the chain; they come first */
    int n_dirs;  /* with the SubIFDs, which follow in the order of their parents */
    mt_tiff_dir *dirs;
} mt_tiff;

/* True when the bytes begin like a TIFF file. */
bool mt_tiff_is(const uint8_t *data, size_t size);

/* Parses the chain of directories and the SubIFDs they name, two levels deep. The bytes must outlive
 * *out, which is released with mt_tiff_free. FORMAT names directory, tag and value (a directory that
 * is reached twice too); LIMIT past the ceilings. */
MT_MUST_USE mt_status mt_tiff_parse(mt_tiff *out, const uint8_t *data, size_t size, mt_err *err);
void mt_tiff_free(mt_tiff *t);

/* Element i of an array; i < count. */
uint64_t mt_tiff_at(const mt_tiff *t, const mt_tiff_array *a, uint64_t i);

/* Any tag of a directory, found by walking its entries again: for tags of one maker only. */
typedef struct mt_tiff_value {
    unsigned type; /* TIFF's number: 2 text, 3 short, 4 long, 5 rational, 9 signed,
                                          11 float, 12 double ... */
    uint64_t count;
    unsigned width;   /* bytes an element */
    const uint8_t *p; /* count * width bytes */
    uint32_t high;    /* NDPI: upper half of a single 32-bit value; 0 elsewhere */
} mt_tiff_value;

/* False when the directory has no such tag, or its value does not lie in the file. */
bool mt_tiff_find(mt_tiff_value *out, const mt_tiff *t, int dir, unsigned tag);

/* Element i as a number: unsigned, signed, rational and floating types. NaN when i or the type is
 * none of these. */
double mt_tiff_value_number(const mt_tiff *t, const mt_tiff_value *v, uint64_t i);

/* A single unsigned integer, the upper half included; false when it is none. */
bool mt_tiff_value_uint(uint64_t *out, const mt_tiff *t, const mt_tiff_value *v);

/* Text up to its first NUL; empty when the type is no text. */
mt_tiff_bytes mt_tiff_value_text(const mt_tiff_value *v);

/* True when the text begins with (contains) the word; both are bounded, no NUL is needed. */
bool mt_tiff_begins(const mt_tiff_bytes *text, const char *word);
bool mt_tiff_contains(const mt_tiff_bytes *text, const char *word);

#endif
