/* For every pair of centroids of one class, the best cosine with a pair of another class, and where it is first met.
 *
 * With G = A B^T and h[k] = (G[i][k] - G[j][k]) / (|a_i - a_j| + 1e-5), the cosine of (a_i - a_j) and (b_k - b_l) is
 * (h[k] - h[l]) * w[k][l], where w[k][l] = 1 / (|b_k - b_l| + 1e-5), and 0 where the two centroids are equal.
 * Swapping i and j, or k and l, only changes its sign: i < j and k < l are enough, and the absolute value is maximised.
 *
 * The answer is exact to double precision; three cheaper upper bounds spare most of the work in double precision:
 *   1. (max h - min h) * max w: one pass over h;
 *   2. (max h - min h) / 2 + |h[k] - mid|, times max_l w[k][l]: which k can matter at all;
 *   3. the maximum itself in single precision, plus the most that rounding can have taken from it.
 * Only a row whose bounds all exceed the best of the classes before is looked at in double precision.
 *
 * Tables w are square with rows padded by zeros to a multiple of LANES, so that the loops have no remainder.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define LANES 16 /* floats in the widest vector register in use (AVX-512) */
#define GROUP 4  /* rows of w taken together: four independent maxima hide the latency of one */

typedef int64_t index_t;

/* max over the k of rows (a multiple of GROUP of them, ascending) and over l of |x[k] - x[l]| * w[k][l] */
static inline float widest(const float *restrict x, const float *restrict w, index_t stride,
                           const index_t *restrict rows, index_t n_rows) {
    float best0[LANES] = {0}, best1[LANES] = {0}, best2[LANES] = {0}, best3[LANES] = {0};
    for (index_t row = 0; row < n_rows; row += GROUP) {
        const index_t k0 = rows[row], k1 = rows[row + 1], k2 = rows[row + 2], k3 = rows[row + 3];
        const float x0 = x[k0], x1 = x[k1], x2 = x[k2], x3 = x[k3];
        const float *w0 = w + k0 * stride, *w1 = w + k1 * stride, *w2 = w + k2 * stride, *w3 = w + k3 * stride;
        for (index_t l = k0 / LANES * LANES; l < stride; l += LANES)
            for (int lane = 0; lane < LANES; lane++) {
                const float other = x[l + lane];
                const float v0 = fabsf(x0 - other) * w0[l + lane], v1 = fabsf(x1 - other) * w1[l + lane];
                const float v2 = fabsf(x2 - other) * w2[l + lane], v3 = fabsf(x3 - other) * w3[l + lane];
                best0[lane] = v0 > best0[lane] ? v0 : best0[lane];
                best1[lane] = v1 > best1[lane] ? v1 : best1[lane];
                best2[lane] = v2 > best2[lane] ? v2 : best2[lane];
                best3[lane] = v3 > best3[lane] ? v3 : best3[lane];
            }
    }
    float best = 0;
    for (int lane = 0; lane < LANES; lane++) {
        const float a = best0[lane] > best1[lane] ? best0[lane] : best1[lane];
        const float b = best2[lane] > best3[lane] ? best2[lane] : best3[lane];
        const float c = a > b ? a : b;
        best = c > best ? c : best;
    }
    return best;
}

/* the cosine of (i, j) and (k, l), in double precision, up to its sign */
static inline double cosine(const double *restrict h, const double *restrict w, index_t k, index_t l) {
    return fabs(h[k] - h[l]) * w[l];
}

/* Keep the earlier, row by row, of a known pair (first, second) and another. */
static inline void keep_earlier(index_t *restrict pair, index_t first, index_t second) {
    if (first < pair[0] || (first == pair[0] && second < pair[1])) {
        pair[0] = first;
        pair[1] = second;
    }
}

/* Fold the classes first..last-1 into the best partners of the pairs i < j of class a.
 *
 * products: (size of a, columns) of a's centroids with those of classes first..last-1
 * start:    (classes + 1) where each class begins among all centroids
 * stride, table: of each class, the padded row length of w and where its table begins in w64 and w32
 * margin, widest_w: max_l w[k][l] for each padded row, one run of stride entries a class from margin_at; and max over the class
 * best, best_class, partners: (pairs), (pairs), (pairs, 2, 2) for (i, j) and for (j, i); ids are global; updated
 * Returns 0, or 1 where memory ran out.
 */
