// rooms: slide codec base
// seeds: slides
/* NDPI files: wide offsets, restart intervals, headers made for tiles. */
#include "door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mt_format *const rows[] = {&mt_format_ndpi};
    if (mt_tiff_is(data, size)) door(rows, 1, data, size);
    return 0;
}
