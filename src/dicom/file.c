/* The head of a file (PS3.10 7.1) and what to do where there is none. */
#include <stdio.h>
#include <string.h>
#include "dicom/read.h"
#include "dicom/uid.h"
#include "dicom/vr.h"

enum { PREAMBLE = 128, HEAD = PREAMBLE + 4, GUESS_ELEMENTS = 12 };
static const mt_dcm_syntax explicit_little = {false, false, false, false};
static const mt_dcm_syntax implicit_little = {true, false, false, false};
static const mt_dcm_syntax explicit_big = {false, true, false, false};

mt_status mt_dcm_syntax_of(mt_dcm_syntax *out, const char *uid, mt_err *err)
{
    static const struct {
        const char *uid;
        mt_dcm_syntax syntax;
    } plain[] = {
        {"1.2.840.10008.1.2", {.implicit = true}},
        {"1.2.840.10008.1.2.1", {0}},
        {"1.2.840.10008.1.2.1.99", {.deflated = true}},
        {"1.2.840.10008.1.2.2", {.big = true}},
        {"1.2.840.10008.1.2.4.94", {0}}, /* JPIP: the pixels are elsewhere */
        {"1.2.840.10008.1.2.4.95", {.deflated = true}},
        {"1.2.840.10008.1.2.4.204", {0}},
        {"1.2.840.10008.1.2.4.205", {.deflated = true}},
        {"1.2.840.10008.1.20", {.implicit = true}}, /* Papyrus 3 */
    };
    for (size_t i = 0; i < MT_COUNT(plain); i++)
        if (!strcmp(uid, plain[i].uid)) {
            *out = plain[i].syntax;
            return MT_OK;
        }
    *out = (mt_dcm_syntax){.encapsulated = true};
    if (!strncmp(uid, "1.2.840.10008.", 14)) return MT_OK;
    /* Shown only when it is a UID: whatever else stands there may name people. */
    return mt_err_set(err, MT_ERR_UNSUPPORTED,
                      "transfer syntax \"%.64s\" is not one of the standard",
                      uid[strspn(uid, "0123456789.")] ? "(no UID)" : uid);
}

bool mt_dcm_is(const uint8_t *data, size_t size)
{
    return size >= HEAD && !memcmp(data + PREAMBLE, "DICM", 4);
}

/* ---- Guessing ---- */

/* How many of the first elements make sense when read this way: tags ascend, text is text, numbers
 * have the size of numbers. -1: not even the first. */
static int score(const uint8_t *data, size_t size, mt_dcm_syntax syntax)
{
    MT_AUTO(mt_dcm_reader_free) mt_dcm_reader *r = NULL;
    if (mt_dcm_reader_new(&r, data, size, syntax, 0, 0, NULL) != MT_OK) return -1;
    mt_dcm_tag before = 0;
    int good = 0;
    for (int i = 0; i < GUESS_ELEMENTS; i++) {
        mt_dcm_element e;
        if (mt_dcm_next(&e, r, NULL) != MT_OK) return good ? good - 1 : -1;
        if (e.event == MT_DCM_END) return good;
        if (e.tag < before || (!i && (e.tag >> 16 > 0x0010 || e.tag >> 16 == 0)) ||
            e.implicit != syntax.implicit)
            return good ? good - 1 : -1;
        before = e.tag;
        const unsigned width = mt_vr_width(e.vr);
        good += e.vr != MT_VR('U', 'N') &&
                (e.event != MT_DCM_ELEMENT || !width || e.length % width == 0);
        if (e.event != MT_DCM_ELEMENT && mt_dcm_skip(r, NULL) != MT_OK) return good;
    }
    return good;
}

static bool guess(mt_dcm_syntax *out, const uint8_t *data, size_t size)
{
    const mt_dcm_syntax ways[] = {explicit_little, implicit_little, explicit_big};
    int best = 0;
    for (size_t i = 0; i < MT_COUNT(ways); i++) {
        const int s = score(data, size, ways[i]);
        if (s > best) {
            best = s;
            *out = ways[i];
        }
    }
    return best > 0;
}

/* Writers exist whose head says explicit and whose data set is not, or the other way round: the
 * first element shows it. */
