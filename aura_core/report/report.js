// Without this the page still works: browsers show their own audio controls.
for (const player of document.querySelectorAll(".player")) {
  const audio = player.querySelector("audio");
  const button = player.querySelector("button");
  const wave = player.querySelector("svg");
  const draw = () => {
    const share = audio.duration ? audio.currentTime / audio.duration : 0;
    wave.style.setProperty("--played", share);
    if (!audio.paused) requestAnimationFrame(draw);
  };
  audio.controls = false;
  button.hidden = false;
  wave.removeAttribute("hidden");
  button.addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
  wave.addEventListener("click", (event) => {
    const box = wave.getBoundingClientRect();
    audio.currentTime = ((event.clientX - box.left) / box.width) * (audio.duration || 0);
    audio.play();
  });
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    player.classList.add("playing");
    draw();
  });
  audio.addEventListener("pause", () => player.classList.remove("playing"));
  audio.addEventListener("ended", () => { audio.currentTime = 0; draw(); });
}

const chips = document.querySelector(".chips");
if (chips) {
  chips.hidden = false;
  chips.addEventListener("click", (event) => {
    const split = event.target.dataset.show;
    if (split === undefined) return;
    for (const chip of chips.children) chip.setAttribute("aria-pressed", chip === event.target);
    for (const sample of document.querySelectorAll("#further .sample"))
      sample.hidden = split !== "" && sample.dataset.where !== split;
  });
}

// A table that is wider than its place says so; one in a closed part has no width yet.
const sized = new ResizeObserver((entries) => {
  for (const { target } of entries)
    target.parentElement.classList.toggle("wide", target.scrollWidth > target.clientWidth + 1);
});
for (const place of document.querySelectorAll(".scroll")) sized.observe(place);
