package sipua

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"
)

var here = netip.MustParseAddr("192.0.2.1")

// TestDigestAgreesWithAnIndependentClient has responses made by another implementation.
func TestDigestAgreesWithAnIndependentClient(t *testing.T) {
	t.Parallel()
	n := newNonces(time.Now)
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		header := challenge("acme.test", n.issue("acme.test", here), algorithm, false)
		chal, err := digest.ParseChallenge(header)
		if err != nil {
			t.Fatal(err)
		}
		made, err := digest.Digest(chal, digest.Options{Method: "REGISTER", URI: "sip:acme.test", Username: "ann",
			Password: "p\"a:ss", Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		c, ok := parseCredentials(made.String())
		if !ok {
			t.Fatalf("not read: %s", made)
		}
		if !c.verify("REGISTER", "p\"a:ss", nil) {
			t.Errorf("%s: right password refused: %s", algorithm, made)
		}
		if c.verify("REGISTER", "wrong", nil) || c.verify("INVITE", "p\"a:ss", nil) {
			t.Errorf("%s: wrong password or method accepted", algorithm)
		}
		if c.algorithmName() != algorithm {
			t.Errorf("algorithm %q", c.algorithmName())
		}
	}
}

// TestExampleOfTheRFC checks RFC 7616 §3.9.1's two responses.
func TestExampleOfTheRFC(t *testing.T) {
	t.Parallel()
	base := `Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",` +
		` nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,` +
		` cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,` +
		` opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", `
	for _, tail := range []string{`response="8ca523f5e9506fed4657c9700eebdbec", algorithm=MD5`,
		`response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", algorithm=SHA-256`} {
		c, ok := parseCredentials(base + tail)
		if !ok || !c.verify("GET", "Circle of Life", nil) {
			t.Errorf("%s refused", tail)
		}
	}
}

func TestBadCredentialsAreNotRead(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "Basic abc", "Digest", "Digest username", `Digest username="a`,
		`Digest username="a", username="b", nonce="n", uri="u", response="r"`,
		`Digest username="a", nonce="n", uri="u"`,
		`Digest username="a", nonce="n", uri="u", response="r", qop=auth`,
		`Digest username="a", nonce="n", uri="u", response="r", qop=auth, cnonce="c", nc=1`,
		`Digest username="a"x, nonce="n", uri="u", response="r"`,
		`Digest username="` + strings.Repeat("a", 3000) + `", nonce="n", uri="u", response="r"`} {
		if c, ok := parseCredentials(bad); ok {
			t.Errorf("%.60q read as %+v", bad, c)
		}
	}
}

func TestNonces(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	n := newNonces(func() time.Time { return now })
	nonce := n.issue("acme.test", here)
	if !n.fresh(nonce, "acme.test", here) {
		t.Error("a new nonce is not fresh")
	}
	if n.fresh(nonce, "other.test", here) || n.fresh(nonce, "acme.test", here.Next()) {
		t.Error("fresh in another realm or at another address")
	}
	if n.fresh(newNonces(time.Now).issue("acme.test", here), "acme.test", here) || n.fresh("x", "", here) {
		t.Error("a foreign nonce is fresh")
	}
	for i := range len(nonce) {
		forged := []byte(nonce)
		forged[i] ^= 1
		if n.fresh(string(forged), "acme.test", here) {
			t.Errorf("fresh with character %d changed", i)
		}
	}
	for _, step := range []struct {
		count uint32
		ok    bool
	}{{1, true}, {1, false}, {2, true}, {5, true}, {4, true}, {4, false}, {3, true}, {2, false}, {100, true}, {36, false},
		{37, true}, {37, false}, {4000, true}, {100, false}} {
		if got := n.use(nonce, step.count); got != step.ok {
			t.Errorf("count %d: %v", step.count, got)
		}
	}
	now = now.Add(nonceLife)
	if n.fresh(nonce, "acme.test", here) {
		t.Error("fresh after its life")
	}
}

func TestTheNonceTableIsBoundedAndForgetsNoReplay(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	n := newNonces(func() time.Time { return now })
	first := n.issue("r", here)
	if !n.use(first, 1) {
		t.Fatal("first use refused")
	}
	for range maxNonces + 10 {
		now = now.Add(time.Microsecond)
		n.use(n.issue("r", here), 1)
	}
	if len(n.used) > maxNonces || len(n.order) > maxNonces {
		t.Errorf("%d nonces kept", len(n.used))
	}
	if n.use(first, 1) {
		t.Error("a replay passed because its nonce was forgotten")
	}
	if !n.use(n.issue("r", here), 1) {
		t.Error("a new nonce is refused")
	}
}

func TestTenFailuresCloseOnePairOnly(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	p := newPenalties(func() time.Time { return now })
	ann := penaltyKey{"ann@acme.test", here}
	delayed := 0
	for i := range 10 {
		if p.refused(ann) {
			t.Fatalf("closed after %d", i)
		}
		now = now.Add(time.Second)
		if p.failed(ann) > 0 {
			delayed++
		}
	}
	if !p.refused(ann) || delayed == 0 {
		t.Errorf("closed %v, %d answers delayed", p.refused(ann), delayed)
	}
	if p.refused(penaltyKey{"bob@acme.test", here}) || p.refused(penaltyKey{"ann@acme.test", here.Next()}) {
		t.Error("another pair is closed")
	}
	now = now.Add(5*time.Minute - 1)
	if !p.refused(ann) {
		t.Error("open before five minutes are over")
	}
	now = now.Add(1)
	if p.refused(ann) {
		t.Error("closed for ever")
	}
	for range 30 { // slowly
		now = now.Add(10 * time.Second)
		p.failed(ann)
	}
	if p.refused(ann) {
		t.Error("six a minute closed the pair")
	}
	// Any minute counts, not one that begins with the first failure.
	bob := penaltyKey{"bob@acme.test", here}
	for _, second := range []int{0, 58, 58, 58, 58, 58, 61, 61, 61, 61} {
		if p.refused(bob) {
			t.Errorf("closed at %d s", second)
		}
		p.now = func() time.Time { return now.Add(time.Duration(second) * time.Second) }
		p.failed(bob)
	}
	if p.refused(bob) {
		t.Error("nine in a minute closed the pair")
	}
	if p.failed(bob); !p.refused(bob) {
		t.Error("ten in a minute are let through")
	}
	p.now = func() time.Time { return now }
	p.succeeded(ann)
	for range 9 {
		p.failed(ann)
	}
	if p.refused(ann) {
		t.Error("a success did not start the count anew")
	}
}

func TestThePenaltyTableIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	p := newPenalties(func() time.Time { return now })
	victim := penaltyKey{"ann@acme.test", here}
	for range 10 {
		p.failed(victim)
	}
	for i := range maxPenalties * 2 {
		p.failed(penaltyKey{fmt.Sprint("user", i), here})
	}
	if len(p.pairs) > maxPenalties {
		t.Errorf("%d pairs kept", len(p.pairs))
	}
	if !p.refused(victim) {
		t.Error("a closed pair was forgotten for open ones")
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(`Digest username="a", nonce="n", uri="u", response="r", qop=auth, cnonce="c", nc=00000001`)
	f.Add(`digest a=b,c="\`)
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := parseCredentials(s); ok {
			c.verify("INVITE", "x", nil)
			c.nonceCount()
		}
	})
}
