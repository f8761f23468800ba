#include "command.h"
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "microtome/system.h"

enum { WIDTH = 80, HELP_COLUMN = 26, LONG_BASE = 256, HELP_VALUE = 255 };

const char *const mt_cpu_words[] = {"auto", "ref", "avx2", "avx512"};

static size_t count(const mt_opt *opts)
{
    size_t n = 0;
    while (opts && opts[n].name)
        n++;
    return n;
}

int mt_usage_error(const mt_command *cmd, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "microtome %s: ", cmd->name);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: microtome %s %s (more: microtome help %s)\n", cmd->name, cmd->args,
            cmd->name);
    return MT_EXIT_USAGE;
}

int mt_engine_usage(const mt_command *cmd, int engine, const char *library)
{
    if (engine && !library)
        return mt_usage_error(cmd, "--engine onnxruntime needs --onnxruntime-lib FILE: no library of "
                                   "it comes with Microtome");
    if (!engine && library)
        return mt_usage_error(cmd, "--onnxruntime-lib is for --engine onnxruntime");
    return -1;
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool parse_int(int64_t *out, const char *text)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno) return false;
    *out = v;
    return true;
}

static bool parse_real(double *out, const char *text)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v)) return false;
    *out = v;
    return true;
}

/* "400M", "1.5G", "4096": bytes. */
static bool parse_size(uint64_t *out, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || !isfinite(v) || v < 0) return false;
    static const char letters[] = "KMGT";
    const char *letter = *end ? strchr(letters, *end & ~0x20) : NULL;
    if (letter) {
        v = ldexp(v, 10 * (int)(letter - letters + 1));
        end++;
        if (*end == 'i') end++;
    }
    if (*end == 'B') end++;
    if (*end || v >= 0x1p62) return false;
    *out = (uint64_t)v;
    return true;
}

static int parse_word(const char *words, const char *text)
{
    size_t n = strlen(text);
    int i = 0;
    for (const char *w = words; w; i++) {
        const char *bar = strchr(w, '|');
        size_t len = bar ? (size_t)(bar - w) : strlen(w);
        if (len == n && !memcmp(w, text, n)) return i;
        w = bar ? bar + 1 : NULL;
    }
    return -1;
}

static bool list_add(mt_opt_list *l, const char *text)
{
    const char **v = realloc(l->v, (l->n + 1) * sizeof *v);
    if (!v) return false;
    v[l->n++] = text;
    l->v = v;
    return true;
}

/* Stores one value; returns -1 or the exit code. */
static int store(const mt_command *cmd, const mt_opt *o, const char *text, char *base)
{
    void *at = base + o->at;
    int64_t i;
    double d;
    int word;
    switch (o->type) {
    case MT_OPT_FLAG:
        *(int *)at = 1;
        return -1;
    case MT_OPT_TEXT:
        if (!*text) return mt_usage_error(cmd, "--%s: empty", o->name);
        *(const char **)at = text;
        return -1;
    case MT_OPT_INT:
        if (!parse_int(&i, text) || (double)i < o->min || (double)i > o->max)
            return mt_usage_error(cmd, "--%s: \"%s\" is not a whole number from %.15g to %.15g",
                                  o->name, text, o->min, o->max);
        *(int64_t *)at = i;
        return -1;
    case MT_OPT_SIZE:
        if (!parse_size(at, text))
            return mt_usage_error(cmd, "--%s: \"%s\" is not a size such as 400M or 2G", o->name,
                                  text);
        return -1;
    case MT_OPT_REAL:
        if (!parse_real(&d, text) || d < o->min || d > o->max)
            return mt_usage_error(cmd, "--%s: \"%s\" is not a number from %.10g to %.10g", o->name,
                                  text, o->min, o->max);
        *(double *)at = d;
        return -1;
    case MT_OPT_CHOICE:
        if ((word = parse_word(o->words, text)) < 0)
            return mt_usage_error(cmd, "--%s: \"%s\" is none of %s", o->name, text, o->words);
        *(int *)at = word;
        return -1;
    case MT_OPT_LIST:
        if (!list_add(at, text)) return mt_usage_error(cmd, "out of memory");
        return -1;
    }
    return MT_EXIT_USAGE;
}

/* ---- the parser ------------------------------------------------------------------------------ */

typedef struct getopt_tables {
    struct option *longs;
    char *shorts;
} getopt_tables;

