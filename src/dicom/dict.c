#include "dicom/dict.h"

#include <stddef.h>
#include <string.h>
#include "base/mem.h"

// clang-format off
enum {
    VR___ = 0,
#define V(a, b, name) VR_##name = a << 8 | b,
    V('A', 'E', AE) V('A', 'S', AS) V('A', 'T', AT) V('C', 'S', CS) V('D', 'A', DA) V('D', 'S', DS)
    V('D', 'T', DT) V('F', 'D', FD) V('F', 'L', FL) V('I', 'S', IS) V('L', 'O', LO) V('L', 'T', LT)
    V('O', 'B', OB) V('O', 'D', OD) V('O', 'F', OF) V('O', 'L', OL) V('O', 'V', OV) V('O', 'W', OW)
    V('P', 'N', PN) V('S', 'H', SH) V('S', 'L', SL) V('S', 'Q', SQ) V('S', 'S', SS) V('S', 'T', ST)
    V('S', 'V', SV) V('T', 'M', TM) V('U', 'C', UC) V('U', 'I', UI) V('U', 'L', UL) V('U', 'N', UN)
    V('U', 'R', UR) V('U', 'S', US) V('U', 'T', UT) V('U', 'V', UV)
#undef V
};
// clang-format on

/* Keywords and names lie in one constant block and rows hold offsets into it: no pointer of the
 * table has to be adjusted when the library is loaded. */
// clang-format off
static const struct words {
#define MT_DCM_ROW(tag, a, b, c, lo, hi, step, old, word, name) \
    char k_##word[sizeof #word], n_##word[sizeof name];
#define MT_DCM_RANGE(tag, mask, ...) MT_DCM_ROW(tag, __VA_ARGS__)
#include "dict.def"
#undef MT_DCM_ROW
} words = {
#define MT_DCM_ROW(tag, a, b, c, lo, hi, step, old, word, name) #word, name,
#include "dict.def"
#undef MT_DCM_ROW
#undef MT_DCM_RANGE
};

typedef struct row {
    mt_dcm_tag tag;
    mt_vr vr[3];
    uint8_t vm_min, vm_max, vm_step;
    bool retired;
    uint32_t keyword, name; /* offsets in words */
} row;

#define ROW(tag, a, b, c, lo, hi, step, old, word, name)                                       \
    {tag, {VR_##a, VR_##b, VR_##c}, lo, hi, step, old, offsetof(struct words, k_##word), \
     offsetof(struct words, n_##word)}

static const row rows[] = {
#define MT_DCM_ROW(...) ROW(__VA_ARGS__),
#define MT_DCM_RANGE(...)
#include "dict.def"
#undef MT_DCM_ROW
#undef MT_DCM_RANGE
};

static const struct {
    mt_dcm_tag mask;
    row row;
} ranges[] = {
#define MT_DCM_ROW(...)
#define MT_DCM_RANGE(tag, mask, ...) {mask, ROW(tag, __VA_ARGS__)},
#include "dict.def"
};

static const uint16_t by_keyword[] = {
#include "dict_order.def"
};

// clang-format on

static const char *word_at(uint32_t offset)
{
    return (const char *)&words + offset;
}

static const row *find(mt_dcm_tag tag)
{
    size_t low = 0, n = MT_COUNT(rows);
    while (n > 1) { /* rows[low].tag <= tag wherever it can be */
        const size_t half = n / 2;
        low = rows[low + half].tag <= tag ? low + half : low;
        n -= half;
    }
    if (rows[low].tag == tag) return &rows[low];
    if (tag >> 16 & 1) return NULL;
    for (size_t i = 0; i < MT_COUNT(ranges); i++)
        if ((tag & ranges[i].mask) == ranges[i].row.tag) return &ranges[i].row;
    return NULL;
}

static void fill(mt_dcm_entry *out, const row *r, mt_dcm_tag tag)
{
    *out = (mt_dcm_entry){tag,
                          {r->vr[0], r->vr[1], r->vr[2]},
                          r->vm_min,
                          r->vm_max,
                          r->vm_step,
                          r->retired,
                          word_at(r->keyword),
                          word_at(r->name)};
}

bool mt_dcm_dict_find(mt_dcm_entry *out, mt_dcm_tag tag)
{
    const row *r = find(tag);
    if (r) fill(out, r, tag);
    return r != NULL;
}

bool mt_dcm_dict_keyword(mt_dcm_entry *out, const char *keyword)
{
    size_t low = 0, high = MT_COUNT(by_keyword);
    while (low < high) {
        const size_t mid = (low + high) / 2;
        const row *r = &rows[by_keyword[mid]];
        const int order = strcmp(keyword, word_at(r->keyword));
        if (!order) {
            fill(out, r, r->tag);
            return true;
        }
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    for (size_t i = 0; i < MT_COUNT(ranges); i++)
        if (!strcmp(keyword, word_at(ranges[i].row.keyword))) {
            fill(out, &ranges[i].row, ranges[i].row.tag);
            return true;
        }
    return false;
}

mt_vr mt_dcm_dict_vr(mt_dcm_tag tag, bool is_signed)
{
    if (!(tag & 0xffff)) return VR_UL;
    if (mt_dcm_is_private(tag)) return mt_dcm_is_creator(tag) ? VR_LO : VR_UN;
    const row *r = find(tag);
    if (!r || !r->vr[0]) return VR_UN;
    if (!r->vr[1]) return r->vr[0];
    if (r->vr[1] == VR_OW || r->vr[2] == VR_OW) return VR_OW;
    return r->vr[1] == VR_SS && is_signed ? VR_SS : r->vr[0];
}
