/* From a path to an open DICOM slide: its folder, its group of files, their frames, its levels; and
 * the same first steps for whoever asks which slides a folder holds. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "slide/dicom/levels.h"

/* Frames of a slide are kept in the cache when there are this many. */
enum { CACHE_FRAMES = 4096 };

/* ---- frames by the cache ---- */

typedef struct index_head { uint64_t n_parts, facts_size; } index_head;
typedef struct index_part {
    mt_dicom_stamp stamp;
    uint32_t n, n_fragments, has_first, has_places, cut, doubtful;
} index_part;

/* Which files, exactly: a slide whose files have changed has another name. */
static void index_name(char name[64], const mt_dicom_slide *ds)
{
    mt_dicom_id id = {3, 4};
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        const mt_dicom_stamp *s = &ds->parts[i].facts.stamp;
        id = mt_dicom_digest(&(mt_dicom_key){id.a, id.b}, s, sizeof *s);
    }
    snprintf(name, 64, "dicom-frames-%016llx%016llx", (unsigned long long)id.a, (unsigned long long)id.b);
}

static bool take_array(void *out, mt_bytes *c, size_t n, size_t size)
{
    size_t bytes;
    const uint8_t *p = mt_mul(&bytes, n, size) ? mt_bytes_take(c, bytes) : NULL;
    if (!p || mt_alloc(out, n, size, SIZE_MAX, "frames", NULL) != MT_OK) return false;
    memcpy(*(void **)out, p, bytes);
    return true;
}

static bool take_frames(mt_dicom_frames *f, mt_bytes *c, const mt_dicom_facts *facts)
{
    index_part h;
    const uint8_t *p = mt_bytes_take(c, sizeof h);
    if (!p) return false;
    memcpy(&h, p, sizeof h);
    if (memcmp(&h.stamp, &facts->stamp, sizeof h.stamp) || h.n != facts->frames) return false;
    *f = (mt_dicom_frames){.n = h.n, .n_fragments = h.n_fragments, .cut = h.cut, .doubtful = h.doubtful};
    if (h.n_fragments && !take_array(&f->fragments, c, h.n_fragments, sizeof *f->fragments)) return false;
    if (h.has_first && !take_array(&f->first, c, (size_t)h.n + 1, sizeof *f->first)) return false;
    return !h.has_places || take_array(&f->places, c, h.n, sizeof *f->places);
}

static bool recall_frames(mt_dicom_slide *ds)
{
    char name[64];
    size_t n;
    MT_AUTO_FREE uint8_t *data = NULL;
    index_name(name, ds);
    if (!mt_cache_read(&data, &n, name)) return false;
    mt_bytes c = mt_bytes_of(data, n, false);
    index_head h;
    const uint8_t *p = mt_bytes_take(&c, sizeof h);
    if (p) memcpy(&h, p, sizeof h);
    bool ok = p && h.n_parts == ds->n_parts && h.facts_size == sizeof(mt_dicom_facts);
    for (uint32_t i = 0; ok && i < ds->n_parts; i++)
        ok = take_frames(&ds->parts[i].frames, &c, &ds->parts[i].facts);
    if (ok && !mt_bytes_left(&c)) return true;
    for (uint32_t i = 0; i < ds->n_parts; i++) mt_dicom_frames_free(&ds->parts[i].frames);
    return false;
}

static void remember_frames(const mt_dicom_slide *ds)
{
    char name[64];
    uint64_t total = 0;
    MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT((size_t)256 << 20);
    const index_head h = {ds->n_parts, sizeof(mt_dicom_facts)};
    mt_buf_append(&b, &h, sizeof h);
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        const mt_dicom_frames *f = &ds->parts[i].frames;
        const index_part p = {ds->parts[i].facts.stamp, f->n, f->n_fragments, f->first != NULL,
                              f->places != NULL, f->cut, f->doubtful};
        if (f->cut) return; /* it may still be on its way */
        total += f->n_fragments + (f->places ? f->n : 0);
        mt_buf_append(&b, &p, sizeof p);
        if (f->fragments) mt_buf_append(&b, f->fragments, f->n_fragments * sizeof *f->fragments);
        if (f->first) mt_buf_append(&b, f->first, ((size_t)f->n + 1) * sizeof *f->first);
        if (f->places) mt_buf_append(&b, f->places, f->n * sizeof *f->places);
    }
    if (b.failed || (total < CACHE_FRAMES && ds->n_parts < CACHE_FRAMES / 64)) return;
    index_name(name, ds);
    mt_cache_write(name, b.data, b.len);
}

