/* undin @id@ for C: @summary@
 *
 * @use@, in blocks of any size, 8000 to 48000 Hz, with one or more channels that get one gain.
 * No allocation, no input or output, no global state: all is in one struct, whose size is known when you compile.
 * Written by undin @version@. Weights: @weights@, @licence@. Data: @data@.
 */
#ifndef @NAME@_H
#define @NAME@_H

#ifdef __cplusplus
extern "C" {
#endif

#define @NAME@_MAX_RATE 48000
#ifndef @NAME@_MAX_CHANNELS
#define @NAME@_MAX_CHANNELS 2
#endif
#define @NAME@_SOURCES @sources@   /* signals that come out for each channel that goes in */
#define @NAME@_N @max_n_fft@        /* samples of the longest frame */
#define @NAME@_HOP @max_hop@       /* between frames, at most */
#define @NAME@_BINS @n_bins@      /* that the network knows */
#define @NAME@_WAIT @wait@         /* frames that are kept */
#define @NAME@_FFT @fft_size@       /* the longest transform */
#define @NAME@_BANDS @bands@       /* above the bins that it knows */

typedef struct @name@ {
    int rate, channels, n_fft, hop, n_freq; /* settings */
    int target;                             /* instruction set */
    float keep;                             /* share of the input that stays */
    int filled, newest, early, surplus;     /* samples of the next hop; place of the newest frame; what is to be dropped */
    int wait;                               /* frames until one is in the output */
@fields@    float w[@NAME@_N], s[@NAME@_N];         /* windows of analysis and synthesis */
    float past[@NAME@_MAX_CHANNELS][@NAME@_N];
    float tail[@NAME@_SOURCES][@NAME@_MAX_CHANNELS][@NAME@_N + @NAME@_HOP];
    float ready[@NAME@_SOURCES][@NAME@_MAX_CHANNELS][@NAME@_HOP];
    float Y[@NAME@_SOURCES][2][@NAME@_BINS];
    float G[2][@NAME@_N / 2 + 1];           /* a complex gain */
    struct {
        int m, M, complex_only, n_factors, factors[20];
        float turn[2][@NAME@_FFT], half[2][@NAME@_N / 2 + 1], chirp[2][@NAME@_FFT], filter[2][@NAME@_FFT];
        float a[2][@NAME@_FFT], b[2][@NAME@_FFT], frame[@NAME@_N + 1];
    } fft;
    struct {
        int n, step, bands;
        float fall, rise, start, creep, noise[@NAME@_BANDS], speech[@NAME@_BANDS];
    } air;
    float X[@NAME@_WAIT][@NAME@_MAX_CHANNELS][2][@NAME@_N / 2 + 1]; /* real and imaginary parts of frames */
    float L[@NAME@_WAIT][2][@NAME@_BINS];   /* what the network was given of them */
    float memory[@memory@];                 /* of the network: its states, then what it works in */
#ifndef @NAME@_SHARED
    float weights[@n_weights@];
#endif
} @name@;

#ifdef @NAME@_SHARED /* All streams of the process have the same weights: call this first, once. */
void @name@_share(void);
#endif

/* Prepare for a signal. Returns 0, or -1 if the rate or the number of channels is unsupported. */
int @name@_init(@name@ *u, int rate, int channels);

/* Forget the signal so far. */
void @name@_reset(@name@ *u);
@end@
/* Maximum attenuation in dB; 0 returns the input, a negative number or NaN means no limit. */
void @name@_limit(@name@ *u, float limit_db);

/* Delay of the output in samples. */
int @name@_latency(const @name@ *u);

/* Take n samples of each channel and give as many, the latency later. Output s of channel c is out[s * channels + c];
 * it may be the same memory as an input. NaN, infinite samples and those beyond 1e15 count as zeros. */
void @name@_process(@name@ *u, const float *const *in, float *const *out, int n);

#ifdef __cplusplus
}
#endif
#endif
