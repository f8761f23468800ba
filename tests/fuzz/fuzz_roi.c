// rooms: tiles
/* GeoJSON regions: parse, then sweep lines over what was accepted. */
#include <math.h>
#include "tiles/plan/roi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mt_err err = MT_ERR_INIT;
    mt_roi *roi = NULL;
    mt_roi_sweep *sweep = NULL;
    if (mt_roi_parse(&roi, (const char *)data, size, "input", &err) != MT_OK) {
        if (roi || !err.text[0]) abort();
        return 0;
    }
    if (mt_roi_sweep_new(&sweep, roi, &err) == MT_OK) {
        for (int i = -40; i < 400; i++) {
            const mt_roi_span *spans;
            size_t n;
            double y = i < 0 ? -pow(2, -i) : i * i * 0.37; /* far above, then down the slide */
            if (mt_roi_sweep_line(&spans, &n, sweep, y, &err) != MT_OK) break;
            for (size_t k = 0; k < n; k++) {
                bool apart = k == 0 || spans[k].x0 > spans[k - 1].x1;
                if (!isfinite(spans[k].x0) || !(spans[k].x0 <= spans[k].x1) || !apart) abort();
            }
        }
    }
    mt_roi_sweep_free(&sweep);
    mt_roi_free(&roi);
    return 0;
}
