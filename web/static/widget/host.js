// What a partner embeds: an iframe in their page, and the few words that both exchange (docs/widget.md).
// Nothing here knows a coupon's code; the token is asked of the partner and handed to the frame alone.
"use strict";

(() => {
  const script = document.currentScript;
  if (!script || !script.src) return;
  const { vendor, target = "#largesse", tokenUrl } = script.dataset;
  const home = new URL(".", script.src);
  const frameOrigin = home.origin;
  const language = script.dataset.lang || document.documentElement.lang || navigator.language || "en";
  const german = language.toLowerCase().startsWith("de");
  const here = location.origin;

  // The frame reads no other names, and checks each value.
  const THEME = ["accent", "on-accent", "ground", "surface", "ink", "ink-soft", "line", "radius",
    "font", "scheme"].map((name) => `--largesse-${name}`);
  const SILENCE_MS = 8000;
  const TOKEN_MS = 15000;
  const TOKENS_A_MINUTE = 10;
  const HEIGHT_MAX = 6000;

  // The page answers that nobody is signed in; whatever else keeps a token away is a fault.
  class Nobody extends Error {}

  const hint = (words) => console.error(`Largesse: ${words}`);

  const start = () => {
    const place = document.querySelector(target);
    if (!place) return hint(`nothing on this page matches data-target="${target}".`);
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(vendor || "")) {
      return hint("data-vendor must be the vendor's id, as the console shows it.");
    }
    show(place);
  };

  const show = (place) => {
    const address = new URL(`widget/${vendor}`, home);
    address.searchParams.set("lang", language);
    const frame = document.createElement("iframe");
    frame.title = script.dataset.title
      || (german ? "Ihr Gutschein des Monats" : "Your coupon of the month");
    frame.setAttribute("sandbox", "allow-scripts allow-same-origin");
    frame.setAttribute("allow", "");
    frame.referrerPolicy = "no-referrer";
    Object.assign(frame.style, {
      display: "block", width: "100%", height: "12rem", border: "0", colorScheme: "normal",
    });
    frame.src = address.href;

    const words = document.createElement("p");
    words.hidden = true;
    words.textContent = german
      ? "Die Gutscheine können hier gerade nicht gezeigt werden."
      : "The coupons cannot be shown here just now.";

    const asked = [];
    let silence;

    const send = (message) => {
      if (frame.contentWindow) frame.contentWindow.postMessage({ largesse: 1, ...message }, frameOrigin);
    };
    const emit = (name, detail) => {
      place.dispatchEvent(new CustomEvent(`largesse:${name}`, { bubbles: true, detail }));
    };
    const theme = () => {
      const style = getComputedStyle(place);
      const found = {};
      for (const name of THEME) {
        const value = style.getPropertyValue(name).trim();
        if (value) found[name] = value;
      }
      return found;
    };
    const isSeen = (seen) => {
      frame.hidden = !seen;
      frame.style.display = seen ? "block" : "none";
      words.hidden = seen;
    };

    const token = async (ask) => {
      const now = Date.now();
      while (asked.length && asked[0] < now - 60000) asked.shift();
      try {
        if (asked.length >= TOKENS_A_MINUTE) throw new Error("too many tokens in a minute");
        asked.push(now);
        send({ type: "token", ask, token: await fromPartner() });
      } catch (error) {
        const isNobody = error instanceof Nobody;
        hint(isNobody
          ? `nobody is signed in on this page (${error.message}).`
          : `the page gave no token (${error?.message ?? error}). See window.Largesse.getToken or data-token-url.`);
        send({ type: isNobody ? "no-token" : "token-failed", ask });
      }
    };

    const heard = (event) => {
      if (event.source !== frame.contentWindow || event.origin !== frameOrigin) return;
      const message = event.data;
      if (!message || message.largesse !== 1) return;
      switch (message.type) {
        case "here":
          clearTimeout(silence);
          isSeen(true);
          break;
        case "height":
          if (Number.isFinite(message.height) && message.height > 0) {
            frame.style.height = `${Math.min(Math.ceil(message.height), HEIGHT_MAX)}px`;
          }
          break;
        case "token-needed":
          token(message.ask);
          break;
        case "ready":
          emit("ready", { claimed: message.claimed === true });
          break;
        case "claimed":
          emit("claimed", { claim: message.claim, replayed: message.replayed === true });
          break;
        case "error":
          emit("error", { code: String(message.code) });
          break;
      }
    };

    const greet = () => {
      send({ type: "hello", theme: theme() });
      clearTimeout(silence);
      silence = setTimeout(() => {
        isSeen(false);
        hint(`the frame is not shown. Either ${here} is not among the vendor's allowed origins, or `
          + `data-vendor="${vendor}" is no vendor's id, or the vendor is disabled: Partners in Largesse's console tells. `
          + `If it is none of these, ${frameOrigin} does not answer.`);
        emit("error", { code: "frame_silent" });
      }, SILENCE_MS);
    };

    addEventListener("message", heard);
    frame.addEventListener("load", greet);
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => send({ type: "theme", theme: theme() }));
    // A page that changes who is signed in, without loading anew, says so by this event.
    place.addEventListener("largesse:refresh", greet);
    place.replaceChildren(frame, words);
  };

  const fromPartner = async () => {
    let late;
    const end = new Promise((_, reject) => {
      late = setTimeout(() => reject(new Error("it took too long")), TOKEN_MS);
    });
    try {
      const token = await Promise.race([asking(), end]);
      if (typeof token !== "string" || !token) throw new Error("it is no text");
      return token;
    } finally {
      clearTimeout(late);
    }
  };

  const asking = async () => {
    if (typeof window.Largesse?.getToken === "function") {
      const token = await window.Largesse.getToken();
      if (token === null) throw new Nobody("getToken gave null");
      return token;
    }
    if (!tokenUrl) throw new Error("no way to get one was given");
    const address = new URL(tokenUrl, location.href);
    if (address.origin !== here) throw new Error("data-token-url is of another origin");
    const answer = await fetch(address, {
      method: "POST", credentials: "include", redirect: "error", cache: "no-store",
      headers: { Accept: "application/json" },
    });
    if (answer.status === 401 || answer.status === 403) {
      throw new Nobody(`${address.pathname} answered ${answer.status}`);
    }
    if (!answer.ok) throw new Error(`${address.pathname} answered ${answer.status}`);
    return (await answer.json())?.token;
  };

  if (document.querySelector(target) || document.readyState !== "loading") start();
  else document.addEventListener("DOMContentLoaded", start, { once: true });
})();
