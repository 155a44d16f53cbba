/* LADSPA plugins of undin @id@: mono and stereo, one gain for both channels. The structs are those of ladspa.h 1.1. */
#include <stdlib.h>

#include "@name@.h"

#define CHANNELS 2          /* at most */
#define NO_LIMIT_DB 60.0f   /* at this value and above nothing is limited */
enum { INPUT = 1, OUTPUT = 2, CONTROL = 4, AUDIO = 8, HARD_REALTIME = 4 };
enum { BOUNDED_BELOW = 1, BOUNDED_ABOVE = 2, DEFAULT_MAXIMUM = 0x140, DEFAULT_0 = 0x200 };

typedef struct {
    int hints;
    float low, high;
} Range;

typedef struct Descriptor {
    unsigned long id;
    const char *label;
    int properties;
    const char *name, *maker, *copyright;
    unsigned long n_ports;
    const int *ports;
    const char *const *port_names;
    const Range *ranges;
    void *data;
    void *(*instantiate)(const struct Descriptor *, unsigned long rate);
    void (*connect_port)(void *, unsigned long port, float *);
    void (*activate)(void *);
    void (*run)(void *, unsigned long n);
    void (*run_adding)(void *, unsigned long n);
    void (*set_run_adding_gain)(void *, float);
    void (*deactivate)(void *);
    void (*cleanup)(void *);
} Descriptor;

/* Ports: inputs, outputs, limit, latency. */
typedef struct {
    int channels;
    float *in[CHANNELS], *out[@NAME@_SOURCES * CHANNELS], *limit_db, *latency;
    @name@ stream;
} Plugin;

static void *instantiate(const Descriptor *descriptor, unsigned long rate) {
    Plugin *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->channels = (int)(descriptor->n_ports - 2) / (1 + @NAME@_SOURCES);
    if (rate > @NAME@_MAX_RATE || @name@_init(&p->stream, (int)rate, p->channels)) {
        free(p);
        return NULL;
    }
    return p;
}

static void connect_port(void *handle, unsigned long port, float *data) {
    Plugin *p = handle;
    int i = (int)port, n_in = p->channels, n_out = p->channels * @NAME@_SOURCES;
    if (i < n_in)
        p->in[i] = data;
    else if (i < n_in + n_out)
        p->out[i - n_in] = data;
    else if (i == n_in + n_out)
        p->limit_db = data;
    else
        p->latency = data;
}

static void activate(void *handle) { @name@_reset(&((Plugin *)handle)->stream); }

static void run(void *handle, unsigned long n) {
    Plugin *p = handle;
    const float *in[CHANNELS];
    for (int c = 0; c < p->channels; c++)
        in[c] = p->in[c];
    if (p->limit_db)
        @name@_limit(&p->stream, *p->limit_db >= NO_LIMIT_DB ? -1.0f : *p->limit_db);
    if (p->latency)
        *p->latency = (float)@name@_latency(&p->stream);
    @name@_process(&p->stream, in, p->out, (int)n);
}

static void cleanup(void *handle) { free(handle); }

#define KIND_IN INPUT | AUDIO
#define KIND_OUT OUTPUT | AUDIO
#define CONTROLS INPUT | CONTROL, OUTPUT | CONTROL
#define LIMIT {BOUNDED_BELOW | BOUNDED_ABOVE | DEFAULT_MAXIMUM, 0.0f, NO_LIMIT_DB}
#define FREE {0, 0.0f, 0.0f}
#define LATENCY {DEFAULT_0, 0.0f, 0.0f}
@plugins@
/* What a host looks for. */
#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const Descriptor *ladspa_descriptor(unsigned long index);

const Descriptor *ladspa_descriptor(unsigned long index) {
    return index == 0 ? &mono : index == 1 ? &stereo : NULL;
}
