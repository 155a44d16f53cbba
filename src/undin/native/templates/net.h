/* The costly part of undin @id@: the transform and the network. @name@.c includes this once for each instruction set. */

/* ---- Functions: polynomials that a compiler turns into vector code, to 2e-7 of the value ---- */

static inline TARGET float NAME(exp)(float x) {
    union { float f; int32_t bits; } power;
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    int32_t n = (int32_t)(x * 1.44269504f + 192.5f) - 192; /* rounded without a branch, which would stay scalar */
    float r = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    power.bits = (n + 127) << 23;
    return (p * r * r + r + 1.0f) * power.f;
}

static inline TARGET float NAME(log)(float x) {
    union { float f; int32_t bits; } number;
    number.f = x;
    int32_t e = (number.bits >> 23) - 126;
    number.bits = (number.bits & 0x007fffff) | 0x3f000000; /* 0.5 ... 1 */
    int low = number.f < 0.707106781f;
    float r = (low ? number.f + number.f : number.f) - 1.0f, n = (float)(e - low), p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    return (p * r * r * r - 0.5f * r * r + n * -2.12194440e-4f) + r + n * 0.693359375f;
}

static inline TARGET float NAME(pow)(float x, float y) { return NAME(exp)(y * NAME(log)(x)); }

static inline TARGET float NAME(sigmoid)(float x) { return 1.0f / (1.0f + NAME(exp)(-x)); }

static inline TARGET float NAME(tanh)(float x) { return 1.0f - 2.0f / (NAME(exp)(2.0f * x) + 1.0f); }

/* ---- Matrices ---- */

/* Products with one panel of 16 columns: 8 sums at a time, all in registers. SUM(i) is row i / PARTS, part i % PARTS. */
#ifdef __GNUC__
#define PARTS (16 / LANES)
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
typedef float NAME(vector) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* LANES / 2 rows. */
static inline TARGET void NAME(block)(int K, const float *a, int lda, const float *w, float *t) {
#define DO(i) NAME(vector) c##i = {0};
    EACH(DO)
#undef DO
    for (int k = 0; k < K; k++) {
#define DO(i) c##i += a[i / PARTS * lda + k] * *(const NAME(vector) *)(w + k * 16 + i % PARTS * LANES);
        EACH(DO)
#undef DO
    }
#define DO(i) *(NAME(vector) *)(t + i * LANES) = c##i;
    EACH(DO)
#undef DO
}

/* One row, LANES / 2 columns of the row at a time; sums of the same part come together in the end. */
static inline TARGET void NAME(line)(int K, const float *a, const float *w, float *t) {
    int k = 0;
#define DO(i) NAME(vector) c##i = {0};
    EACH(DO)
#undef DO
    for (; k + LANES / 2 <= K; k += LANES / 2) {
#define DO(i) c##i += a[k + i / PARTS] * *(const NAME(vector) *)(w + (k + i / PARTS) * 16 + i % PARTS * LANES);
        EACH(DO)
#undef DO
    }
    for (w += k * 16; k < K; k++, w += 16) {
#define DO(i) if (i < PARTS) c##i += a[k] * *(const NAME(vector) *)(w + i % PARTS * LANES);
        EACH(DO)
#undef DO
    }
    c0 += c4, c1 += c5, c2 += c6, c3 += c7;
    if (PARTS < 4)
        c0 += c2, c1 += c3;
    if (PARTS < 2)
        c0 += c1;
#define DO(i) if (i < PARTS) *(NAME(vector) *)(t + i * LANES) = c##i;
    EACH(DO)
#undef DO
}
#undef EACH
#undef PARTS
#else
static void NAME(block)(int K, const float *a, int lda, const float *w, float *t) {
    memset(t, 0, 8 * LANES * sizeof *t);
    for (int i = 0; i < LANES / 2; i++)
        for (int k = 0; k < K; k++)
            for (int j = 0; j < 16; j++)
                t[i * 16 + j] += a[i * lda + k] * w[k * 16 + j];
}

static void NAME(line)(int K, const float *a, const float *w, float *t) {
    memset(t, 0, 16 * sizeof *t);
    for (int k = 0; k < K; k++)
        for (int j = 0; j < 16; j++)
            t[j] += a[k] * w[k * 16 + j];
}
#endif

