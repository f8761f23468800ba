#include "dicom/vr.h"

#define AT(a, b) [(a - 'A') * 26 + b - 'A']
const uint8_t mt_vr_forms[26 * 26] = {
    AT('A', 'E') = MT_VR_SHORT, AT('A', 'S') = MT_VR_SHORT, AT('A', 'T') = MT_VR_SHORT, AT('C', 'S') = MT_VR_SHORT,
    AT('D', 'A') = MT_VR_SHORT, AT('D', 'S') = MT_VR_SHORT, AT('D', 'T') = MT_VR_SHORT, AT('F', 'D') = MT_VR_SHORT,
    AT('F', 'L') = MT_VR_SHORT, AT('I', 'S') = MT_VR_SHORT, AT('L', 'O') = MT_VR_SHORT, AT('L', 'T') = MT_VR_SHORT,
    AT('P', 'N') = MT_VR_SHORT, AT('S', 'H') = MT_VR_SHORT, AT('S', 'L') = MT_VR_SHORT, AT('S', 'S') = MT_VR_SHORT,
    AT('S', 'T') = MT_VR_SHORT, AT('T', 'M') = MT_VR_SHORT, AT('U', 'I') = MT_VR_SHORT, AT('U', 'L') = MT_VR_SHORT,
    AT('U', 'S') = MT_VR_SHORT,
    AT('O', 'B') = MT_VR_LONG, AT('O', 'D') = MT_VR_LONG, AT('O', 'F') = MT_VR_LONG, AT('O', 'L') = MT_VR_LONG,
    AT('O', 'V') = MT_VR_LONG, AT('O', 'W') = MT_VR_LONG, AT('S', 'Q') = MT_VR_LONG, AT('S', 'V') = MT_VR_LONG,
    AT('U', 'C') = MT_VR_LONG, AT('U', 'N') = MT_VR_LONG, AT('U', 'R') = MT_VR_LONG, AT('U', 'T') = MT_VR_LONG,
    AT('U', 'V') = MT_VR_LONG,
};

unsigned mt_vr_width(mt_vr vr)
{
    switch (vr) {
    case MT_VR('O', 'B'): case MT_VR('U', 'N'): return 1;
    case MT_VR('O', 'W'): case MT_VR('S', 'S'): case MT_VR('U', 'S'): return 2;
    case MT_VR('A', 'T'): case MT_VR('F', 'L'): case MT_VR('O', 'F'): case MT_VR('O', 'L'): case MT_VR('S', 'L'):
    case MT_VR('U', 'L'): return 4;
    case MT_VR('F', 'D'): case MT_VR('O', 'D'): case MT_VR('O', 'V'): case MT_VR('S', 'V'): case MT_VR('U', 'V'):
        return 8;
    default: return 0;
    }
}

bool mt_vr_is_text(mt_vr vr)
{
    switch (vr) {
    case MT_VR('L', 'O'): case MT_VR('L', 'T'): case MT_VR('P', 'N'): case MT_VR('S', 'H'): case MT_VR('S', 'T'):
    case MT_VR('U', 'C'): case MT_VR('U', 'T'): return true;
    default: return false;
    }
}

bool mt_vr_is_single(mt_vr vr)
{
    return vr == MT_VR('L', 'T') || vr == MT_VR('S', 'T') || vr == MT_VR('U', 'R') || vr == MT_VR('U', 'T');
}
