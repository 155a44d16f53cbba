// The page: a queue of files, a card for each, and the microphone.

import { startLive } from "./live.js";
import { Player } from "./player.js";
import { decode, wav } from "./sound.js";
import { draw } from "./spectrogram.js";

const NO_LIMIT_DB = 60;
const SIGNALS = { lull: ["input", "enhanced"], "blstm-mask": ["mixture", "talker 1", "talker 2"] };
const find = (query, root = document) => root.querySelector(query);
const worker = new Worker("worker.js", { type: "module" });
const counts = { all: 0, done: 0, failed: 0 };
let last = Promise.resolve(); // one file after the other

/** Share of the input that remains at a maximum attenuation in dB. */
export const kept = (limitDb) => (limitDb >= NO_LIMIT_DB ? 0 : 10 ** (-limitDb / 20));
export const limitText = (limitDb) => (limitDb >= NO_LIMIT_DB ? "no limit" : `${limitDb} dB`);

function add(files) {
  const method = find("[name=task]:checked").value;
  for (const file of files) {
    const card = find("#item").content.cloneNode(true).firstElementChild;
    find("h3", card).textContent = file.name;
    find("progress", card).setAttribute("aria-label", `Progress of ${file.name}`);
    find("#queue").append(card);
    counts.all++;
    last = last.then(() => process(file, method, card));
  }
  count();
}

function count() {
  const failed = counts.failed ? `, ${counts.failed} failed` : "";
  find("#summary").textContent = counts.all ? `${counts.done} of ${counts.all} files done${failed}` : "";
}

async function process(file, method, card) {
  const status = find(".status", card);
  try {
    status.textContent = "Reading";
    const { rate, x } = await decode(await file.arrayBuffer());
    status.textContent = "Processing";
    const y = await run({ method, x, rate }, (done) => (find("progress", card).value = done));
    status.textContent = `${(x[0].length / rate).toFixed(1)} s, ${rate} Hz, ${x.length === 1 ? "mono" : `${x.length} channels`}`;
    show(card, file.name, rate, [x, ...y], SIGNALS[method]);
    counts.done++;
  } catch (error) {
    status.textContent = `Cannot process this file: ${error.message || "the browser cannot decode it"}`;
    counts.failed++;
  }
  find("progress", card).hidden = true;
  count();
}

function run(task, progress) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data.y) resolve(data.y);
      else if (data.error) reject(new Error(data.error));
      else progress(data.done);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(task);
  });
}

/** Pictures, one player that switches between the signals while it plays, and downloads; the first is the input. */
function show(card, name, rate, signals, labels) {
  find(".result", card).hidden = false;
  const enhances = signals.length === 2;
  signals.reduce((top, sound, i) => picture(card, labels[i], sound, top), undefined);
  const player = connectPlayer(card, name, signals, rate);
  const strength = find(".strength input", card);
  find(".strength", card).hidden = !enhances;
  const weights = () => {
    const hear = +find(".choice :checked", card).value;
    const keep = hear && enhances ? kept(+strength.value) : 0;
    return signals.map((_, i) => (i === hear ? 1 - keep : i === 0 ? keep : 0));
  };
  labels.forEach((label, i) => choice(card, label, i, () => player.mix(weights())));
  player.mix(weights());
  strength.addEventListener("input", () => {
    find(".strength output", card).textContent = limitText(+strength.value);
    player.mix(weights());
  });
  labels.forEach((label, i) => {
    const make = () => limited(signals[0], signals[i], enhances ? kept(+strength.value) : 0);
    if (i) download(card, name, label, () => wav(make(), rate));
  });
}

const limited = (x, y, keep) => (keep ? y.map((to, c) => to.map((sample, i) => sample + keep * (x[c][i] - sample))) : y);

function picture(card, label, sound, top) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Spectrogram of the ${label}`);
  const caption = document.createElement("figcaption");
  caption.textContent = label;
  figure.append(canvas, caption);
  find(".pictures", card).append(figure);
  return draw(canvas, sound, top);
}

function connectPlayer(card, name, signals, rate) {
  const [play, seek, time] = [".play", ".seek", ".time"].map((query) => find(query, card));
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const player = new Player(signals, rate, (at, playing) => {
    play.textContent = playing ? "Pause" : "Play";
    seek.value = at;
    time.textContent = `${clock(at)} / ${clock(player.seconds)}`;
  });
  seek.max = player.seconds;
  seek.setAttribute("aria-label", `Position in ${name}`);
  time.textContent = `${clock(0)} / ${clock(player.seconds)}`;
  play.addEventListener("click", () => (player.sources ? player.pause() : player.play()));
  seek.addEventListener("change", () => player.seek(+seek.value));
  return player;
}

function choice(card, label, i, changed) {
  const text = document.createElement("label");
  const button = Object.assign(document.createElement("input"), { type: "radio", value: i, checked: i === 1 });
  button.name = `hear-${[...find("#queue").children].indexOf(card)}`;
  button.addEventListener("change", changed);
  text.append(button, ` ${label}`);
  find(".choice", card).append(text);
}

function download(card, name, label, make) {
  const link = document.createElement("a");
  link.textContent = `Download ${label}`;
  link.href = "#";
  link.download = `${name.replace(/\.[^.]*$/, "")}.${label.replace("talker ", "")}.wav`;
  link.addEventListener("click", () => {
    link.href = URL.createObjectURL(make());
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  find(".downloads", card).append(link);
}

const drop = find("#drop");
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") add(event.dataTransfer.files);
  });
}
find("#files").addEventListener("change", (event) => {
  add(event.target.files);
  event.target.value = ""; // the same file may be chosen again
});
startLive(find, limitText);