/* out (M, N) = a (M, K) W (K, N) + start, whose rows are `next` apart: a bias with 0, a matrix to add to with N. */
static KERNEL TARGET void NAME(gemm)(int M, int K, int N, const float *a, int lda, const float *w,
                                       const float *start, int next, float *out) {
    float t[8 * LANES];
    for (int n = 0; n < N; n += 16, w += K * 16) {
        int width = N - n < 16 ? N - n : 16;
        for (int i = 0; i < M;) {
            int rows = M - i < LANES / 2 ? 1 : LANES / 2;
            if (rows == 1)
                NAME(line)(K, a + i * lda, w, t);
            else
                NAME(block)(K, a + i * lda, lda, w, t);
            for (int r = 0; r < rows; r++, i++) {
                float *to = out + i * N + n;
                if (!start)
                    memcpy(to, t + r * 16, (size_t)width * sizeof *to);
                else if (width == 16)
                    for (int j = 0; j < 16; j++)
                        to[j] = t[r * 16 + j] + start[i * next + n + j];
                else
                    for (int j = 0; j < width; j++)
                        to[j] = t[r * 16 + j] + start[i * next + n + j];
            }
        }
    }
}

/* ---- Memories: what the gates do, from the products with the input (x) and with the state (y) ---- */

static inline TARGET void NAME(gru)(int n, int H, const float *restrict x, const float *restrict y, float *restrict out,
                                    const float *restrict h) {
    for (int i = 0; i < n; i++, x += 3 * H, y += 3 * H, out += H, h += H)
        for (int j = 0; j < H; j++) {
            float z = NAME(sigmoid)(x[j] + y[j]), r = NAME(sigmoid)(x[H + j] + y[H + j]);
            float g = NAME(tanh)(x[2 * H + j] + r * y[2 * H + j]);
            out[j] = g + z * (h[j] - g);
        }
}

static inline TARGET void NAME(lstm)(int n, int H, const float *restrict x, const float *restrict y, float *restrict out,
                                     float *restrict cell, const float *restrict c) {
    for (int i = 0; i < n; i++, x += 4 * H, y += 4 * H, out += H, cell += H, c += H)
        for (int j = 0; j < H; j++) {
            float in = NAME(sigmoid)(x[j] + y[j]), o = NAME(sigmoid)(x[H + j] + y[H + j]);
            float f = NAME(sigmoid)(x[2 * H + j] + y[2 * H + j]);
            cell[j] = f * c[j] + in * NAME(tanh)(x[3 * H + j] + y[3 * H + j]);
            out[j] = o * NAME(tanh)(cell[j]);
        }
}

/* A GRU (3 gates) or LSTM (4) over T frames of n vectors, in the order of time or back; the state h stays, c moves on.
 * Frames of x are n rows of I numbers, lda apart; those of out begin `step` apart. */
static KERNEL TARGET void NAME(recur)(int gates, int T, int back, int n, int I, int H, const float *x, int lda,
                                        const float *W, const float *R, const float *bW, const float *bR,
                                        const float *h, float *c, float *work, float *out, int step) {
    int N = gates * H, most = T < 16 ? T : 16;
    float *y = work + most * n * N, *cell = y + n * N;
    for (int done = 0; done < T; done += most) {
        int count = T - done < most ? T - done : most, first = back ? T - done - count : done;
        NAME(gemm)(count * n, I, N, x + first * n * lda, lda, W, bW, 0, work);
        for (int i = 0; i < count; i++) {
            int t = back ? count - 1 - i : i;
            float *to = out + (first + t) * step;
            NAME(gemm)(n, H, N, h, H, R, bR, 0, y);
            if (gates == 3) {
                NAME(gru)(n, H, work + t * n * N, y, to, h);
            } else {
                NAME(lstm)(n, H, work + t * n * N, y, to, cell, c);
                memcpy(c, cell, (size_t)(n * H) * sizeof *c);
            }
            h = to;
        }
    }
}

/* ---- Transform ---- */

