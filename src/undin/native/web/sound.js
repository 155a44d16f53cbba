// Files -> samples at their own rate, and samples -> WAV files.

const OTHER_RATE = 48000; // of files whose header we do not know

/** Decode a file.
 *
 * @param {ArrayBuffer} bytes
 * @returns {Promise<{rate: number, x: Float32Array[]}>} samples of each channel; above 48 kHz they are resampled
 */
export async function decode(bytes) {
  const rate = Math.min(Math.max(rateOf(bytes) ?? OTHER_RATE, 8000), 48000);
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.slice(0));
  return { rate, x: [...Array(buffer.numberOfChannels).keys()].map((c) => buffer.getChannelData(c)) };
}

/** The sample rate in the header of a WAV, FLAC, Ogg or MP3 file. */
export function rateOf(bytes) {
  const view = new DataView(bytes, 0, Math.min(bytes.byteLength, 65536));
  const text = (at, n) => String.fromCharCode(...new Uint8Array(bytes, at, Math.min(n, bytes.byteLength - at)));
  if (bytes.byteLength < 64) return undefined;
  if (text(0, 4) === "RIFF") return chunkRate(view, text);
  if (text(0, 4) === "fLaC") return view.getUint32(18) >>> 12;
  if (text(0, 4) === "OggS" && text(29, 6) === "vorbis") return view.getUint32(40, true);
  if (text(0, 4) === "OggS" && text(28, 8) === "OpusHead") return 48000;
  const start = text(0, 3) === "ID3" ? 10 + [6, 7, 8, 9].reduce((n, i) => n * 128 + view.getUint8(i), 0) : 0;
  return start + 4 <= view.byteLength ? frameRate(view.getUint32(start)) : undefined;
}

function chunkRate(view, text) {
  for (let at = 12; at + 16 <= view.byteLength; at += 8 + view.getUint32(at + 4, true)) {
    if (text(at, 4) === "fmt ") return view.getUint32(at + 12, true);
  }
  return undefined;
}

function frameRate(head) {
  if (head >>> 21 !== 0x7ff) return undefined; // not MPEG audio
  const base = [44100, 48000, 32000][(head >>> 10) & 3];
  const version = (head >>> 19) & 3;
  return base && base / (version === 3 ? 1 : version === 2 ? 2 : 4);
}

/** Samples as a WAV file of 24-bit integers.
 *
 * @param {Float32Array[]} x one array per channel
 * @param {number} rate
 * @returns {Blob}
 */
export function wav(x, rate) {
  const n = x.length;
  const size = x[0].length * n * 3;
  const bytes = new Uint8Array(44 + size + (size % 2));
  const view = new DataView(bytes.buffer);
  const write = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, n, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * n * 3, true);
  view.setUint16(32, n * 3, true);
  view.setUint16(34, 24, true);
  write(36, "data");
  view.setUint32(40, size, true);
  for (let i = 0, at = 44; i < x[0].length; i++) {
    for (let c = 0; c < n; c++, at += 3) {
      const sample = Math.max(-8388608, Math.min(8388607, Math.round(x[c][i] * 8388608)));
      bytes[at] = sample;
      bytes[at + 1] = sample >> 8;
      bytes[at + 2] = sample >> 16;
    }
  }
  return new Blob([bytes], { type: "audio/wav" });
}
