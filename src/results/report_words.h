/* What both forms of the report need: totals, texts without paths. */
#ifndef MT_RESULTS_REPORT_WORDS_H
#define MT_RESULTS_REPORT_WORDS_H

#include "microtome/result.h"

typedef struct mt_report_totals {
    size_t by_state[MT_SLIDE_EMPTY + 1], ungraded, resumed;
    uint64_t tiles; /* of slides analysed in this run */
    double slide_s, tiles_per_s;
} mt_report_totals;

mt_report_totals mt_report_count(const mt_report *p);

/* text with every absolute path cut to its last part. */
void mt_report_text(char out[MT_ERR_TEXT], const char *text);

#endif
