// Package sip is the SIP stack of RFC 3261 §§7 and 17-19: messages, the four transaction machines and the transports.
//
// It knows no calls, dialogs or users: what stands above it (the transaction user, TU) gets requests and responses in
// order and answers them.
//
// # Who owns a Message
//
// A Message handed to the TU is the TU's to keep: the stack never reuses it, and the garbage collector frees it. Strings,
// addresses and bodies taken from it are views of its bytes and stay valid with it. A TU that has finished with a message
// may call Release, which lets the stack use its memory again; after that neither the message nor anything taken from
// it may be looked at. Forgetting Release is always safe. Messages given to the stack (Respond, Request, Send) are copied
// to the wire before the call returns and stay the caller's.
//
// # Order
//
// Messages of one Call-ID are handled one after the other in the order in which they arrived; different Call-IDs are
// handled in parallel by a bounded number of workers, and by the readers of the UDP sockets while there is little to do.
// Callbacks (OnRequest, OnACK, OnCancel, OnEnd, the function given to Request) are never run two at once for one Call-ID. A
// callback may block for a short time (a look-up); it holds up its own Call-ID and one worker, and, when it runs on a
// reader, that socket for at most two ticks of 20 ms, after which another reader takes over.
package sip
