// Audio in the browser: recording, decoding to 16 kHz mono, WAV, a picture of it.

export const RATE = 16000;
export const MAX_S = 30;

// Samples in -1..1 at 16 kHz. Throws where the browser cannot decode the format.
export async function decode(buffer) {
  const decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(buffer);
  const mono = new Float32Array(decoded.length);
  for (let c = 0; c < decoded.numberOfChannels; c++) {
    const channel = decoded.getChannelData(c);
    for (let i = 0; i < mono.length; i++) mono[i] += channel[i] / decoded.numberOfChannels;
  }
  return mono;
}

// A WAV file of 16 bits.
export function wav(samples) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); bytes.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, RATE, true); bytes.setUint32(28, 2 * RATE, true);
  bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  text(36, "data"); bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((s, i) => {
    // The inverse of how Chromium decodes 16 bits, so that such a file passes unchanged.
    const value = Math.round(s * (s < 0 ? 32768 : 32767));
    bytes.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, value)), true);
  });
  return bytes.buffer;
}

export function base64(buffer) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(new Blob([buffer]));
  });
}

// Records until `stop` is called or 30 s are over; `onlevel(peak, seconds)` is told on the way.
export async function record(onlevel) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream);
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const heard = new Float32Array(analyser.fftSize);
  const began = performance.now();
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(heard);
    const seconds = (performance.now() - began) / 1000;
    onlevel(heard.reduce((most, s) => Math.max(most, Math.abs(s)), 0), seconds);
    if (seconds >= MAX_S && recorder.state === "recording") recorder.stop();
  }, 50);
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const samples = new Promise((resolve, reject) => {
    recorder.onstop = () => {
      clearInterval(timer);
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      new Blob(parts).arrayBuffer().then(decode)
        .then((all) => resolve(all.slice(0, MAX_S * RATE)), reject);
    };
  });
  recorder.start();
  return { stop: () => recorder.state === "recording" && recorder.stop(), samples };
}

// Peaks in so many columns, 0..1 of the loudest.
export function peaks(samples, columns) {
  const found = new Float32Array(columns);
  samples.forEach((s, i) => {
    const column = Math.min(columns - 1, Math.floor((i * columns) / samples.length));
    found[column] = Math.max(found[column], Math.abs(s));
  });
  const most = Math.max(...found, 1e-3);
  return found.map((peak) => peak / most);
}

// Bars from the left; those after `progress` (0..1) are pale.
export function draw(canvas, bars, progress = 1) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.fillStyle = getComputedStyle(canvas).color;
  bars.forEach((bar, i) => {
    pen.globalAlpha = i / bars.length <= progress ? 1 : 0.3;
    const tall = Math.max(2, bar * (height - 16));
    pen.fillRect(8 + i * 4, (height - tall) / 2, 2.5, tall);
  });
}

export const columns = (canvas) => Math.max(1, Math.floor((canvas.clientWidth - 16) / 4));
