// Package bugletest is the other side of every wire: a phone on real SIP and RTP sockets that presses keys, says tones
// and recognises what it hears (RFC 3261, RFC 4733), and a small client of the HTTP API. `bugle call`, `bugle demo` and
// the tests are its users; the server itself never imports it.
package bugletest