/* ---- frames by reading ---- */

static mt_status read_frames(mt_dicom_part *p, mt_err *err)
{
    const mt_dicom_facts *f = &p->facts;
    if (!f->has_pixels || (!f->encapsulated && (f->full || !f->positions))) {
        p->frames.n = f->frames;
        return MT_OK;
    }
    MT_AUTO(mt_map_close) mt_map map = MT_MAP_INIT;
    MT_TRY(mt_map_open_as(&map, p->path, MT_DICOM_NAMELESS, err));
    if (map.size != f->stamp.size)
        return mt_err_set(err, MT_ERR_TEMPORARY, "a file of the slide changes while it is read");
    mt_status st = mt_dicom_frames_read(&p->frames, f, map.data, map.size, err);
    if (st == MT_OK) st = mt_map_check(&map, err);
    return st;
}

static const struct { mt_dicom_kind kind; const char *name; } images[] = {
    {MT_DICOM_LABEL, "label"}, {MT_DICOM_OVERVIEW, "macro"}, {MT_DICOM_THUMBNAIL, "thumbnail"}};

typedef struct left_out { mt_err why[MT_COUNT(images)]; } left_out; /* the first of each kind */

/* A part whose frames cannot be read: a word about a coarser level, or about an image beside it unless
 * another is there. What the slide cannot do without is an error. */
static mt_status leave_out(left_out *out, mt_slide_info *info, const mt_dicom_part *p, int64_t widest,
                           mt_err *why, mt_err *err)
{
    const mt_dicom_facts *f = &p->facts;
    const bool volume = f->kind == MT_DICOM_VOLUME;
    const bool needed = volume && (f->width == widest || !mt_dicom_none(f->concatenation));
    if (why->code == MT_ERR_NO_MEMORY || why->code == MT_ERR_TEMPORARY || needed) {
        mt_err_context(why, "an image of %lld x %lld pixels", (long long)f->width, (long long)f->height);
        return mt_err_set(err, why->code, "%s", why->text);
    }
    if (volume)
        mt_slide_warn(info, "%lld x %lld pixels are left out: %.100s", (long long)f->width,
                      (long long)f->height, why->text);
    for (size_t k = 0; k < MT_COUNT(images); k++)
        if (f->kind == (int32_t)images[k].kind) (void)mt_err_set(&out->why[k], why->code, "%s", why->text);
    return MT_OK;
}

static void warn_left_out(mt_slide_info *info, const left_out *out, const mt_dicom_slide *ds)
{
    for (size_t k = 0; k < MT_COUNT(images); k++) {
        bool another = false;
        for (uint32_t i = 0; i < ds->n_parts; i++)
            another = another || ds->parts[i].facts.kind == (int32_t)images[k].kind;
        if (out->why[k].code != MT_OK && !another)
            mt_slide_warn_associated(info, images[k].name, &out->why[k]);
    }
}

