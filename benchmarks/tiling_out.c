/* The table as text, JSON and a picture. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <openjpeg.h>
#include "microtome/system.h"
#include "tiling.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

void series_put(series *s, double v)
{
    if (isfinite(v) && v > 0 && s->n < MAX_ROUNDS) s->v[s->n++] = v;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double series_median(const series *s)
{
    if (!s->n) return NAN;
    series t = *s;
    qsort(t.v, (size_t)t.n, sizeof *t.v, ascending);
    return (t.v[(t.n - 1) / 2] + t.v[t.n / 2]) / 2;
}

double series_least(const series *s)
{
    double m = NAN;
    for (int i = 0; i < s->n; i++) m = fmin(m, s->v[i]);
    return m;
}

double series_greatest(const series *s)
{
    double m = NAN;
    for (int i = 0; i < s->n; i++) m = fmax(m, s->v[i]);
    return m;
}

/* A value of a "key : value" file of the kernel. */
static void kernel_value(char *out, size_t cap, const char *file, const char *key)
{
    char row[256];
    FILE *f = fopen(file, "r");
    snprintf(out, cap, "unknown");
    while (f && fgets(row, sizeof row, f)) {
        char *colon = strchr(row, ':');
        if (strncmp(row, key, strlen(key)) || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, cap, "%s", colon);
        break;
    }
    if (f) fclose(f);
}

void machine_words(char *text, size_t cap)
{
    char model[96], memory[48], family[16], number[16], peers[160];
    kernel_value(model, sizeof model, "/proc/cpuinfo", "model name");
    kernel_value(family, sizeof family, "/proc/cpuinfo", "cpu family");
    kernel_value(number, sizeof number, "/proc/cpuinfo", "model\t");
    kernel_value(memory, sizeof memory, "/proc/meminfo", "MemTotal");
    peer_versions(peers, sizeof peers);
    snprintf(text, cap,
             "%d cores of %s (family %s model %s, %s), %.0f GiB; compiler %.40s; libjpeg-turbo %s, OpenJPEG %s; %s",
             mt_cpu_count(), model, family, number, mt_cpu_name(), strtod(memory, NULL) / 1048576,
             __VERSION__, TEXT(LIBJPEG_TURBO_VERSION), opj_version(), peers);
}

static const char *verdict(const line *l)
{
    if (l->asked <= 0) return "";
    const double got = series_median(&l->ratio);
    return (l->at_most ? got <= l->asked : got >= l->asked) ? "reached" : "missed";
}

void out_text(const line *lines, int n, const char *machine)
{
    printf("%s\n\n%-44s %3s  %-22s %6s %-9s %-12s %s\n", machine, "case", "thr", "ratio [least, greatest]",
           "asked", "", "plain buffer", "of");
    for (int i = 0; i < n; i++) {
        const line *l = &lines[i];
        printf("%-44s %3d  %5.2f [%.2f, %.2f]%6s ", l->name, l->threads, series_median(&l->ratio),
               series_least(&l->ratio), series_greatest(&l->ratio), "");
        if (l->asked > 0)
            printf("%6.2f %-9s ", l->asked, verdict(l));
        else
            printf("%6s %-9s ", "", "");
        if (l->plain.n)
            printf("%12.2f ", series_median(&l->plain));
        else
            printf("%12s ", "");
        printf("%s", l->of);
        for (int k = 0; k < 4; k++)
            if (l->peer[k].ratio.n)
                printf("; %s %.2f", l->peer[k].name, series_median(&l->peer[k].ratio));
        if (l->needed)
            printf("; native %" PRIu64 " needed %" PRIu64 " decoded, buffers %.1f MiB", l->needed,
                   l->decoded, (double)l->bytes / 1048576);
        if (l->all) printf("; native %" PRIu64 " in all", l->all);
        if (l->resident) printf("; resident besides files %.1f MiB", (double)l->resident / 1048576);
        putchar('\n');
    }
}

static void json_series(FILE *f, const char *name, const series *s)
{
    if (!s->n) {
        fprintf(f, ",\"%s\":null", name);
        return;
    }
    fprintf(f, ",\"%s\":{\"median\":%.4g,\"least\":%.4g,\"greatest\":%.4g,\"rounds\":%d}", name,
            series_median(s), series_least(s), series_greatest(s), s->n);
}

