package sipua

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// tagMaker makes the From tags of outbound calls: random, and signed, so that a tag can be known for one of ours when
// its leg is long gone.
type tagMaker struct{ key [32]byte }

func newTagMaker() (t tagMaker) {
	rand.Read(t.key[:]) // never fails, as crypto/rand documents
	return t
}

func (t *tagMaker) make(callID string) string {
	var b [16]byte
	rand.Read(b[:8])
	t.sign(b[:8], callID, b[8:])
	return hex.EncodeToString(b[:])
}

// made says whether make returned this tag for this Call-ID.
func (t *tagMaker) made(tag, callID string) bool {
	b, err := hex.DecodeString(tag)
	if err != nil || len(b) != 16 {
		return false
	}
	var want [8]byte
	t.sign(b[:8], callID, want[:])
	return hmac.Equal(want[:], b[8:])
}

func (t *tagMaker) sign(random []byte, callID string, out []byte) {
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write(random)
	mac.Write([]byte(callID))
	copy(out, mac.Sum(nil))
}
