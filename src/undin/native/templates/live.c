/* Frame by frame: the network answers one `lookahead` frames back. */
static void prepare_wait(@name@ *u) { u->wait = @NAME@_WAIT; }

static void run_frame(@name@ *u) {
    analyze(u);
    memcpy(u->memory + @input_at@, u->L[u->newest], sizeof *u->L);
    step(u, 1);
    if (u->early) { /* answers to frames before the first */
        u->early--;
        return;
    }
    int oldest = (u->newest + 1) % @NAME@_WAIT;
    answer(u, 0, oldest);
    finish(u, oldest);
}