static void correct(mt_dcm_syntax *syntax, const uint8_t *data, size_t size)
{
    if (syntax->deflated || syntax->big || size < 8) return;
    const bool capitals = mt_vr_form(MT_VR(data[4], data[5])) != MT_VR_UNKNOWN;
    if (capitals != syntax->implicit) return;
    mt_dcm_syntax other = *syntax;
    other.implicit = !other.implicit;
    if (score(data, size, other) > 0 && score(data, size, *syntax) <= 0)
        syntax->implicit = other.implicit;
}

/* ---- Group 0002 ---- */

/* Reads group 0002 at `at`, always explicit little endian, and finds where it ends: where the next
 * tag is of another group. Its stated length only says so when the data set is deflated, whose
 * bytes may look like anything; it is too often wrong otherwise. */
static mt_status read_meta(mt_dcm_file *file, const uint8_t *data, size_t size, size_t at,
                           mt_err *err)
{
    MT_AUTO(mt_dcm_reader_free) mt_dcm_reader *r = NULL;
    MT_TRY(mt_dcm_reader_new(&r, data + at, size - at, explicit_little, at, 0, err));
    size_t stated = 0;
    for (;;) {
        const bool deflated = !strcmp(file->syntax_uid, "1.2.840.10008.1.2.1.99");
        if (size - at < 2 || data[at] != 2 || data[at + 1] != 0 || (deflated && at == stated))
            break;
        mt_dcm_element e;
        MT_TRY(mt_dcm_next(&e, r, err));
        if (e.event != MT_DCM_ELEMENT) break;
        at = (size_t)(e.value - data) + (size_t)e.length;
        int64_t length;
        if (e.tag == 0x00020000 && mt_dcm_int(&length, &e, 0) && length >= 0)
            stated = at + (size_t)length;
        if (e.tag == 0x00020002) mt_dcm_copy(file->class_uid, sizeof file->class_uid, &e, 0);
        if (e.tag == 0x00020003) mt_dcm_copy(file->instance_uid, sizeof file->instance_uid, &e, 0);
        if (e.tag == 0x00020010) mt_dcm_copy(file->syntax_uid, sizeof file->syntax_uid, &e, 0);
    }
    file->dataset = at;
    return MT_OK;
}

mt_status mt_dcm_open(mt_dcm_reader **out, mt_dcm_file *file, const uint8_t *data, size_t size,
                      bool allow_bare, mt_err *err)
{
    return mt_dcm_open_within(out, file, data, size, allow_bare, 0, err);
}

mt_status mt_dcm_open_within(mt_dcm_reader **out, mt_dcm_file *file, const uint8_t *data, size_t size,
                             bool allow_bare, size_t ceiling, mt_err *err)
{
    *file = (mt_dcm_file){.bare = true};
    *out = NULL;
    const bool whole = mt_dcm_is(data, size);
    if (!whole && !allow_bare)
        return mt_err_set(err, MT_ERR_FORMAT, "no DICOM file: \"DICM\" does not stand at byte 128");
    const size_t at = whole ? HEAD : 0;
    if (whole || (size >= 8 && !memcmp(data, "\2\0\0\0UL", 6))) {
        file->bare = false;
        MT_TRY(read_meta(file, data, size, at, err));
    }
    const uint8_t *set = data + file->dataset;
    size_t left = size - (size_t)file->dataset;
    if (file->syntax_uid[0]) {
        MT_TRY(mt_dcm_syntax_of(&file->syntax, file->syntax_uid, err));
        correct(&file->syntax, set, left);
    } else if (!guess(&file->syntax, set, left)) {
        /* who cuts heads off may leave the byte that padded the last value of group 0002 */
        const bool pad = file->bare && left && (*set == ' ' || *set == '\0');
        if (!pad || !guess(&file->syntax, ++set, --left))
            return mt_err_set(err, MT_ERR_FORMAT,
                              "no DICOM data set in any syntax begins at byte %llu",
                              (unsigned long long)file->dataset);
        file->dataset++;
    }
    return mt_dcm_reader_new(out, set, left, file->syntax, file->dataset, ceiling, err);
}
