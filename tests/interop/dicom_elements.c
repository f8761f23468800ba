/* Prints what our reader finds in DICOM files, one element a line, in a form that another reader's
 * findings can be compared with: depth, tag, VR, stated length (u: undefined), CRC-32 of the value;
 * sequences with their number of items, encapsulated data with the CRC of all its fragments as they
 * stand. usage: dicom_elements [--bare] FILE */
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "dicom/read.h"

static void print_head(const mt_dcm_element *e)
{
    const mt_vr written = e->un ? MT_VR('U', 'N') : e->vr; /* judges leave known ones as they are */
    printf("%d %04x%04x %c%c ", e->depth, (unsigned)(e->tag >> 16), (unsigned)(e->tag & 0xffff),
           written >> 8, written & 0xff);
    if (e->length == MT_DCM_UNDEFINED)
        printf("u");
    else
        printf("%llu", (unsigned long long)e->length);
}

static mt_status print_all(mt_dcm_reader *r, mt_err *err)
{
    const uint8_t *pixels = NULL;
    mt_dcm_element e;
    do {
        MT_TRY(mt_dcm_next(&e, r, err));
        switch (e.event) {
        case MT_DCM_ELEMENT:
            print_head(&e);
            printf(" %08x\n", (unsigned)libdeflate_crc32(0, e.value, (size_t)e.length));
            break;
        case MT_DCM_SEQUENCE:
            print_head(&e);
            if (e.un && e.length != MT_DCM_UNDEFINED) {
                printf(" %08x\n", (unsigned)libdeflate_crc32(0, e.value, (size_t)e.length));
                MT_TRY(mt_dcm_skip(r, err));
                break;
            }
            printf(" sequence\n");
            break;
        case MT_DCM_ITEM:
            printf("%d item %u\n", e.depth, (unsigned)e.item);
            break;
        case MT_DCM_SEQUENCE_END:
            printf("%d end %u\n", e.depth, (unsigned)e.item);
            break;
        case MT_DCM_PIXELS:
            print_head(&e);
            pixels = e.value;
            break;
        case MT_DCM_PIXELS_END:
            printf(" %08x\n", (unsigned)libdeflate_crc32(0, pixels, (size_t)e.length));
            break;
        default:
            break;
        }
    } while (e.event != MT_DCM_END);
    return MT_OK;
}

static mt_status run(const char *path, bool bare, mt_err *err)
{
    MT_AUTO(mt_map_close) mt_map map = {0};
    MT_AUTO(mt_dcm_reader_free) mt_dcm_reader *r = NULL;
    mt_dcm_file file;
    MT_TRY(mt_map_open(&map, path, err));
    MT_TRY(mt_dcm_open(&r, &file, map.data, map.size, bare, err));
    printf("%s %s %s\n", file.syntax_uid, file.class_uid, file.instance_uid);
    return print_all(r, err);
}

int main(int argc, char **argv)
{
    const bool bare = argc > 2 && !strcmp(argv[1], "--bare");
    if (argc != 2 + bare) return 2;
    mt_err err = MT_ERR_INIT;
    if (run(argv[argc - 1], bare, &err) == MT_OK) return 0;
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", mt_status_name(err.code), err.text);
    return 1;
}