static mt_status read_all_frames(mt_dicom_slide *ds, mt_slide_info *info, mt_err *err)
{
    int64_t widest = 0;
    uint32_t kept = 0;
    left_out out = {0};
    for (uint32_t i = 0; i < ds->n_parts; i++)
        if (ds->parts[i].facts.kind == MT_DICOM_VOLUME) widest = MT_MAX(widest, ds->parts[i].facts.width);
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        mt_dicom_part *p = &ds->parts[i];
        mt_err why = MT_ERR_INIT;
        mt_status st = read_frames(p, &why);
        if (st == MT_OK && p->frames.cut && p->facts.kind == MT_DICOM_VOLUME)
            mt_slide_warn(info, "the image of %lld x %lld pixels ends before its last frame; what is "
                          "missing cannot be read", (long long)p->facts.width, (long long)p->facts.height);
        if (st == MT_OK) {
            ds->parts[kept++] = *p;
            continue;
        }
        st = leave_out(&out, info, p, widest, &why, err);
        if (st != MT_OK) {
            while (i < ds->n_parts) ds->parts[kept++] = ds->parts[i++]; /* for whoever frees them */
            ds->n_parts = kept;
            return st;
        }
        free(p->path);
        mt_dicom_frames_free(&p->frames);
    }
    ds->n_parts = kept;
    warn_left_out(info, &out, ds);
    return MT_OK;
}

/* ---- the files of the slide ---- */

/* The same instance twice: one of them, when they are one; else nobody can say which is meant. */
static mt_status same_bytes(const mt_dicom_file *a, const mt_dicom_file *b, mt_err *err)
{
    MT_AUTO(mt_map_close) mt_map x = MT_MAP_INIT;
    MT_AUTO(mt_map_close) mt_map y = MT_MAP_INIT;
    const mt_dicom_stamp *s = &a->facts.stamp, *t = &b->facts.stamp;
    if (s->device == t->device && s->inode == t->inode) return MT_OK; /* two names of one file */
    MT_TRY(mt_map_open_as(&x, a->path, MT_DICOM_NAMELESS, err));
    MT_TRY(mt_map_open_as(&y, b->path, MT_DICOM_NAMELESS, err));
    if (x.size != y.size || memcmp(x.data, y.data, x.size))
        return mt_err_set(err, MT_ERR_FORMAT, "two files have the same SOP Instance UID (0008,0018) and "
                          "differ");
    MT_TRY(mt_map_check(&x, err));
    return mt_map_check(&y, err);
}

typedef struct twin { const mt_dicom_file *f; uint32_t i; } twin;

static int by_instance(const void *a, const void *b)
{
    const twin *x = a, *y = b;
    const mt_dicom_id p = x->f->facts.instance, q = y->f->facts.instance;
    if (p.a != q.a) return p.a < q.a ? -1 : 1;
    if (p.b != q.b) return p.b < q.b ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

static bool repeats(const twin *t)
{
    return !mt_dicom_none(t[1].f->facts.instance) &&
           mt_dicom_same(t[0].f->facts.instance, t[1].f->facts.instance);
}

/* Comparing reads every byte of both, so it is remembered of these very files that they were equal. */
static mt_status compare_twins(const twin *t, uint32_t n, mt_err *err)
{
    MT_AUTO_FREE uint8_t *known = NULL;
    mt_dicom_id id = {5, 6};
    char name[64];
    size_t n_known;
    for (uint32_t i = 0; i + 1 < n; i++)
        for (int k = 0; k < 2 && repeats(&t[i]); k++) {
            const mt_dicom_stamp *s = &t[i + (uint32_t)k].f->facts.stamp;
            id = mt_dicom_digest(&(mt_dicom_key){id.a, id.b}, s, sizeof *s);
        }
    snprintf(name, sizeof name, "dicom-twins-%016llx%016llx", (unsigned long long)id.a,
             (unsigned long long)id.b);
    if (mt_cache_read(&known, &n_known, name)) return MT_OK;
    for (uint32_t i = 0; i + 1 < n; i++)
        if (repeats(&t[i])) MT_TRY(same_bytes(t[i].f, t[i + 1].f, err));
    mt_cache_write(name, "equal", 5);
    return MT_OK;
}

/* Marks repeats of an instance. */
static mt_status find_twins(bool *repeat, const mt_dicom_folder *folder, const mt_dicom_group *g, mt_err *err)
{
    MT_AUTO_FREE twin *t = NULL;
    bool any = false;
    MT_TRY(mt_alloc(&t, g->n, sizeof *t, SIZE_MAX, "files", err));
    for (uint32_t i = 0; i < g->n; i++) t[i] = (twin){&folder->files[g->files[i]], i};
    qsort(t, g->n, sizeof *t, by_instance);
    for (uint32_t i = 0; i + 1 < g->n; i++)
        if (repeats(&t[i])) any = repeat[t[i + 1].i] = true;
    return any ? compare_twins(t, g->n, err) : MT_OK;
}

/* Before anything is inflated. */
static mt_status check_inflated(const mt_dicom_slide *ds, mt_err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < ds->n_parts; i++) total += ds->parts[i].facts.inflated;
    if (total <= MT_DICOM_MAX_INFLATED) return MT_OK;
    return mt_err_set(err, MT_ERR_LIMIT, "the deflated files of the slide hold %llu bytes; at most %zu are "
                      "held in memory", (unsigned long long)total, MT_DICOM_MAX_INFLATED);
}

