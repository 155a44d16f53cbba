/* The network looks both ways: it is given @chunk_s@ s or more at once, of which the last @overlap_s@ s fade into the next chunk. */
static void prepare_wait(@name@ *u) {
    u->chunk = (int)nearbyint(@chunk_s@ * u->rate / u->hop);
    u->stride = u->chunk - (int)nearbyint(@overlap_s@ * u->rate / u->hop);
    u->wait = u->chunk + u->stride; /* so that what is left in the end is never short */
}

/* Place of the t-th frame that is not in the output yet. */
static int place(const @name@ *u, int t) { return (u->oldest + t) % @NAME@_WAIT; }

/* Sort the sources from s on as those of the last chunk were; gives how alike they then are. */
static double sort_sources(double alike[@NAME@_SOURCES][@NAME@_SOURCES], int *order, int s) {
    double most = -1.0;
    int best[@NAME@_SOURCES], trial[@NAME@_SOURCES];
    memcpy(best, order, sizeof best);
    if (s == @NAME@_SOURCES)
        return 0.0;
    for (int i = s; i < @NAME@_SOURCES; i++) {
        memcpy(trial, order, sizeof trial);
        trial[s] = order[i];
        trial[i] = order[s];
        double sum = alike[s][trial[s]] + sort_sources(alike, trial, s + 1);
        if (sum > most) {
            most = sum;
            memcpy(best, trial, sizeof best);
        }
    }
    memcpy(order, best, sizeof best);
    return most;
}

static void compare_sources(@name@ *u) {
    double alike[@NAME@_SOURCES][@NAME@_SOURCES] = {{0.0}};
    for (int t = 0; t < u->overlap; t++) {
        answer(u, t, place(u, t));
        for (int i = 0; i < @NAME@_SOURCES; i++)
            for (int j = 0; j < @NAME@_SOURCES; j++)
                for (int f = 0; f < @NAME@_BINS; f++)
                    alike[i][j] += hypotf(u->last[t][i][0][f], u->last[t][i][1][f]) * hypotf(u->Y[j][0][f], u->Y[j][1][f]);
    }
    sort_sources(alike, u->order, 0);
}

@all_speeds@/* Answer the frames that wait: all if the signal has ended, else a chunk. */
static void answer_chunk(@name@ *u) {
    int ended = u->waiting < u->wait, n = ended ? u->waiting : u->chunk;
    u->overlap = u->length - u->at;
    for (int t = 0; t < u->overlap; t++) {
        answer(u, u->at + t, place(u, t));
        memcpy(u->last[t], u->Y, sizeof u->Y);
    }
    for (int t = 0; t < n; t++)
        for (int part = 0; part < 2; part++)
            memcpy(u->memory + @input_at@ + (part * n + t) * @NAME@_BINS, u->L[place(u, t)][part], sizeof **u->L);
    step(u, n);
@at_all_speeds@    u->length = n;
    u->at = 0;
    u->answered = ended ? n : u->stride;
    u->waiting -= u->answered;
    for (int s = 0; s < @NAME@_SOURCES; s++)
        u->order[s] = s;
    if (u->overlap && @NAME@_SOURCES > 1)
        compare_sources(u);
}

static void fade(@name@ *u) {
    float share = ((float)u->at + 0.5f) / (float)u->overlap;
    for (int s = 0; s < @NAME@_SOURCES; s++)
        for (int part = 0; part < 2; part++)
            for (int f = 0; f < @NAME@_BINS; f++) {
                float last = u->last[u->at][s][part][f];
                u->Y[s][part][f] = last + share * (u->Y[s][part][f] - last);
            }
}

static void run_frame(@name@ *u) {
    if (u->left) {
        analyze(u);
        u->waiting++;
        u->left -= u->left > 0;
    }
    if (u->early) {
        u->early--;
        return;
    }
    if (!u->answered && u->waiting)
        answer_chunk(u);
    if (!u->answered) {
        memset(u->ready, 0, sizeof u->ready);
        return;
    }
    answer(u, u->at, u->oldest);
    if (u->at < u->overlap)
        fade(u);
    finish(u, u->oldest);
    u->oldest = place(u, 1);
    u->at++;
    u->answered--;
}

void @name@_end(@name@ *u) { u->left = (u->filled + u->n_fft - 1) / u->hop; }
