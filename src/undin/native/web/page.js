// The page: a queue of files, a card for each with a player per signal, and the microphone.

import { startLive } from "./live.js";
import { Player } from "./player.js";
import { processOnServer } from "./server.js";
import { decode, wav } from "./sound.js";
import { draw } from "./spectrogram.js";

const NO_LIMIT_DB = 60;
const SIGNALS = { lull: ["Input", "Enhanced"], "blstm-mask": ["Mixture", "Talker 1", "Talker 2"] };
const SUFFIXES = { Enhanced: "enhanced", "Talker 1": "1", "Talker 2": "2" }; // as `undin enhance` and `separate` name files
const find = (query, root = document) => root.querySelector(query);
const worker = new Worker("worker.js", { type: "module" });
const counts = { all: 0, done: 0, failed: 0 };
let last = Promise.resolve(); // one file after the other

/** Share of the input that remains at a maximum attenuation in dB. */
export const kept = (limitDb) => (limitDb >= NO_LIMIT_DB ? 0 : 10 ** (-limitDb / 20));
export const limitText = (limitDb) => (limitDb >= NO_LIMIT_DB ? "no limit" : `${limitDb} dB`);

const copy = (template) => find(template).content.cloneNode(true).firstElementChild;
const onServer = () => find("[name=place]:checked").value === "server";

function add(files) {
  const method = find("[name=task]:checked").value;
  const work = onServer() ? processOnServer : processHere;
  for (const file of files) {
    const card = copy("#item");
    find("h3", card).textContent = file.name;
    find("progress", card).setAttribute("aria-label", `Progress of ${file.name}`);
    find("#queue").append(card);
    counts.all++;
    last = last.then(() => process(file, method, card, work));
  }
  count();
}

function count() {
  const failed = counts.failed ? `, ${counts.failed} failed` : "";
  find("#summary").textContent = counts.all ? `${counts.done} of ${counts.all} files done${failed}` : "";
}

async function process(file, method, card, work) {
  const status = find(".status", card);
  const progress = find("progress", card);
  try {
    status.textContent = "Reading";
    const { rate, x } = await decode(await file.arrayBuffer());
    status.textContent = work === processHere ? "Processing" : "Processing on the server";
    if (work === processOnServer) progress.removeAttribute("value"); // the server does not tell
    const y = await work({ method, x, rate }, (done) => (progress.value = done), find("#token").value);
    status.textContent = `${(x[0].length / rate).toFixed(1)} s, ${rate} Hz, ${x.length === 1 ? "mono" : `${x.length} channels`}`;
    show(card, file.name, rate, [x, ...y], SIGNALS[method]);
    counts.done++;
  } catch (error) {
    status.textContent = `Cannot process this file: ${error.message || "the browser cannot decode it"}`;
    counts.failed++;
  }
  progress.hidden = true;
  count();
}

function processHere(task, progress) {
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

/** A player for each signal, in step; the first is the input. Of an enhanced one a slider sets the strength. */
function show(card, name, rate, signals, labels) {
  find(".result", card).hidden = false;
  const enhances = signals.length === 2;
  const strength = find(".strength input", card);
  find(".strength", card).hidden = !enhances;
  const keep = () => (enhances ? kept(+strength.value) : 0);
  const tracks = labels.map((label) => makeTrack(card, name, label, rate));
  const player = new Player(signals, rate, (at, playing) => {
    tracks.forEach((track, i) => track.show(at, player.seconds, playing && i === player.heard));
  });
  const mix = (heard = player.heard) => player.hear(heard, heard ? keep() : 0);
  signals.reduce((top, sound, i) => draw(tracks[i].canvas, sound, top), undefined);
  tracks.forEach((track, i) => {
    track.onPlay(() => (player.playing && player.heard === i ? player.pause() : (mix(i), player.play())));
    track.onSeek((seconds) => player.seek(seconds), player.seconds);
    if (i) track.onDownload(() => wav(limited(signals[0], signals[i], keep()), rate));
    track.show(0, player.seconds, false);
  });
  strength.addEventListener("input", () => {
    find(".strength output", card).textContent = limitText(+strength.value);
    mix();
  });
}

const limited = (x, y, keep) => (keep ? y.map((to, c) => to.map((sample, i) => sample + keep * (x[c][i] - sample))) : y);
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** The row of one signal: its spectrogram, and controls that are named after it. */
function makeTrack(card, name, label, rate) {
  const row = copy("#track");
  const [canvas, head, play, seek, link] = ["canvas", ".head", ".play", ".seek", ".download"].map((query) => find(query, row));
  const signal = label.toLowerCase();
  let dragged = false;
  row.setAttribute("aria-label", label);
  find("h4", row).prepend(label);
  find("h4 span", row).textContent = ` 0 to ${+(rate / 2000).toFixed(1)} kHz`;
  canvas.setAttribute("aria-label", `Spectrogram of the ${signal}`);
  seek.setAttribute("aria-label", `Position, ${signal}`);
  if (!SUFFIXES[label]) link.remove();
  find(".tracks", card).append(row);
  return {
    canvas,
    show(at, seconds, playing) {
      play.textContent = playing ? "Pause" : "Play";
      play.setAttribute("aria-label", `${play.textContent} ${signal}`);
      head.style.left = `${(100 * at) / seconds}%`;
      find(".time", row).textContent = `${clock(at)} / ${clock(seconds)}`;
      seek.setAttribute("aria-valuetext", find(".time", row).textContent);
      if (!dragged) seek.value = at;
    },
    onPlay: (act) => play.addEventListener("click", act),
    onSeek(act, seconds) {
      seek.max = seconds;
      seek.addEventListener("input", () => (dragged = true));
      seek.addEventListener("change", () => {
        dragged = false;
        act(+seek.value);
      });
      canvas.addEventListener("click", (event) => act((event.offsetX / canvas.clientWidth) * seconds));
    },
    onDownload(make) {
      link.setAttribute("aria-label", `Download ${signal}`);
      link.download = `${name.replace(/\.[^.]*$/, "")}.${SUFFIXES[label]}.wav`;
      link.addEventListener("click", () => {
        link.href = URL.createObjectURL(make());
        setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      });
    },
  };
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
const tellPlace = () => {
  find("#here").hidden = onServer();
  find("#there").hidden = find("#server").hidden = !onServer();
};
find("#place").addEventListener("change", tellPlace);
find("#host").textContent = location.host;
tellPlace(); // a browser may have kept the choice when the page was loaded again
startLive(find, limitText);
