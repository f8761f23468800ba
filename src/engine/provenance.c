#include "engine/provenance.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "slide/slide.h"

enum { DIGEST_BLOCK = 1 << 20 };

void mt_feed_u64(mt_sha256 *s, uint64_t v)
{
    uint8_t le[8];
    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)(v >> 8 * i);
    mt_sha256_add(s, le, sizeof le);
}

void mt_feed_f64(mt_sha256 *s, double v)
{
    uint64_t bits;
    v = v == 0.0 ? 0.0 : v; /* one zero only */
    memcpy(&bits, &v, sizeof bits);
    mt_feed_u64(s, bits);
}

void mt_feed_str(mt_sha256 *s, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    mt_feed_u64(s, n);
    if (n) mt_sha256_add(s, text, n);
}

static void end_hex(mt_sha256 *s, char out[65])
{
    uint8_t raw[32];
    mt_sha256_end(s, raw);
    mt_sha256_hex(raw, out);
}

/* Plain reads, not the slide's map: the digest must see the bytes the file has, not zeros of a
 * fault. */
static mt_status add_file(mt_sha256 *s, const char *path, const char *name, uint8_t *block, mt_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would wait for its writer */
    if (fd < 0)
        return mt_err_set(err, errno == ENOENT ? MT_ERR_NOT_FOUND : MT_ERR_IO, "%s: %s", name,
                          strerror(errno));
    struct stat sb;
    if (fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode)) { /* a device may never end */
        close(fd);
        return mt_err_set(err, MT_ERR_IO, "%s: not a regular file", name);
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    uint64_t at = 0;
    for (;;) {
        ssize_t n = read(fd, block, DIGEST_BLOCK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int e = errno;
            close(fd);
            return mt_err_set(err, MT_ERR_IO, "%s: offset %llu: %s", name, (unsigned long long)at,
                              strerror(e));
        }
        if (n == 0) break;
        mt_sha256_add(s, block, (size_t)n);
        at += (uint64_t)n;
    }
    close(fd);
    return MT_OK;
}

static mt_status digest_raw(uint8_t out[32], const char *path, const char *name, uint8_t *block, mt_err *err)
{
    mt_sha256 s;
    MT_TRY(mt_sha256_begin(&s, err));
    mt_status st = add_file(&s, path, name, block, err);
    mt_sha256_end(&s, out);
    return st;
}

mt_status mt_file_digest(char out[65], const char *path, mt_err *err)
{
    MT_AUTO_FREE uint8_t *block = NULL;
    uint8_t raw[32];
    MT_TRY(mt_alloc_aligned(&block, DIGEST_BLOCK, DIGEST_BLOCK, "digest block", err));
    MT_TRY(digest_raw(raw, path, path, block, err));
    mt_sha256_hex(raw, out);
    return MT_OK;
}

mt_status mt_slide_digest(char out[65], const mt_slide *slide, mt_err *err)
{
    static const char name[] = "a file of the slide"; /* its own may be a patient's */
    MT_AUTO_FREE uint8_t *block = NULL;
    uint8_t raw[32];
    const char *path = mt_slide_file(slide, 0);
    if (!path) return mt_err_set(err, MT_ERR_INTERNAL, "slide without files");
    MT_TRY(mt_alloc_aligned(&block, DIGEST_BLOCK, DIGEST_BLOCK, "digest block", err));
    if (!mt_slide_file(slide, 1)) {
        MT_TRY(digest_raw(raw, path, name, block, err));
        mt_sha256_hex(raw, out);
        return MT_OK;
    }
    mt_sha256 all;
    MT_TRY(mt_sha256_begin(&all, err));
    mt_status st = MT_OK;
    for (int i = 0; st == MT_OK && (path = mt_slide_file(slide, i)); i++) {
        st = digest_raw(raw, path, name, block, err);
        if (st == MT_OK) mt_sha256_add(&all, raw, sizeof raw);
    }
    end_hex(&all, out);
    return st;
}

