package crossbar

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what one client may ask for. A field that is 0 has the default.
type Limits struct {
	Tokens          int // of a bucket: requests at once of one account from one address; 2,000
	TokensPerSecond int // that come back to it; 500. KAZOO's 100 and 10 stop ordinary provisioning
	Anonymous       int // requests a minute of one address without a token; 60
	LoginFailures   int // a minute of one name from one address; 10
}

func (l Limits) orDefault() Limits {
	for _, field := range [...]struct {
		value *int
		most  int
	}{{&l.Tokens, 2000}, {&l.TokensPerSecond, 500}, {&l.Anonymous, 60}, {&l.LoginFailures, 10}} {
		if *field.value <= 0 {
			*field.value = field.most
		}
	}
	return l
}

const anonymousWindow = time.Minute

// maxBuckets is how many buckets a generation holds; each takes about 200 bytes.
const maxBuckets = 50_000

// buckets are token buckets by client. Memory is bounded by two generations: a bucket that was not asked for while a
// whole generation filled up is forgotten, which a client cannot bring about without as many addresses.
type buckets struct {
	refill rate.Limit
	burst  int

	mu       sync.Mutex
	young    map[bucketKey]*rate.Limiter
	old      map[bucketKey]*rate.Limiter
	capacity int
}

// bucketKey is an account ("" for the anonymous) and a client's address.
type bucketKey struct {
	account string
	client  netip.Addr
}

func newBuckets(refill rate.Limit, burst int) *buckets {
	return &buckets{refill: refill, burst: burst, young: map[bucketKey]*rate.Limiter{}, capacity: maxBuckets}
}

func (b *buckets) of(key bucketKey) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket := b.young[key]
	if bucket == nil {
		if bucket = b.old[key]; bucket == nil {
			bucket = rate.NewLimiter(b.refill, b.burst)
		}
		if len(b.young) >= b.capacity {
			b.old, b.young = b.young, make(map[bucketKey]*rate.Limiter, len(b.young))
		}
		b.young[key] = bucket
	}
	return bucket
}

// take takes one token. retry is 0 when there was one, else when there will be.
func (b *buckets) take(key bucketKey, now time.Time) (left int, retry time.Duration) {
	bucket := b.of(key)
	taken := bucket.AllowN(now, 1)
	tokens := bucket.TokensAt(now)
	if !taken {
		return 0, max(time.Second, time.Duration((1-tokens)/float64(b.refill)*float64(time.Second)))
	}
	return int(math.Max(0, tokens)), 0
}

// clientNetwork is what stands for a client where clients are counted: an IPv6 host has a whole /64 to choose from.
func clientNetwork(client netip.Addr) netip.Addr {
	if client.Is6() {
		if p, err := client.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return client
}

// charge takes the request's token from its account's bucket, or from the address's when nobody is known yet; a
// request that turns out to be somebody's is charged once. Nothing else is done for a client that has none left.
func (req *request) charge() error {
	if req.charged {
		return nil
	}
	req.charged = true
	key, from := bucketKey{client: clientNetwork(req.client)}, req.api.anonymous
	switch {
	case req.identity != nil:
		key.account, from = req.identity.account.id, req.api.buckets
	case req.route.endpoint != nil && req.route.endpoint.ops[req.http.Method].office:
		from = req.api.pages
	}
	left, retry := from.take(key, req.started)
	if req.left = left; retry > 0 {
		return tooMany(retry)
	}
	req.consumed = 1
	return nil
}
