#include <string.h>
#include "../../support/support.h"
#include "base/mem.h"
#include "dicom/dict.h"
#include "dicom/uid.h"
#include "dicom/vr.h"

static const struct {
    const char *word;
    mt_dcm_tag tag;
} all[] = {
#define MT_DCM_ROW(tag, a, b, c, lo, hi, step, old, word, name) {#word, tag},
#define MT_DCM_RANGE(tag, mask, a, b, c, lo, hi, step, old, word, name)
#include "../../../src/dicom/dict.def"
};

/* Every row is found both ways, so tags ascend and the order of keywords is that of the rows. */
static void test_all_rows(void **state)
{
    assert_true(MT_COUNT(all) > 5000);
    for (size_t i = 0; i < MT_COUNT(all); i++) {
        mt_dcm_entry e;
        assert_true(i == 0 || all[i - 1].tag < all[i].tag);
        assert_true(mt_dcm_dict_find(&e, all[i].tag));
        assert_string_equal(e.keyword, all[i].word);
        assert_true(e.tag == all[i].tag && e.name[0] && e.vm_min > 0 && e.vm_step > 0 &&
                    (!e.vm_max || e.vm_max >= e.vm_min));
        for (int k = 0; k < 3 && e.vr[k]; k++)
            assert_int_not_equal(mt_vr_form(e.vr[k]), MT_VR_UNKNOWN);
        assert_true(mt_dcm_dict_keyword(&e, all[i].word));
        assert_int_equal(e.tag, all[i].tag);
    }
}

static void test_known(void **state)
{
    static const struct {
        mt_dcm_tag tag;
        const char *keyword, *name, *vr;
        int low, high, step, retired;
    } rows[] = {
        {0x00080005, "SpecificCharacterSet", "Specific Character Set", "CS", 1, 0, 1, 0},
        {0x00280030, "PixelSpacing", "Pixel Spacing", "DS", 2, 2, 1, 0},
        {0x00280106, "SmallestImagePixelValue", "Smallest Image Pixel Value", "USSS", 1, 1, 1, 0},
        {0x7fe00010, "PixelData", "Pixel Data", "OBOW", 1, 1, 1, 0},
        {0x00281200, "GrayLookupTableData", "Gray Lookup Table Data", "USSSOW", 1, 0, 1, 1},
        {0x00480007, "TotalPixelMatrixRows", "Total Pixel Matrix Rows", "UL", 1, 1, 1, 0},
        {0x00480304, "TilesOverlap", "Tiles Overlap", "CS", 1, 1, 1, 0}, /* later than 2024e */
        {0x00000800, "CommandDataSetType", "Command Data Set Type", "US", 1, 1, 1, 0},
        {0x60003000, "OverlayData", "Overlay Data", "OBOW", 1, 1, 1, 0},
        {0x601e3000, "OverlayData", "Overlay Data", "OBOW", 1, 1, 1, 0},
        {0x50140005, "CurveDimensions", "Curve Dimensions", "US", 1, 1, 1, 1},
        {0x00203142, "SourceImageIDs", "Source Image IDs", "CS", 1, 0, 1, 1},
        {0x00280453, "CoefficientCodingPointers", "Coefficient Coding Pointers", "AT", 1, 0, 1, 1},
        {0x10101234, "ZonalMap", "Zonal Map", "US", 1, 0, 1, 1},
        {0xfffee00d, "ItemDelimitationItem", "Item Delimitation Item", "", 1, 1, 1, 0},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        mt_dcm_entry e;
        assert_true(mt_dcm_dict_find(&e, rows[i].tag));
        assert_int_equal(e.tag, rows[i].tag);
        assert_string_equal(e.keyword, rows[i].keyword);
        assert_string_equal(e.name, rows[i].name);
        char vr[7] = "";
        for (int k = 0; k < 3 && e.vr[k]; k++)
            vr[2 * k] = (char)(e.vr[k] >> 8), vr[2 * k + 1] = (char)(e.vr[k] & 0xff);
        assert_string_equal(vr, rows[i].vr);
        assert_true(e.vm_min == rows[i].low && e.vm_max == rows[i].high &&
                    e.vm_step == rows[i].step);
        assert_int_equal(e.retired, rows[i].retired);
        assert_true(mt_dcm_dict_keyword(&e, rows[i].keyword));
    }
    const mt_dcm_tag none[] = {0x00091001, 0x60013000, 0x00080003,
                               0xffffffff, 0x00000007, 0x51000005};
    mt_dcm_entry e;
    for (size_t i = 0; i < MT_COUNT(none); i++)
        assert_false(mt_dcm_dict_find(&e, none[i]));
    assert_false(mt_dcm_dict_keyword(&e, "PixelDat"));
    assert_false(mt_dcm_dict_keyword(&e, ""));
    assert_true(mt_dcm_dict_keyword(&e, "OverlayData") && e.tag == 0x60003000);
}

