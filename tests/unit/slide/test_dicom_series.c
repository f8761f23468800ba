/* DICOM folders made here: which files are one slide, what it says of itself, what is remembered. */
#include "dicom_made.h"
#include "slide/dicom/dicom.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* A level of a pyramid whose level 0 is 200 x 160. */
static const char *level(const char *dir, const char *name, int step, dm_image im)
{
    char instance[64];
    snprintf(instance, sizeof instance, "1.2.77.%d.%s", step, im.instance ? im.instance : "1");
    im.instance = instance;
    im.width = (200 + step - 1) / step;
    im.height = (160 + step - 1) / step;
    im.columns = im.columns ? im.columns : 64;
    im.rows = im.rows ? im.rows : 48;
    if (!(im.spacing_x > 0)) im.spacing_x = im.spacing_y = 0.0005 * step;
    cut c = {.n = 0};
    cut_raw(&c, step, &im);
    const char *path = put(dir, name, &im, &c);
    cut_free(&c);
    return path;
}

static void image(const char *dir, const char *name, const char *flavour, int n, dm_image im)
{
    char instance[64];
    snprintf(instance, sizeof instance, "1.2.78.%d", n);
    im.instance = instance;
    im.flavour = flavour;
    im.width = im.columns = 30 + n;
    im.height = im.rows = 20;
    cut c = {.n = 0};
    cut_raw(&c, n, &im);
    put(dir, name, &im, &c);
    cut_free(&c);
}

static void write_text(const char *path, const char *s)
{
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_file_write(path, s, strlen(s), &err), &err);
}

static int n_files(const mt_slide *s)
{
    int n = 0;
    while (mt_slide_file(s, n)) n++;
    return n;
}

static void pyramid(void **state)
{
    const char *dir = fresh_dir();
    const dm_image im = {.icc = 20, .n_paths = 1, .stain = true};
    level(dir, "z.dcm", 1, im);
    level(dir, "a", 4, im);
    level(dir, "m.dcm", 2, im);
    image(dir, "label.dcm", "LABEL", 1, (dm_image){.n_paths = 3});
    image(dir, "over", "OVERVIEW", 2, (dm_image){0});
    image(dir, "thumb", "THUMBNAIL", 3, (dm_image){0});
    image(dir, "other", "REGIONLOCALIZER", 4, (dm_image){0});
    image(dir, "sr.dcm", "SR", 5, (dm_image){.class_uid = "1.2.840.10008.5.1.4.1.1.88.34"});
    image(dir, "DICOMDIR", "DIR", 6, (dm_image){.class_uid = "1.2.840.10008.1.3.10"});
    write_text(in(dir, "junk.txt"), "no slide");
    write_text(in(dir, "empty.dcm"), "");
    make_dir(in(dir, "folder.dcm"));
    static const char *const ways[] = {"", "z.dcm", "a", "label.dcm", "thumb"};
    for (size_t i = 0; i < MT_COUNT(ways); i++) {
        mt_slide *s = open_one(in(dir, ways[i]));
        const mt_slide_info *info = mt_slide_get_info(s);
        assert_int_equal(info->n_levels, 3);
        for (int l = 0; l < 3; l++) {
            assert_int_equal(info->levels[l].width, 200 >> l);
            shows(s, l, 1 << l, 0);
        }
        assert_int_equal(n_files(s), 6);
        assert_string_equal(mt_path_base(mt_slide_file(s, 0)), "a");
        assert_string_equal(mt_path_base(mt_slide_file(s, 5)), "z.dcm");
        assert_int_equal(info->n_associated, 3);
        assert_string_equal(info->associated[0].name, "label");
        assert_string_equal(info->associated[1].name, "macro");
        assert_string_equal(info->associated[2].name, "thumbnail");
        assert_true(info->mpp_x == 0.5 && info->mpp_y == 0.5 && info->objective == 20);
        assert_string_equal(info->mpp_source, "dicom.PixelSpacing");
        assert_string_equal(info->scanner, "Maker Model 7");
        assert_string_equal(info->stain, "H&E");
        assert_string_equal(info->vendor, "dicom");
        assert_int_equal(info->n_warnings, 0);
        assert_int_equal(info->fluorescence, 0);
        uint8_t *rgb = NULL, want[3];
        int64_t w, h;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_slide_read_associated(&rgb, &w, &h, s, "macro", &err), &err);
        assert_true(w == 32 && h == 20);
        pixel(want, 2, 31, 19);
        assert_memory_equal(rgb + 3 * (32 * 20 - 1), want, 3);
        free(rgb);
        mt_slide_close(&s);
    }
    refused(in(dir, "sr.dcm"), MT_ERR_UNSUPPORTED, "no whole-slide image");
    refused(in(dir, "other"), MT_ERR_UNSUPPORTED, "flavour");
    mt_slide_list list;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_find(&list, tt_tmp_file(dir), &err), &err);
    assert_int_equal(list.n, 1);
    assert_string_equal(mt_path_base(list.slides[0].path), "z.dcm");
    assert_int_equal(list.slides[0].n_files, 6);
    assert_int_equal(list.n_others, 3);
    mt_slide_list_free(&list);
}

