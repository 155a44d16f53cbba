/* undin @id@ inside a Python process: streams that share their weights, and interleaved samples as packets have them. */
#include "@name@.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#else
#define EXPORT
#endif
#define BLOCK 256       /* samples at a time */
#define MAX_LEVEL 1e15f /* as in @name@.c */

typedef struct {
    @name@ *stream;
    const void *in;
    void *out;
    int n, width, clipped; /* samples of a channel; bytes of a sample, 2 or 4; integers clipped, -1: no sound */
    float keep;            /* share of the input that stays */
} Job;

EXPORT void undin_load(void);
EXPORT @name@ *undin_open(int rate, int channels);
EXPORT void undin_reset(@name@ *u);
EXPORT void undin_close(@name@ *u);
EXPORT void undin_process(Job *jobs, int n_jobs);

void undin_load(void) { @name@_share(); }

@name@ *undin_open(int rate, int channels) {
    @name@ *u = calloc(1, sizeof *u);
    if (u && @name@_init(u, rate, channels)) {
        free(u);
        return NULL;
    }
    return u;
}

void undin_reset(@name@ *u) { @name@_reset(u); }
void undin_close(@name@ *u) { free(u); }

static int is_sound(const float *x, int n) {
    int bad = 0;
    for (int i = 0; i < n; i++)
        bad |= !(x[i] <= MAX_LEVEL && x[i] >= -MAX_LEVEL);
    return !bad;
}

static int to_int16(float y, int16_t *to) {
    float scaled = rintf(32768.0f * y);
    *to = (int16_t)(scaled > 32767.0f ? 32767.0f : scaled < -32768.0f ? -32768.0f : scaled);
    return y > 1.0f || y < -1.0f;
}

/* Nothing changes where a float is NaN, infinite or beyond MAX_LEVEL. */
static void process(Job *job) {
    static const float full = 1.0f / 32768.0f;
    float x[@NAME@_MAX_CHANNELS][BLOCK], y[@NAME@_SOURCES * @NAME@_MAX_CHANNELS][BLOCK];
    const float *in[@NAME@_MAX_CHANNELS];
    float *out[@NAME@_SOURCES * @NAME@_MAX_CHANNELS];
    int n_in = job->stream->channels, n_out = @NAME@_SOURCES * n_in;
    job->clipped = job->width == 4 && !is_sound(job->in, job->n * n_in) ? -1 : 0;
    if (job->clipped)
        return;
    for (int c = 0; c < n_in; c++)
        in[c] = x[c];
    for (int c = 0; c < n_out; c++)
        out[c] = y[c];
    job->stream->keep = job->keep;
    for (int at = 0; at < job->n; at += BLOCK) {
        int n = job->n - at < BLOCK ? job->n - at : BLOCK;
        for (int i = 0; i < n; i++)
            for (int c = 0; c < n_in; c++) {
                int k = (at + i) * n_in + c;
                x[c][i] = job->width == 4 ? ((const float *)job->in)[k] : full * ((const int16_t *)job->in)[k];
            }
        @name@_process(job->stream, in, out, n);
        for (int i = 0; i < n; i++)
            for (int c = 0; c < n_out; c++) {
                int k = (at + i) * n_out + c;
                if (job->width == 4)
                    ((float *)job->out)[k] = y[c][i];
                else
                    job->clipped += to_int16(y[c][i], (int16_t *)job->out + k);
            }
    }
}

void undin_process(Job *jobs, int n_jobs) {
    for (int i = 0; i < n_jobs; i++)
        process(&jobs[i]);
}