static bool make_tables(getopt_tables *t, const mt_opt *opts)
{
    size_t n = count(opts), s = 0;
    t->longs = calloc(n + 2, sizeof *t->longs);
    t->shorts = calloc(1, 2 * n + 3);
    if (!t->longs || !t->shorts) return false;
    t->shorts[s++] = ':'; /* a missing argument is told apart from an unknown option */
    t->shorts[s++] = 'h';
    for (size_t i = 0; i < n; i++) {
        bool arg = opts[i].type != MT_OPT_FLAG;
        t->longs[i] = (struct option){opts[i].name, arg ? required_argument : no_argument, NULL,
                                      LONG_BASE + (int)i};
        if (opts[i].letter) {
            t->shorts[s++] = opts[i].letter;
            if (arg) t->shorts[s++] = ':';
        }
    }
    t->longs[n] = (struct option){"help", no_argument, NULL, HELP_VALUE};
    return true;
}

static const mt_opt *option_of(const mt_command *cmd, int value)
{
    if (value >= LONG_BASE) return &cmd->opts[value - LONG_BASE];
    for (const mt_opt *o = cmd->opts; o && o->name; o++)
        if (o->letter == value) return o;
    return NULL;
}

static int walk(const mt_command *cmd, const getopt_tables *t, int argc, char **argv, char *opts)
{
    optind = 0; /* GNU: start afresh */
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, t->shorts, t->longs, NULL)) != -1;) {
        if (c == 'h' || c == HELP_VALUE) {
            mt_command_help(cmd, stdout);
            return MT_EXIT_OK;
        }
        if (c == ':') return mt_usage_error(cmd, "%s needs an argument", argv[optind - 1]);
        if (c == '?') {
            if (optopt && optopt < HELP_VALUE)
                return mt_usage_error(cmd, "unknown option -%c", optopt);
            return mt_usage_error(cmd, optopt ? "%s takes no argument" : "unknown option %s",
                                  argv[optind - 1]);
        }
        const mt_opt *o = option_of(cmd, c);
        if (!o) return mt_usage_error(cmd, "unknown option -%c", c);
        int code = store(cmd, o, optarg, opts);
        if (code >= 0) return code;
    }
    return -1;
}

int mt_command_parse(const mt_command *cmd, int argc, char **argv, void **opts, int *n_args,
                     char ***args)
{
    getopt_tables t = {NULL, NULL};
    *opts = malloc(cmd->opts_size + 1);
    int code = MT_EXIT_FAILED;
    if (!*opts || !make_tables(&t, cmd->opts)) {
        fputs("microtome: out of memory\n", stderr);
        goto done;
    }
    if (cmd->opts_size) memcpy(*opts, cmd->defaults, cmd->opts_size);
    code = walk(cmd, &t, argc, argv, *opts);
    if (code >= 0) goto done;
    *args = argv + optind;
    *n_args = argc - optind;
    if (*n_args < cmd->min_args)
        code = mt_usage_error(cmd, "too few arguments");
    else if (cmd->max_args >= 0 && *n_args > cmd->max_args)
        code = mt_usage_error(cmd, "one argument too many: %s", (*args)[cmd->max_args]);
done:
    free(t.longs);
    free(t.shorts);
    if (code >= 0) mt_command_release(cmd, opts);
    return code;
}

void mt_command_release(const mt_command *cmd, void **opts)
{
    for (const mt_opt *o = cmd->opts; *opts && o && o->name; o++)
        if (o->type == MT_OPT_LIST) {
            mt_opt_list *l = (mt_opt_list *)((char *)*opts + o->at);
            free(l->v);
            *l = (mt_opt_list){NULL, 0};
        }
    free(*opts);
    *opts = NULL;
}

/* ---- help text ------------------------------------------------------------------------------- */

/* The default of an option as text; "" when there is none to speak of. */
static void default_text(char out[48], const mt_command *cmd, const mt_opt *o)
{
    const char *at = (const char *)cmd->defaults + o->at;
    out[0] = 0;
    if (!cmd->defaults) return;
    if (o->type == MT_OPT_INT && (double)*(const int64_t *)at >= o->min)
        snprintf(out, 48, "%lld", (long long)*(const int64_t *)at);
    else if (o->type == MT_OPT_REAL && *(const double *)at >= o->min)
        snprintf(out, 48, "%.10g", *(const double *)at);
    else if (o->type == MT_OPT_CHOICE && *(const int *)at >= 0) {
        const char *w = o->words;
        for (int i = *(const int *)at; i > 0; i--)
            w = strchr(w, '|') + 1;
        snprintf(out, 48, "%.*s", (int)strcspn(w, "|"), w);
    }
}

