/* Small linear algebra of stains. Call stain_tables() before stain_od is looked at. */
#ifndef MT_TILES_STAIN_MATH_H
#define MT_TILES_STAIN_MATH_H

#include <stdint.h>

#define STAIN_IO 240.0

extern double stain_od[256]; /* -ln((p + 1) / 240) */
void stain_tables(void);     /* from any thread, any number of times */

/* Cone matrix of l-alpha-beta and its inverse, rows; the rotation of the logarithms,
 * orthonormal. */
extern const double stain_lms[3][3], stain_lab_axes[3][3];
void stain_lab(double lab[3], const uint8_t rgb[3]);

double stain_dot(const double a[3], const double b[3]);
void stain_unit(double v[3]);
double stain_angle(const double a[3], const double b[3]); /* degrees */
/* Unit eigenvectors of a symmetric matrix, the largest eigenvalue first (Jacobi). */
void stain_eigen(double vectors[3][3], const double m[3][3]);
/* Left inverse of the matrix with the two vectors as columns; all zero when they are parallel. */
void stain_pinv(double out[2][3], const double (*vectors)[3]);
/* False when the matrix has no inverse worth the name. */
int stain_invert(double out[3][3], const double m[3][3]);

#endif
