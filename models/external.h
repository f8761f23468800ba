/* What can be seen of an ONNX file before it is unpacked, and the files that hold tensors of it.
 *
 * A tensor may lie in a file beside the model (location, offset, length). Locations are relative,
 * without ".."; what they name must lie in the model's folder after every link is followed. Such a
 * file is mapped once and tensors point into the map: nothing is copied, so a model may be larger
 * than memory. */
#ifndef MT_MODELS_EXTERNAL_H
#define MT_MODELS_EXTERNAL_H

#include "base/file.h"

#define MT_EXTERNAL_CEILING 8192 /* files of one model */

typedef struct mt_external {
    char *name;                  /* as the model writes it */
    mt_map map;
    char *path;
} mt_external;

typedef struct mt_externals {
    mt_external *file;
    int n, cap;
} mt_externals;

/* Counts the nodes of a model's graph and lists the names of its external files, sorted, each once;
 * *names (malloc, each and the list) is the caller's: mt_external_names_free. Walks the bytes as they
 * are, unpacks nothing. Bytes that are no protobuf give what was seen up to there. */
MT_MUST_USE mt_status mt_onnx_scan(size_t *n_nodes, char ***names, int *n_names, const void *onnx,
                                   size_t n_bytes, mt_err *err);
void mt_external_names_free(char ***names, int n);

/* Bytes [offset, offset + length) of the file `name` in folder; opened at the first use. */
MT_MUST_USE mt_status mt_external_bytes(const uint8_t **out, mt_externals *e, const char *folder,
                                        const char *name, uint64_t offset, uint64_t length,
                                        mt_err *err);
/* Bytes of the whole file. */
MT_MUST_USE mt_status mt_external_size(uint64_t *out, mt_externals *e, const char *folder,
                                       const char *name, mt_err *err);
/* IO when a file became shorter or could not be read since it was opened. */
MT_MUST_USE mt_status mt_externals_check(const mt_externals *e, mt_err *err);
void mt_externals_close(mt_externals *e);

/* SHA-256 of a model, 64 hex digits. Of one file: that of its bytes. With external files: that of its
 * bytes, then for each of them in order of name: the name, a NUL, the size as 8 bytes little-endian,
 * the contents. */
MT_MUST_USE mt_status mt_onnx_digest(char out[65], const void *onnx, size_t n_bytes,
                                     const char *folder, mt_err *err);

#endif
