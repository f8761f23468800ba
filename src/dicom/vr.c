#include "dicom/vr.h"

// clang-format off
#define AT(a, b) [(a - 'A') * 26 + b - 'A']
#define SHORT(a, b) AT(a, b) = MT_VR_SHORT,
#define LONG(a, b) AT(a, b) = MT_VR_LONG,
const uint8_t mt_vr_forms[26 * 26] = {
    SHORT('A', 'E') SHORT('A', 'S') SHORT('A', 'T') SHORT('C', 'S') SHORT('D', 'A')
    SHORT('D', 'S') SHORT('D', 'T') SHORT('F', 'D') SHORT('F', 'L') SHORT('I', 'S')
    SHORT('L', 'O') SHORT('L', 'T') SHORT('P', 'N') SHORT('S', 'H') SHORT('S', 'L')
    SHORT('S', 'S') SHORT('S', 'T') SHORT('T', 'M') SHORT('U', 'I') SHORT('U', 'L')
    SHORT('U', 'S')
    LONG('O', 'B') LONG('O', 'D') LONG('O', 'F') LONG('O', 'L') LONG('O', 'V') LONG('O', 'W')
    LONG('S', 'Q') LONG('S', 'V') LONG('U', 'C') LONG('U', 'N') LONG('U', 'R') LONG('U', 'T')
    LONG('U', 'V')
};
// clang-format on

unsigned mt_vr_width(mt_vr vr)
{
    switch (vr) {
    case MT_VR('O', 'B'):
    case MT_VR('U', 'N'):
        return 1;
    case MT_VR('O', 'W'):
    case MT_VR('S', 'S'):
    case MT_VR('U', 'S'):
        return 2;
    case MT_VR('A', 'T'):
    case MT_VR('F', 'L'):
    case MT_VR('O', 'F'):
    case MT_VR('O', 'L'):
    case MT_VR('S', 'L'):
    case MT_VR('U', 'L'):
        return 4;
    case MT_VR('F', 'D'):
    case MT_VR('O', 'D'):
    case MT_VR('O', 'V'):
    case MT_VR('S', 'V'):
    case MT_VR('U', 'V'):
        return 8;
    default:
        return 0;
    }
}

bool mt_vr_is_text(mt_vr vr)
{
    switch (vr) {
    case MT_VR('L', 'O'):
    case MT_VR('L', 'T'):
    case MT_VR('P', 'N'):
    case MT_VR('S', 'H'):
    case MT_VR('S', 'T'):
    case MT_VR('U', 'C'):
    case MT_VR('U', 'T'):
        return true;
    default:
        return false;
    }
}

bool mt_vr_is_single(mt_vr vr)
{
    return vr == MT_VR('L', 'T') || vr == MT_VR('S', 'T') || vr == MT_VR('U', 'R') ||
           vr == MT_VR('U', 'T');
}
