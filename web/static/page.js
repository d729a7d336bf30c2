// Small comforts; every page works without them.
"use strict";

(() => {
  const summary = document.querySelector("[data-focus]");
  if (summary) summary.focus();

  // The list of pages scrolls by itself: the entry of this one stands wholly in it, and the
  // first that is seen is not cut.
  const here = document.querySelector(".side nav [aria-current]");
  if (here) {
    const list = here.closest("nav");
    const [shown, entry] = [list.getBoundingClientRect(), here.getBoundingClientRect()];
    const firsts = [...list.querySelectorAll("li")].map((one) => one.getBoundingClientRect());
    const first = firsts.find((one) => entry.bottom - one.top <= shown.height);
    if (first && entry.bottom > shown.bottom) list.scrollTop += first.top - shown.top;
    if (entry.right > shown.right) list.scrollLeft += entry.right - shown.right;
  }

  for (const button of document.querySelectorAll("[data-shows]")) {
    const input = document.getElementById(button.dataset.shows);
    button.hidden = false;
    button.addEventListener("click", () => {
      const show = input.type === "password";
      input.type = show ? "text" : "password";
      button.textContent = show ? "Hide" : "Show";
      button.setAttribute("aria-label", `${button.textContent} the password`);
      input.focus();
    });
  }

  for (const button of document.querySelectorAll("[data-copies]")) {
    if (!navigator.clipboard) continue;
    const source = document.getElementById(button.dataset.copies);
    const words = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(source.dataset.value || source.textContent.trim());
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = words; }, 2000);
    });
  }

  // A secret that is shown once is not there for who comes back to the page.
  window.addEventListener("pagehide", () => {
    for (const input of document.querySelectorAll("[data-forgets]")) {
      input.defaultValue = input.value = "";
      delete input.dataset.value;
    }
  });

  for (const button of document.querySelectorAll("[data-prints]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }

  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", () => {
      for (const button of form.querySelectorAll("button")) {
        if (button.disabled) continue;
        setTimeout(() => { button.disabled = true; button.dataset.sent = ""; }, 0);
      }
    });
  }
  const again = document.querySelector("[data-again]");
  if (again) setTimeout(() => location.replace(again.href), 2000);

  for (const place of document.querySelectorAll("[data-until]")) {
    const until = Date.parse(place.dataset.until);
    const fixed = place.textContent.split(",").slice(0, -1).join(",");
    const tick = () => {
      const left = Math.max(0, Math.floor((until - Date.now()) / 1000));
      place.textContent = left
        ? `${fixed}, ${Math.floor(left / 60)} min ${left % 60} s left`
        : "until a moment ago: the lock has run out";
      if (left) setTimeout(tick, 1000);
    };
    tick();
  }

  for (const place of document.querySelectorAll("time[data-left]")) {
    const until = Date.parse(place.dateTime);
    const tick = () => {
      const left = Math.max(0, Math.floor((until - Date.now()) / 1000));
      place.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      if (left) setTimeout(tick, 1000);
    };
    tick();
  }

  for (const place of document.querySelectorAll("[data-keys]")) {
    // Single keys lead to the links that name them, and are switched off for good by the box.
    const box = place.querySelector("input");
    const kept = "largesse.keys";
    place.hidden = false;
    box.checked = localStorage.getItem(kept) !== "off";
    box.addEventListener("change", () => localStorage.setItem(kept, box.checked ? "on" : "off"));
    document.addEventListener("keydown", (event) => {
      if (!box.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.target.closest("input:not([type=checkbox]), textarea, select")) return;
      const link = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
      if (link) link.click();
    });
  }

  window.addEventListener("pageshow", () => {
    // What was disabled from the start, with its reason, stays so.
    for (const button of document.querySelectorAll("form[data-once] button[data-sent]")) {
      button.disabled = false;
      delete button.dataset.sent;
    }
  });
})();
