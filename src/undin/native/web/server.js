// Entire files through the server that this page comes from, when the visitor asks for it.

import { decode, wav } from "./sound.js";

const ROUTES = { lull: "v1/enhance", "blstm-mask": "v1/separate" };

/** Signals of each source, one array per channel, aligned with x; by the server's default model.
 *
 * @param {{method: string, x: Float32Array[], rate: number}} task sent as a WAV file, so that all stays aligned
 * @param {Function} progress not called: the server does not tell
 * @param {string} token empty for a server without one
 */
export async function processOnServer({ method, x, rate }, progress, token) {
  const headers = { "Content-Type": "audio/wav", ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(ROUTES[method], { method: "POST", body: wav(x, rate), headers });
  if (!response.ok) throw new Error(await reason(response));
  const bytes = await response.arrayBuffer();
  const files = response.headers.get("Content-Type") === "application/zip" ? unzip(bytes) : [bytes];
  return Promise.all(files.map(async (file) => (await decode(file)).x));
}

async function reason(response) {
  if (response.status === 401) return "this server requires a token: enter it above and add the file again";
  try {
    return (await response.json()).error.message;
  } catch {
    return `the server answered with HTTP status ${response.status}`;
  }
}

/** Files of a zip that stores them as they are. */
function unzip(bytes) {
  const view = new DataView(bytes);
  const files = [];
  for (let at = 0; view.getUint32(at, true) === 0x04034b50; ) {
    const start = at + 30 + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
    at = start + view.getUint32(at + 18, true);
    files.push(bytes.slice(start, at));
  }
  return files;
}