static mt_status take_parts(mt_slide *s, mt_dicom_folder *folder, const mt_dicom_group *g, mt_err *err)
{
    mt_dicom_slide *ds = s->impl;
    MT_AUTO_FREE bool *repeat = NULL;
    MT_TRY(mt_alloc(&repeat, g->n, 1, SIZE_MAX, "files", err));
    MT_TRY(find_twins(repeat, folder, g, err));
    MT_TRY(mt_alloc(&ds->parts, g->n, sizeof *ds->parts, SIZE_MAX, "files", err));
    MT_TRY(mt_alloc(&s->files.names, g->n, sizeof *s->files.names, SIZE_MAX, "files", err));
    for (uint32_t i = 0; i < g->n; i++) {
        const mt_dicom_file *f = &folder->files[g->files[i]];
        char *name = repeat[i] ? NULL : strdup(f->path), *path = name ? strdup(f->path) : NULL;
        if (repeat[i]) continue;
        if (name) s->files.names[s->files.n++] = name;
        if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "files");
        s->files.bytes += f->facts.stamp.size;
        ds->parts[ds->n_parts++] = (mt_dicom_part){.path = path, .facts = f->facts, .map = MT_MAP_INIT};
    }
    return check_inflated(ds, err);
}

/* ---- what the slide says of itself ---- */

static double within(double mpp) { return mpp >= 0.01 && mpp <= 100.0 ? mpp : 0.0; }

static void read_spacing(mt_slide_info *info, const mt_dicom_facts *f)
{
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
             "Pixel Spacing (0028,0030), Imaged Volume Width and Height (0048,0001) (0048,0002)");
    const double x = within(1000 * f->spacing_x), y = within(1000 * f->spacing_y),
                 vx = within(1000 * f->volume_w / (double)f->width),
                 vy = within(1000 * f->volume_h / (double)f->height);
    if (x > 0 && y > 0) {
        info->mpp_x = x;
        info->mpp_y = y;
        snprintf(info->mpp_source, sizeof info->mpp_source, "dicom.PixelSpacing");
        if (vx > 0 && vy > 0 && (fabs(vx / x - 1) > 0.02 || fabs(vy / y - 1) > 0.02))
            mt_slide_warn(info, "Pixel Spacing says %.4g x %.4g um/px, the imaged volume %.4g x %.4g; the "
                          "former is used", x, y, vx, vy);
    } else if (vx > 0 && vy > 0) {
        info->mpp_x = vx;
        info->mpp_y = vy;
        snprintf(info->mpp_source, sizeof info->mpp_source, "dicom.ImagedVolumeWidth");
    }
}

/* Lower levels that state the spacing of another one. */
static void check_spacings(mt_slide_info *info, const mt_dicom_slide *ds)
{
    for (int i = 1; i < ds->n_levels && info->mpp_x > 0; i++) {
        const mt_dicom_facts *f = &ds->parts[ds->levels[i].first_part].facts;
        const double is = 1000 * f->spacing_x,
                     want = info->mpp_x * (double)info->levels[0].width / (double)f->width;
        const double slack = 0.02 + 1.0 / (double)MT_MIN(f->width, f->height);
        if (is > 0 && fabs(is / want - 1) > slack)
            mt_slide_warn(info, "level %d states %.4g um/px, its size says %.4g; used %.4g", i, is, want, want);
    }
}

