import { MAX_S, RATE, base64, columns, decode, draw, peaks, record, wav } from "./audio.js";
import { ask } from "./stream.js";

const $ = (id) => document.getElementById(id);
const NAMES = { aura: "AuRA", cascade: "Cascade", bridge: "Bridge" };
const player = new Audio();
let clip = null; // {samples or null, file: ArrayBuffer}
let recording = null;
let samples = [];

function problem(text) {
  $("problem").textContent = text || "";
  $("problem").hidden = !text;
}

function take(found, name, sample = null) {
  clip = found;
  problem("");
  $("clip").hidden = false;
  $("clip-name").textContent = name;
  $("clip-length").textContent = found.samples ? `${(found.samples.length / RATE).toFixed(1)} s` : "";
  $("play").hidden = $("wave").hidden = !found.samples;
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(new Blob([found.file], { type: "audio/wav" }));
  $("reference").hidden = !sample;
  if (sample) {
    $("said").textContent = sample.said;
    $("expected").textContent = sample.expected;
    const differs = sample.expected !== sample.said;
    document.querySelectorAll(".wanted").forEach((each) => { each.hidden = !differs; });
    $("question").value = sample.question;
  } else {
    $("sample").value = "";
  }
  redraw();
  $("answers").replaceChildren();
  refresh();
}

async function open(file, buffer, sample = null) {
  let heard = null;
  try {
    // Decoding empties the buffer it is given.
    heard = await decode(buffer.slice(0));
  } catch {
    heard = null;
  }
  // What this browser cannot decode the server perhaps can.
  if (!heard) return take({ samples: null, file: buffer }, file, sample);
  const seconds = heard.length / RATE;
  if (seconds > MAX_S) return problem(`${file}: ${seconds.toFixed(1)} s, at most ${MAX_S} s are heard`);
  take({ samples: heard, file: wav(heard) }, file, sample);
}

function redraw() {
  if (!clip?.samples) return;
  const progress = player.paused || !player.duration ? 1 : player.currentTime / player.duration;
  draw($("wave"), peaks(clip.samples, columns($("wave"))), progress);
}

function follow() {
  redraw();
  if (!player.paused) requestAnimationFrame(follow);
}

async function toggleRecording() {
  if (recording) return recording.stop();
  player.pause();
  const levels = [];
  try {
    recording = await record((peak, seconds) => {
      levels.push(Math.min(1, peak * 2));
      $("record-label").textContent = `Stop  ${seconds.toFixed(1)} s`;
      draw($("wave"), levels.slice(-columns($("wave"))));
    });
  } catch (error) {
    return problem(`The microphone cannot be used: ${error.message}`);
  }
  problem("");
  $("clip").hidden = $("wave").hidden = false;
  $("play").hidden = true;
  $("clip-name").textContent = $("clip-length").textContent = "";
  $("reference").hidden = true;
  $("record").classList.add("recording");
  refresh();
  try {
    const heard = await recording.samples;
    take({ samples: heard, file: wav(heard) }, "Your recording");
  } catch (error) {
    problem(`The recording cannot be read: ${error.message}`);
  } finally {
    recording = null;
    $("record").classList.remove("recording");
    $("record-label").textContent = "Record";
    refresh();
  }
}

const chosen = () => [...document.querySelectorAll("#models input:checked")].map((box) => box.value);
let busy = false;
function refresh() {
  $("ask").disabled = busy || !!recording || !clip || !chosen().length;
}

function card(model) {
  const made = document.createElement("article");
  made.className = "card panel";
  made.dataset.model = model;
  made.innerHTML = `<div class="top"><h3 class="key"></h3><span class="ttft"></span></div>
    <div class="time"><i></i></div><p class="answer empty">waiting</p><p class="more"></p>`;
  made.querySelector("h3").textContent = NAMES[model] ?? model;
  return made;
}

// The slowest first token has the whole bar.
function rescale() {
  const cards = [...document.querySelectorAll("#answers .card[data-first]")];
  const most = Math.max(...cards.map((each) => Number(each.dataset.first)));
  for (const each of cards) {
    each.querySelector("i").style.width = `${(100 * each.dataset.first) / most}%`;
  }
}

async function answer(made, data) {
  const text = made.querySelector(".answer");
  text.textContent = "";
  text.className = "answer streaming";
  try {
    const told = await ask(made.dataset.model, data, $("question").value || "Transcribe.",
      (piece) => text.append(piece));
    made.dataset.first = told.first_ms;
    made.querySelector(".ttft").innerHTML = `first token <b>${Math.round(told.first_ms)}</b> ms`;
    const cut = told.reason === "length" ? ", cut at its longest" : "";
    made.querySelector(".more").textContent =
      `${told.tokens} tokens in ${(told.all_ms / 1000).toFixed(2)} s${cut}`;
    rescale();
    text.className = text.textContent ? "answer" : "answer empty";
    text.textContent ||= told.prompt ? "(nothing)" : "(nobody speaks in it)";
  } catch (error) {
    text.className = "answer problem";
    text.textContent = error.message;
  }
}

async function askAll(event) {
  event.preventDefault();
  busy = true;
  refresh();
  const cards = chosen().map(card);
  $("answers").replaceChildren(...cards);
  $("answers").scrollIntoView({ block: "nearest", behavior: "smooth" });
  const data = await base64(clip.file);
  // One after the other: the server has one queue, and waiting is no model's time.
  for (const each of cards) await answer(each, data);
  busy = false;
  refresh();
}

async function chooseSample() {
  const sample = samples[$("sample").value];
  if (!sample) return;
  const response = await fetch(`/samples/${$("sample").value}`);
  open(`Sample of ${sample.split}`, await response.arrayBuffer(), sample);
}

async function start() {
  const models = (await (await fetch("/v1/models")).json()).data;
  for (const { id } of models) {
    const label = document.createElement("label");
    label.className = "model";
    label.dataset.model = id;
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: id, checked: true });
    box.onchange = refresh;
    label.append(box, NAMES[id] ?? id);
    $("models").append(label);
  }
  samples = await (await fetch("/samples")).json();
  $("samples").hidden = !samples.length;
  const groups = {};
  samples.forEach((sample, number) => {
    if (!groups[sample.split]) {
      groups[sample.split] = Object.assign(document.createElement("optgroup"), { label: sample.split });
      $("sample").append(groups[sample.split]);
    }
    groups[sample.split].append(new Option(sample.said, number));
  });
}

$("record").onclick = toggleRecording;
$("file").onchange = async () => {
  const [file] = $("file").files;
  if (file) open(file.name, await file.arrayBuffer());
  $("file").value = "";
};
$("sample").onchange = chooseSample;
$("form").onsubmit = askAll;
$("play").onclick = () => (player.paused ? player.play() : player.pause());
player.onplay = () => { $("play").classList.add("playing"); follow(); };
player.onpause = player.onended = () => { $("play").classList.remove("playing"); redraw(); };
addEventListener("resize", redraw);
addEventListener("dragover", (event) => { event.preventDefault(); $("drop").hidden = false; });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
addEventListener("drop", async (event) => {
  event.preventDefault();
  $("drop").hidden = true;
  const [file] = event.dataTransfer.files;
  if (file) open(file.name, await file.arrayBuffer());
});
start().catch((error) => problem(`The server does not answer: ${error.message}`));
