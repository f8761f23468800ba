#include "series.h"

#include <stdio.h>
#include <stdlib.h>
#include "talk.h"

void mt_series_put(mt_series *s, double a, double b)
{
    if (a > 0 && b > 0 && s->n < MT_MAX_ROUNDS) s->v[s->n++] = a / b;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mt_series_median(mt_series *s)
{
    if (!s->n) return 0;
    qsort(s->v, (size_t)s->n, sizeof *s->v, ascending);
    return (s->v[(s->n - 1) / 2] + s->v[s->n / 2]) / 2;
}

void mt_series_json(json_t *j, const char *name, mt_series *s)
{
    json_object_set_new(j, name, s->n ? mt_jn(mt_series_median(s)) : json_null());
    if (!s->n) return;
    char key[48];
    snprintf(key, sizeof key, "%s_range", name);
    json_object_set_new(j, key, json_pack("[o, o]", mt_jn(s->v[0]), mt_jn(s->v[s->n - 1])));
}

void mt_series_rate(const char *name, const char *unit, mt_series *cpu, mt_series *wall)
{
    if (!cpu->n) return;
    double m = mt_series_median(cpu);
    printf("%-11s%.1f %s per CPU second [%.1f, %.1f]", name, m, unit, cpu->v[0], cpu->v[cpu->n - 1]);
    if (wall) printf(", %.1f %s per second", mt_series_median(wall), unit);
    putchar('\n');
}

void mt_series_print(const char *name, mt_series *s)
{
    if (!s->n) return;
    double m = mt_series_median(s);
    printf("%-11s%.2f [%.2f, %.2f]\n", name, m, s->v[0], s->v[s->n - 1]);
}