/* PCS values of 16 bits, D50, to sRGB. */
static void lab_to_rgb(uint8_t rgb[3], const uint32_t lab[3])
{
    const double l = lab[0] / 65535.0 * 100, a = lab[1] / 257.0 - 128, b = lab[2] / 257.0 - 128;
    const double fy = (l + 16) / 116, f[3] = {fy + a / 500, fy, fy - b / 200};
    static const double white[3] = {0.9642, 1, 0.8249};
    static const double m[3][3] = {{3.1339, -1.6169, -0.4906}, {-0.9788, 1.9161, 0.0335}, {0.0719, -0.2290, 1.4052}};
    double xyz[3];
    for (int i = 0; i < 3; i++)
        xyz[i] = white[i] * (f[i] > 6.0 / 29 ? f[i] * f[i] * f[i] : (f[i] - 16.0 / 116) * 108 / 841);
    for (int i = 0; i < 3; i++) {
        const double v = m[i][0] * xyz[0] + m[i][1] * xyz[1] + m[i][2] * xyz[2];
        const double s = v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
        rgb[i] = (uint8_t)(s <= 0 ? 0 : s >= 1 ? 255 : (int)(255 * s + 0.5));
    }
}

static void describe(mt_slide *s, mt_dicom_slide *ds)
{
    mt_slide_info *info = &s->info;
    const mt_dicom_facts *f = &ds->parts[ds->levels[0].first_part].facts;
    for (int i = 0; i < ds->n_levels; i++) {
        const mt_dicom_level *l = &ds->levels[i];
        mt_level *to = &info->levels[i];
        to->width = l->width;
        to->height = l->height;
        to->tile_w = l->tile_w;
        to->tile_h = l->tile_h;
        snprintf(to->codec, sizeof to->codec, "%s", mt_codec_name(l->coding.codec));
    }
    info->n_levels = ds->n_levels;
    mt_slide_finish_levels(info);
    snprintf(info->vendor, sizeof info->vendor, "dicom");
    snprintf(info->scanner, sizeof info->scanner, "%s", f->scanner);
    snprintf(info->stain, sizeof info->stain, "%s", f->stain);
    snprintf(info->organ, sizeof info->organ, "%s", f->organ);
    info->objective = f->objective;
    info->icc_bytes = (int)f->icc_bytes;
    info->file_bytes = s->files.bytes;
    info->fluorescence = f->samples == 1 || f->fluorescent;
    read_spacing(info, f);
    check_spacings(info, ds);
    memset(ds->absent, info->fluorescence ? 0 : 255, sizeof ds->absent);
    if (f->has_absent && !info->fluorescence) lab_to_rgb(ds->absent, f->absent_lab);
    if (!f->icc_bytes && f->samples == 3) mt_slide_warn(info, "no ICC profile (0028,2000); sRGB is assumed");
    if (f->palette && f->samples == 1)
        mt_slide_warn(info, "the display palettes of the optical paths are not applied; grey values are "
                      "shown");
}

/* Known from the index, fresh or kept. */
static void warn_tables(mt_slide_info *info, const mt_dicom_slide *ds)
{
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        const mt_dicom_part *p = &ds->parts[i];
        if (p->frames.doubtful && p->facts.kind == MT_DICOM_VOLUME)
            mt_slide_warn(info, "the offset table of the image of %lld x %lld pixels is wrong and was not "
                          "used", (long long)p->facts.width, (long long)p->facts.height);
    }
}

/* A level whose header cannot be followed is missed only by whoever knows that it was there. */
static void warn_broken(mt_slide_info *info, const mt_dicom_folder *folder, const mt_dicom_facts *base)
{
    for (size_t i = 0; i < folder->n; i++) {
        const mt_dicom_file *f = &folder->files[i];
        if (f->facts.kind == MT_DICOM_BROKEN && mt_dicom_same(f->facts.series, base->series))
            mt_slide_warn(info, "a file of this series cannot be read: %.110s", f->why);
    }
}

