// rooms: engine
/* A tile journal of any bytes: read to the last sound record, never past anything. The first byte
 * picks the number of classes the reader expects. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "engine/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { N = 64, MOST = 8 };
    static const char key[65] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    if (size < 1) return 0;
    uint32_t n_classes = 1 + data[0] % MOST, found = 0;
    float *probs = calloc(N * n_classes, sizeof *probs);
    uint8_t *state = calloc(N, 1);
    if (probs && state) {
        size_t good = mt_journal_parse(data + 1, size - 1, key, N, n_classes, probs, state, &found);
        uint32_t known = 0;
        for (uint32_t i = 0; i < N; i++) {
            if (state[i] > MT_TILE_NAN) abort();
            known += state[i] != MT_TILE_PENDING;
            for (uint32_t c = 0; c < n_classes && state[i] == MT_TILE_DONE; c++)
                if (!isfinite(probs[i * n_classes + c])) abort();
        }
        if (good > size - 1 || known != found || (found && !good)) abort();
    }
    free(probs);
    free(state);
    return 0;
}