/* What separates slides: study, series, pyramid, glass. */
static void several(void **state)
{
    static const dm_image apart[][2] = {
        {{.study = "1.2.3"}, {.study = "1.2.4"}},
        {{.series = "1.2.3.1"}, {.series = "1.2.3.2"}},
        {{.pyramid = "1.5.1"}, {.pyramid = "1.5.2"}},
        {{.container = "G1"}, {.container = "G2"}}};
    for (size_t i = 0; i < MT_COUNT(apart); i++) {
        const char *dir = fresh_dir();
        for (int k = 0; k < 2; k++)
            for (int step = 1; step <= 2; step++) {
                char name[16];
                snprintf(name, sizeof name, "%c%d.dcm", "ba"[k], step);
                dm_image im = apart[i][k];
                im.instance = k ? "2" : "1";
                level(dir, name, step, im);
            }
        refused(tt_tmp_file(dir), MT_ERR_ARG, "holds 2 DICOM slides");
        mt_slide *s = open_one(in(dir, "a2.dcm"));
        assert_int_equal(n_files(s), 2);
        assert_string_equal(mt_path_base(mt_slide_file(s, 0)), "a1.dcm");
        mt_slide_close(&s);
        mt_slide_list list;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_slide_find(&list, tt_tmp_file(dir), &err), &err);
        assert_int_equal(list.n, 2);
        assert_string_equal(mt_path_base(list.slides[0].path), "a1.dcm");
        assert_string_equal(mt_path_base(list.slides[1].path), "b1.dcm");
        mt_slide_list_free(&list);
    }
    const char *empty = fresh_dir();
    write_text(in(empty, "x"), "no slide");
    refused(tt_tmp_file(empty), MT_ERR_UNSUPPORTED, "without a DICOM slide (1 files, 0 of them DICOM)");
}

/* A level that forgot its glass goes with the others; a label of another series goes by its glass. */
static void by_glass(void **state)
{
    const char *dir = fresh_dir();
    level(dir, "1", 1, (dm_image){.container = "G1"});
    level(dir, "2", 2, (dm_image){.nameless_container = true});
    level(dir, "3", 1, (dm_image){.container = "G2", .series = "1.2.3.9", .instance = "9"});
    image(dir, "4", "LABEL", 1, (dm_image){.container = "G2", .series = "1.2.3.5"});
    image(dir, "5", "LABEL", 2, (dm_image){.nameless_container = true, .series = "1.2.3.6"}); /* whose? */
    mt_slide *s = open_one(in(dir, "2"));
    assert_int_equal(n_files(s), 2);
    assert_int_equal(mt_slide_get_info(s)->n_associated, 0);
    mt_slide_close(&s);
    s = open_one(in(dir, "4"));
    assert_int_equal(n_files(s), 2);
    assert_string_equal(mt_path_base(mt_slide_file(s, 0)), "3");
    assert_int_equal(mt_slide_get_info(s)->n_associated, 1);
    mt_slide_close(&s);
    refused(in(dir, "5"), MT_ERR_UNSUPPORTED, "a LABEL image");
}

