// The buyers' page: everything that it does is a call of the public API.
// Text from the server is only ever set as text, never as HTML.

const SESSION = "spike.session";
const TRIES = 8;

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

let session = JSON.parse(sessionStorage.getItem(SESSION) ?? "null");
let clockAheadMs = 0;
let spikes = [];

class ProblemError extends Error {
  constructor(problem, response) {
    super(problem.detail ?? problem.title ?? `The server answered ${response.status}.`);
    this.code = problem.code;
    this.status = response.status;
    this.location = response.headers.get("Location");
  }
}

function notice(text) {
  byId("notice").textContent = text;
}

function keep(next) {
  session = next;
  if (next) sessionStorage.setItem(SESSION, JSON.stringify(next));
  else sessionStorage.removeItem(SESSION);
  showAccount();
}

// One request. The answer's body, and where it says to look next.
async function once(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (session?.access) headers.Authorization = `Bearer ${session.access}`;
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const json = (response.headers.get("Content-Type") ?? "").includes("json");
  const answer = json ? await response.json() : {};
  const retryAfter = Number(response.headers.get("Retry-After") ?? 0);
  return { response, answer, retryAfter, location: response.headers.get("Location") };
}

// A request that is repeated while the server says "later", with jitter, and once with a new access token.
async function call(method, path, body) {
  let refreshed = false;
  for (let tries = 1; ; tries += 1) {
    let result;
    try {
      result = await once(method, path, body);
    } catch (error) {
      if (tries >= TRIES) throw error;
      await sleep(500 + Math.random() * 500);
      continue;
    }
    const { response, answer, retryAfter } = result;
    if (response.ok) return result;
    if (response.status === 401 && session && !refreshed) {
      refreshed = true;
      await refresh();
      continue;
    }
    const later = [425, 429, 503].includes(response.status);
    if (!later || tries >= TRIES) throw new ProblemError(answer, response);
    notice(`${answer.title ?? "Please wait"} - trying again.`);
    await sleep(Math.max(retryAfter, 1) * 1000 * (1 + Math.random() * 0.2));
  }
}

async function refresh() {
  const old = session;
  session = { ...old, access: null };
  const { response, answer } = await once("POST", "/users/refresh", { refresh_token: old.refresh });
  if (!response.ok) {
    keep(null);
    throw new ProblemError(answer, response);
  }
  keep({ name: old.name, access: answer.access_token, refresh: answer.refresh_token });
}

// Runs what a button does: the button is off meanwhile, and a failure is told.
async function act(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    notice(error.message);
  } finally {
    button.disabled = false;
  }
}

async function enter(action, username, password) {
  if (action === "register") await call("POST", "/users", { username, password });
  const { answer } = await call("POST", "/users/login", { username, password });
  keep({ name: username, access: answer.access_token, refresh: answer.refresh_token });
  notice(`Welcome, ${username}.`);
  await loadOrders();
}

async function leave() {
  const token = session.refresh;
  keep(null);
  await call("POST", "/users/logout", { refresh_token: token });
  notice("Logged out.");
}

async function buy(spike, quantity) {
  if (!session) throw new Error("Log in or register first.");
  const { answer: access } = await call("GET", `/spikes/${spike.spike_id}/access`);
  if (!access.allowed) throw new Error(access.reason ?? "You are not admitted to this spike.");
  const { answer: pass } = await call("POST", `/spikes/${spike.spike_id}/token`);
  let where = `/spikes/${spike.spike_id}/order`;
  try {
    const placed = await call("POST", `/spikes/${spike.spike_id}/orders/${pass.token}`, { quantity });
    where = placed.location ?? where;
    notice("You have it. Writing your order.");
  } catch (error) {
    // An earlier try may have won although its answer was lost.
    if (!error.location || !(await earlierOrder(error.location))) throw error;
  }
  await follow(where);
}

async function earlierOrder(location) {
  const { response, answer } = await once("GET", location);
  return response.ok && ["queued", "placed", "paid"].includes(answer.state);
}

async function follow(location) {
  for (let tries = 0; tries < 60; tries += 1) {
    const { response, answer, retryAfter } = await once("GET", location);
    if (response.ok && answer.state !== "queued") {
      notice(`Your order is ${answer.state}.`);
      await loadOrders();
      return;
    }
    if (!response.ok && !retryAfter) throw new ProblemError(answer, response);
    await sleep(Math.max(retryAfter, 1) * 1000);
  }
  notice("Your order is still queued. It will show up below.");
}

function money({ amount_minor: minor, currency }) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function when(text) {
  return new Date(text).toLocaleString();
}

