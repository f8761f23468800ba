// rooms: slide codec base
// seeds: tiles/nuclei/images
/* PNG and JPEG files as slides. */
#include "door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mt_format *const rows[] = {&mt_format_png, &mt_format_jpeg};
    door(rows, MT_COUNT(rows), data, size);
    return 0;
}
