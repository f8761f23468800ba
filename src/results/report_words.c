/* What both forms of the report say alike: names of states, texts without folders, totals. */
#include "results/report_words.h"

#include <stdbool.h>
#include <string.h>

const char *mt_slide_state_name(mt_slide_state s)
{
    switch (s) {
    case MT_SLIDE_QUEUED:
        return "queued";
    case MT_SLIDE_RUNNING:
        return "running";
    case MT_SLIDE_DONE:
        return "done";
    case MT_SLIDE_FAILED:
        return "failed";
    case MT_SLIDE_REJECTED_QC:
        return "rejected-qc";
    case MT_SLIDE_EMPTY:
        return "empty";
    }
    return "unknown";
}

/* A text that is kept names no folder of this machine: an absolute path shrinks to its last part.
 * It starts at the text's start, a blank, a quote or a bracket and ends at a colon, a quote, a
 * line's end. */
void mt_report_text(char out[MT_ERR_TEXT], const char *text)
{
    size_t n = 0;
    for (const char *p = text; *p && n + 1 < MT_ERR_TEXT;) {
        bool starts = p == text || strchr(" '\"(=", p[-1]);
        if (*p == '/' && starts) {
            size_t len = strcspn(p, ":'\")\n");
            size_t last = len;
            while (last > 0 && p[last - 1] != '/')
                last--;
            p += last;
            continue;
        }
        out[n++] = *p++;
    }
    out[n] = 0;
}

mt_report_totals mt_report_count(const mt_report *p)
{
    mt_report_totals t = {0};
    for (size_t i = 0; i < p->n_rows; i++) {
        const mt_report_row *r = &p->rows[i];
        t.by_state[r->state]++;
        t.ungraded += r->state == MT_SLIDE_DONE && !r->graded;
        t.resumed += r->resumed != 0;
        if (r->resumed) continue;
        t.tiles += r->n_tiles;
        t.slide_s += r->wall_s;
    }
    t.tiles_per_s = p->wall_s > 0 ? (double)t.tiles / p->wall_s : 0;
    return t;
}
