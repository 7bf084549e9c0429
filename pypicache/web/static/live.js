// Keeps the status page up to date, and copies what is to be typed. Everything works without it, but for that.
"use strict";

const QUICK = 2000, SLOW = 5000;

for (const button of document.querySelectorAll("[data-copy]")) {
  const said = button.innerHTML;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = document.getElementById(button.dataset.copy);
    try {
      await copy(code);
      button.textContent = "Copied";
    } catch {
      select(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.innerHTML = said; }, 1500);
  });
}

async function copy(code) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(code.textContent);
    return;
  }
  select(code); // plain http from another machine: browsers keep the clipboard to themselves there
  if (!document.execCommand("copy")) throw new Error("not copied");
  getSelection().removeAllRanges();
}

function select(code) {
  getSelection().selectAllChildren(code);
}

const live = document.getElementById("live");
if (live) keep(live, document.getElementById("connection"));

function keep(part, pill) {
  const word = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  pill.append(word, button);
  pill.hidden = false;
  let paused = false, timer = 0, lost = false;

  function show() {
    const said = paused ? "Paused" : lost ? "Not reachable" : "Live";
    if (word.textContent !== said) word.textContent = said;
    pill.classList.toggle("lost", lost && !paused);
    button.textContent = paused ? "Resume" : "Pause";
  }

  async function refresh() {
    clearTimeout(timer);
    if (paused || document.hidden) return;
    const url = new URL(location.href);
    url.searchParams.set("live", "");
    try {
      const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(String(answer.status));
      put(part, await answer.text());
      lost = false;
    } catch {
      lost = true;
    }
    show();
    timer = setTimeout(refresh, part.querySelector(".downloads") ? QUICK : SLOW);
  }

  button.addEventListener("click", () => { paused = !paused; show(); refresh(); });
  document.addEventListener("visibilitychange", refresh);
  show();
  timer = setTimeout(refresh, QUICK);
}

// Only what differs is replaced, so that focus and selection stay where nothing has changed.
function put(part, text) {
  const next = new DOMParser().parseFromString(text, "text/html").body;
  const now = [...part.children], then = [...next.children];
  if (now.length !== then.length || now.some((each, place) => each.className !== then[place].className)) {
    part.replaceChildren(...then);
    return;
  }
  now.forEach((each, place) => morph(each, then[place]));
}

function morph(old, next) {
  if (old.isEqualNode(next)) return;
  const same = old.nodeName === next.nodeName && old.childNodes.length === next.childNodes.length;
  if (!same || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(next);
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const children = [...next.childNodes]; // a list of its own: those that are moved leave `next`
  [...old.childNodes].forEach((each, place) => morph(each, children[place]));
}
