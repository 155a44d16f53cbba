/* Raw mono audio, 32-bit floats, from standard input to standard output, aligned; talkers become channels.
 *
 *     cc -O2 -o denoise example.c @name@.c -lm
 *     ffmpeg -i noisy.wav -f f32le -ac 1 -ar 48000 - | ./denoise 48000 20 > enhanced.f32
 */
#include <stdio.h>
#include <stdlib.h>

#include "@name@.h"

static @name@ stream; /* no other memory is used */

int main(int argc, char **argv) {
    float x, y[@NAME@_SOURCES], *out[@NAME@_SOURCES];
    const float *in[] = {&x};
    if (argc < 2 || @name@_init(&stream, atoi(argv[1]), 1))
        return fprintf(stderr, "usage: %s RATE [LIMIT_DB], with a rate of 8000 to 48000 Hz\n", argv[0]), 2;
    @name@_limit(&stream, argc > 2 ? (float)atof(argv[2]) : -1.0f); /* negative: no limit */
    for (int s = 0; s < @NAME@_SOURCES; s++)
        out[s] = &y[s];
    long latency = @name@_latency(&stream), end = -1;
    fprintf(stderr, "latency: %ld samples\n", latency);
    for (long t = 0; t != end; t++) {
        if (end < 0 && !fread(&x, sizeof x, 1, stdin)) /* from here on zeros, which flush the last samples */
            @finish@x = 0.0f, end = t + latency;
        @name@_process(&stream, in, out, 1); /* blocks may have any size */
        if (t >= latency)
            fwrite(y, sizeof y, 1, stdout);
    }
}
