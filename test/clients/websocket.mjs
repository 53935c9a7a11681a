// A client of KAZOO's WebSocket in the way of KAZOO's own pages: a socket that many parts of a page share, answers by request_id,
// events by subscribed_key, and listeners that are bound again when the socket was lost.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";

const { SOCKET, BUGLE_URL, SITE, ACCOUNT, KEY, OTHER_ACCOUNT, OTHER_KEY } = process.env;

async function api(token, method, path, data) {
  const answer = await fetch(BUGLE_URL + "/v2" + path, {
    method,
    headers: { "Content-Type": "application/json", ...(token ? { "X-Auth-Token": token } : {}) },
    body: data === undefined ? undefined : JSON.stringify({ data }),
  });
  const body = await answer.json();
  assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(body)}`);
  return body;
}

const login = async (key) => (await api("", "PUT", "/api_auth", { api_key: key })).auth_token;

class Socket {
  listeners = new Map();
  commands = new Map();
  others = [];

  async open() {
    this.ws = new WebSocket(SOCKET);
    this.closed = new Promise((done) => this.ws.on("close", (code, reason) => done({ code, reason: String(reason) })));
    this.ws.on("message", (raw) => {
      const message = JSON.parse(raw);
      if (message.action === "reply") {
        const waiting = this.commands.get(message.request_id);
        waiting ? waiting(message) : this.others.push(message);
        this.commands.delete(message.request_id);
      } else if (message.action === "event") {
        for (const listener of this.listeners.get(message.subscribed_key) ?? []) listener(message);
      }
    });
    await new Promise((done, failed) => {
      this.ws.on("open", done);
      this.ws.on("error", failed);
    });
    return this;
  }

  send(action, auth_token, data) {
    const request_id = randomUUID();
    const answer = new Promise((done) => this.commands.set(request_id, done));
    this.ws.send(JSON.stringify({ action, auth_token, request_id, data }));
    return answer;
  }

  async bind(binding, account_id, token, listener) {
    const answer = await this.send("subscribe", token, { account_id, binding });
    if (answer.status === "success") this.listeners.set(binding, [...(this.listeners.get(binding) ?? []), listener]);
    return answer;
  }
}

async function until(what, met) {
  for (let i = 0; i < 2000; i++) {
    if (met()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error("in vain: " + what);
}

const token = await login(KEY);
const otherToken = await login(OTHER_KEY);

// The call of two phones, held once, and a change, as they are told.
const desk = await new Socket().open();
const calls = [], users = [], created = [];
assert.equal((await desk.bind("call.*.*", ACCOUNT, token, (e) => calls.push(e))).status, "success");
assert.equal((await desk.bind("object.doc_created.user", ACCOUNT, token, (e) => created.push(e))).status, "success");
const bound = await desk.bind("doc_edited.*.user.*", ACCOUNT, token, (e) => users.push(e));
assert.deepEqual(bound.data.subscriptions, ["call.*.*", "doc_edited.*.user.*", "object.doc_created.user"]);
assert.deepEqual((await desk.send("ping")).data, { response: "pong" });

// Another company is told nothing of it, whatever it asks for.
const stranger = await new Socket().open();
const overheard = [];
const refused = await stranger.bind("call.*.*", ACCOUNT, otherToken, (e) => overheard.push(e));
assert.match(refused.data.errors[0], /unauthorized account id/);
assert.match((await stranger.bind("call.*.*", "*", otherToken, () => {})).data.errors[0], /unauthorized wildcard account id/);
for (const binding of ["call.*.*", "object.*.*"]) await stranger.bind(binding, OTHER_ACCOUNT, otherToken, (e) => overheard.push(e));

await fetch(SITE + "/call", { method: "POST" }).then((answer) => assert.equal(answer.status, 204));
await until("the call is told", () => calls.filter((e) => e.name === "CHANNEL_DESTROY").length === 2);
const legs = Object.groupBy?.(calls, (e) => e.data.call_id) ?? calls.reduce((by, e) => ((by[e.data.call_id] ??= []).push(e), by), {});
const stories = Object.values(legs).map((leg) => leg[0].data.call_direction + ": " + leg.map((e) => e.name.slice(8)).join(" ")).sort();
assert.deepEqual(stories, [
  "inbound: CREATE ANSWER BRIDGE HOLD UNHOLD DESTROY",
  "outbound: CREATE ANSWER BRIDGE DESTROY",
]);
for (const e of calls) {
  assert.equal(e.data.account_id, ACCOUNT);
  assert.equal(e.data.event_name, e.name);
  assert.equal(e.data.caller_id_number.length > 0, true);
  assert.equal(e.subscription_key, `call.${ACCOUNT}.${e.name}.*`);
  assert.ok(e.routing_key.startsWith(`call.${ACCOUNT}.${e.name}.`));
}
const end = calls.find((e) => e.name === "CHANNEL_DESTROY");
assert.equal(end.data.hangup_cause, "NORMAL_CLEARING");

const made = (await api(token, "PUT", `/accounts/${ACCOUNT}/users`, { first_name: "Ann", last_name: "A" })).data.id;
await api(token, "PATCH", `/accounts/${ACCOUNT}/users/${made}`, { first_name: "Anna" });
await until("the changes are told", () => created.length === 1 && users.length === 1);
assert.deepEqual([created[0].data.id, users[0].data.id, users[0].name, users[0].data.type], [made, made, "doc_edited", "user"]);

// What is no message, and one that is too long.
for (const text of ["hello", "[]", "{}", '{"action":"subscribe","data":{"account_id":"' + ACCOUNT + '","binding":"fax.status.*"}}']) stranger.ws.send(text);
await until("the errors", () => stranger.others.length === 4);
assert.ok(stranger.others.every((e) => e.status === "error" && e.data.errors.length === 1));
assert.deepEqual(overheard, []);
const loud = await new Socket().open();
loud.ws.on("error", () => {}); // the connection may be cut while it is written
loud.ws.send("x".repeat(10 << 20));
assert.ok([1009, 1006].includes((await loud.closed).code));

// The socket is shown, and ends with its token.
const rows = (await api(token, "GET", `/accounts/${ACCOUNT}/websockets`)).data;
assert.deepEqual(rows.map((row) => row.bindings), [bound.data.subscriptions]);
const told = calls.length;
await api(token, "DELETE", "/token_auth");
const { code, reason } = await desk.closed;
assert.equal(code, 1008);
assert.match(reason, /the token has ended/);
assert.match((await (await new Socket().open()).bind("call.*.*", ACCOUNT, token, () => {})).data.errors[0], /failed to authenticate token/);
await fetch(SITE + "/call", { method: "POST" });
assert.equal(calls.length, told);
assert.deepEqual(overheard, []);
console.log("websocket: ok");
process.exit(0);
