#include "agreement.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_COLUMNS = 256, MAX_TILES = 50000000 };

/* ---- ranks ----------------------------------------------------------------------------------- */

typedef struct ranked {
    double score;
    unsigned char label;
} ranked;

static int by_score(const void *a, const void *b)
{
    double x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
    return (x > y) - (x < y);
}

mt_status mt_agreement_auc(double *out, const double *score, const unsigned char *label, size_t n,
                           mt_err *err)
{
    *out = NAN;
    ranked *r = malloc((n + 1) * sizeof *r);
    if (!r) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory to rank %zu tiles", n);
    size_t positives = 0;
    for (size_t i = 0; i < n; i++) {
        r[i] = (ranked){score[i], label[i]};
        positives += label[i] != 0;
    }
    qsort(r, n, sizeof *r, by_score);
    double rank_sum = 0;
    for (size_t i = 0; i < n;) {
        size_t k = i;
        size_t hits = 0;
        for (; k < n && r[k].score == r[i].score; k++)
            hits += r[k].label != 0;
        rank_sum += (double)hits * 0.5 * (double)(i + 1 + k); /* mean of the ranks i+1..k */
        i = k;
    }
    free(r);
    double p = (double)positives, q = (double)(n - positives);
    if (p > 0 && q > 0) *out = (rank_sum - p * (p + 1) / 2) / (p * q);
    return MT_OK;
}

/* ---- the CSV --------------------------------------------------------------------------------- */

typedef struct table {
    double *score;
    unsigned char *label;
    size_t n, cap;
} table;

static mt_status table_add(table *t, double score, int label, mt_err *err)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 1024;
        if (cap > MAX_TILES) return mt_err_set(err, MT_ERR_LIMIT, "more than %d tiles", MAX_TILES);
        double *s = realloc(t->score, cap * sizeof *s);
        if (s) t->score = s;
        unsigned char *l = realloc(t->label, cap);
        if (l) t->label = l;
        if (!s || !l) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for %zu tiles", cap);
        t->cap = cap;
    }
    t->score[t->n] = score;
    t->label[t->n++] = (unsigned char)label;
    return MT_OK;
}

/* Splits a line at its commas, in place. */
static int split(char *line, char *field[MAX_COLUMNS])
{
    int n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *p = line; p && n < MAX_COLUMNS; n++) {
        field[n] = p;
        p = strchr(p, ',');
        if (p) *p++ = 0;
    }
    return n;
}

/* Column of prob_<class>, or -1. */
static int score_column(char *line, const char *class_name)
{
    char *field[MAX_COLUMNS], want[80];
    static const char *const first[] = {"minx", "miny", "width", "height"};
    int n = split(line, field);
    snprintf(want, sizeof want, "prob_%s", class_name);
    for (int i = 0; i < 4; i++)
        if (i >= n || strcmp(field[i], first[i])) return -1;
    for (int i = 4; i < n; i++)
        if (!strcasecmp(field[i], want)) return i;
    return -1;
}

static bool number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

typedef struct box {
    double x, y, w, h, score;
} box;

static bool parse_row(box *b, char *line, int column)
{
    char *field[MAX_COLUMNS];
    int n = split(line, field);
    return n > column && number(field[0], &b->x) && number(field[1], &b->y) &&
           number(field[2], &b->w) && number(field[3], &b->h) && number(field[column], &b->score) &&
           b->w >= 1 && b->h >= 1 && b->w <= 65535 && b->h <= 65535 && fabs(b->x) < 1e9 &&
           fabs(b->y) < 1e9;
}

typedef struct sums {
    double predicted, truth, inside;       /* level-0 pixels */
    double labelled_area, labelled_inside; /* of tiles with the label */
    size_t hit, called, labelled;          /* tiles */
} sums;

static mt_status add_row(table *t, sums *s, const box *b, const mt_synth_opts *opts, int cls,
                         double threshold, mt_err *err)
{
    double fraction[MT_SYNTH_CLASSES];
    mt_synth_truth(fraction, opts, (int64_t)b->x, (int64_t)b->y, (int32_t)b->w, (int32_t)b->h);
    double area = b->w * b->h, truth = fraction[cls] * area;
    int label = fraction[cls] >= 0.5, called = b->score >= threshold;
    s->truth += truth;
    if (label) {
        s->labelled++;
        s->labelled_area += area;
        s->labelled_inside += truth;
    }
    if (called) {
        s->predicted += area;
        s->inside += truth;
        s->called++;
        s->hit += (size_t)label;
    }
    return table_add(t, b->score, label, err);
}

static mt_status read_rows(table *t, sums *s, FILE *f, const mt_synth_opts *opts, int cls,
                           double threshold, mt_err *err)
{
    char *line = NULL;
    size_t cap = 0;
    mt_status st = MT_OK;
    int column = getline(&line, &cap, f) > 0 ? score_column(line, mt_synth_class_name(cls)) : -1;
    if (column < 0)
        st = mt_err_set(err, MT_ERR_FORMAT, "line 1: no header minx,miny,width,height,...,prob_%s",
                        mt_synth_class_name(cls));
    for (size_t row = 2; !st && getline(&line, &cap, f) > 0; row++) {
        box b;
        if (!parse_row(&b, line, column))
            st = mt_err_set(err, MT_ERR_FORMAT, "line %zu: not a tile with a score", row);
        else
            st = add_row(t, s, &b, opts, cls, threshold, err);
    }
    if (!st && ferror(f)) st = mt_err_set(err, MT_ERR_IO, "%s", strerror(errno));
    free(line);
    return st;
}

static double dice(double both, double a, double b)
{
    return a + b > 0 ? 2 * both / (a + b) : NAN;
}

mt_status mt_agreement_read(mt_agreement *out, const char *csv, const mt_synth_opts *opts, int cls,
                            double threshold, mt_err *err)
{
    *out = (mt_agreement){.auc = NAN, .dice_tiles = NAN, .dice_area = NAN, .dice_area_labels = NAN};
    FILE *f = fopen(csv, "re");
    if (!f)
        return mt_err_set(err, errno == ENOENT ? MT_ERR_NOT_FOUND : MT_ERR_IO, "%s: %s", csv,
                          strerror(errno));
    table t = {0};
    sums s = {0};
    mt_status st = read_rows(&t, &s, f, opts, cls, threshold, err);
    if (!st) st = mt_agreement_auc(&out->auc, t.score, t.label, t.n, err);
    if (st) mt_err_context(err, "%s", csv);
    double mm2 = opts->mpp * opts->mpp * 1e-6;
    out->n_tiles = t.n;
    out->n_positive = s.labelled;
    out->dice_tiles = dice((double)s.hit, (double)s.called, (double)s.labelled);
    out->dice_area = dice(s.inside, s.predicted, s.truth);
    out->dice_area_labels = dice(s.labelled_inside, s.labelled_area, s.truth);
    out->predicted_mm2 = s.predicted * mm2;
    out->truth_mm2 = s.truth * mm2;
    out->inside_mm2 = s.inside * mm2;
    free(t.score);
    free(t.label);
    fclose(f);
    return st;
}
