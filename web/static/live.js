// Keep a job's page fresh: fetch its fragment every two seconds until the job has ended.
"use strict";

(() => {
  const region = document.querySelector("[data-live]");
  if (!region) return;
  const speech = document.getElementById("speech");
  const pause = document.getElementById("live-pause");
  const LOOK_MS = 2000;
  const SPEAK_MS = 10000;
  const LONGEST_MS = 30000;
  let etag = "";
  let spokenAt = Date.now();
  let wait = LOOK_MS;
  let timer = 0;
  let isPaused = false;

  const facts = () => region.querySelector("[data-facts]");
  const hasEnded = () => facts().dataset.ended === "true";

  function speak(now) {
    const words = facts().dataset.say;
    if (!hasEnded() && now - spokenAt < SPEAK_MS) return;
    if (speech.textContent !== words) speech.textContent = words;
    spokenAt = now;
  }

  function show(html) {
    const focused = document.activeElement && document.activeElement.id;
    const opened = [...region.querySelectorAll("details[open][id]")].map((part) => part.id);
    const page = new DOMParser().parseFromString(html, "text/html");
    region.replaceChildren(...page.body.childNodes);
    for (const id of opened) {
      const part = document.getElementById(id);
      if (part) part.open = true;
    }
    if (focused && document.activeElement.id !== focused) {
      const again = document.getElementById(focused);
      if (again) again.focus();
    }
    document.title = facts().dataset.title;
    speak(Date.now());
  }

  async function look() {
    timer = 0;
    if (document.hidden || isPaused) return;
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const answer = await fetch(region.dataset.live, {
        headers, credentials: "same-origin", cache: "no-store", redirect: "manual",
      });
      if (answer.status === 200) {
        etag = answer.headers.get("ETag") || "";
        show(await answer.text());
        wait = LOOK_MS;
      } else if (answer.status === 304) {
        wait = LOOK_MS;
      } else if (answer.type === "opaqueredirect" || answer.status === 404) {
        location.reload();
        return;
      } else {
        wait = Math.min(wait * 2, LONGEST_MS);
      }
    } catch {
      wait = Math.min(wait * 2, LONGEST_MS);
    }
    plan();
  }

  // The table of recipients stands still while the job moves, and is right once it has ended.
  async function showFinalItems() {
    const table = document.getElementById("recipients");
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("recipients");
      if (fresh && !table.contains(document.activeElement)) table.replaceWith(fresh);
    } catch {
      // The table keeps what it has; the page can be loaded again by hand.
    }
  }

  function plan() {
    if (hasEnded()) {
      if (pause) pause.hidden = true;
      showFinalItems();
      return;
    }
    if (!timer) timer = setTimeout(look, wait);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !timer && !hasEnded()) look();
  });
  if (pause) {
    pause.hidden = hasEnded();
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.setAttribute("aria-pressed", String(isPaused));
      if (!isPaused && !timer) look();
    });
  }
  if (!hasEnded()) plan();
})();