/* One pass of radix r over M numbers (Stockham: in order without sorting); n of them belong together, s are neighbors. */
static TARGET void NAME(pass)(int r, int n, int s, int M, const float *restrict tr, const float *restrict ti,
                              const float *restrict xr, const float *restrict xi, float *restrict yr, float *restrict yi) {
    int m = n / r;
    for (int p = 0; p < m; p++)
        for (int j = 0; j < r; j++) {
            float wr = tr[p * j * s % M], wi = ti[p * j * s % M];
            float *outr = yr + s * (r * p + j), *outi = yi + s * (r * p + j);
            const float *ar = xr + s * p, *ai = xi + s * p;
            for (int q = 0; q < s; q++) {
                float re = ar[q], im = ai[q];
                for (int k = 1; k < r; k++) {
                    float cr = tr[(j * k % r) * (M / r)], ci = ti[(j * k % r) * (M / r)];
                    re += ar[q + s * m * k] * cr - ai[q + s * m * k] * ci;
                    im += ar[q + s * m * k] * ci + ai[q + s * m * k] * cr;
                }
                outr[q] = re * wr - im * wi;
                outi[q] = re * wi + im * wr;
            }
        }
}

static TARGET void NAME(pass4)(int n, int s, const float *restrict tr, const float *restrict ti, const float *restrict xr,
                               const float *restrict xi, float *restrict yr, float *restrict yi) {
    int m = n / 4, d = s * m;
    for (int p = 0; p < m; p++) {
        float ur = tr[p * s], ui = ti[p * s], vr = tr[2 * p * s], vi = ti[2 * p * s], wr = tr[3 * p * s], wi = ti[3 * p * s];
        for (int q = 0; q < s; q++) {
            int i = q + s * p, o = q + s * 4 * p;
            float ar = xr[i] + xr[i + 2 * d], ai = xi[i] + xi[i + 2 * d], br = xr[i] - xr[i + 2 * d];
            float bi = xi[i] - xi[i + 2 * d], cr = xr[i + d] + xr[i + 3 * d], ci = xi[i + d] + xi[i + 3 * d];
            float er = xi[i + d] - xi[i + 3 * d], ei = xr[i + 3 * d] - xr[i + d];
            float fr = br + er, fi = bi + ei, gr = ar - cr, gi = ai - ci, hr = br - er, hi = bi - ei;
            yr[o] = ar + cr;
            yi[o] = ai + ci;
            yr[o + s] = fr * ur - fi * ui;
            yi[o + s] = fr * ui + fi * ur;
            yr[o + 2 * s] = gr * vr - gi * vi;
            yi[o + 2 * s] = gr * vi + gi * vr;
            yr[o + 3 * s] = hr * wr - hi * wi;
            yi[o + 3 * s] = hr * wi + hi * wr;
        }
    }
}

/* M complex numbers, in place; b is a place to work in. */
static TARGET void NAME(fft)(const @name@ *u, float *re, float *im, float *br, float *bi) {
    const float *tr = u->fft.turn[0], *ti = u->fft.turn[1];
    float *ar = re, *ai = im, *t;
    int n = u->fft.M, s = 1;
    for (int i = 0; i < u->fft.n_factors; i++) {
        int r = u->fft.factors[i];
        if (r == 4)
            NAME(pass4)(n, s, tr, ti, ar, ai, br, bi);
        else
            NAME(pass)(r, n, s, u->fft.M, tr, ti, ar, ai, br, bi);
        t = ar, ar = br, br = t;
        t = ai, ai = bi, bi = t;
        n /= r;
        s *= r;
    }
    if (ar != re) {
        memcpy(re, ar, (size_t)u->fft.M * sizeof *re);
        memcpy(im, ai, (size_t)u->fft.M * sizeof *im);
    }
}

