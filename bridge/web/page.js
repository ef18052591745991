// Every 10 s, while somebody looks: fetches the page again and puts its main part in the place of the old one.
// Focus, open details and scrolled tables stay as they are. Where no page comes, it says so: what is shown is old then.
"use strict";

const EVERY_MS = 10_000;
const WITHIN_MS = 8_000;
let shown = clock();

function clock() {
  return new Date().toISOString().slice(11, 19);
}

function selecting() {
  const selection = getSelection();
  return Boolean(selection && !selection.isCollapsed);
}

function replace(old, fresh) {
  for (const details of old.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${details.id}`);
    if (same) same.open = details.open;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...old.querySelectorAll(".scroll[id]")].map((one) => [one.id, one.scrollLeft, one.scrollTop]);
  old.replaceWith(fresh);
  for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo(left, top);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function show(fresh) {
  if (fresh.documentElement.dataset.version !== document.documentElement.dataset.version) {
    location.reload(); // the bridge is another one now, and so may this script be
    return;
  }
  const words = (page) => page.querySelector("h1").textContent;
  const before = words(document);
  replace(document.querySelector("main"), document.adoptNode(fresh.querySelector("main")));
  document.querySelector("header .when").replaceWith(document.adoptNode(fresh.querySelector("header .when")));
  document.title = fresh.title;
  if (words(document) !== before) document.getElementById("said").textContent = `State: ${words(document)}`;
}

function lose() {
  const lost = document.getElementById("lost");
  if (!lost.hidden) return; // said once
  lost.textContent = `The bridge does not answer. What stands here is of ${shown} UTC, and may not be true any more.`;
  lost.hidden = false;
  document.body.classList.add("old");
}

function found() {
  document.getElementById("lost").hidden = true;
  document.body.classList.remove("old");
  shown = clock();
}

async function refresh() {
  if (document.hidden || selecting()) return;
  try {
    const reply = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(WITHIN_MS) });
    if (!reply.ok) throw new Error(reply.statusText);
    show(new DOMParser().parseFromString(await reply.text(), "text/html"));
    found();
  } catch {
    lose();
  }
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
