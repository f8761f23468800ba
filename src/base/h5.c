#include "base/h5.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void mt_h5_enter(void)
{
    pthread_mutex_lock(&lock);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void mt_h5_leave(void)
{
    pthread_mutex_unlock(&lock);
}

void mt_h5_close(hid_t *id)
{
    if (*id >= 0 && H5Iis_valid(*id) > 0) H5Idec_ref(*id);
    *id = -1;
}

bool mt_h5_put_attr(hid_t at, const char *name, hid_t stored, hid_t in_memory, hsize_t n,
                    const void *value)
{
    MT_AUTO_H5 space = n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, NULL);
    MT_AUTO_H5 attr = H5Acreate2(at, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    return attr >= 0 && H5Awrite(attr, in_memory, value) >= 0;
}
