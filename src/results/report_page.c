/* report.html: one self-contained page, good on a screen and on paper. */
#include "results/report_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "results/report_words.h"

static const char style[] =
    ":root{--ink:#1d2129;--quiet:#667085;--line:#e2e5ea;--bad:#b42318;--warn:#b54708;--good:#"
    "067647}\n"
    "*{box-sizing:border-box}\n"
    "body{font:15px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica "
    "Neue',Arial,sans-serif;color:var(--ink);"
    "margin:0 auto;max-width:1280px;padding:28px 32px;background:#fff}\n"
    "h1{font-size:24px;margin:0 0 2px}\n"
    ".sub{color:var(--quiet);margin:0 0 18px}\n"
    ".notice{border-left:4px solid var(--bad);background:#fef3f2;padding:9px 14px;margin:0 0 "
    "18px}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 22px;padding:0;list-style:none}\n"
    ".tiles li{border:1px solid var(--line);border-radius:8px;padding:9px 16px;min-width:104px}\n"
    ".tiles b{display:block;font-size:22px;font-variant-numeric:tabular-nums}\n"
    ".tiles span{color:var(--quiet);font-size:13px}\n"
    ".tiles .bad b{color:var(--bad)}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th{text-align:left;font-size:12px;font-weight:600;color:var(--quiet);border-bottom:2px solid "
    "var(--line);"
    "padding:6px 10px;white-space:nowrap}\n"
    "td{border-bottom:1px solid var(--line);padding:9px 10px;vertical-align:top}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "td.slide{overflow-wrap:anywhere;min-width:150px}\n"
    "td.slide small,td.why small{color:var(--quiet);display:block}\n"
    "td.why{overflow-wrap:anywhere;max-width:380px}\n"
    "td img{display:block;width:168px;max-height:132px;object-fit:contain;object-position:right "
    "top}\n"
    "tbody tr{break-inside:avoid}\n"
    ".state{display:inline-block;border-radius:99px;padding:1px "
    "10px;font-size:13px;font-weight:600;white-space:nowrap;"
    "border:1px solid currentColor}\n"
    ".failed,.rejected-qc{color:var(--bad)}.empty,.no-grade{color:var(--warn)}.done{color:var(--"
    "good)}"
    ".queued,.running{color:var(--quiet)}\n"
    "footer{color:var(--quiet);font-size:13px;margin-top:22px}\n"
    "@media print{body{padding:0;font-size:11px;max-width:none}.tiles b{font-size:16px}td "
    "img{width:110px}"
    "thead{display:table-header-group}}\n";

/* Text and attribute values: the five characters that mean something to HTML; control characters
 * go. */
static void escaped(mt_buf *b, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&':
            mt_buf_printf(b, "&amp;");
            break;
        case '<':
            mt_buf_printf(b, "&lt;");
            break;
        case '>':
            mt_buf_printf(b, "&gt;");
            break;
        case '"':
            mt_buf_printf(b, "&quot;");
            break;
        case '\'':
            mt_buf_printf(b, "&#39;");
            break;
        default:
            if ((unsigned char)*s >= 32 && *s != 127)
                mt_buf_append(b, s, 1);
            else
                mt_buf_append(b, " ", 1);
        }
    }
}

/* A relative link: every byte that is not plainly safe as %XX, so that no name becomes a scheme. */
static void link_to(mt_buf *b, const char *path)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/";
    while (*path == '/')
        path++;
    mt_buf_printf(b, "./");
    for (; *path; path++)
        mt_buf_printf(b, strchr(safe, *path) ? "%c" : "%%%02X", (unsigned char)*path);
}

static void duration(mt_buf *b, double s)
{
    if (s >= 3600)
        mt_buf_printf(b, "%d h %02d min", (int)(s / 3600), (int)(s / 60) % 60);
    else if (s >= 60)
        mt_buf_printf(b, "%d min %02d s", (int)(s / 60), (int)s % 60);
    else
        mt_buf_printf(b, "%.1f s", s);
}

