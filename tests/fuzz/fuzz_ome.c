// rooms: slide codec base
// seeds: slides
/* The XML of slide files. The first byte says whose, the rest is put where the maker puts it: into a
 * TIFF file of three tiled directories, the third a SubIFD of the first. What is a TIFF file already is
 * taken as it stands. */
#include "door.h"

typedef struct file {
    uint8_t p[1 << 16];
    size_t n;
} file;

static void put(file *f, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        f->p[f->n++] = (uint8_t)(v >> (8 * i));
}

static void entry(file *f, unsigned tag, unsigned type, uint32_t count, uint32_t value)
{
    put(f, tag, 2);
    put(f, type, 2);
    put(f, count, 4);
    put(f, value, 4);
}

enum { FIELDS = 13, DIR_BYTES = 2 + 12 * FIELDS + 4, TEXT_AT = 8 + 3 * DIR_BYTES + 64 };

static void directory(file *f, int i, uint32_t side, int maker, uint32_t text, uint32_t next)
{
    static const char *const software[] = {"OME", "Philips", "PKI", "SCN", "BIF"};
    put(f, FIELDS, 2);
    entry(f, 256, 3, 1, side);
    entry(f, 257, 3, 1, side);
    entry(f, 258, 3, 1, 8);
    entry(f, 259, 3, 1, 1);
    entry(f, 262, 3, 1, 2);
    entry(f, maker == 4 ? 700 : 270, maker == 4 ? 1 : 2, i == 2 ? 4 : text, i == 2 ? 0 : TEXT_AT);
    entry(f, 277, 3, 1, 3);
    entry(f, 305, 2, (uint32_t)strlen(software[maker]) + 1, 8 + 3 * DIR_BYTES);
    entry(f, 322, 3, 1, 16);
    entry(f, 324, 4, 1, TEXT_AT);
    entry(f, 325, 4, 1, 768);
    entry(f, 323, 3, 1, 16);
    if (i == 0)
        entry(f, 330, 4, 1, 8 + 2 * DIR_BYTES);
    else
        entry(f, 254, 4, 1, 1);
    put(f, next, 4);
    memcpy(f->p + 8 + 3 * DIR_BYTES, software[maker], strlen(software[maker]) + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mt_format *const rows[] = {&mt_format_ome, &mt_format_philips, &mt_format_qptiff,
                                            &mt_format_scn, &mt_format_bif};
    static file f;
    if (mt_tiff_is(data, size)) {
        door(rows, MT_COUNT(rows), data, size);
        return 0;
    }
    if (size < 2 || size > sizeof f.p - TEXT_AT - 1024) return 0;
    memset(&f, 0, sizeof f);
    const int maker = data[0] % 5;
    const uint32_t text = (uint32_t)size - 1;
    put(&f, 0x4949 | 42 << 16, 4);
    put(&f, 8, 4);
    directory(&f, 0, 16, maker, text, 8 + DIR_BYTES);
    directory(&f, 1, 8, maker, text, 0);
    directory(&f, 2, 8, maker, text, 0);
    memcpy(f.p + TEXT_AT, data + 1, text);
    door(rows, MT_COUNT(rows), f.p, TEXT_AT + MT_MAX((size_t)text, (size_t)768));
    return 0;
}
