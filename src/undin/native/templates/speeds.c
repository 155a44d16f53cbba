/* The network answers the chunk at other speeds too, and the mean of all answers counts. */
static void set_frame(@name@ *u, int rate) {
    u->rate = rate;
    prepare_frame(u);
    prepare_fft(u);
}

/* Frame t of a signal -> G. */
static void take_frame(@name@ *u, const float *x, int length, int t) {
    int start = (t + 1) * u->hop - u->n_fft;
    for (int i = 0; i < u->n_fft; i++)
        u->fft.frame[i] = start + i >= 0 && start + i < length ? x[start + i] * u->w[i] : 0.0f;
    forward(u, u->fft.frame, u->G[0], u->G[1]);
}

static void add_frame(@name@ *u, float *x, int length, int t, const float *re, const float *im) {
    int start = (t + 1) * u->hop - u->n_fft;
    inverse(u, re, im, u->fft.frame);
    for (int i = 0; i < u->n_fft; i++)
        if (start + i >= 0 && start + i < length)
            x[start + i] += u->fft.frame[i] * u->s[i];
}

/* The signal x at one speed -> sources y. Bins above those that the network knows go with the last of them. */
static void separate_at(@name@ *u, int rate, int length) {
    set_frame(u, rate);
    int n = (length + u->n_fft - 1) / u->hop;
    float *in = u->memory + @input_at@, *re = u->fft.b[0], *im = u->fft.b[1];
    for (int t = 0; t < n; t++) {
        take_frame(u, u->x, length, t);
        for (int part = 0; part < 2; part++)
            for (int f = 0; f < @NAME@_BINS; f++)
                in[(part * n + t) * @NAME@_BINS + f] = f < u->n_freq ? u->G[part][f] : 0.0f;
    }
    step(u, n);
    memset(u->y, 0, sizeof u->y);
    for (int t = 0; t < n; t++) {
        take_frame(u, u->x, length, t);
        for (int s = 0; s < @NAME@_SOURCES; s++) {
            const float *M = u->memory + @output_at@ + (s * n + t) * @NAME@_BINS;
            for (int f = 0; f < u->n_freq; f++) {
                float gain = M[f < @NAME@_BINS ? f : @NAME@_BINS - 1];
                re[f] = gain * u->G[0][f];
                im[f] = gain * u->G[1][f];
            }
            add_frame(u, u->y[s], length, t, re, im);
        }
    }
    set_frame(u, @sr@);
}

/* Add y to the estimates, in the order that is most like the first. */
static void add_estimates(@name@ *u, int length, int T) {
    double alike[@NAME@_SOURCES][@NAME@_SOURCES] = {{0.0}};
    int order[@NAME@_SOURCES];
    for (int t = 0; t < T; t++)
        for (int j = 0; j < @NAME@_SOURCES; j++) {
            take_frame(u, u->y[j], length, t);
            for (int i = 0; i < @NAME@_SOURCES; i++)
                for (int f = 0; f < @NAME@_BINS; f++)
                    alike[i][j] += u->first[i][t][f] * hypotf(u->G[0][f], u->G[1][f]);
        }
    for (int s = 0; s < @NAME@_SOURCES; s++)
        order[s] = s;
    sort_sources(alike, order, 0);
    for (int t = 0; t < T; t++)
        for (int s = 0; s < @NAME@_SOURCES; s++) {
            take_frame(u, u->y[order[s]], length, t);
            for (int part = 0; part < 2; part++)
                for (int f = 0; f < @NAME@_BINS; f++)
                    u->E[s][part][t][f] += u->G[part][f];
        }
}

static void answer_at_all_speeds(@name@ *u, int T) {
    static const int rates[] = {@speeds@};
    int n_speeds = (int)(sizeof rates / sizeof *rates), rate = u->rate;
    for (int s = 0; s < @NAME@_SOURCES; s++)
        for (int t = 0; t < T; t++)
            for (int f = 0; f < @NAME@_BINS; f++) {
                float M = u->memory[@output_at@ + (s * T + t) * @NAME@_BINS + f];
                for (int part = 0; part < 2; part++)
                    u->E[s][part][t][f] = M * u->L[place(u, t)][part][f];
                u->first[s][t][f] = hypotf(u->E[s][0][t][f], u->E[s][1][t][f]);
            }
    set_frame(u, @sr@);
    int length = (T + 1) * u->hop - u->n_fft;
    memset(u->x, 0, sizeof u->x);
    for (int t = 0; t < T; t++)
        add_frame(u, u->x, length, t, u->L[place(u, t)][0], u->L[place(u, t)][1]);
    for (int i = 0; i < n_speeds; i++) {
        separate_at(u, rates[i], length);
        add_estimates(u, length, T);
    }
    set_frame(u, rate);
    for (int t = 0; t < T; t++) /* together they are the input */
        for (int part = 0; part < 2; part++)
            for (int f = 0; f < @NAME@_BINS; f++) {
                float rest = u->L[place(u, t)][part][f];
                for (int s = 0; s < @NAME@_SOURCES; s++)
                    rest -= u->E[s][part][t][f] /= (float)(n_speeds + 1);
                for (int s = 0; s < @NAME@_SOURCES; s++)
                    u->E[s][part][t][f] += rest / @NAME@_SOURCES;
            }
}

