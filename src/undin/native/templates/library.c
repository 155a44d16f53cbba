/* undin @id@: blocks of samples -> frames -> network -> samples. See @name@.h.
 *
 * Frame t ends with the t-th hop, is windowed and transformed; channels are linked into one of their mean power, which
 * the network answers; that gain is applied to each channel. Bins above its range get a separate gain.
 */
#include "@name@.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "@name@_weights.h"

#define TINY 1e-20f
#define MAX_LEVEL 1e15f /* louder samples would overflow in powers */

/* Optimize as the loops below need it, whatever the command line says. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wunused-function"
#elif defined(__GNUC__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "no-signed-zeros", "associative-math", "fp-contract=fast")
#endif

#ifdef __GNUC__
#define KERNEL __attribute__((noinline, unused)) /* a network may have no memory */
#else
#define KERNEL
#endif

#ifdef @NAME@_SHARED
#ifdef __GNUC__
__attribute__((aligned(64)))
#endif
static float shared_weights[@n_weights@];
#define WEIGHTS(u) shared_weights
#else
#define WEIGHTS(u) (u)->weights
#endif

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define X86 1
#endif

/* The code that takes time, once for each instruction set. */
#define NAME(name) name##_plain
#define TARGET
#define LANES 4
#include "@name@_net.h"
#undef NAME
#undef TARGET
#undef LANES
#ifdef X86
#define NAME(name) name##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#include "@name@_net.h"
#undef NAME
#undef TARGET
#undef LANES
#define NAME(name) name##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")))
#define LANES 16
#include "@name@_net.h"
#endif

static int best_target(void) {
#ifdef X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

static void step(@name@ *u, int n_frames) {
#ifdef X86
    if (u->target == 2) {
        step_avx512(u->memory, WEIGHTS(u), n_frames);
        return;
    }
    if (u->target == 1) {
        step_avx2(u->memory, WEIGHTS(u), n_frames);
        return;
    }
#endif
    step_plain(u->memory, WEIGHTS(u), n_frames);
}

static void forward(@name@ *u, const float *x, float *re, float *im) {
#ifdef X86
    if (u->target == 2) {
        forward_avx512(u, x, re, im);
        return;
    }
    if (u->target == 1) {
        forward_avx2(u, x, re, im);
        return;
    }
#endif
    forward_plain(u, x, re, im);
}

static void inverse(@name@ *u, const float *re, const float *im, float *x) {
#ifdef X86
    if (u->target == 2) {
        inverse_avx512(u, re, im, x);
        return;
    }
    if (u->target == 1) {
        inverse_avx2(u, re, im, x);
        return;
    }
#endif
    inverse_plain(u, re, im, x);
}

/* ---- Weights ---- */

static uint32_t byte(size_t i) { return @name@_data[i / 4] >> 8 * (i % 4) & 255; }

static float half(uint32_t bits) {
    int exponent = (int)(bits >> 10 & 31);
    float fraction = (float)(bits & 1023) / 1024.0f;
    float value = exponent ? ldexpf(1.0f + fraction, exponent - 15) : ldexpf(fraction, -14);
    return bits >> 15 ? -value : value;
}

static float stored(int kind, size_t at, int i) {
    union { float f; uint32_t bits; } x;
    if (kind == 2)
        return half(byte(at + 2 * (size_t)i) | byte(at + 2 * (size_t)i + 1) << 8);
    if (kind == 1)
        return (float)(int)(byte(at + (size_t)i) ^ 128) - 128.0f;
    at += 4 * (size_t)i;
    x.bits = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    return x.f;
}

/* Matrices go into panels of 16 columns; missing columns are zeros. Of bytes, the scales of the columns come first. */
static void expand(float *weights) {
    for (size_t n = 0; n < sizeof @name@_table / sizeof *@name@_table; n++) {
        const int *row = @name@_table[n];
        int kind = row[0], rows = row[1], columns = row[2], panels = row[3];
        size_t at = (size_t)row[4];
        float *to = weights + row[5];
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) {
                size_t values = kind == 1 ? at + 4 * (size_t)columns : at;
                float x = stored(kind, values, i * columns + j) * (kind == 1 ? stored(4, at, j) : 1.0f);
                to[panels ? (j / 16 * rows + i) * 16 + j % 16 : i * columns + j] = x;
            }
    }
}