static mt_status open_group(mt_slide *s, mt_dicom_folder *folder, const mt_dicom_group *g,
                            const mt_slide_opts *opts, mt_err *err)
{
    mt_dicom_slide *ds = s->impl;
    MT_TRY(take_parts(s, folder, g, err));
    warn_broken(&s->info, folder, &folder->files[g->base].facts);
    if (!recall_frames(ds)) {
        MT_TRY(read_all_frames(ds, &s->info, err));
        remember_frames(ds);
    }
    warn_tables(&s->info, ds);
    MT_TRY(mt_dicom_levels_make(ds, &s->info, opts, err));
    if (!ds->n_levels) return mt_err_set(err, MT_ERR_UNSUPPORTED, "no level of this slide can be read");
    mt_file_list_sort(&s->files);
    describe(s, ds);
    return MT_OK;
}

/* ---- which group ---- */

static char *folder_of(const char *path)
{
    const char *base = mt_path_base(path);
    if (base == path) return strdup(".");
    return mt_strf("%.*s", (int)MT_MAX(base - path - 1, 1), path);
}

static const mt_dicom_file *file_at(const mt_dicom_folder *folder, const char *path)
{
    mt_dicom_stamp stamp;
    const char *base = mt_path_base(path);
    for (size_t i = 0; i < folder->n; i++)
        if (!strcmp(mt_path_base(folder->files[i].path), base)) return &folder->files[i];
    if (!mt_dicom_stamp_of(&stamp, path)) return NULL; /* a hidden name, perhaps: by what it is */
    for (size_t i = 0; i < folder->n; i++)
        if (!memcmp(&stamp, &folder->files[i].facts.stamp, sizeof stamp)) return &folder->files[i];
    return NULL;
}

static const mt_dicom_group *group_with(const mt_dicom_groups *groups, uint32_t file)
{
    for (size_t g = 0; g < groups->n; g++)
        for (uint32_t i = 0; i < groups->v[g].n; i++)
            if (groups->v[g].files[i] == file) return &groups->v[g];
    return NULL;
}

static mt_status no_group(const mt_dicom_file *f, mt_err *err)
{
    static const char *const kinds[] = {[MT_DICOM_THUMBNAIL] = "THUMBNAIL", [MT_DICOM_OVERVIEW] = "OVERVIEW",
                                        [MT_DICOM_LABEL] = "LABEL"};
    switch (f->facts.kind) {
    case MT_DICOM_THUMBNAIL:
    case MT_DICOM_OVERVIEW:
    case MT_DICOM_LABEL:
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "a %s image, and no VOLUME image of its slide lies in "
                          "the folder", kinds[f->facts.kind]);
    default: break;
    }
    if (f->fault) return mt_err_set(err, f->fault, "%s", f->why);
    return mt_err_set(err, MT_ERR_UNSUPPORTED, "DICOM, but no whole-slide image: SOP Class UID (0008,0016) "
                      "\"%s\"%s", f->facts.class_uid,
                      !strcmp(f->facts.class_uid, "1.2.840.10008.5.1.4.1.1.77.1.6")
                          ? ", Image Type (0008,0008) of no known flavour" : "");
}

static mt_status choose_group(const mt_dicom_group **out, const mt_dicom_folder *folder,
                              const mt_dicom_groups *groups, const char *path, bool is_folder, mt_err *err)
{
    *out = NULL;
    if (!is_folder) {
        const mt_dicom_file *f = file_at(folder, path);
        if (!f) return mt_err_set(err, MT_ERR_NOT_FOUND, "the file went away");
        *out = group_with(groups, (uint32_t)(f - folder->files));
        return *out ? MT_OK : no_group(f, err);
    }
    if (groups->n == 1) {
        *out = &groups->v[0];
        return MT_OK;
    }
    if (!groups->n)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "a folder without a DICOM slide (%zu files, %zu of them "
                          "DICOM)", folder->looked_at, folder->n);
    return mt_err_set(err, MT_ERR_ARG, "the folder holds %zu DICOM slides: name one by any file of it",
                      groups->n);
}

