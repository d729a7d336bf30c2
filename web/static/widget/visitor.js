// Who is here: exchange the partner's tokens for a session, and ask anew when one ran out.

import { Trouble, call } from "./calls.js";
import { NoToken } from "./parent.js";
import { subjectOf } from "./session.js";

const TRIES = 3;
// A new token mends these.
const MENDED_BY_ANOTHER = ["token_expired", "token_replayed", "token_not_yet_valid"];

export class Visitor {
  #parent;
  #session;
  #renewing;
  #subject = null;
  // Each entry and call is numbered: one that a newer overtook keeps nothing, and does not go on.
  #newest = 0;

  constructor(parent, session, renewing) {
    this.#parent = parent;
    this.#session = session;
    this.#renewing = renewing;
  }

  // Who was here last, also when their session ended.
  get subject() { return this.#subject; }

  // A session of whoever the partner says is here now.
  async enter() {
    const number = ++this.#newest;
    const token = await this.#token("start", number);
    const subject = subjectOf(token);
    if (this.#session.isOf(subject)) this.#subject = subject;
    else await this.#exchange(token, number);
  }

  // A call in the session; one that ended is replaced, and the call made once more as it was. One
  // that is `by` somebody is not made for anybody else: there is no answer (null) if another is here.
  async call(method, path, { by, ...options } = {}) {
    const number = ++this.#newest;
    for (let tries = 1; ; tries += 1) {
      if (by !== undefined && by !== this.#subject) return null;
      const answer = await call(method, path, { ...options, bearer: this.#session.bearer });
      this.#goOn(number);
      if (answer.status !== 401) return answer;
      this.#session.forget();
      if (tries === TRIES) throw new Trouble("not-now", answer.code);
      this.#renewing();
      await this.#exchange(await this.#token(answer.code, number), number);
    }
  }

  async #exchange(first, number) {
    this.#session.forget();
    for (let token = first, tries = 1; ; tries += 1) {
      const answer = await call("POST", "/session-from-token", {
        body: { token, host_origin: this.#parent.origin },
      });
      this.#goOn(number);
      if (answer.status === 201) {
        this.#subject = subjectOf(token) ?? "";
        this.#session.keep(answer.body.session_token, answer.body.expires_at, this.#subject);
        return;
      }
      console.warn(`Largesse: the partner's token was refused (${answer.code}): ${answer.body?.detail ?? ""}`);
      if (tries === TRIES || !MENDED_BY_ANOTHER.includes(answer.code)) {
        throw new Trouble("not-now", answer.code);
      }
      this.#renewing();
      token = await this.#token(answer.code, number);
    }
  }

  async #token(reason, number) {
    try {
      const token = await this.#parent.token(reason);
      this.#goOn(number);
      return token;
    } catch (error) {
      if (!(error instanceof NoToken)) throw error;
      this.#goOn(number);
      // Nobody is signed in at the partner any more, or nobody knows who: what was kept is nobody's.
      this.#session.forget();
      throw error.isNobody ? new Trouble("unknown", "no_token") : new Trouble("not-now", "token_failed");
    }
  }

  #goOn(number) {
    if (number !== this.#newest) throw new Trouble("not-now", "overtaken");
  }
}
