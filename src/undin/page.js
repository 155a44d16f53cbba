// One player of several signals: all of them run in step, one is heard, so a switch keeps the position to the sample.
"use strict";
(() => {
  const FADE_S = 0.008; // long enough to hide a click, too short to hear
  let context = null;
  let active = null;

  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

  const decode = (audio) => {
    const bytes = Uint8Array.from(atob(audio.getAttribute("src").split(",")[1]), (c) => c.charCodeAt(0));
    return context.decodeAudioData(bytes.buffer);
  };

  class Player {
    constructor(section) {
      this.section = section;
      this.audios = [...section.querySelectorAll("audio")];
      this.controls = section.querySelector(".controls");
      this.button = section.querySelector(".play");
      this.radios = [...section.querySelectorAll("input[type=radio]")];
      this.seekBar = section.querySelector(".seek");
      this.clock = section.querySelector(".clock");
      this.strength = section.querySelector(".strength input"); // of the wet signals, against the dry one
      this.dry = Number(this.strength?.dataset.dry);
      this.wet = (this.strength?.dataset.wet ?? "").split(" ").filter(Boolean).map(Number);
      this.panels = [...section.querySelectorAll(".panel")];
      this.voices = [];
      this.heard = Math.max(this.radios.findIndex((radio) => radio.checked), 0);
      this.position = 0;
      this.duration = 0;
      this.listen();
      section.classList.add("ready");
      this.controls.hidden = false;
      section.querySelector(".plain").hidden = true;
      this.show();
    }

    listen() {
      this.button.addEventListener("click", () => this.toggle());
      this.radios.forEach((radio, i) => radio.addEventListener("change", () => this.choose(i)));
      this.seekBar.addEventListener("input", () => this.seek(Number(this.seekBar.value)));
      this.strength?.addEventListener("input", () => this.mix());
      this.section.addEventListener("pointerdown", () => { active = active?.playing ? active : this; });
      this.panels.forEach((panel) => panel.addEventListener("click", (event) => {
        const box = panel.getBoundingClientRect();
        const [start, stop] = [Number(panel.dataset.start), Number(panel.dataset.stop)];
        this.choose(Number(panel.dataset.signal));
        this.seek(start + ((event.clientX - box.left) / box.width) * (stop - start));
        this.play();
      }));
      this.audios.forEach((audio) => {
        const measure = () => this.measure(audio.duration);
        audio.addEventListener("loadedmetadata", measure);
        measure();
      });
    }

    measure(seconds) {
      if (!Number.isFinite(seconds) || seconds <= this.duration) return;
      this.duration = seconds;
      this.seekBar.max = seconds;
      this.show();
    }

    get playing() { return this.voices.length > 0; }

    now() { return this.playing ? Math.max(context.currentTime - this.zero, 0) : this.position; }

    async load() {
      context ??= new AudioContext();
      context.resume();
      this.buffers ??= Promise.all(this.audios.map(decode));
      const buffers = await this.buffers;
      buffers.forEach((buffer) => this.measure(buffer.duration));
      return buffers;
    }

    async play() {
      this.section.classList.add("loading");
      try {
        const buffers = await this.load();
        if (this.playing) return;
        if (active && active !== this) active.pause();
        active = this;
        this.start(buffers);
      } catch (error) { // a format this browser cannot decode: leave it to its own players
        this.controls.hidden = true;
        this.section.querySelector(".plain").hidden = false;
        console.warn(error);
      } finally {
        this.section.classList.remove("loading");
      }
    }

    start(buffers) {
      if (this.position >= this.duration - 0.01) this.position = 0;
      const when = context.currentTime + 0.02; // one moment for all
      this.zero = when - this.position;
      this.voices = buffers.map((buffer, i) => {
        const source = new AudioBufferSourceNode(context, { buffer });
        const gain = new GainNode(context, { gain: this.level(i) });
        source.connect(gain).connect(context.destination);
        source.start(when, Math.min(this.position, buffer.duration));
        return { source, gain };
      });
      this.section.classList.add("started");
      this.tick();
    }

    pause() {
      this.position = Math.min(this.now(), this.duration);
      this.voices.forEach(({ source }) => source.stop());
      this.voices = [];
      this.show();
    }

    toggle() {
      if (this.playing) this.pause();
      else this.play();
    }

    choose(i) {
      if (!this.radios[i]) return;
      this.heard = i;
      this.radios[i].checked = true;
      this.mix();
    }

    // y' = y + g (x - y), where g is 10^(-limit_db / 20): the blend is what --limit-db gives
    level(i) {
      const share = this.wet.includes(this.heard) ? this.strength.value / 100 : 1;
      if (i === this.heard) return share;
      return i === this.dry ? 1 - share : 0;
    }

    mix() {
      this.voices.forEach(({ gain }, i) => gain.gain.setTargetAtTime(this.level(i), context.currentTime, FADE_S / 3));
      this.show();
    }

    async seek(seconds) {
      const playing = this.playing;
      if (playing) this.pause();
      this.position = Math.min(Math.max(seconds, 0), this.duration);
      this.section.classList.add("started");
      this.show();
      if (playing) this.start(await this.buffers);
    }

    tick() {
      if (!this.playing) return;
      if (this.now() >= this.duration) {
        this.pause();
        return;
      }
      this.show();
      requestAnimationFrame(() => this.tick());
    }

    show() {
      const seconds = Math.min(this.now(), this.duration);
      this.section.classList.toggle("playing", this.playing);
      this.button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
      this.seekBar.value = seconds;
      this.seekBar.setAttribute("aria-valuetext", `${seconds.toFixed(1)} of ${this.duration.toFixed(1)} seconds`);
      if (this.strength) {
        const share = this.strength.value / 100;
        const limit = share < 1 && share > 0 ? `, --limit-db ${(-20 * Math.log10(1 - share)).toFixed(1)}` : "";
        this.strength.disabled = !this.wet.includes(this.heard);
        this.strength.setAttribute("aria-valuetext", `${this.strength.value} %${limit}`);
        this.strength.nextElementSibling.textContent = `${this.strength.value} %${limit}`;
      }
      this.clock.textContent = `${clock(seconds)} / ${clock(this.duration)}`;
      this.panels.forEach((panel) => {
        const [start, stop] = [Number(panel.dataset.start), Number(panel.dataset.stop)];
        panel.style.setProperty("--at", `${(100 * (seconds - start)) / (stop - start)}%`);
        panel.classList.toggle("heard", Number(panel.dataset.signal) === this.heard);
      });
    }
  }

  const sections = [...document.querySelectorAll("section")].filter((section) => section.querySelector(".player"));
  const players = sections.map((section) => new Player(section));
  active = players[0] ?? null;

  const folds = [...document.querySelectorAll("details:not([open])")];
  const unfold = (open) => folds.forEach((fold) => { fold.open = open; });
  addEventListener("beforeprint", () => unfold(true));
  addEventListener("afterprint", () => unfold(false));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const player = players.find(({ section }) => section.contains(event.target)) ?? active;
    if (!player || player.controls.hidden) return;
    if (/^[1-9]$/.test(event.key)) {
      player.choose(Number(event.key) - 1);
    } else if (event.key === " " && !event.target.closest("button, a, audio")) {
      event.preventDefault(); // a button clicks itself; anywhere else space would scroll
      if (!event.repeat) player.toggle();
    }
  });
})();