/* A hidden file is no part of a slide, unless it is named. */
static void hidden(void **state)
{
    const char *dir = fresh_dir();
    level(dir, ".h.dcm", 1, (dm_image){.series = "1.2.3.9", .instance = "9"});
    level(dir, "v.dcm", 1, (dm_image){0});
    mt_slide *s = open_one(tt_tmp_file(dir));
    assert_string_equal(mt_path_base(mt_slide_file(s, 0)), "v.dcm");
    mt_slide_close(&s);
    s = open_one(in(dir, ".h.dcm"));
    assert_int_equal(n_files(s), 1);
    assert_string_equal(mt_path_base(mt_slide_file(s, 0)), ".h.dcm");
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
}

/* Thousands of slides of one series and as many labels that name none of them: the work and the lists
 * stay in proportion. */
static void many_labels(void **state)
{
    enum { SLIDES = 3000 };
    mt_dicom_folder folder = {.files = calloc(2 * SLIDES, sizeof *folder.files), .n = 2 * SLIDES};
    mt_dicom_groups groups;
    mt_err err = MT_ERR_INIT;
    assert_non_null(folder.files);
    for (uint32_t i = 0; i < 2 * SLIDES; i++) {
        mt_dicom_facts *f = &folder.files[i].facts;
        f->kind = i < SLIDES ? MT_DICOM_VOLUME : MT_DICOM_LABEL;
        f->study = (mt_dicom_id){7, 7};
        f->series = (mt_dicom_id){8, 8};
        if (i < SLIDES) f->container = (mt_dicom_id){1, i + 1};
        /* one of them names its glass */
        if (i == SLIDES + 5) f->container = (mt_dicom_id){1, 100};
    }
    tt_ok(mt_dicom_groups_make(&groups, &folder, &err), &err);
    assert_int_equal(groups.n, SLIDES);
    for (size_t g = 0; g < SLIDES; g++) {
        const mt_dicom_group *to = &groups.v[g];
        assert_true(to->n_volume == 1 && to->n == 17 && to->files[0] == g);
        assert_int_equal(to->files[6], SLIDES + (g == 99 ? 5 : 6));
    }
    mt_dicom_groups_free(&groups);
    free(folder.files);
}

/* Two files with one identity: one slide when they are equal, an error when they are not. */
static void twins(void **state)
{
    const char *dir = fresh_dir();
    level(dir, "a", 1, (dm_image){0});
    level(dir, "b", 1, (dm_image){0});
    mt_slide *s = open_one(in(dir, "a"));
    assert_int_equal(n_files(s), 1);
    assert_int_equal(mt_slide_get_info(s)->n_warnings, 1); /* of the profile */
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
    level(dir, "b", 1, (dm_image){.icc = 10});
    refused(in(dir, "a"), MT_ERR_FORMAT, "same SOP Instance UID");
}

static void spacings(void **state)
{
    const char *dir = fresh_dir();
    level(dir, "1", 1, (dm_image){.icc = 4});
    level(dir, "2", 4, (dm_image){.spacing_x = 0.0005, .spacing_y = 0.0005});
    mt_slide *s = open_one(tt_tmp_file(dir));
    assert_true(warns(s, "level 1 states 0.5 um/px, its size says 2"));
    assert_int_equal(mt_slide_get_info(s)->n_warnings, 1);
    mt_slide_close(&s);
}

/* A coarser level that cannot be read is left out with a word; the finest one cannot be. */
static void damaged_level(void **state)
{
    const char *dir = fresh_dir();
    level(dir, "1", 1, (dm_image){.icc = 4});
    level(dir, "2", 2, (dm_image){.syntax = "1.2.840.10008.1.2.4.201"});
    mt_slide *s = open_one(tt_tmp_file(dir));
    assert_int_equal(mt_slide_get_info(s)->n_levels, 1);
    assert_true(warns(s, "100 x 80 pixels are left out"));
    mt_slide_close(&s);
    level(dir, "1", 1, (dm_image){.syntax = "1.2.840.10008.1.2.4.201"});
    refused(tt_tmp_file(dir), MT_ERR_UNSUPPORTED, "200 x 160 pixels: transfer syntax");
    /* A header that breaks off belongs to the series it names. */
    level(dir, "1", 1, (dm_image){.icc = 4});
    mt_err err = MT_ERR_INIT;
    uint8_t *data = NULL;
    size_t n;
    level(dir, "2", 2, (dm_image){0});
    tt_ok(mt_file_read(&data, &n, in(dir, "2"), SIZE_MAX / 2, &err), &err);
    tt_ok(mt_file_write(in(dir, "2"), data, 500, &err), &err);
    free(data);
    s = open_one(tt_tmp_file(dir));
    assert_true(warns(s, "a file of this series cannot be read"));
    mt_slide_close(&s);
    refused(in(dir, "2"), MT_ERR_FORMAT, "");
}

