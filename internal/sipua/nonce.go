package sipua

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"net/netip"
	"sync"
	"time"
)

const (
	nonceLife   = 5 * time.Minute
	nonceLength = 8 + 8 + 16 // time, random, signature
	maxNonces   = 1 << 16    // nonces in use whose counts are kept
)

// nonces makes and judges nonces. A nonce costs no memory until it has been used with a right password: it carries its
// own time and a signature over it, the realm, and the address that it was given to. Binding it to the address
// means that a nonce taken elsewhere cannot be used to make failures look as if they came from a victim's address.
type nonces struct {
	macs sync.Pool // of hash.Hash with the key
	now  func() time.Time

	mu    sync.Mutex
	used  map[[16]byte]*nonceUse
	order []nonceAge // oldest first, as they came into use
	// forgotten is the issue time of the youngest nonce whose counts were dropped for want of room: no nonce as old may be
	// taken for unused.
	forgotten int64
}

type nonceUse struct {
	highest uint32
	window  uint64 // bit i: highest-i has been used
}

type nonceAge struct {
	id     [16]byte
	issued int64 // nanoseconds
}

func newNonces(now func() time.Time) *nonces {
	n := &nonces{now: now, used: map[[16]byte]*nonceUse{}}
	key := make([]byte, 32)
	rand.Read(key) // never fails, as crypto/rand documents
	n.macs.New = func() any { return hmac.New(sha256.New, key) }
	return n
}

// issue returns a nonce for a realm and an address.
func (n *nonces) issue(realm string, addr netip.Addr) string {
	var b [nonceLength]byte
	binary.BigEndian.PutUint64(b[:8], uint64(n.now().UnixNano()))
	rand.Read(b[8:16])
	n.sign(b[:16], b[16:], realm, addr)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (n *nonces) sign(id, out []byte, realm string, addr netip.Addr) {
	mac := n.macs.Get().(hash.Hash)
	defer n.macs.Put(mac)
	mac.Reset()
	mac.Write(id)
	ip := addr.Unmap().As16()
	mac.Write(ip[:])
	mac.Write([]byte(realm))
	var sum [sha256.Size]byte
	copy(out, mac.Sum(sum[:0])[:16])
}

// fresh says whether a nonce is ours, was given to addr for realm, and has not grown old.
func (n *nonces) fresh(nonce, realm string, addr netip.Addr) bool {
	b, ok := decodeNonce(nonce)
	if !ok {
		return false
	}
	var want [16]byte
	n.sign(b[:16], want[:], realm, addr)
	if !hmac.Equal(want[:], b[16:]) {
		return false
	}
	age := n.now().UnixNano() - int64(binary.BigEndian.Uint64(b[:8]))
	return age >= 0 && age < int64(nonceLife)
}

// use notes that a right response came with this nonce and count; it is false when that count was used before (RFC 7616
// §3.4: a replay) or is too old to tell. The nonce must be fresh.
func (n *nonces) use(nonce string, count uint32) bool {
	b, ok := decodeNonce(nonce)
	if !ok {
		return false
	}
	id, issued := [16]byte(b[:16]), int64(binary.BigEndian.Uint64(b[:8]))
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.used[id]
	if u == nil {
		if issued <= n.forgotten {
			return false
		}
		n.makeRoom()
		n.used[id] = &nonceUse{highest: count, window: 1}
		n.order = append(n.order, nonceAge{id, issued})
		return true
	}
	switch {
	case count > u.highest:
		u.window = u.window<<min(count-u.highest, 64) | 1
		u.highest = count
	case u.highest-count >= 64 || u.window&(1<<(u.highest-count)) != 0:
		return false
	default:
		u.window |= 1 << (u.highest - count)
	}
	return true
}

// makeRoom drops what has grown old, and the oldest when that is not enough. It must be called with n.mu held.
func (n *nonces) makeRoom() {
	limit := n.now().UnixNano() - int64(nonceLife)
	drop := 0
	for drop < len(n.order) && (n.order[drop].issued <= limit || len(n.order)-drop >= maxNonces) {
		if issued := n.order[drop].issued; issued > limit {
			n.forgotten = max(n.forgotten, issued)
		}
		delete(n.used, n.order[drop].id)
		drop++
	}
	if drop > 0 {
		n.order = n.order[drop:] // the front is freed when append moves the rest
	}
}

func decodeNonce(nonce string) (b [nonceLength]byte, ok bool) {
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceLength) {
		return b, false
	}
	_, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(nonce))
	return b, err == nil
}
