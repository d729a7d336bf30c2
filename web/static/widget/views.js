// Put what is to be seen into the page, from its templates; words of others are text and nothing else.

const place = document.getElementById("place");
const main = document.getElementById("widget");
const told = document.getElementById("told");
const language = document.documentElement.lang;
let countdown;

export const slot = (within, name) => within.querySelector(`[data-slot="${name}"]`);

// Show one view in place of the last; `focus` if the visitor did something that it answers.
export function show(name, { fill = () => {}, focus = false, busy = false, before = null } = {}) {
  clearInterval(countdown);
  const template = document.getElementById(name);
  const view = template.content.cloneNode(true);
  fill(view);
  const head = before === null ? [] : [document.getElementById(before).content.cloneNode(true)];
  place.replaceChildren(...head, view);
  main.setAttribute("aria-busy", String(busy));
  say(document.getElementById(before ?? name).dataset.said);
  if (focus) place.querySelector("[data-focus]")?.focus();
}

export function say(words) {
  told.textContent = "";
  // The same words twice are spoken twice.
  setTimeout(() => { told.textContent = words; }, 50);
}

export function text(within, name, words) {
  const at = slot(within, name);
  at.textContent = words ?? "";
  at.hidden = !words;
}

// A moment is told with the zone of the browser, in which it is shown.
const DAY = { dateStyle: "long" };
const MOMENT = {
  year: "numeric", month: "long", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short",
};

export function day(within, name, inner, moment, withTime = false) {
  if (!moment) return;
  const style = withTime ? MOMENT : DAY;
  slot(within, inner).textContent = new Intl.DateTimeFormat(language, style).format(new Date(moment));
  slot(within, name).hidden = false;
}

// An offer's line; `claim` is called with its button.
export function offerLine({ title, description, expires_at: until }, claim) {
  const line = document.getElementById("offer").content.cloneNode(true);
  slot(line, "title").textContent = title;
  text(line, "description", description);
  day(line, "until", "date", until);
  slot(line, "what").textContent = title;
  const button = slot(line, "claim");
  button.addEventListener("click", () => claim(button));
  return line;
}

export function work(button) {
  button.setAttribute("aria-disabled", "true");
  main.setAttribute("aria-busy", "true");
  slot(button, "verb").textContent = button.dataset.busy;
  say(button.dataset.busy);
}

// The visitor's own coupon: just claimed, or found.
export function showOwn(name, { code, state, title, description, expires_at: until }, nextClaimAt, focus) {
  // One that was taken back may be somebody else's by now: then there is no code.
  if (code === null) {
    show("withdrawn", { fill: (view) => day(view, "next", "moment", nextClaimAt, true), focus });
    return;
  }
  const fill = (view) => {
    text(view, "title", title);
    text(view, "note", slot(view, "note").dataset[state]);
    text(view, "description", description);
    slot(view, "code").textContent = code;
    day(view, "until", "date", until);
    day(view, "next", "moment", nextClaimAt, true);
    const button = slot(view, "copy");
    button.addEventListener("click", () => copy(button));
  };
  show(name, { fill, focus });
}

// From when on the visitor may claim again, learned after their coupon was shown.
export function showNext(moment) {
  day(place, "next", "moment", moment, true);
}

// What stops the visitor, and the way on.
export function showTrouble(trouble, { focus, again }) {
  const fill = (view) => {
    const button = slot(view, "again");
    if (trouble.view === "limited") wait(view, button, trouble.seconds);
    if (trouble.reference) {
      slot(view, "id").textContent = trouble.reference;
      slot(view, "reference").hidden = false;
    }
    button?.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      button.setAttribute("aria-disabled", "true");
      main.setAttribute("aria-busy", "true");
      again();
    });
  };
  show(trouble.view, { fill, focus });
}

// Spoken once as it begins and once as it is over; the seconds between are to be seen alone.
function wait(view, button, seconds) {
  const line = slot(view, "wait");
  const end = Date.now() + seconds * 1000;
  const tell = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    line.textContent = left > 0 ? line.dataset.words.replace("{seconds}", left) : line.dataset.over;
    if (left > 0) return;
    clearInterval(countdown);
    button.removeAttribute("aria-disabled");
    say(line.dataset.over);
  };
  tell();
  countdown = setInterval(tell, 1000);
}

async function copy(button) {
  const code = document.querySelector('[data-slot="code"]');
  if (await hasCopied(code)) {
    button.textContent = button.dataset.done;
    say(button.dataset.said);
    return;
  }
  select(code);
  text(document, "by-hand", button.dataset.byHand);
  say(button.dataset.byHand);
}

// The old way first: a frame of another site has no clipboard unless the partner lends it one.
async function hasCopied(code) {
  const before = document.activeElement;
  select(code);
  const done = document.execCommand("copy");
  if (done) getSelection().removeAllRanges();
  before?.focus({ preventScroll: true });
  if (done) return true;
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    return false;
  }
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}
