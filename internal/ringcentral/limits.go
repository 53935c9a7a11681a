package ringcentral

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// group is one of RingCentral's groups of API calls, which are limited together.
type group string

const (
	light  group = "light"
	medium group = "medium"
	heavy  group = "heavy"
	auth   group = "auth"
)

// Rates are how many calls of each group a user may make by one app within a minute. 0 stands for RingCentral's own.
type Rates struct{ Light, Medium, Heavy, Auth int }

func (r Rates) orDefault() Rates {
	for _, field := range [...]struct {
		value *int
		most  int
	}{{&r.Light, 50}, {&r.Medium, 40}, {&r.Heavy, 10}, {&r.Auth, 5}} {
		if *field.value <= 0 {
			*field.value = field.most
		}
	}
	return r
}

const (
	rateWindow  = time.Minute
	maxCounters = 50_000 // of a generation; each takes about 150 bytes
)

// counters count calls by who makes them. Memory is bounded by two generations, as one that was not asked for while a whole
// generation filled up says nothing any more.
type counters struct {
	now  func() time.Time
	most map[group]int

	mu         sync.Mutex
	young, old map[counterKey]*counter
}

type counterKey struct {
	who   string
	group group
}

type counter struct {
	began   time.Time // of the window
	count   int
	penalty time.Time // until when everything is refused
}

func newCounters(now func() time.Time, r Rates) *counters {
	r = r.orDefault()
	return &counters{now: now, young: map[counterKey]*counter{}, most: map[group]int{light: r.Light, medium: r.Medium, heavy: r.Heavy, auth: r.Auth}}
}

// take counts a call and tells it in the headers of the answer. Whoever calls within the minute after being refused waits
// another one, as at RingCentral.
func (c *counters) take(header http.Header, who string, g group) error {
	now, most := c.now(), c.most[g]
	c.mu.Lock()
	key := counterKey{who, g}
	n := c.young[key]
	if n == nil {
		if n = c.old[key]; n == nil {
			n = &counter{began: now}
		}
		if len(c.young) >= maxCounters {
			c.old, c.young = c.young, make(map[counterKey]*counter, maxCounters)
		}
		c.young[key] = n
	}
	if now.Sub(n.began) >= rateWindow {
		n.began, n.count = now, 0
	}
	refused := now.Before(n.penalty) || n.count >= most
	if refused {
		n.penalty = now.Add(rateWindow)
	} else {
		n.count++
	}
	left := most - n.count
	c.mu.Unlock()
	header.Set("X-Rate-Limit-Group", string(g))
	header.Set("X-Rate-Limit-Limit", strconv.Itoa(most))
	header.Set("X-Rate-Limit-Window", strconv.Itoa(int(rateWindow.Seconds())))
	if refused {
		left = 0
	}
	header.Set("X-Rate-Limit-Remaining", strconv.Itoa(left))
	if !refused {
		return nil
	}
	return &fault{status: http.StatusTooManyRequests, code: "CMN-301", message: "Request rate exceeded", retry: rateWindow}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