mt_status mt_dicom_open(mt_slide *s, const char *path, bool is_folder, const mt_slide_opts *opts, mt_err *err)
{
    MT_AUTO(mt_dicom_folder_free) mt_dicom_folder folder = {0};
    MT_AUTO(mt_dicom_groups_free) mt_dicom_groups groups = {0};
    MT_AUTO_FREE char *dir = is_folder ? strdup(path) : folder_of(path);
    const mt_dicom_group *g;
    if (!dir) return mt_err_set(err, MT_ERR_NO_MEMORY, "path");
    MT_TRY(mt_dicom_folder_read(&folder, dir, is_folder ? NULL : path, err));
    MT_TRY(mt_dicom_groups_make(&groups, &folder, err));
    MT_TRY(choose_group(&g, &folder, &groups, path, is_folder, err));
    return open_group(s, &folder, g, opts, err);
}

/* ---- the slides of a folder ---- */

void mt_slide_list_free(mt_slide_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        for (size_t k = 0; k < l->slides[i].n_files; k++) free(l->slides[i].files[k]);
        free(l->slides[i].files);
        free(l->slides[i].path);
    }
    for (size_t i = 0; i < l->n_others; i++) free(l->others[i]);
    free(l->slides);
    free(l->others);
    *l = (mt_slide_list){NULL, 0, NULL, 0};
}

static mt_status list_slide(mt_found_slide *to, const mt_dicom_folder *folder, const mt_dicom_group *g,
                            bool *used, mt_err *err)
{
    MT_TRY(mt_alloc(&to->files, g->n, sizeof *to->files, SIZE_MAX, "slides of a folder", err));
    to->path = strdup(folder->files[g->base].path);
    for (uint32_t i = 0; to->path && i < g->n; i++) {
        used[g->files[i]] = true;
        if ((to->files[i] = strdup(folder->files[g->files[i]].path))) to->n_files++;
        else break;
    }
    return to->n_files == g->n ? MT_OK : mt_err_set(err, MT_ERR_NO_MEMORY, "slides of a folder");
}

static mt_status list_all(mt_slide_list *out, const mt_dicom_folder *folder, const mt_dicom_groups *groups,
                          mt_err *err)
{
    MT_AUTO_FREE bool *used = NULL;
    MT_TRY(mt_alloc(&used, folder->n, 1, SIZE_MAX, "slides of a folder", err));
    MT_TRY(mt_alloc(&out->slides, groups->n, sizeof *out->slides, SIZE_MAX, "slides of a folder", err));
    for (; out->n < groups->n; ) {
        mt_status st = list_slide(&out->slides[out->n], folder, &groups->v[out->n], used, err);
        out->n++;
        MT_TRY(st);
    }
    MT_TRY(mt_alloc(&out->others, folder->n, sizeof *out->others, SIZE_MAX, "slides of a folder", err));
    for (size_t i = 0; i < folder->n; i++)
        if (!used[i] && !(out->others[out->n_others++] = strdup(folder->files[i].path)))
            return mt_err_set(err, MT_ERR_NO_MEMORY, "slides of a folder");
    return MT_OK;
}

mt_status mt_slide_find(mt_slide_list *out, const char *dir, mt_err *err)
{
    *out = (mt_slide_list){NULL, 0, NULL, 0};
    MT_AUTO(mt_dicom_folder_free) mt_dicom_folder folder = {0};
    MT_AUTO(mt_dicom_groups_free) mt_dicom_groups groups = {0};
    MT_TRY(mt_dicom_folder_read(&folder, dir, NULL, err));
    MT_TRY(mt_dicom_groups_make(&groups, &folder, err));
    mt_status st = list_all(out, &folder, &groups, err);
    if (st != MT_OK) mt_slide_list_free(out);
    return st;
}