bool out_json(const char *path, const line *lines, int n, const char *machine)
{
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fprintf(f, "{\"bench\":\"tiling\",\"version\":\"%s\",\"machine\":\"", mt_version());
    for (const char *p = machine; *p; p++)
        if (*p != '"' && *p != '\\') fputc(*p, f);
    fprintf(f, "\",\"cases\":[");
    for (int i = 0; i < n; i++) {
        const line *l = &lines[i];
        fprintf(f, "%s\n  {\"case\":\"%s\",\"threads\":%d,\"of\":\"%s\"", i ? "," : "", l->name, l->threads,
                l->of);
        if (l->asked > 0)
            fprintf(f, ",\"%s\":%g,\"verdict\":\"%s\"", l->at_most ? "asked_at_most" : "asked", l->asked,
                    verdict(l));
        json_series(f, "ratio", &l->ratio);
        json_series(f, "ratio_of_plain_buffer", &l->plain);
        json_series(f, "mpix_per_cpu_s", &l->rate);
        json_series(f, "base_mpix_per_cpu_s", &l->base);
        for (int k = 0; k < 4; k++)
            if (l->peer[k].name) json_series(f, l->peer[k].name, &l->peer[k].ratio);
        if (l->needed)
            fprintf(f, ",\"native_needed\":%" PRIu64 ",\"native_decoded\":%" PRIu64 ",\"buffer_bytes\":%" PRIu64,
                    l->needed, l->decoded, l->bytes);
        if (l->all) fprintf(f, ",\"native_of_slide\":%" PRIu64, l->all);
        if (l->resident) fprintf(f, ",\"resident_bytes\":%" PRIu64, l->resident);
        fprintf(f, "}");
    }
    fprintf(f, "\n]}\n");
    return fclose(f) == 0;
}

bool out_markdown(const char *path, const line *lines, int n)
{
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fprintf(f, "| case | threads | asked | got | plain buffer | of |\n|---|---|---|---|---|---|\n");
    for (int i = 0; i < n; i++) {
        const line *l = &lines[i];
        fprintf(f, "| %s | %d | ", l->name, l->threads);
        if (l->asked > 0) fprintf(f, "%s%g", l->at_most ? "at most " : "", l->asked);
        fprintf(f, " | %.2f [%.2f, %.2f] | ", series_median(&l->ratio), series_least(&l->ratio),
                series_greatest(&l->ratio));
        if (l->plain.n) fprintf(f, "%.2f", series_median(&l->plain));
        fprintf(f, " | %s |\n", l->of);
    }
    return fclose(f) == 0;
}

/* One bar a case, a tick where it was asked to reach, the peers as thin bars below. */
bool out_svg(const char *path, const line *lines, int n, const char *machine)
{
    enum { ROW = 34, LEFT = 330, WIDTH = 1000, TOP = 46 };
    double most = 1.2;
    for (int i = 0; i < n; i++) most = fmax(most, fmax(series_median(&lines[i].ratio), lines[i].asked) * 1.05);
    double unit = (WIDTH - LEFT - 60) / most;
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
               "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
               "<text x=\"8\" y=\"18\" font-size=\"14\">Megapixels per CPU second against the base of each case; tick: "
               "asked; thin: other readers</text>\n<text x=\"8\" y=\"35\" font-size=\"9\" fill=\"#555\">",
            WIDTH, TOP + n * ROW + 10);
    for (const char *p = machine; *p; p++)
        if (*p != '<' && *p != '&') fputc(*p, f);
    fprintf(f, "</text>\n");
    for (int i = 0; i < n; i++) {
        const line *l = &lines[i];
        double y = TOP + i * ROW, v = series_median(&l->ratio);
        if (!isfinite(v)) v = 0;
        fprintf(f, "<text x=\"8\" y=\"%.0f\">%s, %d thr</text>\n", y + 13, l->name, l->threads);
        fprintf(f, "<rect x=\"%d\" y=\"%.0f\" width=\"%.1f\" height=\"14\" fill=\"%s\"/>\n", LEFT, y + 2, v * unit,
                !strcmp(verdict(l), "missed") ? "#c77" : "#4a7");
        /* Behind the tick when that is in the way. */
        double end = l->asked > v && (l->asked - v) * unit < 40 ? l->asked : v;
        fprintf(f, "<text x=\"%.1f\" y=\"%.0f\">%.2f</text>\n", LEFT + end * unit + 6, y + 13, v);
        if (l->asked > 0)
            fprintf(f, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\" stroke=\"black\" stroke-width=\"2\"/>\n",
                    LEFT + l->asked * unit, LEFT + l->asked * unit, y - 1, y + 19);
        for (int k = 0, at = 0; k < 4; k++) {
            if (!l->peer[k].ratio.n) continue;
            double r = series_median(&l->peer[k].ratio);
            fprintf(f, "<rect x=\"%d\" y=\"%.0f\" width=\"%.1f\" height=\"4\" fill=\"#888\"/>"
                       "<text x=\"%.1f\" y=\"%.0f\" font-size=\"7\">%s %.2f</text>\n",
                    LEFT, y + 17 + 5 * at, r * unit, LEFT + r * unit + 4, y + 22 + 5 * at, l->peer[k].name, r);
            at++;
        }
    }
    fprintf(f, "</svg>\n");
    return fclose(f) == 0;
}
