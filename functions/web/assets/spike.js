// The buyers' page: everything that it does is a call of the public API.

import { ask, jitter, learnTime, serverNow, sleep } from "./api.js";
import { SessionOver, call, changes, logIn, logOut, register, session } from "./session.js";
import { hide, setText, showOrders, showSpikes } from "./view.js";

const SPIKES_EVERY_MS = 2_000;
const ORDERS_SOON_MS = 5_000;
const ORDERS_EVERY_MS = 30_000;
// For so long an order may be on its way after the last sign of it.
const EXPECT_MS = 120_000;
const EXPECTED_UNTIL = "spike.expected-until";
// Room for the error of what we take for the server's time.
const CLOCK_ERROR_MS = 100;
const LOOKS = 60;

const byId = (id) => document.getElementById(id);

let spikes = null; // Not known yet.
let orders = null; // Neither.
let moreOrders = false;
let pages = 1;
let ordersAskedAt = 0;
let ordersTurn = 0;
let shownName;
let waitingForStart = 0;
const titles = new Map();

function notice(text) {
  byId("notice").textContent = text;
}

// Runs what a button does, unless its neighbours or itself are at it already. It is not disabled meanwhile, which would
// take the focus away.
async function act(scope, work) {
  if (scope.ariaBusy === "true") return;
  const busy = (on) => {
    scope.ariaBusy = String(on);
    for (const button of scope.querySelectorAll("button")) button.ariaDisabled = String(on);
    for (const input of scope.querySelectorAll("input")) input.readOnly = on;
  };
  busy(true);
  try {
    await work();
  } catch (error) {
    notice(error.message);
  } finally {
    busy(false);
  }
}

// Between a purchase and its order, also if the page is loaded again.
function expectOrder(expected) {
  if (expected) sessionStorage.setItem(EXPECTED_UNTIL, String(Date.now() + EXPECT_MS));
  else sessionStorage.removeItem(EXPECTED_UNTIL);
}

async function buy(spike, quantity) {
  const at = `/spikes/${spike.spike_id}`;
  const { answer: access } = await call("GET", `${at}/access`, { tell: notice });
  if (!access.allowed) throw new Error(access.reason ?? "You are not admitted to this spike.");
  await start(spike);
  const { answer: pass } = await call("POST", `${at}/token`, { tell: notice });
  expectOrder(true);
  let placed = null;
  try {
    const { answer } = await call("POST", `${at}/orders/${pass.token}`, { body: { quantity }, tell: notice });
    placed = answer;
  } catch (error) {
    if (error.mayPass) throw new Error(`${error.message} If you have it all the same, it will show under My orders.`);
    // An earlier try may have won although its answer was lost.
    if (!error.location || !(await stands(error.location))) {
      expectOrder(false);
      throw error.code === "not-enough" ? new Error(`Only ${error.left} left. You can ask for fewer.`) : error;
    }
  }
  notice("You have it. Writing your order.");
  await follow(`${at}/order`, placed);
}

// Waits for the start, by the server's clock; the start may be moved meanwhile. Asking before is in vain.
async function start(spike) {
  const { name } = session() ?? {};
  const now = () => spikes.find((known) => known.spike_id === spike.spike_id) ?? spike;
  const msLeft = () => Date.parse(now().starts_at) - serverNow();
  if (msLeft() <= 0) return;
  notice("Waiting for the start. Keep this page open and in view.");
  waitingForStart += 1;
  try {
    while (msLeft() > 0) {
      await sleep(Math.min(msLeft(), 1000));
      if (session()?.name !== name) throw new Error("Logged out, so no longer waiting for the start.");
    }
  } finally {
    waitingForStart -= 1;
  }
  notice("Open. Asking for your units.");
  await sleep(CLOCK_ERROR_MS + jitter());
}

async function stands(location) {
  try {
    const { answer } = await call("GET", location, { tell: notice });
    return ["queued", "placed", "paid"].includes(answer.state);
  } catch (error) {
    if (error.code === "no-order") return false;
    throw error;
  }
}

// The purchase is accepted, so nothing that goes wrong here is a failure of it.
async function follow(location, placed) {
  const again = isKnown(placed);
  const later = "Your order is accepted. It will show under My orders in a moment.";
  try {
    const order = await written(location);
    if (!order) {
      notice(later);
      return;
    }
    expectOrder(false);
    learnOrder(order);
    notice(`${again ? "You have ordered this before: your order" : "Your order"} is ${order.state}.`);
  } catch (error) {
    if (!isKnown(placed)) notice(`${later} (${error.message})`);
  }
}

async function written(location) {
  for (let looks = 0; looks < LOOKS; looks += 1) {
    let wait;
    try {
      const { answer, retryAfter } = await call("GET", location);
      if (answer.state !== "queued") return answer;
      wait = retryAfter;
    } catch (error) {
      if (error.code !== "no-order" || !error.retryAfter) throw error;
      wait = error.retryAfter;
    }
    await sleep(Math.max(wait, 1) * 1000 + jitter());
  }
  return null;
}

