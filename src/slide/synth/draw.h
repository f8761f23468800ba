/* How a synthetic slide is drawn; shared by the files synth_*.c only.
 *
 * Everything is a pure function of (options, level-0 position). Smooth fields live on the nodes of a
 * global grid, one node every `step` pixels, and are bilinear in between. The class of a pixel is read
 * from the signs of seven such fields and from the gland that is nearest to the pixel's grid cell.
 * Colours are two 8-bit densities a pixel, haematoxylin and eosin, and one table from both to RGB. */
#ifndef MT_SLIDE_SYNTH_DRAW_H
#define MT_SLIDE_SYNTH_DRAW_H

#include "base/mem.h"
#include "microtome/synth.h"

enum { SYNTH_TABLE = 512, SYNTH_MAX_STEP = 8, SYNTH_TRUTH_CELL = 4 };

/* Signs of the fields at a node; > 0 means inside. */
enum { SIGN_TISSUE, SIGN_TUMOUR, SIGN_MARGIN, SIGN_NECROSIS, SIGN_SEPTUM, SIGN_LYMPH, SIGN_FAT, SIGN_COUNT };

typedef struct synth_node {
    int32_t sign[SIGN_COUNT]; /* 1/65536 */
    float wx, wy;             /* warped position in um: glands are round there */
    uint32_t fibre_u[2], fibre_v[2]; /* 16.16 places in the fibre table for two directions, modulo 2^32 */
    int32_t shade, mix;       /* eosin gain, share of the second fibre direction; 65536 = 1 */
    float fold;               /* um outside the fold; < 0 inside */
} synth_node;

typedef struct synth_gland {
    float cx, cy;             /* warped um */
    float m00, m01, m10, m11; /* warped offset to a space where the gland is a circle */
    float radius, wall;       /* um, before the metric; radius 0 = no gland at this site */
} synth_gland;

enum { STAMP_SPINDLE, STAMP_GLAND, STAMP_TUMOUR, STAMP_LYMPH, STAMP_DEBRIS, STAMP_TYPES };
enum { STAMP_ANGLES = 16, STAMP_VARIANTS = 4, STAMPS_PER_TYPE = STAMP_ANGLES * STAMP_VARIANTS };

typedef struct synth_stamp {
    int16_t w, h;             /* centre at w/2, h/2 */
    const uint8_t *dens, *cover; /* haematoxylin, coverage 0..255 */
} synth_stamp;

enum { SYNTH_DEBRIS = 14 };
typedef struct synth_speck {
    double cx, cy, radius, phase[3]; /* um, radians */
} synth_speck;

typedef struct synth_ctx {
    mt_synth_opts o;
    double mpp, width_um, height_um;
    int step, shift;          /* grid step in pixels, a power of two */
    uint32_t salt;            /* of the seed */
    /* thresholds found by sampling, see calibrate() */
    float cut_tissue, cut_tumour, cut_necrosis, cut_lymph, cut_margin, cut_fat;
    double fibre_cos[2], fibre_sin[2];
    /* artefacts, um */
    double fold_cx, fold_cy, fold_nx, fold_ny, fold_half, fold_len;
    double pen_cx, pen_cy, pen_radius, pen_half;
    double blur_cx, blur_cy, blur_rx, blur_ry;
    int blur_px;              /* radius of one box pass */
    double bubble_cx, bubble_cy, bubble_radius, bubble_half;
    double edge_nx, edge_ny, edge_at, edge_half;
    synth_speck debris[SYNTH_DEBRIS];
    int stamp_reach;          /* largest half side of a stamp, px */
    uint8_t glass[3], pen_ink[3];
    /* tables, 512 x 512, periodic */
    const uint8_t *fine, *mid, *fibre;
    const uint32_t *colour;   /* [haematoxylin << 8 | eosin] -> R | G << 8 | B << 16 */
    synth_stamp stamps[STAMP_TYPES][STAMPS_PER_TYPE];
    mt_arena arena;
    int refs;
} synth_ctx;

/* A piece of the grid with what its cells need. */
typedef struct synth_grid {
    int64_t gi0, gj0;         /* first node */
    int nx, ny;               /* nodes */
    synth_node *nodes;
    int16_t *gland;           /* per cell (nx-1 x ny-1): index in sites, -1 none */
    synth_gland *sites;
    bool tissue;              /* some node is tissue: otherwise nothing but tissue signs is filled */
    uint32_t classes;         /* classes that may occur */
} synth_grid;

/* Memory of one thread for boxes up to a size. */
typedef struct synth_scratch {
    int max_w, max_h;
    synth_grid grid;
    size_t node_cap, site_cap;
    float *rows;
    uint8_t *planes;
    size_t plane_bytes;
} synth_scratch;

