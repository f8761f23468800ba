/* Directories that lie, loop or end early, as data: each is a small TIFF made of words, and the
 * sentence that must name its fault. */
#include "tests/unit/slide/made.h"

#include <stdio.h>
#include "slide/tiff/tiff_slide.h"

typedef struct tag { uint16_t id, type; uint64_t count, value; } tag;

typedef struct fault {
    const char *name;
    bool big_tiff, big_endian;
    uint64_t first;          /* offset of the first directory, 0 = right */
    uint64_t n_entries;      /* 0 = right */
    tag change[3];           /* put in place of (or added to) the sound ones */
    uint64_t next;           /* offset of the next directory */
    size_t cut;              /* keep so many bytes, 0 = all */
    mt_status want;
    const char *says;
} fault;

enum {
    SHORT = 3,
    LONG = 4,
    LONG8 = 16,
    PIXELS_AT = 1024,
    DIR_AT = 64,
    FILE_SIZE = 1024 + 16 * 16 * 3
};

/* 16 x 16 RGB, one uncompressed tile. */
static const tag sound[] = {
    {256, LONG, 1, 16},        {257, LONG, 1, 16},  {258, SHORT, 1, 8},  {259, SHORT, 1, 1},
    {262, SHORT, 1, 2},        {277, SHORT, 1, 3},  {322, SHORT, 1, 16}, {323, SHORT, 1, 16},
    {324, LONG, 1, PIXELS_AT}, {325, LONG, 1, 768},
};

