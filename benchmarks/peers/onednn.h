/* oneDNN as a peer for single layers: its own layouts, one image, one thread, activation as post-op.
 * Built where CMake finds it (libdnnl-dev); MT_ONEDNN says so. */
#ifndef MT_BENCH_ONEDNN_H
#define MT_BENCH_ONEDNN_H

#include <stdbool.h>
#include "kernels/kernels.h"

typedef struct peer_dnnl peer_dnnl;

/* A convolution of the layer's shape, filled with numbers of its own; false where oneDNN has none. */
bool peer_dnnl_open(peer_dnnl **out, const mt_conv_desc *d, bool winograd);
void peer_dnnl_close(peer_dnnl **p);
void peer_dnnl_run(peer_dnnl *p);
/* The implementation that it picked: "brgconv:avx512_core". */
const char *peer_dnnl_name(const peer_dnnl *p);

#endif
