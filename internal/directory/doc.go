// Package directory finds people by the keypad digits of their names: pure, in memory, immutable snapshots.
//
// A person's names become keys (key.go), the keys of all people become a large immutable base with a small overlay of
// recent changes (base.go, overlay.go), and a search walks the matches in sort order without collecting them (search.go).
// It does no I/O and keeps no clock.
package directory