#ifdef @NAME@_SHARED
void @name@_share(void) { expand(shared_weights); }
#endif

/* ---- Transform: prepare ---- */

static void turns(float *re, float *im, int n, int count, double step) {
    for (int i = 0; i < count; i++) {
        double angle = -2.0 * 3.14159265358979323846 * step * i / n;
        re[i] = (float)cos(angle);
        im[i] = (float)sin(angle);
    }
}

static int factorize(int n, int *factors) {
    int count = 0;
    for (int p = 4; p <= 5; p = p == 4 ? 2 : p == 2 ? 3 : p == 3 ? 5 : 6)
        for (; n % p == 0; n /= p)
            factors[count++] = p;
    return n == 1 ? count : 0;
}

/* Sizes with other factors than 2, 3 and 5 become a convolution with a chirp (Bluestein 1970). */
static void prepare_fft(@name@ *u) {
    int n = u->n_fft, m = n % 2 ? n : n / 2, M = m;
    u->fft.complex_only = n % 2;
    u->fft.n_factors = factorize(m, u->fft.factors);
    if (!u->fft.n_factors && m > 1) {
        for (M = 1; M < 2 * m - 1; M *= 2) {}
        u->fft.n_factors = factorize(M, u->fft.factors);
    }
    u->fft.m = m;
    u->fft.M = M;
    turns(u->fft.turn[0], u->fft.turn[1], M, M, 1.0);
    turns(u->fft.half[0], u->fft.half[1], n, n / 2 + 1, 1.0);
    if (M == m)
        return;
    memset(u->fft.a, 0, sizeof u->fft.a);
    for (int k = 0; k < m; k++) {
        double angle = 3.14159265358979323846 * (double)((int64_t)k * k % (2 * m)) / m;
        u->fft.chirp[0][k] = (float)cos(angle);
        u->fft.chirp[1][k] = -(float)sin(angle);
        for (int side = 0; side < (k ? 2 : 1); side++) {
            u->fft.a[0][side ? M - k : k] = (float)(cos(angle) / M);
            u->fft.a[1][side ? M - k : k] = (float)(sin(angle) / M);
        }
    }
    fft_plain(u, u->fft.a[0], u->fft.a[1], u->fft.b[0], u->fft.b[1]);
    memcpy(u->fft.filter, u->fft.a, sizeof u->fft.a);
}

/* ---- Settings ---- */

/* Round half to even, as Python does. */
static int rounded(int numerator, int denominator) {
    int whole = numerator / denominator, rest = 2 * (numerator % denominator);
    return whole + (rest > denominator || (rest == denominator && whole % 2));
}

static double window_at(int i, int n) {
    static const double a[] = {@window@};
    double sum = 0.0;
    for (int k = 0; k < (int)(sizeof a / sizeof *a); k++)
        sum += (k % 2 ? -a[k] : a[k]) * cos(2.0 * 3.14159265358979323846 * k * i / n);
    return @root@;
}

/* The frame takes the same time at every rate. */
static void prepare_frame(@name@ *u) {
    int hop = rounded(@hop_length@ * u->rate, @sr@);
    u->hop = hop < 1 ? 1 : hop;
    u->n_fft = @n_fft@ % @hop_length@ == 0 ? u->hop * (@n_fft@ / @hop_length@) : rounded(@n_fft@ * u->rate, @sr@);
    u->n_freq = u->n_fft / 2 + 1;
    for (int i = 0; i < u->n_fft; i++) {
        double power = 0.0, w = window_at(i, u->n_fft);
        for (int j = i % u->hop; j < u->n_fft; j += u->hop)
            power += window_at(j, u->n_fft) * window_at(j, u->n_fft);
        u->w[i] = (float)w;
        u->s[i] = (float)(w / power);
    }
}

