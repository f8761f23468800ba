// rooms: codec base
/* DICOM RLE. */
#include "tests/fuzz/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_samples(MT_CODEC_RLE, data, size);
}