mt_status mt_plan_digest(mt_plan *plan, mt_err *err)
{
    mt_sha256 s;
    MT_TRY(mt_sha256_begin(&s, err));
    mt_feed_str(&s, "microtome plan 1");
    mt_feed_u64(&s, (uint64_t)plan->tile_px);
    mt_feed_u64(&s, (uint64_t)plan->out_px);
    mt_feed_f64(&s, plan->target_mpp);
    mt_feed_f64(&s, plan->slide_mpp);
    mt_feed_u64(&s, (uint64_t)plan->box_l0);
    mt_feed_u64(&s, (uint64_t)plan->step_l0);
    mt_feed_u64(&s, (uint64_t)plan->level);
    mt_feed_f64(&s, plan->level_downsample);
    mt_feed_f64(&s, plan->resample);
    mt_feed_u64(&s, (uint64_t)plan->upsampled);
    mt_feed_f64(&s, plan->overlap);
    mt_feed_f64(&s, plan->min_tissue);
    mt_feed_u64(&s, (uint64_t)plan->edge);
    mt_feed_u64(&s, (uint64_t)plan->grid_cols);
    mt_feed_u64(&s, (uint64_t)plan->grid_rows);
    mt_feed_f64(&s, plan->roi_mm2);
    if (plan->off_grid) mt_feed_str(&s, "off grid");
    mt_feed_u64(&s, plan->n_tiles);
    for (size_t i = 0; i < plan->n_tiles; i++) {
        const mt_tile *t = &plan->tiles[i];
        mt_feed_u64(&s, (uint64_t)t->x_l0);
        mt_feed_u64(&s, (uint64_t)t->y_l0);
        mt_feed_u64(&s, (uint64_t)t->w_l0);
        mt_feed_u64(&s, (uint64_t)t->h_l0);
        mt_feed_u64(&s, (uint64_t)t->col);
        mt_feed_u64(&s, (uint64_t)t->row);
        mt_feed_f64(&s, (double)t->tissue);
    }
    end_hex(&s, plan->digest);
    return MT_OK;
}

/* The card's word on pixels and activation: what changes a score when the weights stay the same. */
static void feed_card_pixels(mt_sha256 *s, const mt_card *card)
{
    mt_feed_u64(s, (uint64_t)card->n_classes);
    mt_feed_u64(s, (uint64_t)card->patch_px);
    mt_feed_f64(s, card->mpp);
    mt_feed_u64(s, (uint64_t)card->input_px);
    mt_feed_u64(s, (uint64_t)card->bicubic);
    mt_feed_u64(s, (uint64_t)card->scale_255);
    for (int i = 0; i < 3; i++) {
        mt_feed_f64(s, (double)card->mean[i]);
        mt_feed_f64(s, (double)card->std[i]);
    }
    mt_feed_str(s, card->activation);
}

static void feed_stain_map(mt_sha256 *s, const mt_u8_stain_map *m)
{
    mt_feed_u64(s, m != NULL);
    for (int i = 0; m && i < 9; i++) {
        mt_feed_f64(s, (double)m->in[i]);
        mt_feed_f64(s, (double)m->mid[i]);
        mt_feed_f64(s, (double)m->out[i]);
        mt_feed_f64(s, i < 3 ? (double)m->shift[i] : 0);
    }
}

/* What normalises is the method and the target; what a slide measures follows from its bytes. */
static void feed_stain(mt_sha256 *s, const mt_stain_request *r)
{
    mt_feed_str(s, mt_stain_method_name(r ? r->method : MT_STAIN_NONE));
    if (!r || r->method == MT_STAIN_NONE) return;
    for (int k = 0; k < 2; k++) {
        mt_feed_f64(s, r->target.strength[k]);
        for (int c = 0; c < 3; c++)
            mt_feed_f64(s, r->target.vectors[k][c]);
    }
    for (int c = 0; c < 3; c++) {
        mt_feed_f64(s, r->target.lab_mean[c]);
        mt_feed_f64(s, r->target.lab_std[c]);
    }
}

