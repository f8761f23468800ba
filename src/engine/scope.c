#include "engine/scope.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64 };

/* Lower-case letters and digits only: "H & E", "h&e" and "HE" are one word. */
static void fold(char out[WORD_MAX], const char *s, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k + 1 < WORD_MAX; i++)
        if (isalnum((unsigned char)s[i])) out[k++] = (char)tolower((unsigned char)s[i]);
    out[k] = 0;
}

static void fold_stain(char *word)
{
    static const char *const he[] = {"hematoxylineosin",
                                     "haematoxylineosin",
                                     "hematoxylinandeosin",
                                     "haematoxylinandeosin",
                                     "hande",
                                     "hestain"};
    for (size_t i = 0; i < sizeof he / sizeof *he; i++)
        if (strcmp(word, he[i]) == 0) strcpy(word, "he");
}

/* One of the card's words is the slide's word; a scanner's card may name the maker alone. */
static bool matches(const char *card_list, const char *slide_word, bool stain, bool part)
{
    char have[WORD_MAX], want[WORD_MAX];
    fold(have, slide_word, strlen(slide_word));
    if (stain) fold_stain(have);
    for (const char *p = card_list; *p;) {
        size_t n = strcspn(p, "|;");
        fold(want, p, n);
        if (stain) fold_stain(want);
        if (want[0] && (strcmp(want, have) == 0 || (part && strstr(have, want)))) return true;
        p += n + (p[n] != 0);
    }
    return false;
}

mt_status mt_scope_check(mt_scope *out, const mt_card *card, const mt_slide_info *slide,
                         const char *reason, mt_err *err)
{
    memset(out, 0, sizeof *out);
    bool excused = reason && reason[0];
    char silent[96] = "";

    if (card->synthetic_only && !slide->synthetic) {
        if (!excused)
            return mt_err_set(
                err, MT_ERR_SCOPE,
                "model %s is for synthetic slides only and this slide does not declare itself one; "
                "--allow-out-of-scope REASON runs it and marks every output",
                card->name);
        out->outside = 1;
        snprintf(out->text, sizeof out->text, "outside the model's scope: synthetic slides only");
    }
    /* A model of colours has nothing to say of channels shown in grey. */
    if (slide->fluorescence && !matches(card->stain, "fluorescence", true, false)) {
        if (!excused)
            return mt_err_set(err, MT_ERR_SCOPE,
                              "the slide is fluorescence, no brightfield colour picture, which model %s "
                              "is for; --allow-out-of-scope REASON runs it and marks every output",
                              card->name);
        out->outside = 1;
        snprintf(out->text, sizeof out->text, "outside the model's scope: fluorescence slide");
    }
    const struct {
        const char *field, *card, *slide;
        bool stain, part;
    } rows[] = {{"stain", card->stain, slide->stain, true, false},
                {"organ", card->organ, slide->organ, false, false},
                {"scanner", card->scanner, slide->scanner, false, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].card[0]) continue;
        if (!rows[i].slide[0]) {
            size_t n = strlen(silent);
            snprintf(silent + n, sizeof silent - n, "%s%s", n ? ", " : "", rows[i].field);
            continue;
        }
        if (matches(rows[i].card, rows[i].slide, rows[i].stain, rows[i].part)) continue;
        if (!excused)
            return mt_err_set(err, MT_ERR_SCOPE,
                              "the slide's %s is not what model %s is for (%s); "
                              "--allow-out-of-scope REASON runs it "
                              "and marks every output",
                              rows[i].field, card->name, rows[i].card);
        out->outside = 1;
        snprintf(out->text, sizeof out->text, "outside the model's scope: %s %s", rows[i].field,
                 rows[i].card);
    }
    if (silent[0]) {
        out->unverified = 1;
        if (!out->outside)
            snprintf(out->text, sizeof out->text,
                     "scope unverified: the slide says nothing of its %s", silent);
    }
    return MT_OK;
}
