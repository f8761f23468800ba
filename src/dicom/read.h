/* Reading DICOM: files and bare data sets as a stream of elements over bytes in memory (PS3.5 7,
 * PS3.10 7).
 *
 * Nothing is copied and nothing is built: a reader is a cursor over a map, whose events point into
 * it, so that a per-frame sequence of a million items costs what its bytes cost. It knows explicit
 * and implicit VR, both byte orders, sequences and items of defined and undefined length, sequences
 * hidden in UN (PS3.5 6.2.2), private elements, and encapsulated pixel data. Memory is the stack of
 * open sequences: constant. The bytes must outlive the reader.
 *
 * Tolerated, since scanners write it: VR "  " or unknown words (read as UN), odd lengths, groups
 * out of order, implicit elements in an explicit set, explicit ones in UN sequences, missing
 * delimiters at the end of the data and superfluous ones behind stated lengths, zeros behind the
 * last element. Refused: what cannot be followed. Every refusal names tag, offset and value. */
#ifndef MT_DICOM_READ_H
#define MT_DICOM_READ_H

#include "base/bytes.h"
#include "base/mem.h"
#include "dicom/tag.h"

#define MT_DCM_UNDEFINED 0xffffffffu
#define MT_DCM_MAX_DEPTH 32

/* How a data set is written. */
typedef struct mt_dcm_syntax {
    bool implicit, big, deflated, encapsulated;
} mt_dcm_syntax;

/* From a transfer syntax UID. Unknown UIDs of the standard's root are explicit little endian,
 * encapsulated (what every one added since 1993 is); a private one gives UNSUPPORTED. */
MT_MUST_USE mt_status mt_dcm_syntax_of(mt_dcm_syntax *out, const char *uid, mt_err *err);

typedef enum mt_dcm_event {
    MT_DCM_ELEMENT,  /* a value, whole */
    MT_DCM_SEQUENCE, /* begins; items follow */
    MT_DCM_ITEM,     /* begins */
    MT_DCM_ITEM_END,
    MT_DCM_SEQUENCE_END,
    MT_DCM_PIXELS,   /* encapsulated (or undefined-length OB) data begin: fragments follow */
    MT_DCM_FRAGMENT, /* one; the first is the basic offset table */
    MT_DCM_PIXELS_END,
    MT_DCM_END /* of the data set */
} mt_dcm_event;

typedef struct mt_dcm_element {
    mt_dcm_event event;
    mt_dcm_tag tag;       /* of the element; of items the sequence's */
    mt_vr vr;             /* as written; implicit, and where UN is written: the dictionary's */
    bool un;              /* UN is written; the value is little endian, items in it implicit */
    int depth;            /* 0 in the data set itself, +1 in every item; ITEM and its end: inside */
    uint32_t item;        /* ITEM and its end: number in the sequence, from 0; FRAGMENT: likewise,
                           * table included; SEQUENCE_END, PIXELS_END: how many there were */
    uint64_t offset;      /* of the tag, from the first byte of file or buffer; ends: of the end */
    uint64_t length;      /* stated, of the value, may be MT_DCM_UNDEFINED; ends: bytes inside */
    const uint8_t *value; /* ELEMENT, FRAGMENT: length bytes; else where the content begins; ends:
                           * where it ended */
    bool big;             /* byte order of the value's numbers */
    bool implicit;        /* how the element's header is written (sequences in UN are implicit) */
} mt_dcm_element;

typedef struct mt_dcm_reader mt_dcm_reader;

/* Reads a bare data set of this syntax; `origin` is added to every offset reported. Deflated bytes
 * are inflated first, at most `ceiling` bytes (0: 1 GiB); offsets then count in the inflated bytes.
 * *out is the caller's. */
MT_MUST_USE mt_status mt_dcm_reader_new(mt_dcm_reader **out, const void *data, size_t size,
                                        mt_dcm_syntax syntax, uint64_t origin, size_t ceiling,
                                        mt_err *err);
void mt_dcm_reader_free(mt_dcm_reader **reader);

/* The next event. FORMAT: cannot be followed from here (the reader then stays at its end). The
 * string of the error names tag and offset; where only the value of an element is too long for what
 * it lies in, *out still says what and where it is. After the last: END, again and again. */
MT_MUST_USE mt_status mt_dcm_next(mt_dcm_element *out, mt_dcm_reader *reader, mt_err *err);

