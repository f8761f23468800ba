/* How commands speak: talk on stderr, progress on a terminal only, JSON and text on stdout. */
#ifndef MT_TOOLS_TALK_H
#define MT_TOOLS_TALK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "microtome/err.h"
#include "microtome/tiles.h"

/* Name shown before messages ("tiles"); set once by main. */
void mt_talk_name(const char *command);

/* One line on stderr, newline added. Control characters, which a hostile file could have put into
 * an error text, are shown as '?'. A running progress line is wiped first. */
void mt_say(const char *fmt, ...) MT_PRINTF(1, 2);
/* "microtome CMD: text" of a set error. Returns the exit code that fits its status. */
int mt_fail(const mt_err *err);
/* The same for an error of one file: a person at a terminal reads its name too. In what is kept the
 * name, often an accession number, stays out. */
int mt_fail_file(mt_err *err, const char *path);
/* Exit code for a status: usage 2, temporary 75, everything else 1. */
int mt_exit_code(mt_status status);

/* Copies text with control characters replaced, for text that comes from a file and goes to stdout.
 */
const char *mt_clean(char *out, size_t cap, const char *text);
#define MT_CLEAN(text) mt_clean((char[600]){0}, 600, (text))

/* True when stderr is a terminal: messages may then name files, and progress is drawn. */
bool mt_on_terminal(void);

/* SIGINT and SIGTERM ask for a clean stop; the second one kills. */
void mt_stop_listen(void);
int mt_stop_asked(void);

/* A progress line with rate and time left; silent where stderr is no terminal. */
typedef struct mt_meter {
    char label[160];
    const char *unit; /* "tiles" */
    double divide;    /* counts per unit: 1e6 and "megapixels" */
    double begun, drawn;
    uint64_t first; /* count at the first tick: work found done does not count for the rate */
    bool started;
} mt_meter;
void mt_meter_start(mt_meter *m, const char *label, const char *unit, double divide);
/* An mt_progress_fn; ctx is the mt_meter. Non-zero once a stop has been asked for. */
int mt_meter_tick(void *meter, uint64_t done, uint64_t total);
void mt_meter_end(mt_meter *m);

/* "1:02:03" or "02:03" of seconds. */
const char *mt_hms(char out[24], double seconds);
double mt_now(void); /* monotonic seconds */

/* JSON values that never fail: NaN becomes null, bytes that are no UTF-8 become '?'. */
json_t *mt_js(const char *text);
json_t *mt_jn(double v);
/* Prints and releases a value; exit code. */
int mt_json_print(json_t *j);
json_t *mt_fetch_json(const mt_fetch_stats *s);
void mt_fetch_print(const mt_fetch_stats *s);

/* Options more than one command has. */
int mt_threads(int64_t asked); /* 0 = every core this process may use */
/* "32" (pixels of a tile) or "25%" as share of the tile; false when it is neither or not within
 * 0..1. */
bool mt_overlap_parse(double *share, bool *is_pixels, const char *text);
/* What the files of slide i of a command are called: its stem, followed by digits of its digest where two
 * of the slides share a stem. */
#define MT_OUT_NAME 272
mt_status mt_out_name(char out[MT_OUT_NAME], const mt_slide *slide, int i, int n_args, char **args,
                      mt_err *err);

#endif
