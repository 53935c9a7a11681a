// Package peers holds the proof by strangers: unmodified sipp (RFC 3261 by script) and baresip (a phone) register with a
// running `bugle serve`, dial the directory, press keys and talk, and what they say and hear is checked by content. It
// is tests only.
package peers
