package bugle

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID returns a fresh identifier in KAZOO's form: 32 lower-case hexadecimal characters, 128 random bits.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, as crypto/rand documents
	return hex.EncodeToString(b[:])
}

// ValidID reports whether s has the form that NewID gives.
func ValidID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
