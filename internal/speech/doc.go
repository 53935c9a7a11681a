// Package speech is what callers are told: the catalogue of prompts built into the program and overridden by accounts,
// numbers and letters, names and texts spoken by a synthesiser, and the media references of documents turned into audio.
//
// Nothing here fails a call: what cannot be said is spelled, what cannot be spelled is a short silence, and both are
// counted and logged.
package speech
