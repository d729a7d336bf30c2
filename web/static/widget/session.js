// Keep the visitor's session: in memory and in this tab's storage, never in a cookie or an address.

export class Session {
  #name;
  #kept = null;

  constructor(vendor) {
    this.#name = `largesse:${vendor}`;
    try {
      this.#kept = read(sessionStorage.getItem(this.#name));
    } catch {
      // A browser that gives frames no storage: memory is enough.
    }
  }

  get bearer() { return this.#kept === null ? null : this.#kept.bearer; }

  // Whether it is that of the person whom the partner names now, and still runs.
  isOf(subject) {
    return this.#kept !== null && subject !== null && this.#kept.subject === subject
      && Date.parse(this.#kept.until) > Date.now();
  }

  keep(bearer, until, subject) {
    this.#kept = { bearer, until, subject };
    this.#store(() => sessionStorage.setItem(this.#name, JSON.stringify(this.#kept)));
  }

  forget() {
    this.#kept = null;
    this.#store(() => sessionStorage.removeItem(this.#name));
  }

  #store(action) {
    try { action(); } catch { /* as above */ }
  }
}

// Whom a token is about, as it says itself. Nothing is trusted to this: it only tells that another
// person is signed in at the partner than the one whose session is kept.
export function subjectOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (one) => one.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === "string" && sub ? sub : null;
  } catch {
    return null;
  }
}

function read(text) {
  const kept = text === null ? null : JSON.parse(text);
  const isWhole = kept && [kept.bearer, kept.until, kept.subject].every((one) => typeof one === "string");
  return isWhole ? kept : null;
}
