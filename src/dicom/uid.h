/* Unique identifiers: form (PS3.5 9.1) and the names of those the standard gave (PS3.6 tables A-1,
 * PS3.4 B.5). */
#ifndef MT_DICOM_UID_H
#define MT_DICOM_UID_H

#include <stdbool.h>
#include <stddef.h>

/* Name of a transfer syntax or storage SOP class, NULL when it is none that is known. */
const char *mt_dcm_uid_name(const char *uid);

/* 1 to 64 characters; digits in parts that dots divide, no part empty or with a leading 0. */
bool mt_dcm_uid_ok(const char *uid, size_t n);

#endif
