// Requests to the public API. Every one of them is safe to repeat, so what may succeed later is tried again.

const TRIES = 8;
const TIMEOUT_MS = 15_000;
const LONGEST_WAIT_SECS = 30;
const JITTER_MS = 400;
const CLOCK_SAMPLES = 5;

export const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

// Those who were sent away together do not come back together. It does not grow with the wait: nobody is to miss a start.
export const jitter = () => Math.random() * JITTER_MS;

const secsAfter = (headers) => Number(headers.get("Retry-After")) || 0;

// An answer that is not a success, or no answer at all, which has the status 0.
export class Problem extends Error {
  constructor(status, document, headers) {
    const retryAfter = secsAfter(headers);
    const text = document.detail ?? document.title ?? `The server answered ${status}.`;
    super(retryAfter > LONGEST_WAIT_SECS ? `${text} Try again in ${retryAfter} s.` : text);
    this.status = status;
    this.code = document.code;
    this.title = document.title ?? "Please wait";
    this.left = document.left;
    this.retryAfter = retryAfter;
    this.location = headers.get("Location");
  }

  get mayPass() {
    return [0, 425, 429, 502, 503, 504].includes(this.status) && this.retryAfter <= LONGEST_WAIT_SECS;
  }
}

async function once(method, path, body, access) {
  const headers = new Headers();
  if (body) headers.set("Content-Type", "application/json");
  if (access) headers.set("Authorization", `Bearer ${access}`);
  let response;
  let answer = {};
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
    const json = (response.headers.get("Content-Type") ?? "").includes("json");
    if (json) answer = await response.json();
  } catch {
    throw new Problem(0, { title: "The server cannot be reached" }, new Headers());
  }
  if (!response.ok) throw new Problem(response.status, answer, response.headers);
  return { answer, retryAfter: secsAfter(response.headers) };
}

// One request, repeated while it may pass. `tell` hears of each wait.
export async function ask(method, path, { body, access, tries = TRIES, tell = () => {} } = {}) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await once(method, path, body, access);
    } catch (problem) {
      if (!problem.mayPass || tried >= tries) throw problem;
      const secs = problem.retryAfter || Math.min(2 ** tried / 4, 4);
      tell(`${problem.title} - trying again.`);
      await sleep(secs * 1000 + jitter());
    }
  }
}

// The server's time, told by a clock that nobody sets. An answer can only be late, never early, so the latest time wins;
// old samples are forgotten, because the server's clock may be set.
const samples = [];

export function learnTime(serverTime) {
  samples.push(Date.parse(serverTime) - performance.now());
  if (samples.length > CLOCK_SAMPLES) samples.shift();
}

export function serverNow() {
  return performance.now() + Math.max(...samples);
}
