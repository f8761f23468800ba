// rooms: service
/* A CSV list of slides of any bytes. */
#include <stdlib.h>
#include "service/inputs.h"
#include "service/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mt_inputs list = {NULL, 0, 0};
    mt_err err = MT_ERR_INIT;
    mt_status st = mt_inputs_parse_csv(&list, (const char *)data, size, ".", "list.csv", &err);
    if ((st == MT_OK) == (err.text[0] != 0)) abort();
    for (size_t i = 0; i < list.n; i++) {
        char name[MT_NAME_BYTES];
        mt_name_stem(name, list.items[i].path);
        if (!name[0] || name[0] == '.') abort();
        for (const char *p = name; *p; p++)
            if (*p == '/' || (unsigned char)*p < 0x20) abort();
        if (list.items[i].mpp != 0 && !(list.items[i].mpp >= 0.01 && list.items[i].mpp <= 100))
            abort();
    }
    mt_inputs_free(&list);
    return 0;
}