/* m complex numbers in u->fft.a, in place. */
static TARGET void NAME(transform)(@name@ *u) {
    float *ar = u->fft.a[0], *ai = u->fft.a[1], *br = u->fft.b[0], *bi = u->fft.b[1];
    const float *cr = u->fft.chirp[0], *ci = u->fft.chirp[1], *fr = u->fft.filter[0], *fi = u->fft.filter[1];
    int m = u->fft.m, M = u->fft.M;
    if (M == m) {
        NAME(fft)(u, ar, ai, br, bi);
        return;
    }
    for (int i = 0; i < m; i++) {
        float re = ar[i] * cr[i] - ai[i] * ci[i];
        ai[i] = ar[i] * ci[i] + ai[i] * cr[i];
        ar[i] = re;
    }
    memset(ar + m, 0, (size_t)(M - m) * sizeof *ar);
    memset(ai + m, 0, (size_t)(M - m) * sizeof *ai);
    NAME(fft)(u, ar, ai, br, bi);
    for (int i = 0; i < M; i++) {
        float re = ar[i] * fr[i] - ai[i] * fi[i];
        ai[i] = ar[i] * fi[i] + ai[i] * fr[i];
        ar[i] = re;
    }
    NAME(fft)(u, ai, ar, bi, br); /* real and imaginary part swapped: the inverse */
    for (int i = 0; i < m; i++) {
        float re = ar[i] * cr[i] - ai[i] * ci[i];
        ai[i] = ar[i] * ci[i] + ai[i] * cr[i];
        ar[i] = re;
    }
}

/* n_fft samples -> n_freq bins. Samples of even and odd number are real and imaginary part of half as many. */
static TARGET void NAME(forward)(@name@ *u, const float *x, float *re, float *im) {
    float *ar = u->fft.a[0], *ai = u->fft.a[1];
    const float *hr = u->fft.half[0], *hi = u->fft.half[1];
    int n = u->n_fft, m = u->fft.m;
    for (int i = 0; i < m; i++) {
        ar[i] = u->fft.complex_only ? x[i] : x[2 * i];
        ai[i] = u->fft.complex_only ? 0.0f : x[2 * i + 1];
    }
    NAME(transform)(u);
    for (int k = 0; k <= n / 2; k++) {
        int j = k ? m - k : 0, i = k < m ? k : 0;
        if (u->fft.complex_only) {
            re[k] = ar[k];
            im[k] = ai[k];
            continue;
        }
        float er = 0.5f * (ar[i] + ar[j]), ei = 0.5f * (ai[i] - ai[j]);
        float or = 0.5f * (ai[i] + ai[j]), oi = 0.5f * (ar[j] - ar[i]);
        re[k] = er + or * hr[k] - oi * hi[k];
        im[k] = ei + or * hi[k] + oi * hr[k];
    }
}

/* n_freq bins -> n_fft samples. What is imaginary at 0 Hz and at half the rate has no place in a real signal. */
static TARGET void NAME(inverse)(@name@ *u, const float *re, const float *im, float *x) {
    float *ar = u->fft.a[0], *ai = u->fft.a[1], scale = 1.0f / (float)u->fft.m;
    const float *hr = u->fft.half[0], *hi = u->fft.half[1];
    int n = u->n_fft, m = u->fft.m;
    for (int k = 0; k < m; k++) {
        if (u->fft.complex_only) {
            int mirror = k > n / 2;
            ar[k] = re[mirror ? n - k : k];
            ai[k] = k == 0 ? 0.0f : mirror ? im[n - k] : -im[k];
            continue;
        }
        float pr = re[k], pi = k ? im[k] : 0.0f, qr = re[m - k], qi = k ? -im[m - k] : 0.0f;
        float er = 0.5f * (pr + qr), ei = 0.5f * (pi + qi), or = 0.5f * (pr - qr), oi = 0.5f * (pi - qi);
        float tr = or * hr[k] + oi * hi[k], ti = oi * hr[k] - or * hi[k]; /* turned back */
        ar[k] = er - ti;
        ai[k] = -(ei + tr); /* conjugated: the inverse by the same transform */
    }
    NAME(transform)(u);
    for (int i = 0; i < m; i++) {
        if (u->fft.complex_only) {
            x[i] = ar[i] * scale;
        } else {
            x[2 * i] = ar[i] * scale;
            x[2 * i + 1] = -ai[i] * scale;
        }
    }
}

/* ---- The network, for T frames: m is its memory, w its weights ---- */

static TARGET void NAME(step)(float *restrict m, const float *restrict w, int T) {
    (void)T;
@step@
}
