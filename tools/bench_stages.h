/* The stages `microtome bench` measures: each measures in rounds and prints text or JSON. Exit codes. */
#ifndef MT_TOOLS_BENCH_STAGES_H
#define MT_TOOLS_BENCH_STAGES_H

#include "microtome/bench.h"

int mt_bench_tiling_print(const mt_bench_tiling_opts *bo, const char *path, int rounds, int as_json);
int mt_bench_pipeline_print(const mt_bench_pipeline_opts *po, const char *path, int rounds, int as_json);

#endif
