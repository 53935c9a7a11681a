// RingCentral's own packages, unmodified, against a bugle: @ringcentral/sdk with @ringcentral/subscriptions, and @rc-ex/core with
// @rc-ex/ws. Prints "<name>: ok" after each.
import assert from 'node:assert/strict'
import http from 'node:http'
import { createRequire } from 'node:module'
import { Webhook } from 'standardwebhooks'

const require = createRequire(import.meta.url)
const { SDK } = require('@ringcentral/sdk')
const { Subscriptions } = require('@ringcentral/subscriptions')
const RingCentral = require('@rc-ex/core').default
const WebSocketExtension = require('@rc-ex/ws').default

const { BUGLE_URL: server, BUGLE_TOKEN: token, BUGLE_ACCOUNT: account, BUGLE_USER: user, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, JWT: jwt } = process.env
const filter = '/restapi/v1.0/account/~/directory/entries'

// rename changes a contact.
async function rename(name) {
  const answer = await fetch(`${server}/v2/accounts/${account}/users/${user}`, { method: 'PATCH',
    headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json' }, body: JSON.stringify({ data: { first_name: name } }) })
  assert.equal(answer.status, 200, await answer.text())
}

// Received keeps what came, and lets one wait for it.
class Received {
  list = []
  waiting = []
  add(one) {
    this.list.push(one)
    this.waiting = this.waiting.filter(w => !w())
  }
  until(met) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('in vain, of ' + JSON.stringify(this.list))), 40000)
      const look = () => met(this.list) && (clearTimeout(late), resolve(this.list), true)
      if (!look()) this.waiting.push(look)
    })
  }
  named(name) {
    return this.until(list => list.some(n => n.body.contacts?.[0].firstName === name))
  }
}

// receiver is a webhook.
async function receiver() {
  const got = new Received()
  const at = http.createServer((req, res) => {
    if (req.headers['validation-token']) {
      res.setHeader('Validation-Token', req.headers['validation-token'])
      res.end()
      return
    }
    let text = ''
    req.on('data', d => { text += d })
    req.on('end', () => {
      got.add({ ...JSON.parse(text), text, headers: req.headers })
      res.end()
    })
  })
  await new Promise(resolve => at.listen(0, '127.0.0.1', resolve))
  return { got, url: `http://127.0.0.1:${at.address().port}/hook`, close: () => at.close() }
}

async function sdk() {
  const rc = new SDK({ server, clientId, clientSecret })
  const p = rc.platform()
  await p.login({ jwt })
  const list = await (await p.get(filter, { page: 1, perPage: 100, type: ['User', 'Department'], showFederated: false })).json()
  assert.deepEqual(list.records.map(r => r.firstName), ['Ann', 'Bob'])
  assert.equal(list.records[0].account, undefined)
  const found = await (await p.post(filter + '/search', { searchString: 'bak' })).json()
  assert.equal(found.records[0].lastName, 'Baker')
  assert.equal((await (await p.get(filter + '/' + found.records[0].id)).json()).id, found.records[0].id)
  await assert.rejects(p.get(filter + '/1'), /Contact not found/)
  await assert.rejects(p.post('/restapi/v1.0/subscription', { eventFilters: ['/x'], deliveryMode: { transportType: 'WebHook', address: 'https://x.example' } }), /not supported/)

  const hook = await receiver()
  const made = await (await p.post('/restapi/v1.0/subscription', { eventFilters: [filter], deliveryMode: { transportType: 'WebHook', address: hook.url, verificationToken: 'letmein' } })).json()
  assert.equal(made.status, 'Active')
  await rename('Robert')
  await hook.got.named('Robert')
  const note = hook.got.list[0]
  assert.equal(note.headers['verification-token'], 'letmein')
  assert.equal(note.subscriptionId, made.id)
  new Webhook(made.deliveryMode.signingSecret).verify(note.text, note.headers)
  assert.throws(() => new Webhook(made.deliveryMode.signingSecret).verify(note.text + ' ', note.headers), /signature/)
  // With another secret both sign for a day.
  const { deliveryMode: { signingSecret } } = await (await p.post(`/restapi/v1.0/subscription/${made.id}/secret`)).json()
  await rename('Robin')
  await hook.got.named('Robin')
  const both = hook.got.list.at(-1)
  assert.notEqual(signingSecret, made.deliveryMode.signingSecret)
  assert.equal(both.headers['webhook-signature'].split(' ').length, 2)
  for (const secret of [signingSecret, made.deliveryMode.signingSecret]) new Webhook(secret).verify(both.text, both.headers)
  assert.throws(() => new Webhook(signingSecret).verify(note.text, note.headers), /signature/)
  assert.equal((await p.post(`/restapi/v1.0/subscription/${made.id}/renew`)).status, 200)
  assert.equal((await p.put(`/restapi/v1.0/subscription/${made.id}`)).status, 200)
  assert.equal((await (await p.get('/restapi/v1.0/subscription')).json()).records.length, 1)
  assert.equal((await p.delete(`/restapi/v1.0/subscription/${made.id}`)).status, 204)
  hook.close()

  await p.refresh()
  const subscription = new Subscriptions({ sdk: rc }).createSubscription()
  const got = new Received()
  subscription.setEventFilters([filter]).on(subscription.events.notification, n => got.add(n))
  await subscription.register()
  await rename('Rob')
  await got.named('Rob')

  const stale = (await p.auth().data()).access_token
  await p.logout()
  const answer = await fetch(server + filter, { headers: { Authorization: 'Bearer ' + stale } })
  assert.equal(answer.status, 401)
  console.log('sdk: ok')
}

async function extensible() {
  const rc = new RingCentral({ server, clientId, clientSecret })
  await rc.authorize({ jwt })
  const list = await rc.restapi().account().directory().entries().list({ type: ['User'] })
  assert.equal(list.records.length, 2)
  assert.equal(list.paging.totalElements, 2)

  const hook = await receiver()
  const made = await rc.restapi().subscription().post({ eventFilters: [filter], deliveryMode: { transportType: 'WebHook', address: hook.url } })
  await rename('Bert')
  await hook.got.named('Bert')
  assert.equal((await rc.restapi().subscription(made.id).renew().post()).id, made.id)
  await rc.restapi().subscription(made.id).delete()
  hook.close()

  const wse = new WebSocketExtension({ restOverWebSocket: true })
  await rc.installExtension(wse)
  const got = new Received()
  const subscription = await wse.subscribe([filter], n => got.add(n))
  const { id } = subscription.subscriptionInfo
  await rename('Bobby')
  await got.named('Bobby')
  assert.equal((await rc.restapi().account().directory().entries().list()).records.length, 2) // over the socket
  await subscription.refresh()
  assert.equal(subscription.subscriptionInfo.id, id)
  // The line is cut, and something happens meanwhile.
  const back = new Promise(resolve => wse.eventEmitter.once('autoRecoverSuccess', resolve))
  wse.ws.terminate()
  await rename('Roberta')
  await back
  await got.named('Roberta')
  assert.equal(wse.connectionDetails.recoveryState, 'Successful')
  assert.equal(subscription.subscriptionInfo.id, id)
  assert.equal(new Set(got.list.map(n => n.uuid)).size, 2)
  await wse.revoke()
  await rc.revoke()
  console.log('extensible: ok')
}

await sdk()
await rename('Bob')
await extensible()
process.exit(0) // the packages keep timers