function countdown(spike) {
  const ms = Date.parse(spike.starts_at) - (Date.now() + clockAheadMs);
  if (ms <= 0) return "opening";
  const secs = Math.ceil(ms / 1000);
  return secs < 3600 ? `opens in ${Math.floor(secs / 60)} min ${secs % 60} s` : `opens ${when(spike.starts_at)}`;
}

const STATUS = {
  upcoming: countdown,
  running: (spike) => `on sale until ${when(spike.ends_at)}`,
  sold_out: () => "sold out (unpaid units may come back)",
  paused: () => "paused",
  ended: () => "over",
};

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// Cards are changed in place, so that the focus stays where it is.
function cards(list, items, key, build, fill) {
  const old = new Map([...list.children].map((card) => [card.dataset.key, card]));
  for (const item of items) {
    let card = old.get(item[key]);
    if (!card) {
      card = build(item);
      card.dataset.key = item[key];
    }
    old.delete(item[key]);
    fill(card, item);
    if (!card.isConnected) list.append(card);
  }
  for (const card of old.values()) card.remove();
}

function buildSpike(spike) {
  const card = make("li");
  const form = make("form");
  const label = make("label", "", "Quantity");
  const quantity = make("input");
  Object.assign(quantity, { type: "number", min: 1, value: 1, name: "quantity", required: true });
  label.append(quantity);
  const button = make("button", "", "Buy");
  button.setAttribute("aria-label", `Buy ${spike.name}`);
  form.append(label, button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(button, () => buy(spike, quantity.valueAsNumber));
  });
  card.append(make("h3"), make("p", "about"), make("p", "facts"), make("p", "course"), form);
  return card;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function fillSpike(card, spike) {
  const left = spike.left === null ? "" : ` - ${spike.left} of ${spike.stock} left`;
  setText(card.querySelector("h3"), spike.name);
  setText(card.querySelector(".about"), spike.description);
  setText(card.querySelector(".facts"), `${money(spike.price)}${left}`);
  setText(card.querySelector(".course"), (STATUS[spike.status] ?? (() => spike.status))(spike));
  card.querySelector("input").max = spike.limit_per_user;
  card.querySelector("form").hidden = spike.status === "ended";
}

function buildOrder(order) {
  const card = make("li");
  const actions = make("div", "actions");
  const pay = make("button", "pay", "Pay (test mode)");
  const cancel = make("button", "cancel quiet", "Cancel");
  const change = (button, what, body) =>
    button.addEventListener("click", () =>
      act(button, async () => {
        const { answer } = await call("POST", `/orders/${order.order_id}/${what}`, body);
        notice(`Your order is ${answer.state}.`);
        await loadOrders();
      }),
    );
  change(pay, "pay", { method: "test-approve" });
  change(cancel, "cancel");
  actions.append(pay, cancel);
  card.append(make("h3"), make("p", "facts"), actions);
  return card;
}

function fillOrder(card, order) {
  const spike = spikes.find((known) => known.spike_id === order.spike_id);
  const reason = order.reason ? ` (${order.reason})` : "";
  const due = order.state === "placed" ? ` - pay by ${when(order.pay_by)}` : "";
  setText(card.querySelector("h3"), spike?.name ?? `Spike ${order.spike_id}`);
  setText(card.querySelector(".facts"), `${order.quantity} x, ${money(order.total)}: ${order.state}${reason}${due}`);
  card.querySelector(".actions").hidden = order.state !== "placed";
}

async function loadSpikes() {
  const { response, answer } = await once("GET", "/spikes");
  if (!response.ok) return;
  clockAheadMs = Date.parse(answer.server_time) - Date.now();
  spikes = answer.spikes;
  byId("no-spikes").hidden = spikes.length > 0;
  cards(byId("spikes"), spikes, "spike_id", buildSpike, fillSpike);
}

async function loadOrders() {
  if (!session) return;
  const { answer } = await call("GET", "/orders");
  byId("no-orders").hidden = answer.orders.length > 0;
  cards(byId("orders"), answer.orders, "order_id", buildOrder, fillOrder);
}

function showAccount() {
  byId("login").hidden = Boolean(session);
  byId("account").hidden = !session;
  byId("orders-section").hidden = !session;
  byId("name").textContent = session?.name ?? "";
  if (!session) byId("orders").replaceChildren();
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(event.target));
  act(event.submitter, async () => {
    await enter(event.submitter.value, username, password);
    event.target.reset();
  });
});
byId("logout").addEventListener("click", (event) => act(event.target, leave));

showAccount();
loadOrders().catch((error) => notice(error.message));
for (;;) {
  // While nobody looks, nothing is asked for.
  if (!document.hidden) await loadSpikes().catch(() => notice("The server cannot be reached."));
  await sleep(2000);
}