async function change(order, what) {
  if (what === "cancel" && !confirm("Cancel this order? What it holds goes back on sale.")) return;
  const body = what === "pay" ? { method: "test-approve" } : undefined;
  try {
    const { answer } = await call("POST", `/orders/${order.order_id}/${what}`, { body, tell: notice });
    learnOrder(answer);
    notice(`Your order is ${answer.state}.`);
  } catch (error) {
    // It is not what was shown.
    loadOrders();
    throw error;
  }
}

function isKnown(order) {
  return Boolean(orders?.some(({ order_id: id }) => id === order?.order_id));
}

function learnOrder(order) {
  if (!orders) {
    loadOrders();
    return;
  }
  ordersTurn += 1; // A listing that was asked for before is older.
  if (isKnown(order)) orders = orders.map((old) => (old.order_id === order.order_id ? order : old));
  else orders = [order, ...orders];
  show();
}

async function loadSpikes() {
  try {
    const { answer } = await ask("GET", "/spikes", { tries: 1 });
    learnTime(answer.server_time);
    spikes = answer.spikes;
    for (const { spike_id: id, name } of spikes) titles.set(id, name);
    setText(byId("connection"), "");
    show();
  } catch (error) {
    setText(byId("connection"), `${error.title ?? error.message}. Trying again.`);
  }
}

async function loadOrders() {
  if (!session()) return;
  ordersTurn += 1;
  const turn = ordersTurn;
  ordersAskedAt = performance.now();
  const list = [];
  let next = null;
  try {
    for (let page = 0; page < pages && (page === 0 || next); page += 1) {
      const query = next ? `?cursor=${encodeURIComponent(next)}` : "";
      const { answer } = await call("GET", `/orders${query}`, { tries: 1 });
      list.push(...answer.orders);
      next = answer.next;
    }
  } catch (error) {
    // Anything else passes, and is asked again.
    if (error instanceof SessionOver) notice(error.message);
    return;
  }
  if (turn !== ordersTurn) return;
  if (orders) tellNews(orders, list);
  [orders, moreOrders] = [list, Boolean(next)];
  show();
}

// What became of orders by itself, or in another tab.
function tellNews(before, list) {
  const states = new Map(before.map((order) => [order.order_id, order.state]));
  const isNews = ({ order_id: id, state }, index) => (states.has(id) ? states.get(id) !== state : index === 0);
  const news = list.find(isNews);
  if (news) notice(`Your order is ${news.state}.`);
}

// Spikes that are long over are not in the list any more.
async function loadTitles() {
  for (const { spike_id: id } of orders ?? []) {
    if (titles.has(id)) continue;
    titles.set(id, `Spike ${id}`);
    const { answer } = await ask("GET", `/spikes/${id}`).catch(() => ({}));
    if (answer) titles.set(id, answer.name);
  }
}

// By themselves orders change only while one is placed or on its way.
function ordersAreDue() {
  const since = performance.now() - ordersAskedAt;
  const expected = Date.now() < Number(sessionStorage.getItem(EXPECTED_UNTIL));
  const placed = (orders ?? []).filter(({ state }) => state === "placed");
  const overdue = placed.some((order) => Date.parse(order.pay_by) < serverNow());
  if (!orders || expected || overdue) return since > ORDERS_SOON_MS;
  return placed.length > 0 && since > ORDERS_EVERY_MS;
}

function show() {
  if (spikes) setText(byId("no-spikes"), spikes.length > 0 ? "" : "No spikes yet.");
  if (orders) setText(byId("no-orders"), orders.length > 0 ? "" : "No orders yet.");
  else setText(byId("no-orders"), "Loading.");
  showSpikes(byId("spikes"), spikes ?? [], (form, spike, quantity) => act(form, () => buy(spike, quantity)));
  showOrders(byId("orders"), orders ?? [], titles, (actions, order, what) => act(actions, () => change(order, what)));
  hide(byId("more-orders"), !moreOrders, byId("orders").querySelector("li:last-child h3"));
}

function showAccount() {
  const name = session()?.name ?? null;
  if (name === shownName) return;
  shownName = name;
  const orphan = document.activeElement?.closest("#login, #account, #orders-section");
  byId("login").hidden = Boolean(name);
  byId("account").hidden = !name;
  byId("orders-section").hidden = !name;
  byId("name").textContent = name ?? "";
  if (orphan) (name ? byId("account") : byId("login").elements.username).focus();
  [orders, moreOrders, pages] = [null, false, 1];
  ordersTurn += 1;
  show();
  loadOrders();
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const { username, password } = Object.fromEntries(new FormData(form));
  act(form, async () => {
    if (event.submitter.value === "register") await register(username, password, notice);
    await logIn(username, password, notice);
    form.reset();
    notice(`Welcome, ${username}.`);
  });
});
byId("logout").addEventListener("click", () =>
  act(byId("account"), async () => {
    await logOut(notice);
    notice("Logged out.");
  }),
);
byId("more-orders").addEventListener("click", () => {
  pages += 1;
  act(byId("more-orders"), loadOrders);
});
changes.addEventListener("change", showAccount);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  loadSpikes();
  loadOrders();
});

showAccount();
setInterval(show, 1000);
for (;;) {
  // While nobody looks or waits, nothing is asked for.
  if (!document.hidden || waitingForStart > 0) {
    await loadSpikes();
    if (session() && ordersAreDue()) loadOrders();
    if (spikes) loadTitles();
  }
  await sleep(SPIKES_EVERY_MS);
}
