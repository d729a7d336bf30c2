// Call the API: an answer with its status and body, or a trouble that a view can show.

const BASE = "/api/v1";
const PATIENCE_MS = 15000;
const WAIT_SECONDS = 30;

// Whatever keeps the visitor from what they asked for; `view` is how it is shown.
export class Trouble extends Error {
  constructor(view, code, told = {}) {
    super(code);
    this.view = view;
    this.code = code;
    Object.assign(this, told);
  }
}

export async function call(method, path, { bearer, body, key } = {}) {
  const headers = { Accept: "application/json" };
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let answer;
  let read;
  try {
    answer = await fetch(BASE + path, {
      method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "omit",
      referrerPolicy: "no-referrer", signal: AbortSignal.timeout(PATIENCE_MS),
    });
    read = await answer.json();
  } catch {
    throw new Trouble("away", "no_answer");
  }
  const code = typeof read?.code === "string" ? read.code : "";
  if (answer.status === 429) {
    const seconds = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
    throw new Trouble("limited", "rate_limited", { seconds: seconds > 0 ? seconds : WAIT_SECONDS });
  }
  if (code === "origin_not_allowed") throw new Trouble("foreign", code);
  if (answer.status === 503) throw new Trouble("away", code || "busy");
  if (answer.status >= 500) throw new Trouble("failed", code, { reference: read?.request_id });
  return { status: answer.status, code, body: read };
}

// What no view expects: shown with the reference that support can look up.
export function unexpected(answer) {
  return new Trouble("failed", answer.code, { reference: answer.body?.request_id });
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
