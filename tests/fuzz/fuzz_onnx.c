// rooms: models
/* An ONNX file of any bytes: refused, or compiled and, when small enough, run. Its external data may
 * lie in w.bin of a folder of our own, which holds 4 KiB of small numbers. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "models/external.h"
#include "models/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void remove_folder(void)
{
    char path[80];
    snprintf(path, sizeof path, "%s/w.bin", dir);
    unlink(path);
    rmdir(dir);
}

/* Made at the first call, removed at exit; NULL when there is no place for it. */
static const char *own_folder(void)
{
    float w[1024];
    char path[80];
    if (dir[0]) return dir;
    strcpy(dir, "/tmp/mt-fuzz-onnx-XXXXXX");
    if (!mkdtemp(dir)) return NULL;
    for (int i = 0; i < 1024; i++) w[i] = (float)(i % 17) / 8 - 1;
    snprintf(path, sizeof path, "%s/w.bin", dir);
    mt_err err = MT_ERR_INIT;
    if (mt_file_write(path, w, sizeof w, &err) != MT_OK) return NULL;
    atexit(remove_folder);
    return dir;
}

static void run_once(const mt_net *net)
{
    enum { MOST = 16 };
    mt_tensor in[MOST] = {0}, out[64];
    mt_net_state *state = NULL;
    mt_err err = MT_ERR_INIT;
    int n = mt_net_n_inputs(net);
    bool small = n <= MOST && mt_net_n_outputs(net) <= 64 && mt_net_macs(net) < 1 << 22 &&
                 mt_net_state_bytes(net) < 1 << 24;
    for (int i = 0; small && i < n; i++) {
        in[i] = *mt_net_input(net, i);
        size_t bytes = 8;
        for (int d = 0; d < in[i].rank; d++) bytes *= (size_t)in[i].dims[d];
        small = bytes < 1 << 24;
        if (small) in[i].data = calloc(1, bytes + 1);
    }
    if (small && mt_net_state_new(&state, net, &err) == MT_OK &&
        mt_net_run(net, state, in, out, &err) != MT_OK && !err.code)
        abort();
    mt_net_state_free(&state);
    for (int i = 0; i < n && i < MOST; i++) free(in[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mt_net *net = NULL;
    mt_err err = MT_ERR_INIT;
    char digest[65];
    const char *folder = own_folder();
    if (mt_onnx_digest(digest, data, size, folder, &err) != MT_OK && !err.code) abort();
    mt_err_clear(&err);
    if (mt_net_compile_in(&net, data, size, folder, NULL, 0, "fuzz", &err) == MT_OK) run_once(net);
    else if (!err.code || net) abort();
    mt_net_free(&net);
    return 0;
}
