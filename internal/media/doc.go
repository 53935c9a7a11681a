// Package media is the audio of calls: SDP offer/answer (RFC 3264), RTP (RFC 3550), telephone-event (RFC 4733), G.711,
// players, recorders and relays, on loops that own many legs each. It knows no signalling.
package media