static void prepare_air(@name@ *u) {
    double per_s = (double)u->rate / u->hop, bin_hz = (double)u->rate / u->n_fft;
    int step = (int)nearbyint(1000.0 / bin_hz), upper = u->n_freq - @NAME@_BINS;
    u->air.step = step < 1 ? 1 : step;
    u->air.bands = upper > 0 ? (upper + u->air.step - 1) / u->air.step : 0;
    u->air.fall = (float)(1.0 - exp(-1.0 / (0.1 * per_s)));
    u->air.rise = (float)(1.0 - exp(-1.0 / (0.5 * per_s)));
    u->air.start = (float)(0.25 * per_s);
    u->air.creep = (float)(3.0 / 10.0 / per_s * 2.30258509299404568402);
}

static void prepare_wait(@name@ *u);

int @name@_init(@name@ *u, int rate, int channels) {
    if (rate < 8000 || rate > @NAME@_MAX_RATE || channels < 1 || channels > @NAME@_MAX_CHANNELS)
        return -1;
    memset(u, 0, offsetof(@name@, X));
    u->rate = rate;
    u->channels = channels;
    u->target = best_target();
#ifndef @NAME@_SHARED
    expand(u->weights);
#endif
    prepare_frame(u);
    prepare_fft(u);
    prepare_air(u);
    prepare_wait(u);
    @name@_reset(u);
    return 0;
}

void @name@_reset(@name@ *u) {
    memset(u->past, 0, sizeof u->past);
    memset(u->tail, 0, sizeof u->tail);
    memset(u->ready, 0, sizeof u->ready);
    memset(u->memory, 0, @input_at@ * sizeof *u->memory); /* states; what follows is written before it is read */
    memset(u->air.noise, 0, sizeof u->air.noise);
    memset(u->air.speech, 0, sizeof u->air.speech);
    u->air.n = 0;
    u->filled = u->newest = 0;
    u->early = u->wait - 1;
@reset@    u->surplus = u->n_fft - u->hop;
}

void @name@_limit(@name@ *u, float limit_db) {
    u->keep = limit_db >= 0.0f && @NAME@_SOURCES == 1 ? powf(10.0f, -limit_db / 20.0f) : 0.0f;
}

int @name@_latency(const @name@ *u) { return u->n_fft + (u->wait - 1) * u->hop; }

/* ---- One frame ---- */

/* Several channels -> one of their mean power, with the phase of their sum, in the bins and at the level known. */
static void link_channels(@name@ *u) {
    float scale = @n_fft@.0f / (float)u->n_fft;
    for (int f = 0; f < @NAME@_BINS; f++) {
        float re = 0.0f, im = 0.0f, power = 0.0f;
        for (int c = 0; c < u->channels && f < u->n_freq; c++) {
            float a = u->X[u->newest][c][0][f], b = u->X[u->newest][c][1][f];
            re += a;
            im += b;
            power += a * a + b * b;
        }
        if (u->channels > 1) {
            float magnitude = sqrtf(power / (float)u->channels), mid = sqrtf(re * re + im * im);
            re = mid == 0.0f ? magnitude : magnitude * (re / (mid > 1e-30f ? mid : 1e-30f));
            im = mid == 0.0f ? 0.0f : magnitude * (im / (mid > 1e-30f ? mid : 1e-30f));
        }
        u->L[u->newest][0][f] = re * scale;
        u->L[u->newest][1][f] = im * scale;
    }
}