/* An instance that does not say its size is left out where others make the slide. */
static void no_size(void **state)
{
    const char *dir = fresh_dir();
    level(dir, "2", 2, (dm_image){.no_matrix = true});
    refused(tt_tmp_file(dir), MT_ERR_FORMAT, "total pixel matrix (0048,0006) (0048,0007) of 0 x 0");
    level(dir, "1", 1, (dm_image){.icc = 4});
    mt_slide *s = open_one(tt_tmp_file(dir));
    assert_int_equal(mt_slide_get_info(s)->n_levels, 1);
    assert_true(warns(s, "an image is left out: total pixel matrix"));
    assert_int_equal(mt_slide_get_info(s)->n_warnings, 1);
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
}

/* A label that is there and cannot be read is told, unless another one can. */
static void unreadable_images(void **state)
{
    const char *dir = fresh_dir();
    level(dir, "1", 1, (dm_image){.icc = 4});
    image(dir, "label", "LABEL", 1, (dm_image){.syntax = "1.2.840.10008.1.2.4.201"}); /* of its codec */
    image(dir, "thumb", "THUMBNAIL", 2, (dm_image){.syntax = "1.2.840.10008.1.2.4.50", .say_frames = 3});
    image(dir, "macro", "OVERVIEW", 3, (dm_image){.no_pixels = true});
    mt_slide *s = open_one(tt_tmp_file(dir));
    assert_int_equal(mt_slide_get_info(s)->n_associated, 0);
    assert_true(warns(s, "the label image cannot be read: transfer syntax"));
    assert_true(warns(s, "the thumbnail image cannot be read: the pixel data has 1 fragments for 3"));
    assert_true(warns(s, "the macro image cannot be read: no pixel data"));
    assert_int_equal(mt_slide_get_info(s)->n_warnings, 3);
    mt_slide_close(&s);
    image(dir, "label2", "LABEL", 4, (dm_image){0});
    image(dir, "thumb2", "THUMBNAIL", 5, (dm_image){0});
    image(dir, "macro0", "OVERVIEW", 6, (dm_image){0});
    s = open_one(tt_tmp_file(dir));
    assert_int_equal(mt_slide_get_info(s)->n_associated, 3);
    assert_int_equal(mt_slide_get_info(s)->associated[0].width, 34);
    assert_int_equal(mt_slide_get_info(s)->n_warnings, 0);
    mt_slide_close(&s);
}

static void display_palettes(void **state)
{
    const char *dir = fresh_dir();
    const dm_image im = {.width = 8, .height = 8, .columns = 8, .rows = 8, .samples = 1, .n_paths = 1,
                         .palette = true, .epifluorescence = true, .absent_lab = {1, 1, 1}};
    uint8_t grey[64];
    for (int i = 0; i < 64; i++) grey[i] = (uint8_t)(4 * i);
    cut c = {.n = 0};
    add_frame(&c, grey, sizeof grey);
    mt_slide *s = open_one(put(dir, "a", &im, &c));
    assert_true(warns(s, "palettes"));
    assert_int_equal(mt_slide_get_info(s)->fluorescence, 1);
    pixel_is(s, 5, 2, 84, 84, 84);
    mt_slide_close(&s);
    cut_free(&c);
}

/* ---- the cache ---- */

static int cached(const char *dir, char last[512])
{
    int n = 0;
    DIR *d = opendir(dir);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            n++;
            snprintf(last, 512, "%.200s/%s", dir, e->d_name);
        }
    closedir(d);
    return n;
}

static void opens_and_shows(const char *dir, int levels)
{
    mt_slide *s = open_one(tt_tmp_file(dir));
    assert_int_equal(mt_slide_get_info(s)->n_levels, levels);
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
}

