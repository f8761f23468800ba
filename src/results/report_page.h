/* Inside the report: the HTML page. */
#ifndef MT_RESULTS_REPORT_PAGE_H
#define MT_RESULTS_REPORT_PAGE_H

#include "base/buf.h"
#include "microtome/result.h"

/* The whole page, rows in the order given. No script, nothing loaded but the pictures beside it. */
void mt_report_page(mt_buf *b, const mt_report *p, const size_t *order);

#endif
