// The widget's frame: offers, one claim a month, the code; what goes wrong has its words and a way on.

import { Trouble, call, newKey, unexpected } from "./calls.js";
import { Parent } from "./parent.js";
import { Session } from "./session.js";
import { dress } from "./theme.js";
import { offerLine, say, show, showNext, showOwn, showTrouble, slot, work } from "./views.js";
import { Visitor } from "./visitor.js";

const root = document.documentElement;
const { vendor, origins } = root.dataset;
// A deck may have thousands of coupons: one of each offer is enough to choose.
const AVAILABLE = "/available-coupons?one_per_offer=true";
const allowed = origins.split(" ").filter(Boolean);

const parent = new Parent(allowed, {
  hello: (theme) => { dress(root, theme); tellHeight(); begin(); },
  theme: (theme) => dress(root, theme),
  foreign: (origin) => {
    console.warn(`Largesse: ${origin ?? "no page around this frame"} is not among the vendor's allowed `
      + "origins, or did not load widget.js. See Partners in the console.");
    showTrouble(new Trouble("foreign", "origin_not_allowed"), { focus: false });
  },
});
const session = new Session(vendor);
const visitor = new Visitor(parent, session, () => {
  say(document.getElementById("renewing").dataset.said);
});

// Each run is numbered: what an older one learns late is not shown any more.
let running = 0;

// Do something with the API; what stops it is shown, with a button that does the very same again.
async function attempt(action, { focus, instead = (trouble) => trouble } = {}) {
  const run = ++running;
  const isCurrent = () => run === running;
  try {
    await action(isCurrent, focus);
  } catch (error) {
    if (!isCurrent()) return;
    const trouble = instead(error instanceof Trouble ? error : new Trouble("failed", "fault"));
    if (!(error instanceof Trouble)) console.error(error);
    if (trouble.view === "foreign") {
      console.warn(`Largesse: ${parent.origin} is not among the vendor's allowed origins.`);
    }
    parent.say("error", { code: trouble.code });
    showTrouble(trouble, { focus, again: () => attempt(action, { focus: true, instead }) });
  }
}

// The partner's page keeps the focus, unless it was in here already.
function begin() {
  const focus = document.hasFocus() && document.activeElement !== document.body;
  show("loading", { busy: true });
  attempt(async (isCurrent, isAnswer) => {
    await visitor.enter();
    await look(isCurrent, { focus: isAnswer });
  }, { focus });
}

function lookAgain() {
  attempt((isCurrent) => look(isCurrent, { focus: true }), { focus: true });
}

// What there is for this visitor: their own coupon of the month, offers, or nothing.
async function look(isCurrent, { focus }) {
  const answer = await visitor.call("GET", AVAILABLE);
  if (answer.status !== 200) throw unexpected(answer);
  if (!isCurrent()) return;
  const { body } = answer;
  if (body.claimed_this_month && body.coupon) {
    showOwn("already", body.coupon, body.next_claim_at, focus);
  } else {
    showOffers(body, { focus });
  }
  parent.say("ready", { claimed: body.claimed_this_month === true });
}

function showOffers({ data, has_more: hasMore, next_cursor: cursor }, { focus, before = null }) {
  if (data.length === 0) {
    showTrouble(new Trouble("none", "none_left"), { focus, again: lookAgain });
    return;
  }
  const shown = new Set();
  const fill = (view) => {
    const list = slot(view, "list");
    const more = slot(view, "more");
    add(list, shown, data);
    let next = hasMore ? cursor : null;
    more.hidden = next === null;
    more.addEventListener("click", () => attempt(async (isCurrent) => {
      const page = await visitor.call("GET", `${AVAILABLE}&cursor=${encodeURIComponent(next)}`);
      if (page.status !== 200) throw unexpected(page);
      if (!isCurrent()) return;
      const first = add(list, shown, page.body.data);
      next = page.body.has_more ? page.body.next_cursor : null;
      more.hidden = next === null;
      if (first) slot(first, "claim").focus();
    }, { focus: true }));
    if (before === null) slot(view, "intro").dataset.focus = "";
  };
  show("offers", { fill, focus, before });
}

// One line for each offer that is not there yet, with the first of its coupons; the first new line.
function add(list, shown, rows) {
  let first = null;
  for (const { id, offer } of rows) {
    if (shown.has(offer.id)) continue;
    shown.add(offer.id);
    list.append(offerLine(offer, (button) => claim(id, button)));
    first ??= list.lastElementChild;
  }
  return first;
}

// One key from the click to the answer: a lost answer is given again, and nobody gets two (EC-112).
// It is of whoever clicked: somebody else who is here by then is shown what there is for them.
function claim(couponId, button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  work(button);
  const key = newKey();
  const by = visitor.subject;
  attempt(async (isCurrent) => {
    const answer = await visitor.call("POST", "/claims", { body: { coupon_id: couponId }, key, by });
    if (!isCurrent()) return;
    if (answer === null || answer.code === "already_claimed_this_month") {
      await look(isCurrent, { focus: true });
    } else if (answer.status === 200 || answer.status === 201) {
      const { claim: made, coupon, replayed } = answer.body;
      showOwn("claimed", coupon, null, true);
      const { id, coupon_id, offer_id, month, claimed_at } = made;
      parent.say("claimed", { claim: { id, coupon_id, offer_id, month, claimed_at }, replayed });
      tellNext(isCurrent);
    } else if (answer.code === "coupon_unavailable") {
      parent.say("error", { code: answer.code });
      const left = { data: answer.body.available ?? [], has_more: false, next_cursor: null };
      showOffers(left, { focus: true, before: left.data.length ? "faster" : null });
    } else {
      throw unexpected(answer);
    }
  }, { focus: true, instead: withoutDoubt });
}

// The answer to a claim does not say when the next one may be made. It is looked up beside what is
// shown: nothing waits for it, no visit is begun for it, and without it the line is not there.
async function tellNext(isCurrent) {
  try {
    const { status, body } = await call("GET", `${AVAILABLE}&limit=1`, { bearer: session.bearer });
    if (status === 200 && isCurrent()) showNext(body.next_claim_at);
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
  }
}

// Whether a claim was made is not known when its answer is lost.
function withoutDoubt(trouble) {
  return trouble.view === "away" ? new Trouble("away-claim", trouble.code) : trouble;
}

function tellHeight() {
  parent.say("height", { height: root.getBoundingClientRect().height });
}
new ResizeObserver(tellHeight).observe(document.body);
// A browser draws no frame that is out of sight, and then measures none either: so ask ourselves.
new MutationObserver(tellHeight).observe(document.getElementById("place"), { childList: true, subtree: true });