static const fault faults[] = {
    {.name = "sound", .want = MT_OK},
    {.name = "sound, big-endian BigTIFF", .big_tiff = true, .big_endian = true, .want = MT_OK},
    {.name = "first directory past the end",
     .first = 5000,
     .want = MT_ERR_FORMAT,
     .says = "IFD 0: offset 5000"},
    {.name = "first directory at the last byte",
     .first = FILE_SIZE - 1,
     .want = MT_ERR_FORMAT,
     .says = "IFD 0"},
    {.name = "far offset in BigTIFF",
     .big_tiff = true,
     .first = UINT64_MAX - 3,
     .want = MT_ERR_FORMAT,
     .says = "IFD 0"},
    {.name = "directory leads to itself",
     .next = DIR_AT,
     .want = MT_ERR_FORMAT,
     .says = "leads back to IFD 0"},
    {.name = "next directory past the end",
     .next = 99999,
     .want = MT_ERR_FORMAT,
     .says = "IFD 1: offset 99999"},
    {.name = "no entries", .n_entries = 0x10000, .want = MT_ERR_FORMAT, .says = "0 entries"},
    {.name = "too many entries",
     .n_entries = 60000,
     .want = MT_ERR_FORMAT,
     .says = "60000 entries"},
    {.name = "entries past the end", .n_entries = 300, .want = MT_ERR_FORMAT, .says = "IFD 0"},
    {.name = "file cut in the directory",
     .cut = 120,
     .want = MT_ERR_FORMAT,
     .says = "middle of an entry"},
    {.name = "file cut before the pixels",
     .cut = PIXELS_AT + 100,
     .want = MT_ERR_FORMAT,
     .says = "end of the file"},
    {.name = "width 0", .change = {{256, LONG, 1, 0}}, .want = MT_ERR_FORMAT, .says = "0 x 16"},
    {.name = "width as text",
     .change = {{256, 2, 1, 16}},
     .want = MT_ERR_FORMAT,
     .says = "tag 256"},
    {.name = "width of no values",
     .change = {{256, LONG, 0, 16}},
     .want = MT_ERR_FORMAT,
     .says = "tag 256"},
    {.name = "width of type 99",
     .change = {{256, 99, 1, 16}},
     .want = MT_ERR_FORMAT,
     .says = "type 99"},
    {.name = "huge picture, one tile",
     .change = {{256, LONG, 1, 2000000000}, {257, LONG, 1, 2000000000}},
     .want = MT_ERR_FORMAT,
     .says = "offsets and sizes"},
    {.name = "picture past 2^31",
     .change = {{256, LONG, 1, 4000000000u}},
     .want = MT_ERR_FORMAT,
     .says = "4000000000"},
    {.name = "2^63 wide",
     .big_tiff = true,
     .change = {{256, LONG8, 1, (uint64_t)1 << 63}},
     .want = MT_ERR_FORMAT,
     .says = "9223372036854775808"},
    {.name = "tile width 0",
     .change = {{322, SHORT, 1, 0}},
     .want = MT_ERR_FORMAT,
     .says = "tiles of 0 x 16"},
    {.name = "tile of 65535 x 65535",
     .change = {{322, LONG, 1, 65535}, {323, LONG, 1, 65535}},
     .want = MT_ERR_LIMIT,
     .says = "65535 x 65535"},
    {.name = "tile of 60000 x 60000",
     .change = {{322, LONG, 1, 60000}, {323, LONG, 1, 60000}},
     .want = MT_ERR_LIMIT,
     .says = "60000 x 60000"},
    {.name = "offsets array past the end",
     .change = {{324, LONG, 400, FILE_SIZE - 8}},
     .want = MT_ERR_FORMAT,
     .says = "tag 324: 400 values"},
    {.name = "offsets array of 2^62",
     .big_tiff = true,
     .change = {{324, LONG8, (uint64_t)1 << 62, 16}},
     .want = MT_ERR_FORMAT,
     .says = "tag 324"},
    {.name = "tile past the end",
     .change = {{324, LONG, 1, FILE_SIZE - 700}},
     .want = MT_ERR_FORMAT,
     .says = "pass the end of the file"},
    {.name = "tile size of 2^32-1",
     .change = {{325, LONG, 1, UINT32_MAX}},
     .want = MT_ERR_FORMAT,
     .says = "pass the end of the file"},
    {.name = "tile offset of 2^64-1",
     .big_tiff = true,
     .change = {{324, LONG8, 1, UINT64_MAX}},
     .want = MT_ERR_FORMAT,
     .says = "pass the end of the file"},
    {.name = "tile too short",
     .change = {{325, LONG, 1, 767}},
     .want = MT_ERR_FORMAT,
     .says = "767 bytes"},
    {.name = "no photometric",
     .change = {{262, 99, 1, 0}},
     .want = MT_ERR_FORMAT,
     .says = "tag 262"},
    {.name = "4 samples under JPEG",
     .change = {{277, SHORT, 1, 4}, {259, SHORT, 1, 7}},
     .want = MT_ERR_UNSUPPORTED,
     .says = "4 samples"},
    {.name = "70000 samples",
     .change = {{277, LONG, 1, 70000}},
     .want = MT_ERR_UNSUPPORTED,
     .says = "70000 samples"},
    {.name = "1 bit", .change = {{258, SHORT, 1, 1}}, .want = MT_ERR_UNSUPPORTED, .says = "1 bits"},
    {.name = "float samples",
     .change = {{339, SHORT, 1, 3}},
     .want = MT_ERR_UNSUPPORTED,
     .says = "sample format 3"},
    {.name = "unknown predictor",
     .change = {{259, SHORT, 1, 5}, {317, SHORT, 1, 3}},
     .want = MT_ERR_UNSUPPORTED,
     .says = "predictor 3"},
    {.name = "not LZW at all",
     .change = {{259, SHORT, 1, 5}},
     .want = MT_ERR_FORMAT,
     .says = "LZW"},
    {.name = "not deflate at all",
     .change = {{259, SHORT, 1, 8}},
     .want = MT_ERR_FORMAT,
     .says = "deflate"},
    {.name = "not JPEG at all",
     .change = {{259, SHORT, 1, 7}},
     .want = MT_ERR_FORMAT,
     .says = "JPEG"},
    {.name = "not JPEG 2000 at all",
     .change = {{259, SHORT, 1, 33005}},
     .want = MT_ERR_FORMAT,
     .says = "JPEG 2000"},
    {.name = "JPEG tables of 70000 bytes",
     .big_tiff = true,
     .change = {{259, SHORT, 1, 7}, {347, 7, 70000, 0}},
     .want = MT_ERR_FORMAT,
     .says = "tag 347"},
    {.name = "BigTIFF with 4-byte offsets",
     .big_tiff = true,
     .n_entries = 0x20000,
     .want = MT_ERR_FORMAT,
     .says = "offsets of 4 bytes"},
};

