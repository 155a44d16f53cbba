/* undin @id@ for WebAssembly: one stream per instance, with its buffers inside. */
#include "@name@.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define BLOCK 4096 /* samples at most in one call */

static @name@ stream;
static float in[@NAME@_MAX_CHANNELS][BLOCK], out[@NAME@_SOURCES * @NAME@_MAX_CHANNELS][BLOCK];

EXPORT("start") int start(int rate, int channels);
EXPORT("reset") void reset(void);
EXPORT("limit") void limit(float limit_db);
EXPORT("latency") int latency(void);
EXPORT("sources") int sources(void);
EXPORT("input") float *input(int channel);
EXPORT("output") float *output(int index);
EXPORT("run") void run(int n);
@export@
int start(int rate, int channels) { return @name@_init(&stream, rate, channels); }
void reset(void) { @name@_reset(&stream); }
void limit(float limit_db) { @name@_limit(&stream, limit_db); }
int latency(void) { return @name@_latency(&stream); }
int sources(void) { return @NAME@_SOURCES; }
float *input(int channel) { return in[channel]; }
float *output(int index) { return out[index]; }

void run(int n) {
    const float *ins[@NAME@_MAX_CHANNELS];
    float *outs[@NAME@_SOURCES * @NAME@_MAX_CHANNELS];
    for (int c = 0; c < @NAME@_MAX_CHANNELS; c++)
        ins[c] = in[c];
    for (int i = 0; i < @NAME@_SOURCES * stream.channels; i++)
        outs[i] = out[i];
    @name@_process(&stream, ins, outs, n);
}
