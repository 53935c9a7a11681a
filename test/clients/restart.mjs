// RingCentral's own packages, unmodified, through restarts of the bugle that they are connected to. Prints "restart <how>" to have it ended
// and started anew, and goes on at a line on the standard input.
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline/promises'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { SDK } = require('@ringcentral/sdk')
const { Subscriptions } = require('@ringcentral/subscriptions')
const RingCentral = require('@rc-ex/core').default
const WebSocketExtension = require('@rc-ex/ws').default

const { BUGLE_URL: server, API_KEY: key, BUGLE_ACCOUNT: account, BUGLE_USER: user, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, JWT: jwt } = process.env
const filter = '/restapi/v1.0/account/~/directory/entries'
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

// kazoo is a call of the KAZOO API.
async function kazoo(method, path, data, token) {
  const answer = await fetch(`${server}/v2/${path}`, { method, headers: { 'X-Auth-Token': token ?? '', 'Content-Type': 'application/json' }, body: JSON.stringify({ data }) })
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
  return answer.json()
}

const { auth_token: token } = await kazoo('PUT', 'api_auth', { api_key: key })
const told = [] // the names, in the order of the changes
async function rename(name) {
  told.push(name)
  await kazoo('PATCH', `accounts/${account}/users/${user}`, { first_name: name }, token)
}

// Heard is what a client was told: each change the first time that it came.
class Heard {
  names = []
  seen = new Set()
  add(n) {
    if (this.seen.has(n.uuid)) return
    this.seen.add(n.uuid)
    this.names.push(...n.body.contacts.map(c => c.firstName))
  }
}

async function all(clients) {
  for (const end = Date.now() + 60000; clients.some(c => c.heard.names.length < told.length); await new Promise(r => setTimeout(r, 20))) {
    assert.ok(Date.now() < end, 'in vain: ' + JSON.stringify([told, clients.map(c => c.heard.names)]))
  }
  for (const c of clients) assert.deepEqual(c.heard.names, told)
}

const rc = new SDK({ server, clientId, clientSecret })
await rc.platform().login({ jwt })
const subscription = new Subscriptions({ sdk: rc }).createSubscription()
const one = { heard: new Heard() }
subscription.setEventFilters([filter]).on(subscription.events.notification, n => one.heard.add(n))
const registered = await subscription.register()
one.id = () => registered.subscriptionInfo.id

const ex = new RingCentral({ server, clientId, clientSecret })
await ex.authorize({ jwt })
const wse = new WebSocketExtension()
await ex.installExtension(wse)
const two = { heard: new Heard() }
const other = await wse.subscribe([filter], n => two.heard.add(n))
two.id = () => other.subscriptionInfo.id

const clients = [one, two], ids = clients.map(c => c.id())
assert.ok(ids.every(Boolean) && ids[0] !== ids[1])
await rename('First')
await all(clients)
for (const how of ['KILL', 'TERM']) {
  await rename('Before ' + how)
  process.stdout.write(`restart ${how}\n`)
  await lines.next()
  await rename('Meanwhile ' + how)
  await all(clients)
  assert.equal(wse.connectionDetails.recoveryState, 'Successful')
  await rename('After ' + how)
  await all(clients)
  assert.deepEqual(clients.map(c => c.id()), ids)
}
console.log('restart: ok')
process.exit(0) // the packages keep timers
