// Package sipua is the user agent of RFC 3261 on top of sip and media: the digest server, REGISTER handling, inbound
// calls, dialogs and outbound legs. It knows devices through a Directory, hands an inbound call to an InviteHandler, and
// implements call.Leg and call.Originator; what a call does is decided elsewhere.
//
// # Lock order
//
// Each leg is a state machine guarded by its own mutex; Agent.mu (the dialog table) and the bounded tables of the digest
// server are leaves: they may be taken with a leg's mutex held, never the other way round. No two legs' mutexes are ever
// held together. Sink.Post is called with the leg's mutex held, which keeps events in order; a Sink must not call
// back into the leg from Post.
package sipua
