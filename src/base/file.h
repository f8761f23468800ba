/* Files: guarded maps for reading, whole-or-nothing outputs, small path helpers. */
#ifndef MT_BASE_FILE_H
#define MT_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/mem.h"

/* A read-only map of a file. A page that cannot be read (file cut short, I/O fault) does not kill the
 * process: it reads as zeros and the map is marked faulted. Whoever read through a map asks
 * mt_map_faulted() before believing what was read. At most 32768 maps are open at once. */
typedef struct mt_map {
    const uint8_t *data; /* NULL when size is 0 */
    size_t size;
    int slot;            /* private */
    uint64_t inode;      /* of the file that was mapped */
} mt_map;
#define MT_MAP_INIT {NULL, 0, -1, 0}

MT_MUST_USE mt_status mt_map_open(mt_map *out, const char *path, mt_err *err);
/* The same for a file whose name is not to be told: texts call it `name`. */
MT_MUST_USE mt_status mt_map_open_as(mt_map *out, const char *path, const char *name, mt_err *err);
void mt_map_close(mt_map *m);
bool mt_map_faulted(const mt_map *m);
/* IO error "…: read fault at offset N" when faulted, else MT_OK. */
MT_MUST_USE mt_status mt_map_check(const mt_map *m, mt_err *err);
/* The same, and IO when the file at path is still the one that was mapped (its inode) and has become
 * shorter: a page past the new end faults, but the rest of its last page reads as zeros without one. A
 * file moved or replaced is none of ours: the map is whole. */
MT_MUST_USE mt_status mt_map_check_whole(const mt_map *m, const char *path, mt_err *err);

/* An output that appears whole or not at all: written beside its target under a hidden temporary name,
 * flushed to disk, renamed. */
typedef struct mt_outfile {
    FILE *f;             /* write here; NULL when opened by name only */
    char *path, *tmp;    /* target and temporary name */
} mt_outfile;
MT_MUST_USE mt_status mt_outfile_open(mt_outfile *out, const char *path, mt_err *err);
/* As open, for libraries that want a name: nothing is created, write to o->tmp. */
MT_MUST_USE mt_status mt_outfile_name(mt_outfile *out, const char *path, mt_err *err);
/* Flush, fsync, rename, fsync of the folder. On failure the temporary file is removed. */
MT_MUST_USE mt_status mt_outfile_commit(mt_outfile *o, mt_err *err);
/* Removes the temporary file when not committed; usable with MT_AUTO. */
void mt_outfile_discard(mt_outfile *o);
#define MT_OUTFILE_INIT {NULL, NULL, NULL}

/* Writes n bytes whole or not at all. */
MT_MUST_USE mt_status mt_file_write(const char *path, const void *data, size_t n, mt_err *err);
/* Reads a whole file up to ceiling bytes; *data (malloc, NUL-terminated beyond n) is the caller's. */
MT_MUST_USE mt_status mt_file_read(uint8_t **data, size_t *n, const char *path, size_t ceiling, mt_err *err);
/* mkdir -p. */
MT_MUST_USE mt_status mt_dir_make(const char *path, mt_err *err);
bool mt_file_exists(const char *path);
bool mt_dir_exists(const char *path);

/* printf into a fresh string (the caller's); NULL only when memory has run out. */
char *mt_strf(const char *fmt, ...) MT_PRINTF(1, 2);
/* File name without folder and last extension (".ome.tif" and ".tar.gz" lose only the last). Fresh string. */
char *mt_path_stem(const char *path);
const char *mt_path_base(const char *path);
/* Extension with its dot, lower case not applied; "" when none. */
const char *mt_path_ext(const char *path);

#endif