static void test_implicit_vr(void **state)
{
    static const struct {
        mt_dcm_tag tag;
        bool is_signed;
        const char *vr;
    } rows[] = {
        {0x00280106, false, "US"}, {0x00280106, true, "SS"},  {0x7fe00010, true, "OW"},
        {0x60023000, false, "OW"}, {0x00283006, false, "OW"}, {0x00281200, true, "OW"},
        {0x00090000, false, "UL"}, {0x12340000, false, "UL"}, {0x00090010, false, "LO"},
        {0x000900ff, false, "LO"}, {0x00090100, false, "UN"}, {0x00091001, false, "UN"},
        {0x0009000f, false, "UN"}, {0x12345678, false, "UN"}, {0x00100010, true, "PN"},
        {0xfffee000, false, "UN"},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++)
        assert_int_equal(mt_dcm_dict_vr(rows[i].tag, rows[i].is_signed),
                         MT_VR(rows[i].vr[0], rows[i].vr[1]));
}

static void test_vrs(void **state)
{
    const char *is_short = "AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS",
               *is_long = "OBODOFOLOVOWSQSVUCUNURUTUV";
    int n = 0;
    for (unsigned v = 0; v < 0x10000; v++)
        n += mt_vr_form((mt_vr)v) != MT_VR_UNKNOWN;
    assert_int_equal(n, 34); /* PS3.5 table 6.2-1, 2024e */
    for (const char *p = is_short; *p; p += 2)
        assert_int_equal(mt_vr_form(MT_VR(p[0], p[1])), MT_VR_SHORT);
    for (const char *p = is_long; *p; p += 2)
        assert_int_equal(mt_vr_form(MT_VR(p[0], p[1])), MT_VR_LONG);
}

static void test_uids(void **state)
{
    static const char *const good[] = {
        "1",
        "0",
        "1.2.840.10008.1.2",
        "0.0.0",
        "2.25.0",
        "1.10.100",
        "1.2.3.4567890123456789012345678901234567890123456789012345678901"};
    static const char *const bad[] = {
        "",
        ".",
        "1.",
        ".1",
        "1..2",
        "01",
        "1.02",
        "1.2 ",
        "1.a",
        "1,2",
        "-1",
        "1.2.",
        "1.2.3.45678901234567890123456789012345678901234567890123456789012"};
    for (size_t i = 0; i < MT_COUNT(good); i++)
        assert_true(mt_dcm_uid_ok(good[i], strlen(good[i])));
    for (size_t i = 0; i < MT_COUNT(bad); i++)
        assert_false(mt_dcm_uid_ok(bad[i], strlen(bad[i])));
    assert_int_equal(strlen(good[6]), 64);
    assert_string_equal(mt_dcm_uid_name("1.2.840.10008.5.1.4.1.1.77.1.6"),
                        "VL Whole Slide Microscopy Image Storage");
    assert_string_equal(mt_dcm_uid_name("1.2.840.10008.1.2.4.90"),
                        "JPEG 2000 Image Compression (Lossless Only)");
    assert_null(mt_dcm_uid_name("1.2.840.10008.1.2.4.9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_rows),    cmocka_unit_test(test_known),
        cmocka_unit_test(test_implicit_vr), cmocka_unit_test(test_vrs),
        cmocka_unit_test(test_uids),
    };
    return cmocka_run_group_tests_name("dict", tests, NULL, NULL);
}
