/* Runs a fuzz target over the files of its corpus, whole, cut short and with flipped bits, so that
 * every build of any compiler replays what the fuzzer has found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long n_runs;

/* An exact-size heap copy, so that the address sanitizer sees a read one byte past the end. */
static void once(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) exit(1);
    if (size) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    n_runs++;
}

static void variants(uint8_t *data, size_t size)
{
    once(data, size);
    for (size_t i = 0; i < 48; i++) once(data, size * i / 48);
    uint64_t r = 0x9e3779b97f4a7c15u ^ size;
    for (int i = 0; i < 64 && size; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(r >> 20) % size;
        uint8_t old = data[at];
        data[at] ^= (uint8_t)(1u << (r >> 60 & 7));
        if (i & 1) data[at] = (uint8_t)(r >> 33);
        once(data, size);
        data[at] = old;
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    DIR *d = opendir(argv[1]);
    if (!d) {
        perror(argv[1]);
        return 1;
    }
    int files = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        FILE *f = fopen(path, "rb");
        static uint8_t data[1 << 20];
        size_t n = f ? fread(data, 1, sizeof data, f) : 0;
        if (!f) {
            perror(path);
            return 1;
        }
        fclose(f);
        variants(data, n);
        files++;
    }
    closedir(d);
    once((const uint8_t *)"", 0);
    printf("%d files, %lu runs\n", files, n_runs);
    return files ? 0 : 1;
}
