/* bench tiling: crops against the native tiles they lie on. */
#include "bench_stages.h"

#include <stdio.h>
#include <sys/resource.h>
#include "command.h"
#include "microtome/system.h"
#include "series.h"
#include "talk.h"

typedef struct figures {
    mt_bench_tiling last;
    int rounds;
    mt_series crops, crops_wall, raw, raw_wall, openslide; /* megapixels a second of CPU, of time */
    mt_series of_raw, of_openslide;
} figures;

static void add(figures *f, const mt_bench_tiling *b)
{
    mt_series_put(&f->crops, b->mpix, b->cpu_s);
    mt_series_put(&f->crops_wall, b->mpix, b->wall_s);
    mt_series_put(&f->raw, b->raw_mpix, b->raw_cpu_s);
    mt_series_put(&f->raw_wall, b->raw_mpix, b->raw_wall_s);
    mt_series_put(&f->openslide, b->openslide_mpix, b->openslide_cpu_s);
    if (b->raw_mpix > 0) mt_series_put(&f->of_raw, b->mpix / b->cpu_s, b->raw_mpix / b->raw_cpu_s);
    if (b->openslide_mpix > 0)
        mt_series_put(&f->of_openslide, b->mpix / b->cpu_s, b->openslide_mpix / b->openslide_cpu_s);
    f->last = *b;
}

static json_t *stage(mt_series *cpu, mt_series *wall)
{
    if (!cpu->n) return json_null();
    json_t *j = json_pack("{s:o}", "mpix_per_cpu_s", mt_jn(mt_series_median(cpu)));
    if (wall) json_object_set_new(j, "mpix_per_s", mt_jn(mt_series_median(wall)));
    return j;
}

static int print_json(figures *f, const mt_bench_tiling_opts *o)
{
    const mt_bench_tiling *b = &f->last;
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:f, s:b, s:s, s:i, s:i, s:i}", "bench", "tiling",
                          "version", mt_version(), "kernels", mt_cpu_name(), "tile_px",
                          (int)o->tile_px, "threads", o->threads, "order",
                          o->random_order ? "random" : "row", "downsample", o->downsample,
                          "fast_scaling", o->fast, "way", b->way, "level", b->level, "reduced_by", b->reduced_by,
                          "rounds", f->rounds);
    json_object_set_new(j, "crops", json_integer((json_int_t)b->crops));
    json_object_set_new(j, "native_needed", json_integer((json_int_t)b->native_needed));
    json_object_set_new(j, "native_decoded", json_integer((json_int_t)b->native_decoded));
    json_object_set_new(j, "buffer_bytes", json_integer((json_int_t)b->peak_bytes));
    json_object_set_new(j, "peak_rss_bytes", json_integer((json_int_t)ru.ru_maxrss * 1024));
    json_object_set_new(j, "tiling", stage(&f->crops, &f->crops_wall));
    json_object_set_new(j, "raw", stage(&f->raw, &f->raw_wall));
    json_object_set_new(j, "openslide", stage(&f->openslide, NULL));
    mt_series_json(j, "of_raw", &f->of_raw);
    mt_series_json(j, "of_openslide", &f->of_openslide);
    return mt_json_print(j);
}

static int print_text(figures *f, const mt_bench_tiling_opts *o)
{
    const mt_bench_tiling *b = &f->last;
    printf("crops      %llu of %d px, %s order, downsample %g (level %d, %s, reduced by %d), %d thread%s, %d round%s\n",
           (unsigned long long)b->crops, o->tile_px, o->random_order ? "random" : "row",
           o->downsample, b->level, b->way, b->reduced_by, o->threads, o->threads == 1 ? "" : "s",
           f->rounds, f->rounds == 1 ? "" : "s");
    printf("native     %llu tiles needed, %llu decoded; %.1f MiB of tile buffers\n",
           (unsigned long long)b->native_needed, (unsigned long long)b->native_decoded,
           (double)b->peak_bytes / 1048576.0);
    mt_series_rate("tiling", "MPix", &f->crops, &f->crops_wall);
    mt_series_rate("raw", "MPix", &f->raw, &f->raw_wall);
    mt_series_rate("openslide", "MPix", &f->openslide, NULL);
    mt_series_print("of raw", &f->of_raw);
    mt_series_print("of openslide", &f->of_openslide);
    return 0;
}

int mt_bench_tiling_print(const mt_bench_tiling_opts *bo, const char *path, int rounds, int as_json)
{
    static figures f;
    mt_err err = MT_ERR_INIT;
    for (f.rounds = 0; f.rounds < rounds; f.rounds++) {
        mt_bench_tiling b;
        if (mt_bench_run_tiling(&b, path, bo, &err)) return mt_fail(&err);
        add(&f, &b);
    }
    return as_json ? print_json(&f, bo) : print_text(&f, bo);
}
