// Package socket is KAZOO's WebSocket (blackhole): clients subscribe to events of an account's calls and to changes of its documents, and are
// told as they happen. Nothing is kept for a client that is away, and no client is waited for.
package socket
