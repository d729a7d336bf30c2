// Who is here: exchange the partner's tokens for a session, and ask anew when one ran out.

import { Trouble, call, unexpected } from "./calls.js";
import { NoToken } from "./parent.js";
import { subjectOf } from "./session.js";

const TRIES = 3;
// A new token mends these.
const MENDED_BY_ANOTHER = ["token_expired", "token_replayed", "token_not_yet_valid"];

export class Visitor {
  #parent;
  #session;
  #renewing;

  constructor(parent, session, renewing) {
    this.#parent = parent;
    this.#session = session;
    this.#renewing = renewing;
  }

  // A session of whoever the partner says is here now.
  async enter() {
    const token = await this.#token("start");
    if (!this.#session.isOf(subjectOf(token))) await this.#exchange(token);
  }

  // A call in the session; one that ended is replaced, and the call made once more as it was.
  async call(method, path, options = {}) {
    for (let tries = 1; ; tries += 1) {
      const answer = await call(method, path, { ...options, bearer: this.#session.bearer });
      if (answer.status !== 401) return answer;
      this.#session.forget();
      if (tries === TRIES) throw new Trouble("unknown", answer.code);
      this.#renewing();
      await this.#exchange(await this.#token(answer.code));
    }
  }

  async #exchange(first) {
    this.#session.forget();
    for (let token = first, tries = 1; ; tries += 1) {
      const answer = await call("POST", "/session-from-token", {
        body: { token, host_origin: this.#parent.origin },
      });
      if (answer.status === 201) {
        this.#session.keep(answer.body.session_token, answer.body.expires_at, subjectOf(token) ?? "");
        return;
      }
      if (answer.status !== 401) throw unexpected(answer);
      console.warn(`Largesse: the partner's token was refused (${answer.code}).`);
      if (tries === TRIES || !MENDED_BY_ANOTHER.includes(answer.code)) {
        throw new Trouble("unknown", answer.code);
      }
      this.#renewing();
      token = await this.#token(answer.code);
    }
  }

  async #token(reason) {
    try {
      return await this.#parent.token(reason);
    } catch (error) {
      if (!(error instanceof NoToken)) throw error;
      // Nobody is signed in at the partner any more: what was kept is nobody's.
      this.#session.forget();
      throw new Trouble("unknown", "no_token");
    }
  }
}
