// rooms: dicom base
/* Text in every set: the first line names the sets, the byte behind it the VR, the rest is the
 * value. What comes out is UTF-8, whatever went in, and the values of an element are its parts. */
#include <stdlib.h>
#include <string.h>
#include "dicom/charset.h"
#include "dicom/vr.h"

static void must(bool ok)
{
    if (!ok) abort();
}

/* Strict, written apart from what it judges. */
static bool is_utf8(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        const uint8_t b = p[i];
        const size_t k = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
        if ((b >= 0x80 && b < 0xc2) || b > 0xf4 || n - i < k) return false;
        for (size_t j = 1; j < k; j++)
            if ((p[i + j] & 0xc0) != 0x80) return false;
        if ((b == 0xe0 && p[i + 1] < 0xa0) || (b == 0xed && p[i + 1] > 0x9f) ||
            (b == 0xf0 && p[i + 1] < 0x90) || (b == 0xf4 && p[i + 1] > 0x8f))
            return false;
        i += k;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char vrs[][3] = {"LO", "LT", "PN", "SH", "ST", "UC", "UT", "CS"};
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    if (!line || line + 1 == data + size) return 0;
    const mt_dcm_element terms = {
        .vr = MT_VR('C', 'S'), .value = data, .length = (size_t)(line - data)};
    const mt_dcm_charset set = mt_dcm_charset_of(&terms);
    const char *vr = vrs[line[1] & 7];
    const uint8_t *text = line + 2;
    const size_t n = (size_t)(data + size - text);
    const mt_dcm_element e = {.vr = MT_VR(vr[0], vr[1]), .value = text, .length = n};

    mt_buf out = MT_BUF_INIT(4 << 20);
    const size_t wrong = mt_dcm_decode(&out, &set, e.vr, text, n);
    must(!out.failed && wrong <= n && is_utf8(out.data, out.len) && out.len <= 3 * n + 1);

    const size_t values = mt_dcm_charset_count(&set, &e);
    must(values <= n + 1 && (values == 0) == (n == 0));
    const char *before = (const char *)text;
    for (size_t i = 0; i < values && i < 64; i++) {
        const mt_dcm_text t = mt_dcm_charset_value(&set, &e, i);
        must(t.p && t.p >= before && t.p + t.n <= (const char *)text + n);
        before = t.p + t.n;
        char fits[24];
        (void)mt_dcm_utf8(fits, 1 + (size_t)data[0] % sizeof fits, &set, &e, i);
        must(is_utf8((const uint8_t *)fits, strlen(fits)) && strlen(fits) <= data[0] % sizeof fits);
    }
    must(!mt_dcm_charset_value(&set, &e, values).p);
    mt_buf_free(&out);
    return 0;
}
