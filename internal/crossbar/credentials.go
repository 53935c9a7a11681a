package crossbar

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"bugle"
)

// KAZOO's clients log in with a hash of name and password instead of the password. Whoever holds that hash can log in,
// so it is stored like a password: argon2id over it. The salt is the account's, not the user's, because the client does
// not say which user it is: the hash itself is the key to look up. Two users of an account still differ, the name is
// part of what is hashed; and a wrong login costs the same whether or not the name exists.
const (
	argonThreads     = 1
	maxWaitingHashes = 64
)

// HashCost is what one argon2id hash of a credential costs, for the server and for who guesses. Hashes of another cost are
// not recognised: it stays what it was when the first account was made. The zero value is the cost to use: 2 passes over
// 19 MiB.
type HashCost struct {
	Passes uint32
	Memory uint32 // KiB, at least 8
}

// hasher bounds how many hashes are computed at once: each takes 19 MiB and tens of milliseconds.
type hasher struct {
	cost    HashCost
	slots   chan struct{}
	waiting chan struct{}
}

func newHasher(cost HashCost) *hasher {
	if cost == (HashCost{}) {
		cost = HashCost{Passes: 2, Memory: 19 * 1024}
	}
	return &hasher{cost: cost, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0))),
		waiting: make(chan struct{}, maxWaitingHashes)}
}

// hash returns the printable argon2id hash. KindLimited when too many wait already.
func (h *hasher) hash(ctx context.Context, secret string, salt []byte) (string, error) {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return "", &bugle.Error{Op: "crossbar.hash", Kind: bugle.KindLimited}
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return hex.EncodeToString(argon2.IDKey([]byte(secret), salt, h.cost.Passes, h.cost.Memory, argonThreads, 32)), nil
}

// credentialForms are the two hashes that clients present for a user.
func credentialForms(username, password string) (md5Form, shaForm string) {
	text := []byte(username + ":" + password)
	m, s := md5.Sum(text), sha1.Sum(text)
	return hex.EncodeToString(m[:]), hex.EncodeToString(s[:])
}

// hashKey is what is stored of an API key to find it by. The key has 256 random bits: no slow hash is needed.
func hashKey(key string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(key)))
	return hex.EncodeToString(sum[:])
}

const letters = "abcdefghijkmnpqrstuvwxyz23456789" // 32 that are not mistaken for each other

// randomText returns n random characters of five bits each.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return string(b)
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

const (
	failureWindow  = time.Minute
	maxFailureRows = 20_000
)

// failures counts failed logins by name and client address. Attempts count while they run too, so that many at once
// get no more tries than one after the other.
type failures struct {
	now  func() time.Time
	most int // within the window

	mu    sync.Mutex
	rows  map[string]*failureRow
	order []string // by age, for forgetting
}

type failureRow struct {
	times   []time.Time // of failures within the window
	running int
}

func newFailures(now func() time.Time, most int) *failures {
	return &failures{now: now, most: most, rows: map[string]*failureRow{}}
}

// attempt is one login that is being judged.
type attempt struct {
	f       *failures
	key     string
	settled bool
}

// begin refuses with 429 after too many failures. IPv6 clients count by their /64.
func (f *failures) begin(way, name string, client netip.Addr) (*attempt, error) {
	key := way + "\x00" + clientNetwork(client).String() + "\x00" + strings.ToLower(clip(name, 300))
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	row := f.rows[key]
	if row == nil {
		f.forget(now)
		row = &failureRow{}
		f.rows[key] = row
		f.order = append(f.order, key)
	}
	row.expire(now)
	if len(row.times)+row.running >= f.most {
		retry := time.Second
		if len(row.times) > 0 {
			retry = max(retry, row.times[0].Add(failureWindow).Sub(now))
		}
		return nil, tooMany(retry)
	}
	row.running++
	return &attempt{f: f, key: key}, nil
}

func (r *failureRow) expire(now time.Time) {
	n := 0
	for n < len(r.times) && now.Sub(r.times[n]) >= failureWindow {
		n++
	}
	r.times = r.times[n:]
}

// forget drops rows that say nothing any more, and the oldest when there are too many. It looks at a few of the oldest,
// so the table stays bounded without ever being walked.
func (f *failures) forget(now time.Time) {
	for looked := 0; looked < 4 && len(f.order) > 0; looked++ {
		key := f.order[0]
		row := f.rows[key]
		if row != nil {
			row.expire(now)
			if (row.running > 0 || len(row.times) > 0) && len(f.order) < maxFailureRows {
				return
			}
			delete(f.rows, key)
		}
		f.order = f.order[1:]
	}
}

// fail counts the attempt and returns what the client is told.
func (a *attempt) fail() error {
	a.settle(true)
	return invalidCredentials()
}

func (a *attempt) succeed() { a.settle(false) }

// end settles an attempt that neither failed nor succeeded, such as one that the database did not answer.
func (a *attempt) end() { a.settle(false) }

func (a *attempt) settle(failed bool) {
	a.f.mu.Lock()
	defer a.f.mu.Unlock()
	if a.settled {
		return
	}
	a.settled = true
	row := a.f.rows[a.key]
	if row == nil {
		return
	}
	row.running = max(0, row.running-1)
	if failed {
		row.times = append(row.times, a.f.now())
	}
}
