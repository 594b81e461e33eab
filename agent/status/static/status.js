// Two conveniences; without them every page works by links and buttons.
const main = document.querySelector("main[data-live]");
const pause = document.querySelector("#pause");
if (main && pause) {
  pause.hidden = false;
  const button = pause.querySelector("button");
  let paused = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Resume updates" : "Pause updates";
  });
  setInterval(async () => {
    // Whoever reads with the keyboard or chooses in a form is not disturbed.
    if (paused || document.hidden || main.contains(document.activeElement) && document.activeElement !== main) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) return location.reload();
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const newer = fresh.querySelector("main");
      if (newer.innerHTML !== main.innerHTML) main.innerHTML = newer.innerHTML;
      document.querySelector("footer time").replaceWith(fresh.querySelector("footer time"));
    } catch { /* the node may be restarting; the next try will tell */ }
  }, 15000);
}

const viewer = document.querySelector("[data-slices]");
if (viewer) {
  const range = viewer.querySelector("#slice");
  const scores = range.dataset.scores.split(" ");
  viewer.querySelector(".steps").hidden = true;
  range.addEventListener("input", () => {
    viewer.querySelector("#number").textContent = range.value;
    viewer.querySelector("#score").textContent = scores[range.value - 1];
    for (const image of viewer.querySelectorAll("img[data-view]")) {
      image.src = `${viewer.dataset.slices}${range.value}/${image.dataset.view}.png`;
      image.alt = image.alt.replace(/Slice \d+/, `Slice ${range.value}`);
    }
  });
}
