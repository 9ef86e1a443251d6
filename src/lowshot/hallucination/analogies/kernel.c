/* For every pair of centroids of one class, the best cosine with a pair of another class, and the first pair that has it.
 *
 * With G = A B^T and h[k] = (G[i][k] - G[j][k]) / (|a_i - a_j| + 1e-5), the cosine of (a_i - a_j) and (b_k - b_l) is
 * (h[k] - h[l]) * w[k][l], where w[k][l] = 1 / (|b_k - b_l| + 1e-5), and 0 where the two centroids are equal.
 * Swapping i and j, or k and l, only changes its sign: i < j and k < l are enough, and the absolute value is maximised.
 *
 * The answer is exact to double precision; three cheaper upper bounds spare most of the work in double precision:
 *   1. (max h - min h) * max w: one pass over h;
 *   2. (max h - min h) / 2 + |h[k] - mid|, times max_l w[k][l]: which k can matter at all;
 *   3. the maximum itself in single precision, plus the most that rounding can have taken from it.
 * Only where all of them exceed the best of the classes before does double precision decide.
 *
 * Tables w are square with rows padded by zeros to a multiple of LANES, so that the loops have no remainder.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define LANES 16             /* floats in the widest vector register in use (AVX-512) */
#define GROUP 4              /* rows of w taken together: four independent maxima hide the latency of one */
#define SPAN (GROUP * LANES) /* maxima of a group; they are compared across lanes only when it matters */

typedef int64_t index_t;

/* The class whose pairs are the candidates. */
struct other {
    index_t n, stride;    /* centroids; length of a padded row of the tables */
    const double *wide;   /* (n, stride) w */
    const float *narrow;  /* (n, stride) w rounded */
    const float *largest; /* (stride) max_l w[k][l] */
    double widest;        /* max w */
};

/* Work space for the largest class. */
struct work {
    double *h;       /* (stride) */
    float *x;        /* (stride) h from the middle of its range, rounded */
    float *bound;    /* (stride) no cosine of a pair with k exceeds bound[k] */
    float *tops;     /* (groups, SPAN) maxima in single precision */
    index_t *rows;   /* the k that can matter, ascending, filled up to whole groups */
    index_t *nearby; /* those of them in groups that come within rounding of the maximum */
};

/* max over l of |x[k] - x[l]| * w[k][l] for the GROUP ascending k of rows, in SPAN parts yet to be compared */
static void group_maxima(const float *restrict x, const float *restrict w, index_t stride,
                         const index_t *restrict rows, float *restrict best) {
    float best0[LANES] = {0}, best1[LANES] = {0}, best2[LANES] = {0}, best3[LANES] = {0};
    const float x0 = x[rows[0]], x1 = x[rows[1]], x2 = x[rows[2]], x3 = x[rows[3]];
    const float *w0 = w + rows[0] * stride, *w1 = w + rows[1] * stride;
    const float *w2 = w + rows[2] * stride, *w3 = w + rows[3] * stride;
    for (index_t l = rows[0] / LANES * LANES; l < stride; l += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const float other = x[l + lane];
            const float v0 = fabsf(x0 - other) * w0[l + lane], v1 = fabsf(x1 - other) * w1[l + lane];
            const float v2 = fabsf(x2 - other) * w2[l + lane], v3 = fabsf(x3 - other) * w3[l + lane];
            best0[lane] = v0 > best0[lane] ? v0 : best0[lane];
            best1[lane] = v1 > best1[lane] ? v1 : best1[lane];
            best2[lane] = v2 > best2[lane] ? v2 : best2[lane];
            best3[lane] = v3 > best3[lane] ? v3 : best3[lane];
        }
    for (int lane = 0; lane < LANES; lane++) best[lane] = best0[lane];
    for (int lane = 0; lane < LANES; lane++) best[LANES + lane] = best1[lane];
    for (int lane = 0; lane < LANES; lane++) best[2 * LANES + lane] = best2[lane];
    for (int lane = 0; lane < LANES; lane++) best[3 * LANES + lane] = best3[lane];
}

