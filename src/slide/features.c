/* What has been seen of each format, feature by feature. A file somebody's scanner or program wrote
 * proves more than one that we wrote as we read the standard. */
#include "microtome/slide.h"

#define REAL "proven on real files"
#define MADE "fixture only"

static const mt_format_feature features[] = {
    {"dicom-wsi", "TILED_FULL, several levels, one file or a folder", REAL},
    {"dicom-wsi", "TILED_SPARSE, tiles left out or off the grid", MADE},
    {"dicom-wsi", "concatenations", MADE},
    {"dicom-wsi", "several optical paths", REAL},
    {"dicom-wsi", "several focal planes", MADE},
    {"dicom-wsi", "JPEG baseline, as YCbCr whatever the header says and as true RGB", REAL},
    {"dicom-wsi", "JPEG 2000 lossless, JPEG-LS lossless, uncompressed", REAL},
    {"dicom-wsi", "RLE, deflated, big endian", MADE},
    {"dicom-wsi", "grey, 8 and 16 bit", REAL},
    {"dicom-wsi", "basic offset table filled or empty", REAL},
    {"dicom-wsi", "extended offset table", MADE},
    {"dicom-wsi", "label and thumbnail", REAL},
    {"dicom-wsi", "overview", MADE},
    {"png", "RGB of 8 bits", REAL},
    {"png", "grey, 16 bit, palette, alpha, interlaced; spacing by pHYs", MADE},
    {"jpeg", "YCbCr by JFIF marker", REAL},
    {"jpeg", "grey, RGB; orientation by Exif, spacing by JFIF density", MADE},
    {"aperio-svs", "JPEG stored as RGB, JPEG 2000 as RGB (33005)", REAL},
    {"aperio-svs", "JPEG 2000 as YCbCr (33003)", MADE},
    {"aperio-svs", "three levels and more, BigTIFF", MADE},
    {"aperio-svs", "tiles left out, drawn from the finer level", MADE},
    {"aperio-svs", "label, macro, thumbnail", REAL},
    {"hamamatsu-ndpi", "restart-marker strips, macro, map, fluorescence", REAL},
    {"hamamatsu-ndpi", "several intervals in a row, no table of markers, strips without markers", MADE},
    {"hamamatsu-ndpi", "offsets past 4 GiB, several focal planes", MADE},
    {"ome-tiff", "one plane, spacing of the OME-XML, big endian", REAL},
    {"ome-tiff", "pyramids in SubIFDs, in pages, in images; label and macro", MADE},
    {"ome-tiff", "several channels, of which one is shown", MADE},
    {"ome-tiff", "z series, refused", REAL},
    {"ome-tiff", "time series, refused", MADE},
    {"philips-tiff", "sizes by pixel spacing, tiles left out, label and macro", MADE},
    {"qptiff", "brightfield, fluorescence of which one channel is shown", MADE},
    {"leica-scn", "one scanned area or several, on OpenSlide's canvas", MADE},
    {"ventana-bif", "one scanned area without overlaps; others by OpenSlide", MADE},
    {"generic-tiff", "JPEG, old-style JPEG, LZW in both bit orders, deflate, zstd, packbits, uncompressed", REAL},
    {"generic-tiff", "both byte orders, BigTIFF, tiles, strips", REAL},
    {"generic-tiff", "grey, 16 bit, planar", REAL},
    {"generic-tiff", "orientation 1 and 6", REAL},
    {"generic-tiff", "the other orientations, alpha, palette", MADE},
    {"generic-tiff", "pyramids in SubIFDs", MADE},
    {"generic-tiff", "GeoTIFF maps, refused", REAL},
    {"openslide", "MIRAX, Hamamatsu VMS, Sakura, Trestle: as good as OpenSlide", MADE},
    {"openslide", "TIFF files that their own row refuses", MADE},
    {NULL, NULL, NULL},
};

const mt_format_feature *mt_slide_features(void) { return features; }
