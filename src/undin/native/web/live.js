// The microphone through the network, in the audio thread.

import { createUndinNode } from "./undin.js";

const MICROPHONE = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** Connect the controls; `find` gets an element, `limitText` words a limit. */
export function startLive(find, limitText) {
  const [button, status, limit] = ["#start", "#live-status", "#live-limit"].map((query) => find(query));
  let running;

  const settings = () => {
    find("#live-limit-text").textContent = limitText(+limit.value);
    if (!running) return;
    const bypass = find("#bypass").checked;
    running.node.parameters.get("limitDb").value = bypass ? 0 : +limit.value; // a limit of 0 dB is the input, as late
    running.listen.gain.value = +find("#listen").checked;
  };

  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      if (running) await stop();
      else await start();
    } catch (error) {
      status.textContent = `Cannot use the microphone: ${error.message}`;
      await stop();
    }
    button.disabled = false;
  });
  [limit, find("#bypass"), find("#listen")].forEach((control) => control.addEventListener("input", settings));

  async function start() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
    const context = new AudioContext({ latencyHint: "interactive" });
    running = { stream, context };
    await context.resume();
    const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    const node = await createUndinNode(context, { channels: 1 });
    const listen = new GainNode(context, { gain: 0 });
    const meters = [new AnalyserNode(context), new AnalyserNode(context)];
    source.connect(meters[0]);
    source.connect(node).connect(meters[1]);
    node.connect(listen).connect(context.destination);
    Object.assign(running, { node, listen, meters });
    settings();
    button.textContent = "Stop";
    status.textContent = `Running at ${context.sampleRate} Hz; the network adds ${Math.round(1000 * node.latency)} ms`;
    running.timer = setInterval(show, 50);
  }

  async function stop() {
    clearInterval(running?.timer);
    running?.stream.getTracks().forEach((track) => track.stop());
    await running?.context.close();
    if (running?.node) status.textContent = "Stopped";
    running = undefined;
    button.textContent = "Start";
    [find("#level-in"), find("#level-out")].forEach((meter) => (meter.value = -60));
  }

  function show() {
    running.meters.forEach((analyser, i) => {
      const x = new Float32Array(analyser.fftSize);
      analyser.getFloatTimeDomainData(x);
      const power = x.reduce((sum, sample) => sum + sample * sample, 0) / x.length;
      find(i ? "#level-out" : "#level-in").value = 10 * Math.log10(power + 1e-9);
    });
  }
}
