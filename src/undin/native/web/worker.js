// Entire files through a network, away from the page: {method, x, rate} in; {done} now and then, {y} or {error} out.

import { startSync } from "./undin.js";

const BLOCK = 4096;
const modules = {}; // by method

onmessage = async ({ data: { method, x, rate } }) => {
  try {
    modules[method] ??= fetchModule(method);
    postMessage({ y: run(await modules[method], x, rate) });
  } catch (error) {
    delete modules[method];
    postMessage({ error: error.message });
  }
};

async function fetchModule(method) {
  const response = await fetch(`${method}.wasm`);
  if (!response.ok) throw new Error(`${method}.wasm: HTTP status ${response.status}`);
  return response.arrayBuffer();
}

/** Signals of each source, one array per channel, aligned with x. */
function run(wasm, x, rate) {
  const { memory, input, output, run, latency, sources, end } = startSync(wasm, rate, x.length).exports;
  const length = x[0].length;
  const late = latency();
  const y = [...Array(sources())].map(() => x.map(() => new Float32Array(length)));
  for (let at = 0, n, block = 0; at < length + late; at += n, block++) {
    n = at < length ? Math.min(BLOCK, length - at) : BLOCK;
    if (at === length) end?.(); // zeros bring out what is still inside
    x.forEach((samples, c) => {
      const to = new Float32Array(memory.buffer, input(c), n);
      if (at < length) to.set(samples.subarray(at, at + n));
      else to.fill(0);
    });
    run(n);
    y.forEach((channels, s) =>
      channels.forEach((to, c) => {
        const from = new Float32Array(memory.buffer, output(s * x.length + c), n);
        const first = Math.max(0, late - at);
        const last = Math.min(n, length + late - at);
        if (first < last) to.set(from.subarray(first, last), at + first - late);
      }),
    );
    if (block % 32 === 0) postMessage({ done: at / (length + late) });
  }
  return y;
}
