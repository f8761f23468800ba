/* Inside the report: totals, the HTML page, texts without paths. */
#ifndef MT_RESULTS_REPORT_PAGE_H
#define MT_RESULTS_REPORT_PAGE_H

#include "base/buf.h"
#include "microtome/result.h"

typedef struct mt_report_totals {
    size_t by_state[MT_SLIDE_EMPTY + 1], ungraded, resumed;
    uint64_t tiles; /* of slides analysed in this run */
    double slide_s, tiles_per_s;
} mt_report_totals;

mt_report_totals mt_report_count(const mt_report *p);

/* text with every absolute path cut to its last part. */
void mt_report_text(char out[MT_ERR_TEXT], const char *text);

/* The whole page, rows in the order given. No script, nothing loaded but the pictures beside it. */
void mt_report_page(mt_buf *b, const mt_report *p, const size_t *order);

#endif