int fold_classes(index_t a, index_t first, index_t last, const double *restrict products, index_t columns,
                 const index_t *restrict start, const index_t *restrict stride, const index_t *restrict table,
                 const index_t *restrict margin_at, const double *restrict w64, const float *restrict w32,
                 const float *restrict margin, const double *restrict widest_w, double tie,
                 double *restrict best, index_t *restrict best_class, index_t *restrict partners) {
    index_t longest = LANES;
    for (index_t b = first; b < last; b++) longest = stride[b] > longest ? stride[b] : longest;
    double *h = malloc((size_t)longest * sizeof *h);
    float *x = malloc((size_t)longest * sizeof *x);
    float *bound = malloc((size_t)longest * sizeof *bound);
    index_t *rows = malloc((size_t)(longest + GROUP) * sizeof *rows);
    index_t *nearby = malloc((size_t)(longest + GROUP) * sizeof *nearby);
    if (!h || !x || !bound || !rows || !nearby) {
        free(h), free(x), free(bound), free(rows), free(nearby);
        return 1;
    }
    const index_t size_a = start[a + 1] - start[a];
    const double *w_a = w64 + table[a];

    for (index_t b = first; b < last; b++) {
        if (b == a) continue;
        const index_t n = start[b + 1] - start[b], padded = stride[b];
        const double *wide = w64 + table[b];
        const float *narrow = w32 + table[b];
        const float *limit = margin + margin_at[b];
        index_t pair = 0;
        for (index_t i = 0; i < size_a; i++)
            for (index_t j = i + 1; j < size_a; j++, pair++) {
                const double scale = w_a[i * stride[a] + j];
                const double *g_i = products + i * columns + (start[b] - start[first]);
                const double *g_j = products + j * columns + (start[b] - start[first]);
                double low = INFINITY, high = -INFINITY;
                for (index_t k = 0; k < n; k++) {
                    const double v = (g_i[k] - g_j[k]) * scale;
                    h[k] = v;
                    low = v < low ? v : low;
                    high = v > high ? v : high;
                }
                const double range = high - low, reach = range * widest_w[b], known = best[pair];
                if (reach <= known) continue;

                /* |x[k]| <= range / 2, so rounding to single precision costs a cosine under 4 * 2^-24 * reach */
                const double slack = reach * 0x1p-20, mid = low + range / 2;
                const float need = (float)(known - slack), half = (float)(range / 2);
                for (index_t k = n; k < padded; k++) h[k] = mid;
                for (index_t k = 0; k < padded; k++) {
                    x[k] = (float)(h[k] - mid);
                    bound[k] = (half + fabsf(x[k])) * limit[k];
                }
                index_t n_rows = 0;
                for (index_t k = 0; k < n; k++) {
                    rows[n_rows] = k;
                    n_rows += bound[k] > need;
                }
                if (!n_rows) continue;
                for (; n_rows % GROUP; n_rows++) rows[n_rows] = rows[n_rows - 1];
                const float nearly = widest(x, narrow, padded, rows, n_rows);
                if (nearly <= need) continue;

                const float floor = nearly - (float)slack;
                double top = 0;
                index_t n_nearby = 0;
                for (index_t row = 0; row < n_rows; row += GROUP) {
                    int hopeful = 0;
                    for (int m = 0; m < GROUP; m++) hopeful |= bound[rows[row + m]] >= floor;
                    if (!hopeful || widest(x, narrow, padded, rows + row, GROUP) < floor) continue;
                    for (int m = 0; m < GROUP; m++) {
                        const index_t k = nearby[n_nearby++] = rows[row + m];
                        for (index_t l = k + 1; l < n; l++) {
                            const double v = cosine(h, wide + k * padded, k, l);
                            top = v > top ? v : top;
                        }
                    }
                }
                if (top <= known * (1 + tie)) continue;
                best[pair] = top;
                best_class[pair] = b;
                index_t *same = partners + pair * 4, *swapped = same + 2;
                same[0] = same[1] = swapped[0] = swapped[1] = n;
                for (index_t m = 0; m < n_nearby; m++) {
                    const index_t k = nearby[m];
                    for (index_t l = k + 1; l < n; l++) {
                        if (cosine(h, wide + k * padded, k, l) < top * (1 - tie)) continue;
                        const index_t upper = h[k] > h[l] ? k : l, lower = h[k] > h[l] ? l : k;
                        keep_earlier(same, upper, lower);
                        keep_earlier(swapped, lower, upper);
                    }
                }
                for (int m = 0; m < 4; m++) same[m] += start[b];
            }
    }
    free(h), free(x), free(bound), free(rows), free(nearby);
    return 0;
}