/* What the network says in its frame `at` -> Y for frame t of those that are kept. */
static void answer(@name@ *u, int at, int t) {
    const float *M = @output@ + at * @NAME@_BINS, *re = u->L[t][0], *im = u->L[t][1];
    int next = @next@;
    for (int s = 0; s < @NAME@_SOURCES; s++) {
        int k = @source@;
        for (int f = 0; f < @NAME@_BINS; f++) {
@answer@
        }
    }
}

/* Noise floor and gain of a band above the known bins, from its power P and the gain g of the top of those: the air. */
static float air_gain(@name@ *u, int band, float P, float g) {
    float p = 4.0f * g < 1.0f ? 4.0f * g : 1.0f, N = u->air.noise[band], rise = u->air.rise, floor_gain = 0.17782794f;
    if (u->air.n == 1)
        N = 1e-3f * (1.0f - g) * P;
    if ((float)u->air.n <= u->air.start && 1.0f / (float)u->air.n > rise)
        rise = 1.0f / (float)u->air.n;
    if (P < N) {
        N += u->air.fall * (P - N);
    } else {
        float creep = N * (expf(u->air.creep * (1.0f - g)) - 1.0f), up = rise * (1.0f - p) * (P - N);
        creep = creep < P - N ? creep : P - N;
        N += up > creep ? up : creep;
    }
    u->air.noise[band] = N;
    float least = 1e-12f * (P > u->air.speech[band] ? P : u->air.speech[band]); /* of the noise, against overflow */
    N = N > least ? N : least;
    N = N > TINY ? N : TINY;
    float over = P / N - 1.0f, xi = 0.9f * u->air.speech[band] / N + 0.1f * (over > 0.0f ? over : 0.0f);
    float wiener = xi / (1.0f + xi);
    float G = powf(floor_gain, 1.0f - p) * powf(wiener > floor_gain ? wiener : floor_gain, p);
    u->air.speech[band] = G * G * P;
    return G;
}

static void enhance_air(@name@ *u, int oldest, int s) {
    float before = 0.0f, after = 0.0f, g;
    for (int f = @NAME@_BINS - @NAME@_BINS / 4; f < @NAME@_BINS; f++) {
        float a = u->L[oldest][0][f], b = u->L[oldest][1][f], c = u->Y[s][0][f], d = u->Y[s][1][f];
        before += a * a + b * b;
        after += @NAME@_SOURCES > 1 ? a * c + b * d : c * c + d * d;
    }
    if (@NAME@_SOURCES > 1) { /* shares of the power below sum to one, and so do these gains */
        g = (after + TINY / @NAME@_SOURCES) / (before + TINY);
        for (int f = @NAME@_BINS; f < u->n_freq; f++) {
            u->G[0][f] = g;
            u->G[1][f] = 0.0f;
        }
        return;
    }
    g = sqrtf(after / (before > TINY ? before : TINY));
    g = g < 1.0f ? g : 1.0f;
    u->air.n += u->air.n < 1 << 30;
    for (int band = 0; band < u->air.bands; band++) {
        int first = @NAME@_BINS + band * u->air.step, end = first + u->air.step;
        float P = 0.0f, G;
        end = end < u->n_freq ? end : u->n_freq;
        for (int c = 0; c < u->channels; c++)
            for (int f = first; f < end; f++)
                P += u->X[oldest][c][0][f] * u->X[oldest][c][0][f] + u->X[oldest][c][1][f] * u->X[oldest][c][1][f];
        G = air_gain(u, band, P / (float)(u->channels * (end - first)), g);
        for (int f = first; f < end; f++) {
            u->G[0][f] = G;
            u->G[1][f] = 0.0f;
        }
    }
}

