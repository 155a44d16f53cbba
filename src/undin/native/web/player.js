// Several signals of one length that play in step; which one is heard may change while they do.

let context; // one for the page
let active; // the player that plays: starting another one pauses it

export class Player {
  /**
   * @param {Float32Array[][]} signals each an array per channel
   * @param {number} rate
   * @param {(seconds: number, playing: boolean) => void} onPosition called with the position
   */
  constructor(signals, rate, onPosition) {
    Object.assign(this, { signals, rate, onPosition, at: 0 });
    this.seconds = signals[0][0].length / rate;
    this.hear(1, 0);
  }

  get playing() {
    return Boolean(this.sources);
  }

  /** Hear one signal, with a share of the first in it. */
  hear(heard, keep) {
    this.heard = heard;
    this.weights = this.signals.map((_, i) => (i === heard ? 1 - keep : i === 0 ? keep : 0));
    this.gains?.forEach((gain, i) => gain.gain.setTargetAtTime(this.weights[i], context.currentTime, 0.01));
  }

  async play() {
    context ??= new AudioContext();
    await context.resume();
    if (this.playing) return; // clicked again meanwhile
    if (active !== this) active?.pause();
    active = this;
    this.buffers ??= this.signals.map((x) => {
      const buffer = new AudioBuffer({ numberOfChannels: x.length, length: x[0].length, sampleRate: this.rate });
      x.forEach((samples, c) => buffer.copyToChannel(samples, c));
      return buffer;
    });
    this.gains = this.weights.map((gain) => new GainNode(context, { gain }));
    this.sources = this.buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(this.gains[i]).connect(context.destination);
      return source;
    });
    const start = context.currentTime + 0.02;
    this.begin = start - this.at;
    this.sources.forEach((source) => source.start(start, this.at));
    this.timer = setInterval(() => this.#tick(), 50);
    this.onPosition(this.at, true);
  }

  pause() {
    if (!this.playing) return;
    clearInterval(this.timer);
    this.at = Math.min(this.seconds, Math.max(0, context.currentTime - this.begin));
    this.sources.forEach((source) => source.stop());
    this.sources = this.gains = undefined;
    this.onPosition(this.at, false);
  }

  async seek(seconds) {
    const playing = this.playing;
    this.pause();
    this.at = seconds;
    if (playing) await this.play();
    else this.onPosition(seconds, false);
  }

  #tick() {
    const at = context.currentTime - this.begin;
    if (at < this.seconds) return this.onPosition(Math.max(0, at), true);
    this.pause();
    this.at = 0;
    return this.onPosition(0, false);
  }
}