static void put(uint8_t *p, uint64_t v, unsigned n, bool big_endian)
{
    for (unsigned i = 0; i < n; i++) p[big_endian ? n - 1 - i : i] = (uint8_t)(v >> 8 * i);
}

static unsigned width_of(unsigned type)
{
    return type == SHORT ? 2 : type == LONG8 ? 8 : type == LONG ? 4 : 1;
}

static size_t make(uint8_t *f, const fault *x)
{
    const bool be = x->big_endian;
    const unsigned word = x->big_tiff ? 8 : 4;
    tag tags[16];
    size_t n = MT_COUNT(sound);
    memcpy(tags, sound, sizeof sound);
    for (size_t i = 0; i < MT_COUNT(x->change) && x->change[i].id; i++) {
        size_t at = 0;
        while (at < n && tags[at].id != x->change[i].id) at++;
        tags[at] = x->change[i];
        if (at == n) n++;
    }
    memset(f, 0, FILE_SIZE);
    memcpy(f, be ? "MM" : "II", 2);
    put(f + 2, x->big_tiff ? 43 : 42, 2, be);
    if (x->big_tiff) put(f + 4, x->n_entries == 0x20000 ? 4 : 8, 2, be);
    put(f + (x->big_tiff ? 8 : 4), x->first ? x->first : DIR_AT, word, be);
    uint8_t *p = f + DIR_AT;
    uint64_t entries = x->n_entries == 0x10000                  ? 0
                       : x->n_entries && x->n_entries < 0x10000 ? x->n_entries
                                                                : n;
    put(p, entries, x->big_tiff ? 8 : 2, be);
    p += x->big_tiff ? 8 : 2;
    for (size_t i = 0; i < n; i++, p += 4 + 2 * word) {
        put(p, tags[i].id, 2, be);
        put(p + 2, tags[i].type, 2, be);
        put(p + 4, tags[i].count, word, be);
        bool inside = tags[i].count <= word / width_of(tags[i].type);
        put(p + 4 + word, tags[i].value, inside ? width_of(tags[i].type) : word, be);
    }
    put(p, x->next, word, be);
    for (int i = 0; i < 768; i++) f[PIXELS_AT + i] = (uint8_t)(i * 7 + 1);
    return x->cut ? x->cut : FILE_SIZE;
}

/* Opening or reading the only tile: one of the two must say what is wrong. */
static mt_status try_file(const char *path, uint8_t *rgb, mt_err *err)
{
    mt_slide *s = NULL;
    mt_status st = mt_slide_open(&s, path, NULL, err);
    if (st == MT_OK) st = mt_slide_read_region(s, 0, 0, 0, 16, 16, rgb, 48, err);
    mt_slide_close(&s);
    return st;
}

static void every_fault(void **state)
{
    static uint8_t file[FILE_SIZE], rgb[768];
    for (size_t i = 0; i < MT_COUNT(faults); i++) {
        const fault *x = &faults[i];
        size_t n = make(file, x);
        const char *path = tt_tmp_file("fault.tif");
        FILE *f = fopen(path, "wb");
        assert_int_equal(fwrite(file, 1, n, f), n);
        fclose(f);
        mt_err err = MT_ERR_INIT;
        mt_status st = try_file(path, rgb, &err);
        if (st != x->want || (x->says && !strstr(err.text, x->says)))
            fail_msg("%s: %s '%s'", x->name, mt_status_name(st), err.text);
        assert_int_equal(st, err.code);
        if (st == MT_OK) assert_memory_equal(rgb, file + PIXELS_AT, 768);
    }
}