static void cache(void **state)
{
    const char *dir = fresh_dir();
    char store[512], file[512], kept[512];
    struct stat sb;
    snprintf(store, sizeof store, "%s/cache/deep", tt_tmp());
    setenv("MICROTOME_CACHE", store, 1);
    level(dir, "1", 1, (dm_image){0});
    opens_and_shows(dir, 1);
    assert_int_equal(cached(store, file), 0); /* not worth it */
    for (int i = 0; i < 80; i++) { /* files of other kinds are remembered too */
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        if (i % 2) write_text(in(dir, name), "no slide");
        else image(dir, name, "SR", i, (dm_image){.class_uid = "1.2.840.10008.5.1.4.1.1.88.34"});
    }
    opens_and_shows(dir, 1);
    assert_int_equal(cached(store, file), 1);
    assert_int_equal(stat(file, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_int_equal(stat(store, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    snprintf(kept, sizeof kept, "%s", file);
    /* Nothing of the patient, nor an identifier. */
    mt_err err = MT_ERR_INIT;
    uint8_t *data = NULL;
    size_t n;
    tt_ok(mt_file_read(&data, &n, kept, SIZE_MAX / 2, &err), &err);
    static const char *const secrets[] = {"DOE", "GLASS", "1.2.3", "1.2.77", "1.2.78", "f40"};
    for (size_t i = 0; i < MT_COUNT(secrets); i++)
        assert_null(memmem(data, n, secrets[i], strlen(secrets[i])));
    opens_and_shows(dir, 1); /* from it */
    /* A file that changes is looked at again. */
    level(dir, "2", 2, (dm_image){0});
    opens_and_shows(dir, 2);
    level(dir, "1", 1, (dm_image){.columns = 32});
    opens_and_shows(dir, 2);
    /* Damaged, cut, somebody else's to write: as if it were not there. */
    for (size_t at = 0; at < n; at += n / 23 + 1) {
        uint8_t *bad = malloc(n);
        assert_non_null(bad);
        memcpy(bad, data, n);
        bad[at] ^= 0x10;
        tt_ok(mt_file_write(kept, bad, n - (at % 3 == 2), &err), &err);
        free(bad);
        opens_and_shows(dir, 2);
    }
    /* Whole, but of a slide that looks otherwise: stamps tell. */
    tt_ok(mt_file_write(kept, data, n, &err), &err);
    assert_int_equal(chmod(kept, 0600), 0);
    opens_and_shows(dir, 2);
    free(data);
    /* A place that cannot be written is no error; neither is none. */
    setenv("MICROTOME_CACHE", "/proc/none", 1);
    opens_and_shows(dir, 2);
    setenv("MICROTOME_CACHE", "off", 1);
    opens_and_shows(dir, 2);
}

/* A file rewritten in its place, as large as before and with its old time, is another file. */
static void cache_sees_rewriting(void **state)
{
    const char *dir = fresh_dir();
    char store[512], file[512];
    struct stat sb;
    snprintf(store, sizeof store, "%s/cache4", tt_tmp());
    setenv("MICROTOME_CACHE", store, 1);
    level(dir, "1", 1, (dm_image){0});
    for (int i = 0; i < 80; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        write_text(in(dir, name), "no slide");
    }
    const char *path = in(dir, "1");
    opens_and_shows(dir, 1);
    assert_int_equal(cached(store, file), 1);
    mt_err err = MT_ERR_INIT;
    uint8_t *data = NULL;
    size_t n;
    tt_ok(mt_file_read(&data, &n, path, SIZE_MAX / 2, &err), &err);
    const uint8_t *model = memmem(data, n, "Model 7", 7);
    assert_non_null(model);
    assert_int_equal(stat(path, &sb), 0);
    const int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "Model 9", 7, model - data), 7);
    const struct timespec times[2] = {sb.st_atim, sb.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    free(data);
    mt_slide *s = open_one(tt_tmp_file(dir));
    assert_string_equal(mt_slide_get_info(s)->scanner, "Maker Model 9");
    mt_slide_close(&s);
    setenv("MICROTOME_CACHE", "off", 1);
}

/* What killed writers have left is swept, what is being written is not, nor what is not ours. */
static void cache_leftovers(void **state)
{
    static const struct { const char *name; bool old, stays; } files[] = {
        {".dicom-files-0123456789abcdef.aB3xYz", true, false},
        {".dicom-frames-0123456789abcdef0123456789abcdef.aB3xYz", true, false},
        {".dicom-files-0123456789abcdef.aB3xYw", false, true},
        {".dicom-files-0123456789abcdeg.aB3xYz", true, true},
        {".dicom-files-0123456789abcdef.aB3xYzz", true, true},
        {".dicom-files-0123456789abcdef", true, true},
        {".profile", true, true},
    };
    char store[512], path[600];
    snprintf(store, sizeof store, "%s/cache5", tt_tmp());
    setenv("MICROTOME_CACHE", store, 1);
    assert_int_equal(mkdir(store, 0700), 0);
    for (size_t i = 0; i < MT_COUNT(files); i++) {
        snprintf(path, sizeof path, "%s/%s", store, files[i].name);
        write_text(path, "x");
        const struct timespec old[2] = {{time(NULL) - 7200, 0}, {time(NULL) - 7200, 0}};
        if (files[i].old) assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    }
    mt_cache_write("dicom-files-0123456789abcdef", "word", 4);
    for (size_t i = 0; i < MT_COUNT(files); i++) {
        snprintf(path, sizeof path, "%s/%s", store, files[i].name);
        if (mt_file_exists(path) != files[i].stays) fail_msg("%s", files[i].name);
    }
    setenv("MICROTOME_CACHE", "off", 1);
}

/* Opens a folder with so much address space. */
static mt_status open_narrow(const char *dir, size_t megabytes)
{
    mt_slide *s = NULL;
    tt_address_space(megabytes << 20);
    const mt_status st = mt_slide_open(&s, tt_tmp_file(dir), NULL, NULL);
    tt_address_space(0);
    mt_slide_close(&s);
    return st;
}

/* Names of files may be a patient's: no text of the slide says them. */
static void nameless(void **state)
{
    const char *dir = fresh_dir();
    uint8_t px[3];
    mt_err err = MT_ERR_INIT;
    level(dir, "z.dcm", 1, (dm_image){.n_paths = 1});
    level(dir, "DOE-JANE.dcm", 2, (dm_image){.n_paths = 1});
    mt_slide *s = open_one(in(dir, "z.dcm"));
    assert_int_equal(unlink(in(dir, "DOE-JANE.dcm")), 0);
    assert_int_equal(mt_slide_read_region(s, 1, 0, 0, 1, 1, px, 3, &err), MT_ERR_NOT_FOUND);
    assert_null(strstr(err.text, "DOE"));
    assert_non_null(strstr(err.text, "a file of the slide: cannot open"));
    mt_slide_close(&s);
}

/* That two large files are equal is found by reading them, once. */
static void twins_compared_once(void **state)
{
    tt_not_with_shadow();
    const char *dir = fresh_dir();
    char store[512], file[512];
    snprintf(store, sizeof store, "%s/cache6", tt_tmp());
    setenv("MICROTOME_CACHE", store, 1);
    const dm_image im = {.width = 4000, .height = 4000, .columns = 4000, .rows = 4000};
    uint8_t *px = calloc(4000 * 4000, 3);
    assert_non_null(px);
    cut c = {.n = 1, .frames = {{.data = px, .n = 4000 * 4000 * 3}}};
    const char *a = put(dir, "a", &im, &c), *b = put(dir, "b", &im, &c);
    assert_int_equal(open_narrow(dir, 20), MT_ERR_NO_MEMORY); /* not: no slide */
    assert_int_equal(open_narrow(dir, 70), MT_ERR_NO_MEMORY); /* room for one, both are wanted */
    mt_slide *s = open_one(a);
    mt_slide_close(&s);
    assert_int_equal(cached(store, file), 1);
    assert_non_null(strstr(file, "dicom-twins-"));
    assert_int_equal(open_narrow(dir, 70), MT_OK);
    /* Another file in the place of one is compared again. */
    px[4000 * 4000 * 3 - 1] = 1;
    put(dir, "b", &im, &c);
    refused(a, MT_ERR_FORMAT, "same SOP Instance UID");
    /* Two names of one file need no look. */
    setenv("MICROTOME_CACHE", "off", 1);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(link(a, b), 0);
    assert_int_equal(open_narrow(dir, 70), MT_OK);
    cut_free(&c);
}

/* Frames of a slide with many of them, and their places, are remembered too. */
static void cached_frames(void **state)
{
    const char *dir = fresh_dir();
    char store[512], file[512];
    snprintf(store, sizeof store, "%s/cache2", tt_tmp());
    setenv("MICROTOME_CACHE", store, 1);
    enum { SIDE = 70 };
    dm_image im = {.width = SIDE, .height = SIDE, .columns = 1, .rows = 1, .organization = "TILED_SPARSE"};
    dm_frame *frames = calloc(SIDE * SIDE, sizeof *frames);
    uint8_t *px = malloc(3 * SIDE * SIDE);
    assert_true(frames && px);
    for (int i = 0; i < SIDE * SIDE; i++) {
        pixel(px + 3 * i, 1, i % SIDE, i / SIDE);
        frames[i] = (dm_frame){.data = px + 3 * i, .n = 3, .x = 1 + i % SIDE, .y = 1 + i / SIDE};
    }
    im.frames = frames;
    im.n_frames = SIDE * SIDE;
    dm_write(in(dir, "a"), &im);
    mt_slide *s = open_one(tt_tmp_file(dir));
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
    assert_true(cached(store, file) >= 1);
    s = open_one(tt_tmp_file(dir));
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
    setenv("MICROTOME_CACHE", "off", 1);
    free(frames);
    free(px);
}

/* The folder of the cache may be one that holds other things. */
static void cache_neighbours(void **state)
{
    char store[512], path[600], name[64];
    uint8_t *data = NULL;
    size_t n;
    enum { OTHERS = 300 };
    snprintf(store, sizeof store, "%s/cache3", tt_tmp());
    setenv("MICROTOME_CACHE", store, 1);
    assert_int_equal(mkdir(store, 0700), 0);
    for (int i = 0; i < OTHERS; i++) {
        snprintf(path, sizeof path, "%s/dicom-export-%d.zip", store, i);
        write_text(path, "x");
    }
    for (int i = 0; i < OTHERS; i++) {
        snprintf(name, sizeof name, "dicom-files-%016x", i);
        mt_cache_write(name, "word", 4);
    }
    int ours = 0, others = 0;
    DIR *d = opendir(store);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        ours += !strncmp(e->d_name, "dicom-files-", 12);
        others += !strncmp(e->d_name, "dicom-export-", 13);
    }
    closedir(d);
    assert_int_equal(others, OTHERS);
    assert_int_equal(ours, 256);
    snprintf(name, sizeof name, "dicom-files-%016x", OTHERS - 1);
    assert_true(mt_cache_read(&data, &n, name) && n == 4 && !memcmp(data, "word", 4));
    free(data);
    snprintf(path, sizeof path, "%s/%s", store, name);
    assert_int_equal(chmod(path, 0620), 0); /* others may write it */
    assert_false(mt_cache_read(&data, &n, name));
    assert_int_equal(chmod(path, 0600), 0);
    snprintf(path, sizeof path, "%s/dicom-files-link", store);
    assert_int_equal(symlink(name, path), 0);
    assert_false(mt_cache_read(&data, &n, "dicom-files-link"));
    snprintf(path, sizeof path, "%s/dicom-files-pipe", store);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(mt_cache_read(&data, &n, "dicom-files-pipe"));
    setenv("MICROTOME_CACHE", "off", 1);
}

static void stems(void **state)
{
    char stem[64];
    const char *dir = fresh_dir();
    make_dir(in(dir, "case.1"));
    static const struct { const char *path, *stem; } ways[] = {
        {"/a/b.svs", "b"}, {"b.ome.tif", "b.ome"}, {"1.2.840.113619", "1.2.840.113619"}, {"12.5", "12"},
        {".hidden", ".hidden"}, {"1.2.840.dcm", "1.2.840"}};
    for (size_t i = 0; i < MT_COUNT(ways); i++) {
        mt_slide_stem(stem, sizeof stem, ways[i].path);
        assert_string_equal(stem, ways[i].stem);
    }
    mt_slide_stem(stem, sizeof stem, in(dir, "case.1/"));
    assert_string_equal(stem, "case.1");
    mt_slide_stem(stem, sizeof stem, in(dir, "case.1/.."));
    assert_string_equal(stem, dir);
}

/* ---- real files ---- */

static void real(void **state)
{
    const char *dicom = tt_data("dicom-wsi/cmu-1-small-region"), *svs = tt_data("slides/CMU-1-Small-Region.svs");
    if (!dicom || !svs) skip();
    mt_slide *a = open_one(dicom), *b = open_one(svs);
    assert_int_equal(mt_slide_get_info(a)->n_levels, 12);
    enum { W = 500, H = 500 }; /* the first frame */
    mt_err err = MT_ERR_INIT;
    uint8_t *x = malloc(3 * W * H), *y = malloc(3 * W * H);
    assert_true(x && y);
    tt_ok(mt_slide_read_region(a, 0, 0, 0, W, H, x, 3 * W, &err), &err);
    tt_ok(mt_slide_read_region(b, 0, 0, 0, W, H, y, 3 * W, &err), &err);
    double sum = 0;
    for (size_t i = 0; i < 3 * W * H; i++) sum += abs(x[i] - y[i]);
    sum /= 3.0 * W * H;
    if (sum < 0.90 || sum > 1.0) fail_msg("differs by %.3f grey levels from the SVS, not 0.95", sum);
    free(x);
    free(y);
    mt_slide_close(&a);
    mt_slide_close(&b);
}

/* The same picture twice: equal where the coding loses nothing, near where it does. */
static void twins_of_real_files(void **state)
{
    static const struct { const char *a, *b; double least, most; } pairs[] = {
        {"dicom-wsi/highdicom/sm_image.dcm", "dicom-wsi/highdicom/sm_image_jpegls.dcm", 0, 0},
        {"dicom-wsi/raw.dcm", "dicom-wsi/jpeg.dcm", 1.2, 2.6}};
    for (size_t k = 0; k < MT_COUNT(pairs); k++) {
        const char *p = tt_data(pairs[k].a), *q = tt_data(pairs[k].b);
        if (!p || !q) skip();
        mt_slide *a = open_one(p), *b = open_one(q);
        const mt_level *l = &mt_slide_get_info(a)->levels[0];
        const int w = (int)l->width, h = (int)l->height;
        const size_t n = 3 * (size_t)w * (size_t)h;
        mt_err err = MT_ERR_INIT;
        uint8_t *x = malloc(n), *y = malloc(n);
        assert_true(x && y);
        tt_ok(mt_slide_read_region(a, 0, 0, 0, w, h, x, 3 * (size_t)w, &err), &err);
        tt_ok(mt_slide_read_region(b, 0, 0, 0, w, h, y, 3 * (size_t)w, &err), &err);
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += abs(x[i] - y[i]);
        sum /= (double)n;
        if (sum < pairs[k].least || sum > pairs[k].most) fail_msg("%s: %.3f grey levels apart", pairs[k].b, sum);
        free(x);
        free(y);
        mt_slide_close(&a);
        mt_slide_close(&b);
    }
}

int main(void)
{
    setenv("MICROTOME_CACHE", "off", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pyramid), cmocka_unit_test(several), cmocka_unit_test(by_glass), cmocka_unit_test(many_labels), cmocka_unit_test(hidden),
        cmocka_unit_test(twins), cmocka_unit_test(twins_compared_once), cmocka_unit_test(nameless), cmocka_unit_test(no_size),
        cmocka_unit_test(unreadable_images), cmocka_unit_test(cache_sees_rewriting), cmocka_unit_test(cache_leftovers),
        cmocka_unit_test(spacings), cmocka_unit_test(damaged_level), cmocka_unit_test(display_palettes),
        cmocka_unit_test(cache), cmocka_unit_test(cached_frames), cmocka_unit_test(cache_neighbours),
        cmocka_unit_test(stems), cmocka_unit_test(real),
        cmocka_unit_test(twins_of_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
