/* The ground floor: errors, sizes, cursors, buffers, files, workers. */
#include "tests/support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/workers.h"

static void first_error_wins(void **state)
{
    mt_err e = MT_ERR_INIT;
    assert_int_equal(mt_err_set(&e, MT_ERR_FORMAT, "tile %d\nbad\x01", 7), MT_ERR_FORMAT);
    assert_int_equal(mt_err_set(&e, MT_ERR_IO, "later"), MT_ERR_IO);
    assert_int_equal(e.code, MT_ERR_FORMAT);
    assert_string_equal(e.text, "tile 7 bad ");
    mt_err_context(&e, "level %d", 3);
    assert_string_equal(e.text, "level 3: tile 7 bad ");
    mt_err_clear(&e);
    mt_err_context(&e, "nothing to say");
    assert_string_equal(e.text, "");
    assert_int_equal(mt_err_set(NULL, MT_ERR_IO, "no place"), MT_ERR_IO);
}

static void long_errors_are_cut(void **state)
{
    mt_err e = MT_ERR_INIT;
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    mt_err_set(&e, MT_ERR_IO, "%s", big);
    mt_err_context(&e, "%s", big);
    assert_true(strlen(e.text) < MT_ERR_TEXT);
}

static void allocations_have_ceilings(void **state)
{
    mt_err e = MT_ERR_INIT;
    void *p = &e;
    assert_int_equal(mt_alloc(&p, SIZE_MAX, 2, SIZE_MAX, "tile grid", &e), MT_ERR_LIMIT);
    assert_null(p);
    assert_non_null(strstr(e.text, "tile grid"));
    mt_err_clear(&e);
    assert_int_equal(mt_alloc(&p, 11, 1, 10, "x", &e), MT_ERR_LIMIT);
    mt_err_clear(&e);
    tt_ok(mt_alloc(&p, 10, 1, 10, "x", &e), &e);
    free(p);
    tt_ok(mt_alloc_aligned(&p, 65, 1000, "x", &e), &e);
    assert_int_equal((uintptr_t)p % 64, 0);
    free(p);
    mt_arena a = {.ceiling = 200000};
    char *s = mt_arena_strdup(&a, "abc", 3);
    assert_string_equal(s, "abc");
    assert_non_null(mt_arena_alloc(&a, 100000));
    assert_null(mt_arena_alloc(&a, 100000));
    assert_null(mt_arena_alloc(&a, SIZE_MAX - 3));
    mt_arena_free(&a);
}

