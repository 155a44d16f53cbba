/* Enhance raw sound: 32-bit float, one channel, from standard input to standard output.
 *
 *     cc -O2 -o denoise example.c @name@.c -lm
 *     ffmpeg -i noisy.wav -f f32le -ac 1 -ar 48000 - | ./denoise 48000 | ffplay -f f32le -ar 48000 -
 */
#include <stdio.h>
#include <stdlib.h>

#include "@name@.h"

int main(int argc, char **argv) {
    static @name@ stream; /* all memory that it needs */
    static float in[480], out[@NAME@_SOURCES][480];
    const float *ins[1] = {in};
    float *outs[@NAME@_SOURCES];

    if (@name@_init(&stream, argc > 1 ? atoi(argv[1]) : 48000, 1)) {
        fprintf(stderr, "use: %s RATE [LIMIT_DB], with a rate of 8000 to 48000 Hz\n", argv[0]);
        return 2;
    }
    @name@_limit(&stream, argc > 2 ? (float)atof(argv[2]) : -1.0f);
    for (int s = 0; s < @NAME@_SOURCES; s++)
        outs[s] = out[s];
    int n, skip = @name@_latency(&stream), rest = skip; /* zeros at the start, and zeros that bring out the end */
    while ((n = (int)fread(in, sizeof *in, 480, stdin)) > 0 || rest > 0) {
        if (n == 0) {
@finish@            for (int i = n = rest < 480 ? rest : 480; i--;)
                in[i] = 0.0f;
            rest -= n;
        }
        @name@_process(&stream, ins, outs, n);
        int first = skip < n ? skip : n;
        skip -= first;
        fwrite(out[0] + first, sizeof **out, (size_t)(n - first), stdout); /* of several talkers the first */
    }
    return 0;
}
