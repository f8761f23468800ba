/* One quantity measured over rounds: what the benches print of it. */
#ifndef MT_TOOLS_SERIES_H
#define MT_TOOLS_SERIES_H

#include <jansson.h>

enum { MT_MAX_ROUNDS = 101 };

typedef struct mt_series {
    double v[MT_MAX_ROUNDS];
    int n;
} mt_series;

/* Adds a/b; nothing when either was not measured (0 or less). */
void mt_series_put(mt_series *s, double a, double b);
/* Sorts; 0 when nothing was measured. */
double mt_series_median(mt_series *s);

/* "name: median, name_range: [least, greatest]"; null when nothing was measured. */
void mt_series_json(json_t *j, const char *name, mt_series *s);
/* "name       median UNITs per CPU second [least, greatest], median UNITs per second" and a newline; wall may
 * be NULL; nothing when nothing was measured. */
void mt_series_rate(const char *name, const char *unit, mt_series *cpu, mt_series *wall);
/* "name       median [least, greatest]" and a newline; nothing when nothing was measured. */
void mt_series_print(const char *name, mt_series *s);

#endif