static void number_box(mt_buf *b, const char *cls, size_t n, const char *what)
{
    mt_buf_printf(b, "<li%s><b>%zu</b><span>%s</span></li>\n", n ? cls : "", n, what);
}

static void head(mt_buf *b, const mt_report *p)
{
    mt_buf_printf(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<title>Microtome report</title>\n<style>\n");
    mt_buf_append(b, style, sizeof style - 1);
    mt_buf_printf(b, "</style>\n</head>\n<body>\n<h1>Slide report</h1>\n<p class=\"sub\">Model ");
    escaped(b, p->model);
    if (p->model_state[0]) {
        mt_buf_printf(b, " (");
        escaped(b, p->model_state);
        mt_buf_printf(b, ")");
    }
    mt_buf_printf(b, " &middot; microtome ");
    escaped(b, p->engine_version);
    mt_buf_printf(b, ", kernels ");
    escaped(b, p->kernel_set);
    mt_buf_printf(b, "<br>started ");
    escaped(b, p->started);
    mt_buf_printf(b, " &middot; updated ");
    escaped(b, p->updated);
    mt_buf_printf(
        b, "</p>\n<p class=\"notice\"><strong>Research use only, not for diagnosis.</strong> "
           "A slide that was not analysed is not negative.</p>\n");
}

static void totals(mt_buf *b, const mt_report *p)
{
    mt_report_totals t = mt_report_count(p);
    size_t open = t.by_state[MT_SLIDE_QUEUED] + t.by_state[MT_SLIDE_RUNNING];
    mt_buf_printf(b, "<ul class=\"tiles\">\n");
    number_box(b, "", p->n_rows, "slides");
    number_box(b, "", t.by_state[MT_SLIDE_DONE], "done");
    number_box(b, " class=\"bad\"", t.by_state[MT_SLIDE_FAILED], "failed");
    if (t.by_state[MT_SLIDE_REJECTED_QC])
        number_box(b, " class=\"bad\"", t.by_state[MT_SLIDE_REJECTED_QC],
                   "rejected by quality control");
    number_box(b, "", t.by_state[MT_SLIDE_EMPTY], "empty");
    if (t.ungraded) number_box(b, " class=\"bad\"", t.ungraded, "done, no grade");
    if (open) number_box(b, "", open, "not finished");
    if (t.resumed) number_box(b, "", t.resumed, "from an earlier run");
    mt_buf_printf(b, "<li><b>%llu</b><span>tiles, %.1f a second</span></li>\n<li><b>",
                  (unsigned long long)t.tiles, t.tiles_per_s);
    duration(b, p->wall_s);
    mt_buf_printf(b, "</b><span>in all</span></li>\n</ul>\n");
}

static void quality(mt_buf *b, const mt_report_row *r)
{
    if (!r->qc_verdict[0]) return;
    mt_buf_printf(b, "<small>quality: ");
    if (r->qc[0]) {
        mt_buf_printf(b, "<a href=\"");
        link_to(b, r->qc);
        mt_buf_printf(b, "\">%s</a>", r->qc_verdict);
    } else {
        mt_buf_printf(b, "%s", r->qc_verdict);
    }
    if (isfinite(r->usable_share)) mt_buf_printf(b, ", %.0f&nbsp;%% usable", 100 * r->usable_share);
    if (isfinite(r->focus)) mt_buf_printf(b, ", sharpness %.2f", r->focus);
    mt_buf_printf(b, "</small>");
}

static void outcome_cell(mt_buf *b, const mt_report_row *r)
{
    char reason[MT_ERR_TEXT];
    mt_report_text(reason, r->reason);
    mt_buf_printf(b, "<td class=\"why\">");
    if (r->state == MT_SLIDE_DONE && r->graded) {
        mt_buf_printf(b, "<strong>");
        escaped(b, r->decision[0] ? r->decision : "graded");
        mt_buf_printf(b, "</strong>");
    } else if (r->state != MT_SLIDE_QUEUED && r->state != MT_SLIDE_RUNNING) {
        mt_buf_printf(b, "<strong>not analysed</strong>");
    }
    if (reason[0]) {
        mt_buf_printf(b, "<small>");
        escaped(b, reason);
        mt_buf_printf(b, "</small>");
    }
    if (r->n_warnings)
        mt_buf_printf(b, "<small>%d warning%s</small>", r->n_warnings,
                      r->n_warnings == 1 ? "" : "s");
    if (r->resumed) mt_buf_printf(b, "<small>from an earlier run</small>");
    quality(b, r);
    mt_buf_printf(b, "</td>");
}

/* A number that is not known is a dash, never a nought. */
static void number_cell(mt_buf *b, bool known, double v, int digits, const char *unit)
{
    if (known && isfinite(v))
        mt_buf_printf(b, "<td class=\"n\">%.*f%s</td>", digits, v, unit);
    else
        mt_buf_printf(b, "<td class=\"n\">&ndash;</td>");
}

static void number_cells(mt_buf *b, const mt_report_row *r)
{
    bool looked_at = r->state == MT_SLIDE_DONE || r->state == MT_SLIDE_EMPTY;
    number_cell(b, r->state == MT_SLIDE_DONE && r->graded, r->score, 3, "");
    number_cell(b, looked_at, r->tissue_mm2, 2, "");
    number_cell(b, looked_at && r->tissue_mm2 > 0, 100 * r->coverage, 1, "&nbsp;%");
    mt_buf_printf(b, "<td class=\"n\">%llu", (unsigned long long)r->n_tiles);
    if (r->tiles_per_s > 0) mt_buf_printf(b, "<br><small>%.1f/s</small>", r->tiles_per_s);
    mt_buf_printf(b, "</td><td class=\"n\">");
    duration(b, r->wall_s);
    mt_buf_printf(b, "</td>");
}

static void row(mt_buf *b, const mt_report_row *r)
{
    bool no_grade = r->state == MT_SLIDE_DONE && !r->graded;
    mt_buf_printf(b, "<tr><td><span class=\"state %s\">%s</span></td><td class=\"slide\">",
                  no_grade ? "no-grade" : mt_slide_state_name(r->state),
                  no_grade ? "no grade" : mt_slide_state_name(r->state));
    escaped(b, r->stem);
    if (r->slide_id[0] && strcmp(r->slide_id, r->stem)) {
        mt_buf_printf(b, "<small>");
        escaped(b, r->slide_id);
        mt_buf_printf(b, "</small>");
    }
    mt_buf_printf(b, "</td>");
    outcome_cell(b, r);
    number_cells(b, r);
    mt_buf_printf(b, "<td>");
    if (r->heatmap[0]) {
        mt_buf_printf(b, "<a href=\"");
        link_to(b, r->heatmap);
        mt_buf_printf(b, "\"><img loading=\"lazy\" alt=\"heatmap\" src=\"");
        link_to(b, r->heatmap);
        mt_buf_printf(b, "\"></a>");
    }
    mt_buf_printf(b, "</td></tr>\n");
}

void mt_report_page(mt_buf *b, const mt_report *p, const size_t *order)
{
    head(b, p);
    totals(b, p);
    mt_buf_printf(
        b,
        "<table>\n<thead><tr><th>State</th><th>Slide</th><th>Outcome</th><th class=\"n\">Score</th>"
        "<th class=\"n\">Tissue mm&sup2;</th><th class=\"n\">Coverage</th><th "
        "class=\"n\">Tiles</th>"
        "<th class=\"n\">Time</th><th>Heatmap</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->n_rows; i++)
        row(b, &p->rows[order[i]]);
    mt_buf_printf(b, "</tbody>\n</table>\n<footer>Coverage: analysed share of the tissue. Score: "
                     "slide-level score of the "
                     "model's positive class. The folder of each slide holds its full "
                     "result.</footer>\n</body>\n</html>\n");
}
