/* Decodes DICOM text for another decoder to agree with. usage: dicom_text CHARSET VR < lines of hex
 * one value a line; prints UTF-8 in hex and the bytes that meant nothing dicom_text FILE
 * depth, tag, number and UTF-8 in hex of every value of text */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "dicom/charset.h"
#include "dicom/vr.h"

static void print_hex(const void *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%02x", ((const uint8_t *)text)[i]);
}

static int lines(const char *charset, mt_vr vr)
{
    const mt_dcm_element e = {
        .vr = MT_VR('C', 'S'), .value = (const uint8_t *)charset, .length = strlen(charset)};
    const mt_dcm_charset set = mt_dcm_charset_of(&e);
    static char line[1 << 16];
    static uint8_t bytes[1 << 15];
    while (fgets(line, sizeof line, stdin)) {
        size_t n = 0;
        unsigned v;
        while (sscanf(line + 2 * n, "%2x", &v) == 1)
            bytes[n++] = (uint8_t)v;
        mt_buf out = MT_BUF_INIT(1 << 20);
        const size_t wrong = mt_dcm_decode(&out, &set, vr, bytes, n);
        print_hex(out.data, out.len);
        printf(" %zu\n", wrong);
        mt_buf_free(&out);
    }
    return 0;
}

static mt_status file(const char *path, mt_err *err)
{
    MT_AUTO(mt_map_close) mt_map map = {0};
    MT_AUTO(mt_dcm_reader_free) mt_dcm_reader *r = NULL;
    mt_dcm_charsets sets = {0};
    mt_dcm_file head;
    mt_dcm_element e;
    MT_TRY(mt_map_open(&map, path, err));
    MT_TRY(mt_dcm_open(&r, &head, map.data, map.size, true, err));
    for (;;) {
        MT_TRY(mt_dcm_next(&e, r, err));
        if (e.event == MT_DCM_END) return MT_OK;
        const mt_dcm_charset *set = mt_dcm_charsets_follow(&sets, &e);
        if (e.event != MT_DCM_ELEMENT || !mt_vr_is_text(e.vr)) continue;
        const size_t n = mt_dcm_charset_count(set, &e);
        for (size_t i = 0; i < n; i++) {
            mt_buf out = MT_BUF_INIT(16 << 20);
            const mt_dcm_text t = mt_dcm_charset_value(set, &e, i);
            (void)mt_dcm_decode(&out, set, e.vr, t.p, t.n);
            printf("%d %08x %zu ", e.depth, (unsigned)e.tag, i);
            print_hex(out.data, out.len);
            printf("\n");
            mt_buf_free(&out);
        }
    }
}

int main(int argc, char **argv)
{
    mt_err err = MT_ERR_INIT;
    if (argc == 3 && strlen(argv[2]) == 2) return lines(argv[1], MT_VR(argv[2][0], argv[2][1]));
    if (argc != 2) return 2;
    if (file(argv[1], &err) == MT_OK) return 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