static const char *placeholder(const mt_opt *o)
{
    return o->type == MT_OPT_CHOICE ? o->words : o->arg;
}

static void note(char out[80], const mt_command *cmd, const mt_opt *o)
{
    char dflt[48];
    default_text(dflt, cmd, o);
    if (dflt[0])
        snprintf(out, 80, " (default %s)", dflt);
    else
        snprintf(out, 80, "%s", o->type == MT_OPT_LIST ? " (may be repeated)" : "");
}

/* Prints words from column `at` on, broken before WIDTH, later lines indented. */
static void wrap(FILE *out, const char *text, int at, int indent)
{
    while (*text) {
        int n = (int)strcspn(text, " \n");
        if (at + n > WIDTH && at > indent) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        }
        fprintf(out, "%.*s", n, text);
        at += n;
        text += n;
        bool more = false;
        while (*text == ' ' || *text == '\n')
            text++, more = true;
        if (more && *text) {
            if (at + 1 + (int)strcspn(text, " \n") > WIDTH) {
                fprintf(out, "\n%*s", indent, "");
                at = indent;
            } else {
                fputc(' ', out);
                at++;
            }
        }
    }
    fputc('\n', out);
}

static void option_help(const mt_command *cmd, const mt_opt *o, FILE *out)
{
    char left[96], text[640], tail[80];
    char letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    const char *arg = placeholder(o);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, arg ? " " : "", arg ? arg : "");
    note(tail, cmd, o);
    snprintf(text, sizeof text, "%s%s", o->help, tail);
    int n = fprintf(out, "%s", left);
    if (n >= HELP_COLUMN - 1) {
        fputc('\n', out);
        n = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - n, "");
    wrap(out, text, HELP_COLUMN, HELP_COLUMN);
}

/* Calls fn for every paragraph of a text: lines up to an empty line. */
static void paragraphs(const char *text, FILE *out,
                       void (*fn)(const char *text, size_t n, FILE *out))
{
    while (text && *text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        fn(text, n, out);
        text += n;
        while (*text == '\n')
            text++;
    }
}

static void paragraph_help(const char *text, size_t n, FILE *out)
{
    char buf[2048];
    snprintf(buf, sizeof buf, "%.*s", (int)n, text);
    fputc('\n', out);
    if (*buf == ' ')
        fprintf(out, "%s\n", buf);
    else
        wrap(out, buf, 0, 0);
}

void mt_command_help(const mt_command *cmd, FILE *out)
{
    char line[512];
    snprintf(line, sizeof line, "usage: microtome %s %s", cmd->name, cmd->args);
    wrap(out, line, 0, 7);
    fprintf(out, "\n%s.\n", cmd->summary);
    paragraphs(cmd->about, out, paragraph_help);
    fputs("\noptions:\n", out);
    for (const mt_opt *o = cmd->opts; o && o->name; o++)
        option_help(cmd, o, out);
    fprintf(out, "  -h, --help%*sthis text\n", HELP_COLUMN - 12, "");
    if (cmd->examples) {
        fputs("\nexamples:\n", out);
        for (const char *e = cmd->examples; *e;) {
            size_t n = strcspn(e, "\n");
            fprintf(out, "  %.*s\n", (int)n, e);
            e += n + (e[n] == '\n');
        }
    }
}

static const char exit_text[] =
    "0 everything was done; 1 something failed (each failure has its reason on standard "
    "error, other work went on); 2 the command line makes no sense; 75 a temporary "
    "failure that is worth a retry.";

static const char program_about[] =
    "Microtome reads whole-slide images, finds the tissue, cuts it into tiles, runs a network on "
    "every tile and "
    "turns the scores into a slide-level result with a heatmap. Results go to standard output or "
    "to the folder "
    "named with -o; messages and progress go to standard error.\n\n"
    "It is research software, not a medical device: nothing it prints is a diagnosis.";

void mt_program_help(const mt_command *const *table, FILE *out)
{
    fputs("usage: microtome COMMAND [arguments]\n", out);
    paragraphs(program_about, out, paragraph_help);
    fputs("\ncommands:\n", out);
    for (; *table; table++) {
        fprintf(out, "  %-10s", (*table)->name);
        wrap(out, (*table)->summary, 12, 12);
    }
    fputs("\n  microtome help COMMAND   what a command does and its options\n"
          "  microtome --version      version and kernel set\n",
          out);
    fputc('\n', out);
    char line[400];
    snprintf(line, sizeof line, "exit code: %s", exit_text);
    wrap(out, line, 0, 0);
}

