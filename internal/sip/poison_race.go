//go:build race

package sip

// poisonReleased makes a build with the race detector overwrite released messages, so that a use after Release shows.
const poisonReleased = true

func poison(b []byte) {
	for i := range b {
		b[i] = 0xDD
	}
}
