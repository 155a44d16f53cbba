// undin in a browser: a causal network as an AudioWorkletNode. Nothing leaves the computer.
//
//     import { createUndinNode } from "./undin.js";
//     const node = await createUndinNode(audioContext, { method: "lull", limitDb: 20 });
//     source.connect(node).connect(audioContext.destination);
//     node.parameters.get("limitDb").value = 12;      // dB, 60 and more for no limit
//     node.latency                                    // seconds by which the output is behind
//
// The page imports this file, and so does the audio thread: there it registers the processor.

const NO_LIMIT_DB = 60;

/** Adds the worklet to the context and returns a node.
 *
 * @param {BaseAudioContext} context with a sample rate of 8000 to 48000 Hz
 * @param {{method?: string, limitDb?: number, channels?: number, url?: string | URL}} settings: the method, whose file
 *     METHOD.wasm is next to this file unless url is given; limitDb is the maximum attenuation; 1 to 8 channels
 */
export async function createUndinNode(context, { method = "lull", limitDb = NO_LIMIT_DB, channels = 1, url } = {}) {
  const [response] = await Promise.all([
    fetch(url ?? new URL(`${method}.wasm`, import.meta.url)),
    context.audioWorklet.addModule(import.meta.url),
  ]);
  if (!response.ok) throw new Error(`${response.url}: HTTP status ${response.status}`);
  const wasm = await response.arrayBuffer();
  const { latency, sources, end } = (await start(wasm, context.sampleRate, channels)).exports;
  if (end) throw new TypeError(`${method} needs the whole signal: use startSync in a Worker, or a causal method`);
  const node = new AudioWorkletNode(context, "undin", {
    numberOfInputs: 1,
    numberOfOutputs: sources(),
    outputChannelCount: Array(sources()).fill(channels),
    channelCount: channels,
    channelCountMode: "explicit",
    parameterData: { limitDb },
    processorOptions: { wasm, channels },
  });
  node.latency = latency() / context.sampleRate;
  return node;
}

/** One stream, ready for a signal. With a method that needs the whole signal, call end() before the last zeros. */
export function startSync(wasm, sampleRate, channels) {
  return ready(new WebAssembly.Instance(new WebAssembly.Module(wasm), {}), sampleRate, channels);
}

async function start(wasm, sampleRate, channels) {
  return ready((await WebAssembly.instantiate(wasm, {})).instance, sampleRate, channels);
}

function ready(instance, sampleRate, channels) {
  const { _initialize, start } = instance.exports;
  _initialize?.();
  if (start(sampleRate, channels) !== 0) {
    throw new RangeError(`undin takes 1 to 8 channels at 8000 to 48000 Hz, not ${channels} at ${sampleRate} Hz`);
  }
  return instance;
}

if (typeof registerProcessor === "function") {
  class Undin extends AudioWorkletProcessor {
    static get parameterDescriptors() {
      const range = { minValue: 0, maxValue: NO_LIMIT_DB, defaultValue: NO_LIMIT_DB };
      return [{ name: "limitDb", automationRate: "k-rate", ...range }];
    }

    constructor({ processorOptions: { wasm, channels } }) {
      super();
      this.channels = channels;
      this.undin = startSync(wasm, sampleRate, channels).exports;
    }

    process([input], outputs, { limitDb: [limitDb] }) {
      const { undin } = this;
      const n = outputs[0][0].length;
      undin.limit(limitDb >= NO_LIMIT_DB ? -1 : limitDb);
      for (let c = 0; c < this.channels; c++) {
        const to = new Float32Array(undin.memory.buffer, undin.input(c), n);
        if (input[c]) to.set(input[c]);
        else to.fill(0); // nothing is connected
      }
      undin.run(n);
      outputs.forEach((output, s) =>
        output.forEach((to, c) =>
          to.set(new Float32Array(undin.memory.buffer, undin.output(s * this.channels + c), n)),
        ),
      );
      return true;
    }
  }
  registerProcessor("undin", Undin);
}