mt_status mt_scores_key(char out[65], const char *slide_digest, const char *model_digest,
                        const mt_card *card, const char *plan_digest, const char *kernel_set,
                        const mt_u8_stain_map *stain, mt_err *err)
{
    mt_sha256 s;
    MT_TRY(mt_sha256_begin(&s, err));
    mt_feed_str(&s, "microtome scores 1");
    mt_feed_str(&s, slide_digest);
    mt_feed_str(&s, model_digest);
    feed_card_pixels(&s, card);
    mt_feed_str(&s, plan_digest);
    mt_feed_str(&s, kernel_set);
    feed_stain_map(&s, stain);
    mt_feed_str(&s, MT_VERSION);
    end_hex(&s, out);
    return MT_OK;
}

/* Everything of the card, so that an edited card never leaves an old result standing. */
static void feed_card(mt_sha256 *s, const mt_card *card)
{
    feed_card_pixels(s, card);
    const char *texts[] = {card->name,         card->version,      card->state,   card->task,
                           card->architecture, card->stain,        card->organ,   card->scanner,
                           card->license,      card->intended_use, card->not_for, card->output,
                           card->sha256,  card->normalise_stain, card->stain_target};
    for (size_t i = 0; i < MT_COUNT(texts); i++)
        mt_feed_str(s, texts[i]);
    for (int i = 0; i < card->n_classes; i++)
        mt_feed_str(s, card->class_names[i]);
    mt_feed_u64(s, (uint64_t)card->positive_class);
    mt_feed_u64(s, (uint64_t)card->stride_px);
    mt_feed_u64(s, (uint64_t)card->synthetic_only);
    mt_feed_u64(s, (uint64_t)card->n_thresholds);
    for (int i = 0; i < card->n_thresholds; i++) {
        mt_feed_str(s, card->thresholds[i].name);
        mt_feed_f64(s, card->thresholds[i].value);
        mt_feed_str(s, card->thresholds[i].chosen_on);
    }
}

static void feed_limit(mt_sha256 *s, mt_qc_limit l)
{
    mt_feed_f64(s, isnan(l.warn) ? -1 : l.warn);
    mt_feed_f64(s, isnan(l.reject) ? -1 : l.reject);
}

static void feed_qc(mt_sha256 *s, const mt_qc_config *c, int rejects)
{
    mt_feed_str(s, !c ? "qc off" : rejects ? "qc reject" : "qc warn");
    if (!c) return;
    mt_feed_f64(s, c->focus_min);
    mt_feed_f64(s, c->tile_share);
    mt_feed_u64(s, c->exclude);
    for (int i = 0; i < MT_QC_N; i++)
        feed_limit(s, c->share[i]);
    feed_limit(s, c->usable_share);
    feed_limit(s, c->usable_mm2);
    feed_limit(s, c->focus_median);
}

mt_status mt_result_key(char out[65], const char *slide_digest, const char *stem,
                        const mt_result_inputs *in, mt_err *err)
{
    mt_sha256 s;
    MT_TRY(mt_sha256_begin(&s, err));
    mt_feed_str(&s, "microtome result 1");
    mt_feed_str(&s, slide_digest);
    mt_feed_str(&s, stem);
    mt_feed_str(&s, in->model_digest);
    feed_card(&s, in->card);
    mt_feed_str(&s, in->kernel_set);
    mt_feed_f64(&s, in->assume_mpp);
    mt_feed_f64(&s, in->overlap);
    mt_feed_f64(&s, in->min_tissue);
    mt_feed_str(&s, in->roi_digest);
    if (in->coords_digest && in->coords_digest[0]) mt_feed_str(&s, in->coords_digest);
    mt_feed_str(&s, in->out_of_scope);
    mt_feed_u64(&s, (uint64_t)in->allow_upsampling);
    mt_feed_u64(&s, (uint64_t)in->topk);
    mt_feed_str(&s, in->exports);
    feed_qc(&s, in->qc, in->qc_rejects);
    mt_feed_str(&s, in->tissue ? in->tissue->kind : "detected");
    mt_feed_str(&s, in->tissue ? in->tissue->digest : "");
    mt_feed_f64(&s, in->tissue ? in->tissue->threshold : 0);
    feed_stain(&s, in->stain);
    mt_feed_u64(&s, (uint64_t)in->stain_fallback_none);
    mt_feed_u64(&s, (uint64_t)in->strict);
    mt_feed_str(&s, MT_VERSION);
    end_hex(&s, out);
    return MT_OK;
}