/* ---- man pages ------------------------------------------------------------------------------- */

/* Text as roff: backslash and dash escaped, a control character at the start of a line disarmed. */
static void roff(const char *text, size_t n, FILE *out)
{
    bool line_start = true;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (line_start && (c == '.' || c == '\'')) fputs("\\&", out);
        if (c == '\\')
            fputs("\\e", out);
        else if (c == '-')
            fputs("\\-", out);
        else if (c == '\'')
            fputs("\\(aq", out);
        else if (c == '~')
            fputs("\\(ti", out);
        else if (c == '^')
            fputs("\\(ha", out);
        else
            fputc(c, out);
        line_start = c == '\n';
    }
}

static void roff_str(const char *text, FILE *out)
{
    roff(text, strlen(text), out);
}

static void paragraph_man(const char *text, size_t n, FILE *out)
{
    fputs(*text == ' ' ? ".PP\n.nf\n" : ".PP\n", out);
    roff(text, n, out);
    fputs(*text == ' ' ? "\n.fi\n" : "\n", out);
}

static void man_head(const char *title, const char *summary, FILE *out)
{
    fputs(".TH ", out);
    for (const char *p = title; *p; p++)
        fputc(*p >= 'a' && *p <= 'z' ? *p - 32 : *p, out);
    fprintf(out, " 1 \"\" \"microtome %s\" \"Microtome\"\n.SH NAME\n", mt_version());
    roff_str(title, out);
    fputs(" \\- ", out);
    roff_str(summary, out);
    fputc('\n', out);
}

static void option_man(const mt_command *cmd, const mt_opt *o, FILE *out)
{
    fputs(".TP\n", out);
    if (o->letter) fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", out);
    roff_str(o->name, out);
    fputs("\\fR", out);
    if (placeholder(o)) {
        fputs(" \\fI", out);
        roff_str(placeholder(o), out);
        fputs("\\fR", out);
    }
    char tail[80];
    note(tail, cmd, o);
    fputc('\n', out);
    roff_str(o->help, out);
    roff_str(tail, out);
    fputs(".\n", out);
}

void mt_command_man(const mt_command *cmd, FILE *out)
{
    char title[64];
    snprintf(title, sizeof title, "microtome-%s", cmd->name);
    man_head(title, cmd->summary, out);
    fprintf(out, ".SH SYNOPSIS\n\\fBmicrotome %s\\fR ", cmd->name);
    roff_str(cmd->args, out);
    fputs("\n.SH DESCRIPTION\n", out);
    roff_str(cmd->summary, out);
    fputs(".\n", out);
    paragraphs(cmd->about, out, paragraph_man);
    fputs(".SH OPTIONS\n", out);
    for (const mt_opt *o = cmd->opts; o && o->name; o++)
        option_man(cmd, o, out);
    fputs(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nthe same as plain text.\n", out);
    if (cmd->examples) {
        fputs(".SH EXAMPLES\n.nf\n", out);
        roff_str(cmd->examples, out);
        fputs("\n.fi\n", out);
    }
    fputs(".SH EXIT STATUS\n", out);
    roff_str(exit_text, out);
    fputs("\n.SH SEE ALSO\n\\fBmicrotome\\fR(1)\n", out);
}

void mt_program_man(const mt_command *const *table, FILE *out)
{
    man_head("microtome", "whole-slide pathology analysis", out);
    fputs(".SH SYNOPSIS\n\\fBmicrotome\\fR \\fICOMMAND\\fR [arguments]\n.br\n"
          "\\fBmicrotome help\\fR [\\fICOMMAND\\fR]\n.br\n\\fBmicrotome \\-\\-version\\fR\n.SH "
          "DESCRIPTION\n",
          out);
    paragraphs(program_about, out, paragraph_man);
    fputs(".SH COMMANDS\n", out);
    for (const mt_command *const *c = table; *c; c++) {
        fprintf(out, ".TP\n\\fBmicrotome\\-%s\\fR(1)\n", (*c)->name);
        roff_str((*c)->summary, out);
        fputs(".\n", out);
    }
    fputs(".SH EXIT STATUS\n", out);
    roff_str(exit_text, out);
    fputc('\n', out);
}