/* A BigTIFF whose directory and tile lie past 4 GiB, in a file that is mostly a hole. */
static void past_4_gib(void **state)
{
    static uint8_t file[FILE_SIZE], rgb[768];
    const uint64_t far = (uint64_t)5 << 30;
    fault x = {
        .big_tiff = true, .first = far + DIR_AT, .change = {{324, LONG8, 1, far + PIXELS_AT}}};
    const size_t n = make(file, &x);
    const char *path = tt_tmp_file("far.tif");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file, 1, 16, f), 16);
    if (fseeko(f, (off_t)far + 16, SEEK_SET) != 0 || fwrite(file + 16, 1, n - 16, f) != n - 16 ||
        fclose(f) != 0) {
        print_message("no file of 5 GiB can be made here\n");
        skip();
    }
    mt_err err = MT_ERR_INIT;
    tt_ok(try_file(path, rgb, &err), &err);
    assert_memory_equal(rgb, file + PIXELS_AT, 768);
    remove(path);
}

/* A thousand directories are enough. */
static void endless_chain(void **state)
{
    enum { N = 2000, EACH = 6 + 12 };
    static uint8_t file[8 + N * EACH];
    memcpy(file, "II", 2);
    put(file + 2, 42, 2, false);
    put(file + 4, 8, 4, false);
    for (int i = 0; i < N; i++) {
        uint8_t *p = file + 8 + i * EACH;
        put(p, 1, 2, false);
        put(p + 2, 254, 2, false);
        put(p + 4, LONG, 2, false);
        put(p + 6, 1, 4, false);
        put(p + 14, i + 1 < N ? (uint64_t)(8 + (i + 1) * EACH) : 0, 4, false);
    }
    mt_tiff t;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_tiff_parse(&t, file, sizeof file, &err), MT_ERR_LIMIT);
    assert_null(t.dirs);
}

/* Every length and every single byte changed: an answer each time, never a crash; the address
 * sanitizer sees to the rest because the copy is exact. */
static void every_byte(void **state)
{
    static uint8_t file[FILE_SIZE];
    for (size_t v = 0; v < 2; v++) {
        make(file, &faults[v]);
        const size_t interesting = DIR_AT + 260;
        for (size_t at = 0; at < interesting; at++)
            for (int bit = -1; bit < 8; bit++) {
                const size_t n = bit < 0 ? at : FILE_SIZE;
                uint8_t *copy = malloc(n ? n : 1);
                memcpy(copy, file, n);
                if (bit >= 0) copy[at] ^= (uint8_t)(1 << bit);
                mt_tiff t;
                mt_err err = MT_ERR_INIT;
                mt_status st = mt_tiff_parse(&t, copy, n, &err);
                assert_int_equal(st, err.code);
                for (int i = 0; i < t.n_dirs; i++) {
                    mt_tiff_picture p;
                    mt_err_clear(&err);
                    if (mt_tiff_picture_make(&p, &t, i, &err) == MT_OK) {
                        static volatile unsigned touched;
                        mt_tile_span span;
                        for (int64_t k = 0; k < p.tiles_x * p.tiles_y; k++) {
                            mt_err_clear(&err);
                            if (mt_tiff_picture_span(&span, &t, &p, (uint64_t)k, &err) == MT_OK &&
                                span.size)
                                touched = touched + span.data[0] + span.data[span.size - 1];
                        }
                        (void)touched;
                    }
                }
                mt_tiff_free(&t);
                free(copy);
            }
    }
}

static void numbers(void **state)
{
    static const struct { const char *text; double want;
    } cases[] = {
        {"0.25", 0.25},
        {" 0.25 ", 0.25},
        {"0,25", 0.25},
        {"40", 40},
        {"2.5e-1", 0.25},
        {"", 0},
        {" ", 0},
        {"x", 0},
        {"0.25x", 0},
        {"1e400", 0},
        {"inf", 0},
        {"nan", 0},
        {"0x10", 0},
        {"-1", 0},
        {"0", 0},
        {"1..2", 0},
        {"0.49900000000000000000000000000000000000000000000000000000000000000", 0},
    };
    for (size_t i = 0; i < MT_COUNT(cases); i++)
        if (mt_tiff_number(cases[i].text, strlen(cases[i].text)) != cases[i].want)
            fail_msg("'%s'", cases[i].text);
    assert_true(mt_tiff_number("0.4990|Left", 6) == 0.499);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault),
        cmocka_unit_test(past_4_gib), cmocka_unit_test(endless_chain),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
