/* A command is one description: the parser, `--help`, `microtome help` and the man page all read
 * it.
 *
 * A command lives in cmd_<name>.c and is one row of the table in microtome.c. */
#ifndef MT_TOOLS_COMMAND_H
#define MT_TOOLS_COMMAND_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "microtome/err.h"

/* What an option stores at its place in the command's own options struct. */
typedef enum mt_opt_type {
    MT_OPT_FLAG,   /* int, becomes 1 */
    MT_OPT_TEXT,   /* const char *, points into argv */
    MT_OPT_INT,    /* int64_t within min..max */
    MT_OPT_SIZE,   /* uint64_t, bytes; K, M, G and T are powers of 1024 */
    MT_OPT_REAL,   /* double within min..max, finite */
    MT_OPT_CHOICE, /* int, position of the word among `words` */
    MT_OPT_LIST    /* mt_opt_list, may be given again and again */
} mt_opt_type;

typedef struct mt_opt_list {
    const char **v; /* freed by mt_command_release */
    size_t n;
} mt_opt_list;

typedef struct mt_opt {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* short name or 0 */
    mt_opt_type type;
    size_t at;         /* offsetof in the options struct */
    const char *arg;   /* placeholder: "FILE", "N" */
    const char *help;  /* a phrase; its default is added from the defaults struct */
    double min, max;   /* INT, REAL */
    const char *words; /* CHOICE: "pad|drop" */
} mt_opt;

/* Rows of an option table; `field` is a member of the file's own `struct opts`. */
#define OPT_ROW(n, t, field) .name = n, .type = t, .at = offsetof(struct opts, field)
#define OPT_FLAG(n, field, h)                                                                      \
    {                                                                                              \
        OPT_ROW(n, MT_OPT_FLAG, field), .help = h                                                  \
    }
#define OPT_TEXT(n, l, field, a, h)                                                                \
    {                                                                                              \
        OPT_ROW(n, MT_OPT_TEXT, field), .letter = l, .arg = a, .help = h                           \
    }
#define OPT_INT(n, field, a, lo, hi, h)                                                            \
    {                                                                                              \
        OPT_ROW(n, MT_OPT_INT, field), .arg = a, .help = h, .min = lo, .max = hi                   \
    }
#define OPT_SIZE(n, field, a, h)                                                                   \
    {                                                                                              \
        OPT_ROW(n, MT_OPT_SIZE, field), .arg = a, .help = h                                        \
    }
#define OPT_REAL(n, field, a, lo, hi, h)                                                           \
    {                                                                                              \
        OPT_ROW(n, MT_OPT_REAL, field), .arg = a, .help = h, .min = lo, .max = hi                  \
    }
#define OPT_CHOICE(n, field, w, h)                                                                 \
    {                                                                                              \
        OPT_ROW(n, MT_OPT_CHOICE, field), .help = h, .words = w                                    \
    }
#define OPT_LIST(n, field, a, h)                                                                   \
    {                                                                                              \
        OPT_ROW(n, MT_OPT_LIST, field), .arg = a, .help = h                                        \
    }
#define OPT_END                                                                                    \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* Rows that several commands have, so that they mean the same everywhere. */
#define OPT_THREADS(field) OPT_INT("threads", field, "N", 0, 1024, "worker threads; 0: every core")
#define OPT_CPU(field) OPT_CHOICE("cpu", field, "auto|ref|avx2|avx512", "kernel set")
#define OPT_ENGINE(field)                                                                          \
    OPT_CHOICE("engine", field, "microtome|onnxruntime", "what runs the network")
#define OPT_ONNXRUNTIME(field)                                                                     \
    OPT_TEXT("onnxruntime-lib", 0, field, "FILE",                                                  \
             "the user's libonnxruntime.so, loaded with --engine onnxruntime")
#define OPT_ASSUME_MPP(field)                                                                      \
    OPT_REAL(                                                                                      \
        "assume-mpp", field, "F", 0.01, 100,                                                       \
        "take F um/px as the slide's spacing, whatever the file says; recorded in the output")
#define OPT_OPTICAL_PATH(field)                                                                    \
    OPT_TEXT("optical-path", 0, field, "ID",                                                       \
             "DICOM: read this optical path (the first when not given)")
#define OPT_FOCAL_PLANE(field)                                                                     \
    OPT_INT("focal-plane", field, "N", 0, 1e6,                                                     \
            "DICOM: read this focal plane, counted from 0 (the middle one when not given)")
#define OPT_TISSUE(field)                                                                          \
    OPT_TEXT("tissue", 0, field, "MASK",                                                           \
             "tissue from a GeoJSON or PNG file, from a folder of them (DIR/<slide>.geojson, .png or " \
             "_mask_use.png), or by a model of task tissue (model:NAME or FILE.onnx)")
#define OPT_STAIN(field)                                                                           \
    OPT_TEXT("stain-normalise", 0, field, "METHOD[:FILE.json]",                                    \
             "none, macenko or reinhard, to the default target or to that of microtome stain -o")
#define OPT_STAIN_FALLBACK(field)                                                                  \
    OPT_CHOICE("stain-fallback", field, "fail|none",                                               \
               "a slide whose stain cannot be measured: fails, or is left as it is and marked (fail when "  \
               "not given)")
/* The words of OPT_CPU, for mt_cpu_select. */
extern const char *const mt_cpu_words[];

typedef struct mt_command {
    const char *name;
    const char *args;    /* synopsis after the name: "SLIDE... -o DIR [options]" */
    const char *summary; /* one line without a full stop */
    const char *about; /* paragraphs, an empty line between; lines that start with a blank stand as
                          they are */
    const char *examples; /* one command a line */
    const mt_opt *opts;
    const void *defaults; /* what the options struct starts as */
    size_t opts_size;
    int min_args, max_args; /* operands; max < 0: any number */
    /* opts is this command's struct, args the operands. Returns the exit code. */
    int (*run)(const void *opts, int n_args, char **args);
} mt_command;

enum { MT_EXIT_OK = 0, MT_EXIT_FAILED = 1, MT_EXIT_USAGE = 2, MT_EXIT_RETRY = 75 };

/* Parses argv[1..] by the command's table. *opts (malloc, mt_command_release) gets defaults and
 * values, operands are gathered at args[0..*n_args). Returns -1 to go on, or the exit code after an
 * error or after --help has been printed. */
int mt_command_parse(const mt_command *cmd, int argc, char **argv, void **opts, int *n_args,
                     char ***args);
void mt_command_release(const mt_command *cmd, void **opts);

/* The same description as help text and as a man page (roff). */
void mt_command_help(const mt_command *cmd, FILE *out);
void mt_command_man(const mt_command *cmd, FILE *out);
/* The pages of the program itself; the table ends with NULL. */
void mt_program_help(const mt_command *const *table, FILE *out);
void mt_program_man(const mt_command *const *table, FILE *out);

/* "microtome CMD: text" and the usage line on stderr. Returns MT_EXIT_USAGE. */
int mt_usage_error(const mt_command *cmd, const char *fmt, ...) MT_PRINTF(2, 3);
/* OPT_ENGINE and OPT_ONNXRUNTIME go together: -1, or the exit code of a usage error. */
int mt_engine_usage(const mt_command *cmd, int engine, const char *library);

/* Rows of the table in microtome.c. */
extern const mt_command mt_cmd_info, mt_cmd_tissue, mt_cmd_tiles, mt_cmd_run, mt_cmd_models,
    mt_cmd_synth, mt_cmd_qc, mt_cmd_bench, mt_cmd_doctor, mt_cmd_stain;

#endif