/* Y / L, to be applied to every channel. */
static void find_gain(@name@ *u, int oldest, int s) {
    for (int f = 0; f < @NAME@_BINS && f < u->n_freq; f++) {
        float a = u->L[oldest][0][f], b = u->L[oldest][1][f], c = u->Y[s][0][f], d = u->Y[s][1][f];
        float power = a * a + b * b;
        power = power > TINY ? power : TINY;
        u->G[0][f] = (c * a + d * b) / power;
        u->G[1][f] = (d * a - c * b) / power;
    }
    if (u->n_freq > @NAME@_BINS)
        enhance_air(u, oldest, s);
}

/* One channel of one source: Y -> samples that no later frame touches. */
static void synthesize(@name@ *u, int oldest, int s, int c) {
    float *re = u->fft.b[0], *im = u->fft.b[1], *tail = u->tail[s][c];
    int alone = u->channels == 1 && u->n_freq <= @NAME@_BINS;
    for (int f = 0; f < u->n_freq; f++) {
        float a = u->X[oldest][c][0][f], b = u->X[oldest][c][1][f];
        if (alone) {
            re[f] = u->Y[s][0][f] * ((float)u->n_fft / @n_fft@.0f);
            im[f] = u->Y[s][1][f] * ((float)u->n_fft / @n_fft@.0f);
        } else {
            re[f] = u->G[0][f] * a - u->G[1][f] * b;
            im[f] = u->G[0][f] * b + u->G[1][f] * a;
        }
        re[f] += u->keep * (a - re[f]);
        im[f] += u->keep * (b - im[f]);
    }
    inverse(u, re, im, u->fft.frame);
    for (int i = 0; i < u->n_fft; i++)
        tail[i] += u->fft.frame[i] * u->s[i];
    memcpy(u->ready[s][c], tail, (size_t)u->hop * sizeof *tail);
    memmove(tail, tail + u->hop, (size_t)u->n_fft * sizeof *tail);
    memset(tail + u->n_fft, 0, (size_t)u->hop * sizeof *tail);
    memset(u->ready[s][c], 0, (size_t)(u->surplus < u->hop ? u->surplus : u->hop) * sizeof *tail);
}

/* The newest frame -> X and L. */
static void analyze(@name@ *u) {
    u->newest = (u->newest + 1) % @NAME@_WAIT;
    for (int c = 0; c < u->channels; c++) {
        for (int i = 0; i < u->n_fft; i++)
            u->fft.frame[i] = u->past[c][i] * u->w[i];
        forward(u, u->fft.frame, u->X[u->newest][c][0], u->X[u->newest][c][1]);
        memmove(u->past[c], u->past[c] + u->hop, (size_t)(u->n_fft - u->hop) * sizeof **u->past);
    }
    link_channels(u);
}

/* Y -> samples. */
static void finish(@name@ *u, int oldest) {
    for (int s = 0; s < @NAME@_SOURCES; s++) {
        if (u->channels > 1 || u->n_freq > @NAME@_BINS)
            find_gain(u, oldest, s);
        for (int c = 0; c < u->channels; c++)
            synthesize(u, oldest, s, c);
    }
    u->surplus -= u->surplus < u->hop ? u->surplus : u->hop; /* samples before the start are zeros */
}

@frames@

void @name@_process(@name@ *u, const float *const *in, float *const *out, int n) {
    for (int done = 0; done < n;) {
        int count = u->hop - u->filled < n - done ? u->hop - u->filled : n - done;
        for (int c = 0; c < u->channels; c++) {
            float *next = u->past[c] + u->n_fft - u->hop + u->filled;
            for (int i = 0; i < count; i++) {
                float x = in[c][done + i];
                next[i] = x <= MAX_LEVEL && x >= -MAX_LEVEL ? x : 0.0f;
            }
        }
        for (int s = 0; s < @NAME@_SOURCES; s++)
            for (int c = 0; c < u->channels; c++)
                memcpy(out[s * u->channels + c] + done, u->ready[s][c] + u->filled, (size_t)count * sizeof(float));
        done += count;
        u->filled += count;
        if (u->filled == u->hop) {
            u->filled = 0;
            run_frame(u);
        }
    }
}
