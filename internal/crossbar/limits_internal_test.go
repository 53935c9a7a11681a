package crossbar

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
)

// TestHashCost: what is not said is the cost to use, and a cost that is said is the one that is paid.
func TestHashCost(t *testing.T) {
	t.Parallel()
	salt := []byte("0123456789abcdef")
	for _, c := range []struct {
		given, paid HashCost
	}{{HashCost{}, HashCost{Passes: 2, Memory: 19 << 10}}, {HashCost{Passes: 1, Memory: 64}, HashCost{Passes: 1, Memory: 64}}} {
		got, err := newHasher(c.given).hash(t.Context(), "secret", salt)
		want := hex.EncodeToString(argon2.IDKey([]byte("secret"), salt, c.paid.Passes, c.paid.Memory, 1, 32))
		if err != nil || got != want {
			t.Errorf("%+v: %s, want %s (%v)", c.given, got, want, err)
		}
	}
}

// TestBucketsStayBounded: however many addresses come, memory is two generations, and a busy client is not forgotten.
func TestBucketsStayBounded(t *testing.T) {
	t.Parallel()
	b := newBuckets(0.001, 5)
	b.capacity = 100
	now := time.Unix(1_700_000_000, 0)
	busy := bucketKey{client: netip.MustParseAddr("192.0.2.1")}
	for i := range 10_000 {
		if i < 5 || i%50 == 0 {
			if _, retry := b.take(busy, now); (retry == 0) != (i < 5) {
				t.Fatalf("after %d others: retry %v", i, retry)
			}
		}
		b.take(bucketKey{client: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}, now)
		if n := len(b.young) + len(b.old); n > 200 {
			t.Fatalf("%d buckets", n)
		}
	}
}
