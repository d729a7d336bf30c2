// Keep the preview of a form fresh: the server looks at what is typed; without this a button does it.
"use strict";

(() => {
  const form = document.querySelector("form[data-preview]");
  const place = document.getElementById("preview");
  if (!form || !place) return;
  const QUIET_MS = 600;
  let timer = 0;
  let asked = 0;

  async function look() {
    const mine = ++asked;
    const body = new URLSearchParams(new FormData(form));
    body.set("do", "preview");
    try {
      const answer = await fetch(location.pathname, {
        method: "POST", body, credentials: "same-origin", cache: "no-store", redirect: "manual",
      });
      if (mine !== asked || ![200, 422].includes(answer.status)) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("preview");
      if (fresh && mine === asked) place.replaceChildren(...fresh.childNodes);
    } catch {
      // The preview keeps what it has; the button is still there.
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, QUIET_MS);
  });
})();
