// What the page shows of spikes and orders. Text from the server is only ever set as text, never as HTML.

import { serverNow } from "./api.js";

function money({ amount_minor: minor, currency }) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function when(text) {
  return new Date(text).toLocaleString();
}

function countdown(spike) {
  const secs = Math.ceil((Date.parse(spike.starts_at) - serverNow()) / 1000);
  if (secs <= 0) return "opening";
  if (secs >= 3600) return `opens ${when(spike.starts_at)}`;
  return secs < 60 ? `opens in ${secs} s` : `opens in ${Math.floor(secs / 60)} min ${secs % 60} s`;
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

// Who comes back to it by keyboard goes on from it, although it cannot be reached by Tab.
function makeTitle() {
  const title = make("h3");
  title.tabIndex = -1;
  return title;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setName(element, name) {
  if (element.getAttribute("aria-label") !== name) element.setAttribute("aria-label", name);
}

// What is hidden cannot keep the focus: it goes to a title near by.
export function hide(element, hidden, title) {
  if (hidden && element.contains(document.activeElement)) title?.focus();
  element.hidden = hidden;
}

// Cards are changed in place, so that the focus stays where it is.
function cards(list, items, key, build, fill) {
  const known = new Map([...list.children].map((card) => [card.dataset.key, card]));
  const ids = new Set(items.map((item) => item[key]));
  for (const [id, card] of known) if (!ids.has(id)) card.remove();
  items.forEach((item, index) => {
    const card = known.get(item[key]) ?? build(item);
    card.dataset.key = item[key];
    fill(card, item);
    if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
  });
}

function buildSpike(spike, buy) {
  const card = make("li");
  const form = make("form");
  const label = make("label", "", "Quantity");
  const quantity = make("input");
  Object.assign(quantity, { type: "number", min: 1, value: 1, name: "quantity", required: true });
  label.append(quantity);
  form.append(label, make("button", "", "Buy"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    buy(form, spike, quantity.valueAsNumber);
  });
  card.append(makeTitle(), make("p", "about"), make("p", "facts"), make("p", "course"), form);
  return card;
}

function fillSpike(card, spike) {
  const [title, form] = [card.querySelector("h3"), card.querySelector("form")];
  const left = spike.left === null ? "" : ` - ${spike.left} of ${spike.stock} left`;
  setText(title, spike.name);
  setText(card.querySelector(".about"), spike.description);
  setText(card.querySelector(".facts"), `${money(spike.price)}${left}`);
  setText(card.querySelector(".course"), (STATUS[spike.status] ?? (() => spike.status))(spike));
  setName(form.querySelector("input"), `Quantity of ${spike.name}`);
  setName(form.querySelector("button"), `Buy ${spike.name}`);
  form.querySelector("input").max = spike.limit_per_user;
  hide(form, spike.status === "ended", title);
}

// `buy(form, spike, quantity)` is called for a click on Buy.
export function showSpikes(list, spikes, buy) {
  cards(list, spikes, "spike_id", (spike) => buildSpike(spike, buy), fillSpike);
}

function buildOrder(order, change) {
  const card = make("li");
  const actions = make("div", "actions");
  const add = (what, className, text) => {
    const button = make("button", className, text);
    button.addEventListener("click", () => change(actions, order, what));
    actions.append(button);
  };
  add("pay", "pay", "Pay (test mode)");
  add("cancel", "cancel quiet", "Cancel");
  card.append(makeTitle(), make("p", "facts"), actions);
  return card;
}

function fillOrder(card, order, title) {
  const reason = order.reason ? ` (${order.reason})` : "";
  const due = order.state === "placed" ? ` - pay by ${when(order.pay_by)}` : "";
  const refund = order.refund ? ` - ${money(order.refund.payment.amount)} is owed back to you` : "";
  setText(card.querySelector("h3"), title);
  setText(card.querySelector(".facts"), `${order.quantity} x, ${money(order.total)}: ${order.state}${reason}${due}${refund}`);
  setName(card.querySelector(".pay"), `Pay (test mode) for ${title}`);
  setName(card.querySelector(".cancel"), `Cancel ${title}`);
  hide(card.querySelector(".actions"), order.state !== "placed", card.querySelector("h3"));
}

// `titles` has the spikes' names by id; `change(actions, order, "pay" or "cancel")` is called for a click.
export function showOrders(list, orders, titles, change) {
  const title = (order) => titles.get(order.spike_id) ?? `Spike ${order.spike_id}`;
  const fill = (card, order) => fillOrder(card, order, title(order));
  cards(list, orders, "order_id", (order) => buildOrder(order, change), fill);
}