/* the largest of SPAN numbers, none of them negative */
static inline float largest_of(const float *restrict lanes) {
    float best = 0;
    for (int lane = 0; lane < SPAN; lane++) best = lanes[lane] > best ? lanes[lane] : best;
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

/* The best pair of class b for one pair (i, j), if its cosine exceeds known by more than a tie.
 *
 * low, high: the extremes of work.h
 * pairs: gets the first (k, l), row by row, that ties with the best, and the first for (j, i)
 * Returns the best cosine, or 0 where none exceeds known.
 */
static double better_pair(const struct other *b, const struct work *work, double low, double high, double known,
                          double tie, index_t *restrict pairs) {
    const index_t n = b->n, stride = b->stride;
    const double *restrict wide = b->wide;
    const float *restrict limit = b->largest;
    double *restrict h = work->h;
    float *restrict x = work->x, *restrict bound = work->bound, *restrict tops = work->tops;
    index_t *restrict rows = work->rows, *restrict nearby = work->nearby;

    /* A pair must also exceed the one that spans the range, which is often the best. */
    index_t upper = 0, lower = 0;
    for (index_t k = 0; k < n; k++) {
        upper = h[k] == high ? k : upper;
        lower = h[k] == low ? k : lower;
    }
    const double range = high - low, middle = low + range / 2, spanning = range * wide[upper * stride + lower];

    /* |x[k]| <= range / 2, so rounding to single precision costs a cosine under 5 * 2^-24 * range * max w */
    const double slack = range * b->widest * 0x1p-20;
    const float need = (float)((known > spanning ? known : spanning) - slack), half = (float)(range / 2);
    for (index_t k = n; k < stride; k++) h[k] = middle;
    for (index_t k = 0; k < stride; k++) {
        x[k] = (float)(h[k] - middle);
        bound[k] = (half + fabsf(x[k])) * limit[k];
    }
    index_t n_rows = 0;
    for (index_t k = 0; k < n; k++) {
        rows[n_rows] = k;
        n_rows += bound[k] > need;
    }
    if (!n_rows) return 0;
    for (; n_rows % GROUP; n_rows++) rows[n_rows] = rows[n_rows - 1];

    float all[SPAN] = {0};
    for (index_t row = 0; row < n_rows; row += GROUP) {
        float *group = tops + row * LANES;
        group_maxima(x, b->narrow, stride, rows + row, group);
        for (int lane = 0; lane < SPAN; lane++) all[lane] = group[lane] > all[lane] ? group[lane] : all[lane];
    }
    const float nearly = largest_of(all);
    if (nearly <= need) return 0;

    double best = 0;
    index_t n_nearby = 0;
    for (index_t row = 0; row < n_rows; row += GROUP) {
        if (largest_of(tops + row * LANES) < nearly - (float)slack) continue;
        for (int m = 0; m < GROUP; m++) {
            const index_t k = nearby[n_nearby++] = rows[row + m];
            for (index_t l = k + 1; l < n; l++) {
                const double v = cosine(h, wide + k * stride, k, l);
                best = v > best ? v : best;
            }
        }
    }
    if (best <= known * (1 + tie)) return 0;

    for (int m = 0; m < 4; m++) pairs[m] = n;
    for (index_t m = 0; m < n_nearby; m++) {
        const index_t k = nearby[m];
        for (index_t l = k + 1; l < n; l++) {
            if (cosine(h, wide + k * stride, k, l) < best * (1 - tie)) continue;
            const int falls = h[k] > h[l];
            keep_earlier(pairs, falls ? k : l, falls ? l : k);
            keep_earlier(pairs + 2, falls ? l : k, falls ? k : l);
        }
    }
    return best;
}

/* Fold the classes first..last-1 into the best partners of the pairs i < j of class a.
 *
 * products:  (size of a, columns) of a's centroids with those of classes first..last-1
 * start:     (classes + 1) where each class begins among all centroids
 * stride:    (classes) length of a padded row of w
 * table_at:  (classes) where the table of each class begins in wide and narrow
 * row_at:    (classes) where its padded row begins in largest
 * widest:    (classes) max w
 * best, best_class, partners: (pairs), (pairs), (pairs, 2, 2) for (i, j) and for (j, i), as global ids; updated
 * Returns 0, or 1 where memory ran out.
 */
int fold_classes(index_t a, index_t first, index_t last, const double *restrict products, index_t columns,
                 const index_t *restrict start, const index_t *restrict stride, const index_t *restrict table_at,
                 const index_t *restrict row_at, const double *restrict wide, const float *restrict narrow,
                 const float *restrict largest, const double *restrict widest, double tie,
                 double *restrict best, index_t *restrict best_class, index_t *restrict partners) {
    size_t longest = LANES;
    for (index_t b = first; b < last; b++) longest = (size_t)stride[b] > longest ? (size_t)stride[b] : longest;
    struct work work = {
        .h = malloc(longest * sizeof(double)),
        .x = malloc(longest * sizeof(float)),
        .bound = malloc(longest * sizeof(float)),
        .tops = malloc(longest * LANES * sizeof(float)),
        .rows = malloc((longest + GROUP) * sizeof(index_t)),
        .nearby = malloc((longest + GROUP) * sizeof(index_t)),
    };
    const int failed = !(work.h && work.x && work.bound && work.tops && work.rows && work.nearby);
    const index_t size = start[a + 1] - start[a];
    const double *own = wide + table_at[a];

    for (index_t b = first; b < last && !failed; b++) {
        if (b == a) continue;
        const struct other other = {start[b + 1] - start[b], stride[b],           wide + table_at[b],
                                    narrow + table_at[b],    largest + row_at[b], widest[b]};
        const double *g = products + (start[b] - start[first]);
        double *restrict h = work.h;
        index_t pair = 0;
        for (index_t i = 0; i < size; i++)
            for (index_t j = i + 1; j < size; j++, pair++) {
                const double scale = own[i * stride[a] + j], *g_i = g + i * columns, *g_j = g + j * columns;
                double low = (g_i[0] - g_j[0]) * scale, high = low;
                for (index_t k = 0; k < other.n; k++) {
                    h[k] = (g_i[k] - g_j[k]) * scale;
                    low = h[k] < low ? h[k] : low;
                    high = h[k] > high ? h[k] : high;
                }
                if ((high - low) * other.widest <= best[pair]) continue;
                index_t *found = partners + pair * 4, pairs[4];
                const double score = better_pair(&other, &work, low, high, best[pair], tie, pairs);
                if (score == 0) continue;
                best[pair] = score;
                best_class[pair] = b;
                for (int m = 0; m < 4; m++) found[m] = start[b] + pairs[m];
            }
    }
    free(work.h), free(work.x), free(work.bound), free(work.tops), free(work.rows), free(work.nearby);
    return failed;
}