/* After SEQUENCE, ITEM or PIXELS: leaves it without reporting what is inside nor its end event; one
 * step where the length is stated. Anywhere inside one it leaves the innermost that is open; in the
 * data set itself it does nothing. The next event is the one behind the end. */
MT_MUST_USE mt_status mt_dcm_skip(mt_dcm_reader *reader, mt_err *err);

/* Elements that an archive did not know and wrote as UN are told with the VR of the dictionary
 * (PS3.5 6.2.2 note 2), sequences among them opened when their value is one from end to end. What
 * only its private creator knows stays UN; true when its value begins like items, as private
 * sequences in implicit data sets do. */
bool mt_dcm_hides_items(const mt_dcm_element *e);

/* Right after the ELEMENT e: reads its value as a sequence after all. The next events are its items
 * (there is no SEQUENCE event), then SEQUENCE_END. In UN they are implicit little endian. Walks the
 * value first: where it is no sequence from end to end it fails and nothing has moved. */
MT_MUST_USE mt_status mt_dcm_enter(mt_dcm_reader *reader, const mt_dcm_element *e, mt_err *err);

/* Offset of the byte where the next event will be looked for: after an element the one behind its
 * value, after an end event the one behind the delimiter. */
uint64_t mt_dcm_tell(const mt_dcm_reader *reader);

/* Bytes of the data set, once inflated. */
size_t mt_dcm_size(const mt_dcm_reader *reader);

/* Whether a tag is one of (7FE0,0008) (7FE0,0009) (7FE0,0010): who reads headers stops there. */
bool mt_dcm_is_pixels(mt_dcm_tag tag);

/* The head of a file: preamble, DICM, group 0002 (PS3.10 7.1). A TIFF or any other header in the
 * preamble is legal. */
typedef struct mt_dcm_file {
    char syntax_uid[65], class_uid[65], instance_uid[65]; /* "" when absent */
    mt_dcm_syntax syntax;
    uint64_t dataset; /* offset of the first byte behind group 0002 */
    bool bare;        /* no group 0002: the syntax is a guess */
} mt_dcm_file;

/* True when "DICM" stands at 128. */
bool mt_dcm_is(const uint8_t *data, size_t size);

/* Parses the head and gives a reader of the data set. A file without preamble is refused unless
 * allow_bare. Where no transfer syntax is stated it is found by looking at the first elements
 * (explicit little endian, implicit, explicit big endian); where the first elements contradict the
 * stated one as to implicit or explicit, they win and file->syntax says so. Offsets count from the
 * first byte of the file, of a deflated data set from the first inflated byte. *out is the
 * caller's. */
MT_MUST_USE mt_status mt_dcm_open(mt_dcm_reader **out, mt_dcm_file *file, const uint8_t *data,
                                  size_t size, bool allow_bare, mt_err *err);

/* The same with a ceiling for what is inflated, as in mt_dcm_reader_new. */
MT_MUST_USE mt_status mt_dcm_open_within(mt_dcm_reader **out, mt_dcm_file *file, const uint8_t *data,
                                         size_t size, bool allow_bare, size_t ceiling, mt_err *err);

/* ---- Values ---- */

/* Number of values: numbers by size, strings by backslash (0 when empty). */
size_t mt_dcm_count(const mt_dcm_element *e);

/* Value i as a number, whatever the VR can be read as (US UL SS SL UV SV FL FD IS DS AT OB OW ...):
 * false when there is none or it is not a number. IS and DS are read without a locale, padding
 * allowed. */
bool mt_dcm_int(int64_t *out, const mt_dcm_element *e, size_t i);
bool mt_dcm_number(double *out, const mt_dcm_element *e, size_t i);

/* Value i of a string VR as bytes, without padding (leading and trailing spaces and NULs; UI:
 * trailing NUL; LT, ST, UT, UR: the whole, trailing padding only). p NULL and n 0 when there is
 * none. Still in the set's characters. */
typedef struct mt_dcm_text {
    const char *p;
    size_t n;
} mt_dcm_text;
mt_dcm_text mt_dcm_string(const mt_dcm_element *e, size_t i);

/* The same copied, cut to fit, NUL-terminated; control characters become '?'. For ASCII VRs (UI CS
 * DS IS ...). */
void mt_dcm_copy(char *out, size_t room, const mt_dcm_element *e, size_t i);
bool mt_dcm_equals(const mt_dcm_element *e, size_t i, const char *word);

/* "(0028,0010) Rows", "(0009,1001)": for messages. */
const char *mt_dcm_tag_name(char room[64], mt_dcm_tag tag);

#endif
