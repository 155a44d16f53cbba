// Sound -> a picture of its spectrum over time.

const N = 1024; // samples of a frame
const RANGE_DB = 75;
const COLORS = [[11, 7, 22], [74, 29, 120], [178, 54, 102], [246, 140, 60], [255, 248, 205]];

/** Draw the spectrogram of the mean of all channels.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array[]} x
 * @param {number} top power of white; that of the loudest bin when left out
 * @returns {number} the power of white
 */
export function draw(canvas, x, top) {
  const columns = (canvas.width = Math.min(600, Math.max(1, Math.floor(x[0].length / 64))));
  const rows = (canvas.height = 200);
  const frames = [...Array(columns).keys()].map((t) => powers(x, Math.round(((t + 0.5) / columns) * x[0].length) - N / 2));
  top ??= frames.reduce((most, frame) => frame.reduce((a, b) => Math.max(a, b), most), 1e-9);
  const image = new ImageData(columns, rows);
  for (let t = 0; t < columns; t++) {
    for (let row = 0; row < rows; row++) {
      const power = frames[t][Math.floor(((rows - 1 - row) / rows) * (N / 2))];
      image.data.set([...color(1 + (10 * Math.log10(power / top + 1e-12)) / RANGE_DB), 255], 4 * (row * columns + t));
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return top;
}

function color(level) {
  const place = Math.max(0, Math.min(1, level)) * (COLORS.length - 1);
  const i = Math.min(Math.floor(place), COLORS.length - 2);
  return COLORS[i].map((low, k) => low + (place - i) * (COLORS[i + 1][k] - low));
}

function powers(x, start) {
  const re = new Float32Array(N);
  const im = new Float32Array(N);
  for (let i = 0; i < N; i++) {
    const sum = x.reduce((total, channel) => total + (channel[start + i] ?? 0), 0);
    re[i] = (sum / x.length) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / N));
  }
  transform(re, im);
  return re.subarray(0, N / 2).map((a, k) => a * a + im[k] * im[k]);
}

/** Fast Fourier transform in place (Cooley and Tukey 1965). */
function transform(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos((2 * Math.PI * k) / size);
      const s = -Math.sin((2 * Math.PI * k) / size);
      for (let i = k; i < n; i += size) {
        const j = i + size / 2;
        const a = re[j] * c - im[j] * s;
        const b = re[j] * s + im[j] * c;
        re[j] = re[i] - a;
        im[j] = im[i] - b;
        re[i] += a;
        im[i] += b;
      }
    }
  }
}
