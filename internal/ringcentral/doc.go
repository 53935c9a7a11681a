// Package ringcentral is the edge that speaks RingCentral's API: OAuth, the company directory, and subscriptions to its changes
// over webhooks and WebSocket. What clients of RingCentral send is taken, and what they read is given, whatever bugle calls
// it inside. The people, programs and contacts are other rooms': this one declares what it needs of them (seams.go).
//
// A request walks through server.go (routes, limits, who it is), a handler, and fault.go when it fails.
package ringcentral
