#include "tiles/stain/math.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

double stain_od[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int p = 0; p < 256; p++)
        stain_od[p] = -log((p + 1) / STAIN_IO);
}

void stain_tables(void)
{
    (void)pthread_once(&once, fill);
}

/* Reinhard et al. 2001, equations 4 and 6 (Ruderman's axes). */
const double stain_lms[3][3] = {
    {0.3811, 0.5783, 0.0402}, {0.1967, 0.7244, 0.0782}, {0.0241, 0.1288, 0.8444}};
#define R2 0.70710678118654752440
#define R3 0.57735026918962576451
#define R6 0.40824829046386301637
const double stain_lab_axes[3][3] = {{R3, R3, R3}, {R6, R6, -2 * R6}, {R2, -R2, 0}};

void stain_lab(double lab[3], const uint8_t rgb[3])
{
    double ln[3], px[3] = {rgb[0] + 1.0, rgb[1] + 1.0, rgb[2] + 1.0};
    for (int c = 0; c < 3; c++)
        ln[c] = log(stain_dot(stain_lms[c], px));
    for (int c = 0; c < 3; c++)
        lab[c] = stain_dot(stain_lab_axes[c], ln);
}

double stain_dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

void stain_unit(double v[3])
{
    double n = sqrt(stain_dot(v, v));
    for (int c = 0; c < 3 && n > 0; c++)
        v[c] /= n;
}

double stain_angle(const double a[3], const double b[3])
{
    double n = sqrt(stain_dot(a, a) * stain_dot(b, b));
    if (!(n > 0)) return 0;
    return acos(fmin(fmax(stain_dot(a, b) / n, -1), 1)) * 180 / 3.14159265358979323846;
}

/* One rotation that clears m[p][q]; v gathers the rotations, its rows become the eigenvectors. */
static void rotate(double m[3][3], double v[3][3], int p, int q)
{
    if (m[p][q] == 0) return;
    double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < 3; k++) {
        double a = m[k][p], b = m[k][q];
        m[k][p] = c * a - s * b;
        m[k][q] = s * a + c * b;
    }
    for (int k = 0; k < 3; k++) {
        double a = m[p][k], b = m[q][k];
        m[p][k] = c * a - s * b;
        m[q][k] = s * a + c * b;
        a = v[p][k];
        b = v[q][k];
        v[p][k] = c * a - s * b;
        v[q][k] = s * a + c * b;
    }
}

void stain_eigen(double vectors[3][3], const double matrix[3][3])
{
    double m[3][3], v[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    int order[3] = {0, 1, 2};
    memcpy(m, matrix, sizeof m);
    for (int sweep = 0; sweep < 32; sweep++) {
        rotate(m, v, 0, 1);
        rotate(m, v, 0, 2);
        rotate(m, v, 1, 2);
    }
    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++)
            if (m[order[j]][order[j]] > m[order[i]][order[i]]) {
                int k = order[i];
                order[i] = order[j];
                order[j] = k;
            }
    for (int i = 0; i < 3; i++)
        memcpy(vectors[i], v[order[i]], sizeof v[0]);
}

void stain_pinv(double out[2][3], const double (*v)[3])
{
    double aa = stain_dot(v[0], v[0]), bb = stain_dot(v[1], v[1]), ab = stain_dot(v[0], v[1]);
    double det = aa * bb - ab * ab;
    for (int c = 0; c < 3; c++) {
        out[0][c] = det > 1e-9 ? (bb * v[0][c] - ab * v[1][c]) / det : 0;
        out[1][c] = det > 1e-9 ? (aa * v[1][c] - ab * v[0][c]) / det : 0;
    }
}

int stain_invert(double out[3][3], const double m[3][3])
{
    double det = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) { /* cofactors, indices going round */
            int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
            out[j][i] = m[a][c] * m[b][d] - m[a][d] * m[b][c];
        }
    for (int i = 0; i < 3; i++)
        det += m[0][i] * out[i][0];
    if (!(fabs(det) > 1e-6)) return 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            out[i][j] /= det;
    return 1;
}
