// Who is logged in: one session for all tabs of this browser.

import { ask } from "./api.js";

const KEY = "spike.session";

// Tells when the session begins, is renewed or ends, in this tab or in another one.
export const changes = new EventTarget();
const tellChange = () => changes.dispatchEvent(new Event("change"));

export class SessionOver extends Error {
  constructor() {
    super("Your session is over. Log in again.");
  }
}

export function session() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    // Nothing can be kept in this browser, or something else is kept there. Looking works without.
    return null;
  }
}

function keep(next) {
  if (next) localStorage.setItem(KEY, JSON.stringify(next));
  else localStorage.removeItem(KEY);
  tellChange();
}

addEventListener("storage", ({ key }) => {
  if (key === KEY || key === null) tellChange();
});

export async function register(username, password, tell) {
  try {
    await ask("POST", "/users", { body: { username, password }, tell });
  } catch (error) {
    // It may be ours, by a try whose answer was lost.
    throw error.code === "username-taken" ? new Error(`${error.message} If that is you, log in.`) : error;
  }
}

export async function logIn(name, password, tell) {
  const { answer } = await ask("POST", "/users/login", { body: { username: name, password }, tell });
  keep({ name, access: answer.access_token, refresh: answer.refresh_token });
}

export async function logOut(tell) {
  const held = session();
  keep(null);
  if (held) await ask("POST", "/users/logout", { body: { refresh_token: held.refresh }, tell });
}

// A request of whoever is logged in, repeated once if the access token has run out.
export async function call(method, path, options = {}) {
  const name = session()?.name;
  for (let renewed = false; ; renewed = true) {
    const held = session();
    if (!held) throw new Error("Log in or register first.");
    if (held.name !== name) throw new Error("Somebody else has logged in meanwhile.");
    try {
      return await ask(method, path, { ...options, access: held.access });
    } catch (error) {
      if (error.status !== 401 || renewed) throw error;
      await renew(held.access, options.tell);
    }
  }
}

// The server takes a refresh token that comes twice for a stolen one and ends the session. So it is used once for all
// calls of this page, and once for all tabs; without locks (a page that came neither by HTTPS nor from this machine)
// two tabs may still meet.
let renewal = null;

function renew(spent, tell) {
  const alone = (work) => (navigator.locks ? navigator.locks.request(KEY, work) : work());
  renewal ??= alone(() => exchange(spent, tell)).finally(() => {
    renewal = null;
  });
  return renewal;
}

async function exchange(spent, tell) {
  const held = session();
  // Another call or another tab was faster.
  if (held?.access !== spent) return;
  const stillHeld = () => session()?.refresh === held.refresh;
  try {
    const { answer } = await ask("POST", "/users/refresh", { body: { refresh_token: held.refresh }, tell });
    if (stillHeld()) keep({ name: held.name, access: answer.access_token, refresh: answer.refresh_token });
  } catch (error) {
    // Only this answer says that the token is of no use any more.
    if (error.status !== 401) throw error;
    if (stillHeld()) keep(null);
    throw new SessionOver();
  }
}
