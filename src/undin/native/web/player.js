// Several signals of one length that play in step, mixed by weights that may change while they do.

export class Player {
  /**
   * @param {Float32Array[][]} signals each an array per channel
   * @param {number} rate
   * @param {(seconds: number, playing: boolean) => void} onPosition called with the position
   */
  constructor(signals, rate, onPosition) {
    this.context = null;
    Object.assign(this, { signals, rate, onPosition, at: 0, weights: signals.map((_, i) => +(i === 0)) });
    this.seconds = signals[0][0].length / rate;
  }

  /** Share of each signal. */
  mix(weights) {
    this.weights = weights;
    this.gains?.forEach((gain, i) => gain.gain.setTargetAtTime(weights[i], this.context.currentTime, 0.01));
  }

  async play() {
    this.context ??= new AudioContext();
    await this.context.resume();
    if (this.sources) return; // clicked again meanwhile
    this.gains = this.weights.map((gain) => new GainNode(this.context, { gain }));
    this.sources = this.signals.map((x, i) => {
      const buffer = new AudioBuffer({ numberOfChannels: x.length, length: x[0].length, sampleRate: this.rate });
      x.forEach((samples, c) => buffer.copyToChannel(samples, c));
      const source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(this.gains[i]).connect(this.context.destination);
      return source;
    });
    this.begin = this.context.currentTime + 0.02 - this.at;
    this.sources.forEach((source) => source.start(this.context.currentTime + 0.02, this.at));
    this.timer = setInterval(() => this.#tick(), 50);
    this.onPosition(this.at, true);
  }

  pause() {
    if (!this.sources) return;
    clearInterval(this.timer);
    this.at = Math.min(this.seconds, Math.max(0, this.context.currentTime - this.begin));
    this.sources.forEach((source) => source.stop());
    this.sources = this.gains = undefined;
    this.onPosition(this.at, false);
  }

  async seek(seconds) {
    const playing = Boolean(this.sources);
    this.pause();
    this.at = seconds;
    if (playing) await this.play();
    else this.onPosition(seconds, false);
  }

  #tick() {
    const at = this.context.currentTime - this.begin;
    if (at < this.seconds) return this.onPosition(Math.max(0, at), true);
    this.pause();
    this.at = 0;
    return this.onPosition(0, false);
  }
}
