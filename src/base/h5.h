/* HDF5 in a program with threads: Debian's and Ubuntu's library is not built for them, and no two of
 * its files are apart (identifiers, error stack and free lists are the library's). So there is one
 * lock: whoever calls any H5 function holds it. */
#ifndef MT_BASE_H5_H
#define MT_BASE_H5_H

#include <hdf5.h>
#include "base/mem.h"

/* Takes the lock, and keeps the library from printing: failures come back as negative ids. Not to be
 * taken twice by one thread. */
void mt_h5_enter(void);
void mt_h5_leave(void);

/* Gives any kind of identifier back; negative ones are nobody's. *id becomes -1. */
void mt_h5_close(hid_t *id);
#define MT_AUTO_H5 MT_AUTO(mt_h5_close) hid_t

/* A scalar attribute for n = 1, else one of n values. False when it cannot be written. */
bool mt_h5_put_attr(hid_t at, const char *name, hid_t stored, hid_t in_memory, hsize_t n,
                    const void *value);

#endif
