// Package call is the back-to-back user agent of RFC 7092 without the signalling: calls, their legs, dialling, bridging,
// collecting digits, and causes. A Call has one event loop that owns its legs and timers and one flow goroutine that
// runs callflow modules and only sends it requests. It knows media, and no SIP.
//
// The loop is a goroutine only while there is something in its inbox (inbox.go); a request of the flow is an operation
// that the loop begins, feeds with events and completes (request.go and one file for each). So a call in which nothing
// happens costs the flow goroutine's stack and a few kilobytes.
package call