static void cursor_never_leaves_its_bytes(void **state)
{
    static const uint8_t b[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    mt_bytes c = mt_bytes_of(b, sizeof b, false);
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    uint8_t u8;
    assert_true(mt_bytes_u16(&c, &u16));
    assert_int_equal(u16, 0x0201);
    c.big = true;
    assert_true(mt_bytes_u32(&c, &u32));
    assert_int_equal(u32, 0x03040506);
    assert_false(mt_bytes_u64(&c, &u64));
    assert_int_equal(c.pos, 6);
    assert_false(mt_bytes_skip(&c, 4));
    assert_false(mt_bytes_seek(&c, 10));
    assert_null(mt_bytes_take(&c, UINT64_MAX));
    assert_non_null(mt_bytes_take(&c, 3));
    assert_false(mt_bytes_u8(&c, &u8));
    assert_true(mt_bytes_seek(&c, 9));
}

static void buffer_keeps_its_ceiling(void **state)
{
    mt_err e = MT_ERR_INIT;
    mt_buf b = MT_BUF_INIT(1000);
    for (int i = 0; i < 100; i++) mt_buf_printf(&b, "%09d", i);
    assert_false(b.failed);
    assert_int_equal(b.len, 900);
    mt_buf_printf(&b, "%300d", 1);
    assert_true(b.failed);
    assert_int_equal(mt_buf_status(&b, "report", &e), MT_ERR_LIMIT);
    mt_buf_free(&b);
    mt_buf long_line = MT_BUF_INIT(10000);
    mt_buf_printf(&long_line, "%2000d", 5);
    assert_int_equal(long_line.len, 2000);
    assert_int_equal(long_line.data[1999], '5');
    mt_buf_free(&long_line);
}

static void outfile_is_whole_or_absent(void **state)
{
    mt_err e = MT_ERR_INIT;
    const char *path = tt_tmp_file("out.txt");
    tt_ok(mt_file_write(path, "old", 3, &e), &e);
    mt_outfile o;
    tt_ok(mt_outfile_open(&o, path, &e), &e);
    fputs("half", o.f);
    char *tmp = strdup(o.tmp);
    assert_true(mt_file_exists(tmp));
    mt_outfile_discard(&o);
    assert_false(mt_file_exists(tmp));
    free(tmp);
    uint8_t *data;
    size_t n;
    tt_ok(mt_file_read(&data, &n, path, 100, &e), &e);
    assert_string_equal((char *)data, "old");
    free(data);
    tt_ok(mt_outfile_open(&o, path, &e), &e);
    fputs("whole", o.f);
    tt_ok(mt_outfile_commit(&o, &e), &e);
    tt_ok(mt_file_read(&data, &n, path, 100, &e), &e);
    assert_string_equal((char *)data, "whole");
    free(data);
    assert_int_equal(mt_file_read(&data, &n, path, 4, &e), MT_ERR_LIMIT);
    mt_err_clear(&e);
    assert_int_equal(mt_outfile_open(&o, tt_tmp_file("no/such/folder/x"), &e), MT_ERR_NOT_FOUND);
    mt_outfile_discard(&o);
    mt_err_clear(&e);
    tt_ok(mt_dir_make(tt_tmp_file("a/b/c"), &e), &e);
    tt_ok(mt_dir_make(tt_tmp_file("a/b/c/"), &e), &e);
    assert_int_equal(mt_dir_make(tt_tmp_file("out.txt/d"), &e), MT_ERR_IO);
}

static void paths(void **state)
{
    char *s = mt_path_stem("/a.b/CMU-1.ome.tif");
    assert_string_equal(s, "CMU-1.ome");
    free(s);
    s = mt_path_stem(".hidden");
    assert_string_equal(s, ".hidden");
    free(s);
    assert_string_equal(mt_path_ext("x/y.svs"), ".svs");
    assert_string_equal(mt_path_ext("x.d/y"), "");
}

static void cut_file_marks_the_map(void **state)
{
    mt_err e = MT_ERR_INIT;
    const char *path = tt_tmp_file("cut.bin");
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *bytes = malloc(8 * page);
    memset(bytes, 0xab, 8 * page);
    tt_ok(mt_file_write(path, bytes, 8 * page, &e), &e);
    free(bytes);
    mt_map m, other;
    tt_ok(mt_map_open(&m, path, &e), &e);
    tt_ok(mt_map_open(&other, tt_source("LICENSE"), &e), &e);
    assert_int_equal(m.data[7 * page], 0xab);
    assert_int_equal(truncate(path, (off_t)(2 * page)), 0);
    volatile const uint8_t *p = m.data;
    assert_int_equal(p[page], 0xab);
    assert_false(mt_map_faulted(&m));
    assert_int_equal(p[5 * page + 17], 0); /* would be a deadly SIGBUS */
    assert_true(mt_map_faulted(&m));
    assert_false(mt_map_faulted(&other));
    assert_int_equal(mt_map_check(&m, &e), MT_ERR_IO);
    assert_non_null(strstr(e.text, "offset"));
    mt_map_close(&m);
    mt_map_close(&other);
    mt_map_close(&m);
    mt_err_clear(&e);
    assert_int_equal(mt_map_open(&m, tt_tmp_file("none"), &e), MT_ERR_NOT_FOUND);
    mt_err_clear(&e);
    assert_int_equal(mt_map_open(&m, tt_tmp(), &e), MT_ERR_IO);
    mt_err_clear(&e);
    const char *fifo = tt_tmp_file("fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mt_map_open(&m, fifo, &e), MT_ERR_IO); /* and does not hang */
    mt_err_clear(&e);
    tt_ok(mt_file_write(path, "", 0, &e), &e);
    tt_ok(mt_map_open(&m, path, &e), &e);
    assert_int_equal(m.size, 0);
    mt_map_close(&m);
}

enum { ITEMS = 1000 };
typedef struct tally { int seen[ITEMS]; mt_team_err team; } tally;
static void count_item(void *ctx, int worker, size_t i)
{
    tally *t = ctx;
    t->seen[i]++;
    if (i % 100 == 99) {
        mt_err e = MT_ERR_INIT;
        mt_err_set(&e, MT_ERR_IO, "item %zu", i);
        mt_team_fail(&t->team, &e);
    }
}

static void workers_do_each_item_once(void **state)
{
    static const int counts[] = {1, 2, 7, 33};
    for (size_t k = 0; k < MT_COUNT(counts); k++) {
        tally t = {0};
        mt_workers_each(counts[k], ITEMS, count_item, &t);
        for (int i = 0; i < ITEMS; i++) assert_int_equal(t.seen[i], 1);
        assert_true(mt_team_failed(&t.team));
        assert_int_equal(t.team.err.code, MT_ERR_IO);
    }
}

static void cpu_mask(void **state)
{
    mt_err e = MT_ERR_INIT;
    int best = mt_cpu_detected();
    tt_ok(mt_cpu_select("ref", &e), &e);
    assert_string_equal(mt_cpu_name(), "ref");
    tt_ok(mt_cpu_select("auto", &e), &e);
    assert_int_equal(mt_cpu_level(), best);
    assert_int_equal(mt_cpu_select("sse9", &e), MT_ERR_ARG);
    assert_true(mt_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_wins),     cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(allocations_have_ceilings), cmocka_unit_test(cursor_never_leaves_its_bytes),
        cmocka_unit_test(buffer_keeps_its_ceiling), cmocka_unit_test(outfile_is_whole_or_absent),
        cmocka_unit_test(paths),                cmocka_unit_test(cut_file_marks_the_map),
        cmocka_unit_test(workers_do_each_item_once), cmocka_unit_test(cpu_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
