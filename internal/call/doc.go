// Package call is the back-to-back user agent of RFC 7092 without the signalling: calls, their legs, dialling, bridging,
// collecting digits, and causes. A Call has one event loop that owns its legs and timers and one flow goroutine that
// runs callflow modules and only sends it requests. It knows media, and no SIP.
package call