static inline uint32_t synth_hash(int32_t x, int32_t y, uint32_t salt)
{
    uint32_t h = salt ^ (uint32_t)x * 0x9E3779B1u;
    h = (h ^ h >> 15) * 0x85EBCA77u;
    h += (uint32_t)y * 0xC2B2AE3Du;
    h = (h ^ h >> 13) * 0x27D4EB2Fu;
    h ^= h >> 16;
    h *= 0x9E3779B1u;
    return h ^ h >> 15;
}
static inline float synth_u01(uint32_t h) { return (float)(h >> 8) * (1.0f / 16777216.0f); }

/* ctx.c: context of a slide, shared by any number of threads. Contexts are counted; the last one
 * used is kept for the next call with the same options. ARG when an option is out of range, naming it. */
mt_status synth_opts_check(const mt_synth_opts *opts, mt_err *err);
mt_status synth_ctx_get(synth_ctx **out, const mt_synth_opts *opts, mt_err *err);
void synth_ctx_put(synth_ctx **ctx);

mt_status synth_scratch_new(synth_scratch **out, const synth_ctx *c, int max_w, int max_h, mt_err *err);
void synth_scratch_free(synth_scratch **s);

/* tissue.c: fields and classes. Fills the grid with every node needed for the box and `reach`
 * pixels around it. */
void synth_grid_fill(const synth_ctx *c, synth_scratch *s, int64_t x, int64_t y, int w, int h, int reach);
mt_status synth_calibrate(synth_ctx *c, mt_err *err);
size_t synth_grid_nodes(const synth_ctx *c, int w, int h);
size_t synth_grid_sites(const synth_ctx *c, int w, int h);

typedef struct synth_cell {
    const synth_node *n00, *n10, *n01, *n11;
    const synth_gland *gland; /* NULL: none near */
    uint32_t all, mixed;      /* sign bits of the first node; bits that differ between nodes */
} synth_cell;
synth_cell synth_cell_at(const synth_grid *g, int ci, int cj);
extern const uint8_t synth_class_of[1 << SIGN_COUNT];
/* Class of the pixel (ix, iy) of a cell. *d_out, when not NULL and the class is gland: distance to the
 * gland's centre over its radius. */
int synth_cell_class(const synth_ctx *c, const synth_cell *cell, int ix, int iy, float *d_out);
/* Class of a level-0 pixel inside the grid. */
int synth_class_at(const synth_ctx *c, const synth_grid *g, int64_t x, int64_t y);

/* tables.c: textures, colours, nuclei. */
mt_status synth_tables_make(synth_ctx *c, mt_err *err);

/* render.c: pixels of a box no larger than the scratch. Returns true when every pixel is bare
 * glass. The grid in the scratch stays that of this box. */
bool synth_draw(const synth_ctx *c, synth_scratch *s, uint8_t *rgb, size_t stride, int64_t x, int64_t y, int w, int h);

/* Share of the blurred picture at a pixel, 0..256. */
int synth_blur_share(const synth_ctx *c, int64_t x, int64_t y);

/* artefacts.c: what lies over the colours. Places come after the tables; draw returns true when it
 * changed a pixel. */
void synth_artefacts_place(synth_ctx *c);
bool synth_artefacts_draw(const synth_ctx *c, uint8_t *rgb, size_t stride, int64_t x, int64_t y, int w, int h);

/* truth.c: classes of the truth cells (SYNTH_TRUTH_CELL pixels, class of the pixel at 2,2) whose
 * first is (x, y)/4, from the grid left by synth_draw. x, y multiples of 4. */
void synth_truth_cells(const synth_ctx *c, const synth_grid *g, uint8_t *cls, size_t stride, int64_t x, int64_t y,
                       int n_x, int n_y);

/* Ground truth gathered while the slide is written, band by band from the top. */
typedef struct synth_truth synth_truth;
mt_status synth_truth_open(synth_truth **out, const synth_ctx *c, const char *geojson, const char *csv,
                           int32_t truth_px, mt_err *err);
/* Rows of truth cells [first, first + n), row-major, ceil(width/4) a row. */
mt_status synth_truth_rows(synth_truth *t, const uint8_t *cls, size_t stride, int64_t n, mt_err *err);
mt_status synth_truth_close(synth_truth **t, mt_err *err);
void synth_truth_discard(synth_truth **t);

/* extra.c: label and macro pictures (malloc, the caller's) with planted text in 5 x 7 dots; text
 * NULL = a default made of the seed. */
mt_status synth_label(uint8_t **rgb, int w, int h, const synth_ctx *c, const char *text, mt_err *err);
mt_status synth_macro(uint8_t **rgb, int w, int h, const synth_ctx *c, const char *text, const uint8_t *overview, int ow,
                      int oh, mt_err *err);

#endif
