// Speak with the page around this frame, if its origin is on the vendor's list, and with no other.

const TOKEN_MS = 20000;
const HELLO_MS = 10000;

// `isNobody`: the page says that nobody is signed in; else it could not say who is.
export class NoToken extends Error {
  constructor(words, isNobody) {
    super(words);
    this.isNobody = isNobody;
  }
}

export class Parent {
  #origins;
  #origin = null;
  #asked = new Map();
  #number = 0;

  // `on` has hello(theme), theme(theme) and foreign(origin or null).
  constructor(origins, on) {
    this.#origins = origins;
    addEventListener("message", (event) => this.#heard(event, on));
    if (window.parent === window) on.foreign(null);
    else setTimeout(() => { if (this.#origin === null) on.foreign(null); }, HELLO_MS);
  }

  // The origin that spoke first; all further words are for it alone.
  get origin() { return this.#origin; }

  say(type, told = {}) {
    if (this.#origin !== null) {
      window.parent.postMessage({ largesse: 1, type, ...told }, this.#origin);
    }
  }

  // A new token of the partner's; raises NoToken.
  token(reason) {
    const ask = ++this.#number;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#end(ask)?.reject(new NoToken("no answer", false)), TOKEN_MS);
      this.#asked.set(ask, { resolve, reject, late });
      this.say("token-needed", { ask, reason });
    });
  }

  #heard(event, on) {
    if (event.source !== window.parent || window.parent === window) return;
    const message = event.data;
    if (!message || message.largesse !== 1) return;
    if (!this.#origins.includes(event.origin)) {
      if (this.#origin === null) on.foreign(event.origin);
      return;
    }
    if (this.#origin !== null && this.#origin !== event.origin) return;
    switch (message.type) {
      case "hello":
        this.#origin = event.origin;
        this.say("here");
        on.hello(message.theme);
        break;
      case "theme":
        on.theme(message.theme);
        break;
      case "token":
        if (typeof message.token === "string") this.#end(message.ask)?.resolve(message.token);
        break;
      case "no-token":
        this.#end(message.ask)?.reject(new NoToken("the page has none", true));
        break;
      case "token-failed":
        this.#end(message.ask)?.reject(new NoToken("the page could not get one", false));
        break;
    }
  }

  #end(ask) {
    const waiting = this.#asked.get(ask);
    if (waiting) clearTimeout(waiting.late);
    this.#asked.delete(ask);
    return waiting;
  }
}
