#include "talk.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "command.h"
#include "microtome/system.h"

static const char *command_name = "";
static bool line_drawn; /* a progress line stands on the terminal */
static volatile sig_atomic_t stop_flag;

void mt_talk_name(const char *command)
{
    command_name = command;
}

const char *mt_clean(char *out, size_t cap, const char *text)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && n + 1 < cap; p++) {
        bool c1 =
            p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f; /* terminal controls written in UTF-8 */
        out[n++] = *p < 0x20 || *p == 0x7f || c1 ? '?' : (char)*p;
        if (c1) p++;
    }
    out[n] = 0;
    return out;
}

bool mt_on_terminal(void)
{
    static int known = -1;
    if (known < 0) known = isatty(STDERR_FILENO);
    return known;
}

static void wipe_line(void)
{
    if (line_drawn) fputs("\r\033[K", stderr);
    line_drawn = false;
}

void mt_say(const char *fmt, ...)
{
    char text[2048], clean[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    wipe_line();
    fprintf(stderr, "%s\n", mt_clean(clean, sizeof clean, text));
}

int mt_exit_code(mt_status status)
{
    switch (status) {
    case MT_OK:
        return MT_EXIT_OK;
    case MT_ERR_ARG:
        return MT_EXIT_USAGE;
    case MT_ERR_TEMPORARY:
        return MT_EXIT_RETRY;
    default:
        return MT_EXIT_FAILED;
    }
}

int mt_fail(const mt_err *err)
{
    mt_say("microtome %s: %s", command_name, err->text[0] ? err->text : mt_status_name(err->code));
    return err->code == MT_OK ? MT_EXIT_FAILED : mt_exit_code(err->code);
}

int mt_fail_file(mt_err *err, const char *path)
{
    if (mt_on_terminal() && !strstr(err->text, path)) mt_err_context(err, "%s", path);
    return mt_fail(err);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void on_signal(int sig)
{
    (void)sig;
    stop_flag = 1;
}

void mt_stop_listen(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

int mt_stop_asked(void)
{
    return stop_flag != 0;
}

/* ---- progress -------------------------------------------------------------------------------- */

double mt_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

const char *mt_hms(char out[24], double seconds)
{
    if (!(seconds >= 0) || seconds > 1e7) return strcpy(out, "--:--");
    long s = lround(seconds);
    if (s >= 3600)
        snprintf(out, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%02ld:%02ld", s / 60, s % 60);
    return out;
}

void mt_meter_start(mt_meter *m, const char *label, const char *unit, double divide)
{
    *m = (mt_meter){.unit = unit, .divide = divide};
    mt_clean(m->label, sizeof m->label, label);
}

static void meter_draw(mt_meter *m, uint64_t done, uint64_t total, double now)
{
    char left[24], line[320];
    double rate = now > m->begun ? (double)(done - m->first) / (now - m->begun) : 0;
    mt_hms(left, rate > 0 ? (double)(total - done) / rate : -1);
    double share = total ? 100.0 * (double)done / (double)total : 100.0;
    snprintf(line, sizeof line, "%s  %5.1f %%  %.0f/%.0f %s  %.3g/s  %s left", m->label, share,
             (double)done / m->divide, (double)total / m->divide, m->unit, rate / m->divide, left);
    struct winsize ws = {0};
    int columns = !ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) && ws.ws_col > 20 ? ws.ws_col - 1 : 79;
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
    line_drawn = true;
}

int mt_meter_tick(void *meter, uint64_t done, uint64_t total)
{
    mt_meter *m = meter;
    double now = mt_now();
    if (!m->started) {
        m->started = true;
        m->begun = now;
        m->first = done;
    }
    if (mt_on_terminal() && done <= total && (now - m->drawn > 0.2 || done == total)) {
        meter_draw(m, done, total, now);
        m->drawn = now;
    }
    return mt_stop_asked();
}

void mt_meter_end(mt_meter *m)
{
    (void)m;
    wipe_line();
}

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *mt_js(const char *text)
{
    json_t *j = json_string(text);
    if (j) return j;
    char ascii[1024];
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof ascii; n++)
        ascii[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
    ascii[n] = 0;
    return json_string(ascii);
}

json_t *mt_jn(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

int mt_json_print(json_t *j)
{
    int bad = !j || json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(j);
    if (bad) {
        mt_say("microtome %s: the answer could not be written as JSON", command_name);
        return MT_EXIT_FAILED;
    }
    putchar('\n');
    return MT_EXIT_OK;
}

json_t *mt_fetch_json(const mt_fetch_stats *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "tiles", (json_int_t)s->tiles,
                     "unreadable", (json_int_t)s->unreadable, "native_needed",
                     (json_int_t)s->native_needed, "native_decoded", (json_int_t)s->native_decoded,
                     "bytes_compressed", (json_int_t)s->bytes_compressed, "pixels_decoded",
                     (json_int_t)s->pixels_decoded, "peak_bytes", (json_int_t)s->peak_bytes,
                     "wall_s", mt_jn(s->wall_s), "cpu_s", mt_jn(s->cpu_s));
}

void mt_fetch_print(const mt_fetch_stats *s)
{
    double ratio = s->native_needed ? (double)s->native_decoded / (double)s->native_needed : 0;
    printf("native     %llu tiles needed, %llu decoded (%.4f times each), %.1f MB compressed, %.1f "
           "megapixels\n",
           (unsigned long long)s->native_needed, (unsigned long long)s->native_decoded, ratio,
           (double)s->bytes_compressed / 1e6, (double)s->pixels_decoded / 1e6);
    printf("buffers    %.1f MB at most\n", (double)s->peak_bytes / 1e6);
    printf("time       %.2f s, %.2f CPU s, %.1f tiles/s\n", s->wall_s, s->cpu_s,
           s->wall_s > 0 ? (double)s->tiles / s->wall_s : 0);
}

/* ---- shared options -------------------------------------------------------------------------- */

int mt_threads(int64_t asked)
{
    return asked > 0 ? (int)asked : mt_cpu_count();
}

bool mt_overlap_parse(double *share, bool *is_pixels, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || !isfinite(v) || v < 0) return false;
    *is_pixels = *end == 0;
    if (*end == '%' && !end[1]) {
        *share = v / 100;
        return *share < 1;
    }
    *share = v;
    return *is_pixels && v == floor(v);
}

static bool stem_shared(int i, int n_args, char **args)
{
    char mine[256], other[256];
    mt_slide_stem(mine, sizeof mine, args[i]);
    for (int k = 0; k < n_args; k++) {
        mt_slide_stem(other, sizeof other, args[k]);
        if (k != i && !strcmp(mine, other)) return true;
    }
    return false;
}

mt_status mt_out_name(char out[MT_OUT_NAME], const mt_slide *slide, int i, int n_args, char **args,
                      mt_err *err)
{
    char stem[256], digest[65] = "";
    mt_slide_stem(stem, sizeof stem, args[i]);
    const bool shared = stem_shared(i, n_args, args);
    if (shared) {
        const mt_status st = mt_slide_digest(digest, slide, err);
        if (st) return st;
    }
    snprintf(out, MT_OUT_NAME, "%s%s%.8s", stem, shared ? "~" : "", digest);
    return MT_OK;
}
