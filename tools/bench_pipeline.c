/* bench pipeline: a whole run of a slide against its network alone. */
#include "bench_stages.h"

#include <stdio.h>
#include "command.h"
#include "microtome/system.h"
#include "series.h"
#include "talk.h"

typedef struct figures {
    mt_bench_pipeline last;
    int rounds;
    mt_series run, run_wall, net, net_wall; /* tiles a second of CPU, of time */
    mt_series of_net;                       /* by CPU */
    mt_series of_net_wall;
} figures;

static void add(figures *f, const mt_bench_pipeline *b)
{
    double n = (double)b->tiles, m = (double)b->net_tiles;
    mt_series_put(&f->run, n, b->cpu_s);
    mt_series_put(&f->run_wall, n, b->wall_s);
    mt_series_put(&f->net, m, b->net_cpu_s);
    mt_series_put(&f->net_wall, m, b->net_wall_s);
    mt_series_put(&f->of_net, n / b->cpu_s, m / b->net_cpu_s);
    mt_series_put(&f->of_net_wall, n / b->wall_s, m / b->net_wall_s);
    f->last = *b;
}

static json_t *stage(mt_series *cpu, mt_series *wall)
{
    json_t *j = json_object();
    mt_series_json(j, "tiles_per_cpu_s", cpu);
    mt_series_json(j, "tiles_per_s", wall);
    return j;
}

static int print_json(figures *f, const mt_bench_pipeline_opts *o)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:I}", "bench", "pipeline", "version", mt_version(),
                          "kernels", mt_cpu_name(), "threads", o->threads, "rounds", f->rounds,
                          "tiles", (json_int_t)f->last.tiles);
    json_object_set_new(j, "run", stage(&f->run, &f->run_wall));
    json_object_set_new(j, "network", stage(&f->net, &f->net_wall));
    mt_series_json(j, "of_network", &f->of_net);
    mt_series_json(j, "of_network_by_time", &f->of_net_wall);
    return mt_json_print(j);
}

static int print_text(figures *f, const mt_bench_pipeline_opts *o)
{
    printf("tiles      %llu, %d thread%s, %d round%s, kernels %s\n",
           (unsigned long long)f->last.tiles, o->threads, o->threads == 1 ? "" : "s", f->rounds,
           f->rounds == 1 ? "" : "s", mt_cpu_name());
    mt_series_rate("run", "tiles", &f->run, &f->run_wall);
    mt_series_rate("network", "tiles", &f->net, &f->net_wall);
    mt_series_print("of network", &f->of_net);
    mt_series_print("by time", &f->of_net_wall);
    return 0;
}

int mt_bench_pipeline_print(const mt_bench_pipeline_opts *po, const char *path, int rounds, int as_json)
{
    static figures f;
    mt_err err = MT_ERR_INIT;
    for (f.rounds = 0; f.rounds < rounds; f.rounds++) {
        mt_bench_pipeline b;
        if (mt_bench_run_pipeline(&b, path, po, &err)) return mt_fail(&err);
        add(&f, &b);
    }
    return as_json ? print_json(&f, po) : print_text(&f, po);
}
