package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

type object = map[string]any

const workers = 32

func client() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
}

// provision makes an account whose extension 2000 rings callee through the server, with people to read and to change.
func (b *bench) provision(ctx context.Context) (err error) {
	if b.account, err = b.api.Create(ctx, "/accounts/"+b.api.AccountID, object{"name": "bench", "realm": "bench.example"}); err != nil {
		return err
	}
	if _, err := b.api.Create(ctx, b.path("devices"), object{"name": "caller", "sip": object{"method": "ip", "ip": "127.0.0.1"}}); err != nil {
		return err
	}
	callee, err := b.api.Create(ctx, b.path("devices"), object{"name": "callee", "sip": object{"username": "callee",
		"password": "not-registered", "invite_format": "route", "route": "sip:callee@" + b.callee}})
	if err != nil {
		return err
	}
	_, err = b.api.Create(ctx, b.path("callflows"), object{"numbers": []string{"2000"},
		"flow": object{"module": "device", "data": object{"id": callee, "timeout": 30}, "children": object{}}})
	return err
}

func (b *bench) path(parts string) string { return "/accounts/" + b.account + "/" + parts }

// load is what the API was asked and how it answered.
type load struct {
	sent, failed int
	seconds      float64
	times        []time.Duration
	failure      error
}

// String is a line for people.
func (l load) String() string {
	slices.Sort(l.times)
	at := func(share float64) float64 {
		return float64(l.times[min(int(share*float64(len(l.times))), len(l.times)-1)].Microseconds()) / 1000
	}
	text := fmt.Sprintf("%.0f requests a second, %d failed, answered in %.1f ms (p50), %.1f ms (p99)", float64(l.sent)/l.seconds,
		l.failed, at(0.5), at(0.99))
	if l.failure != nil {
		text += fmt.Sprintf("; the first failure: %v", l.failure)
	}
	return text
}

// serve asks the API at the rate until the function that it returns is called.
func (b *bench) serve(ctx context.Context) (end func() load) {
	ending, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	var total load
	var users []string
	jobs := make(chan int, workers)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for n := range jobs {
				mu.Lock()
				user := ""
				if len(users) > 0 {
					user = users[n%len(users)]
				}
				mu.Unlock()
				began := time.Now()
				id, err := b.request(ctx, n, user)
				took := time.Since(began)
				mu.Lock()
				if id != "" && len(users) < 200 {
					users = append(users, id)
				}
				if ending.Err() == nil {
					total.sent++
					total.times = append(total.times, took)
					if err != nil {
						total.failed++
						total.failure = err
					}
				}
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	working.Go(func() {
		defer close(jobs)
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for n := 0; ; {
			select {
			case <-ending.Done():
				return
			case now := <-ticker.C:
				for due := int(now.Sub(began).Seconds() * float64(b.requests)); n < due; n++ {
					select {
					case jobs <- n:
					case <-ending.Done():
						return
					}
				}
			}
		}
	})
	return func() load {
		total.seconds = time.Since(began).Seconds()
		cancel()
		working.Wait()
		return total
	}
}

// request is one of the mix: six in ten read, two change a user, two create one.
func (b *bench) request(ctx context.Context, n int, user string) (created string, err error) {
	switch {
	case user == "" || n%10 < 2:
		return b.api.Create(ctx, b.path("users"), object{"first_name": fmt.Sprint("Ann ", n), "last_name": "Lee",
			"caller_id": object{"internal": object{"name": "Ann Lee", "number": "1001"}}})
	case n%10 < 4:
		return "", b.api.Patch(ctx, b.path("users/"+user), object{"last_name": fmt.Sprint("Lee ", n)})
	case n%10 < 6:
		return "", b.api.Do(ctx, http.MethodGet, b.path("users/"+user), nil, nil)
	case n%10 < 8:
		return "", b.api.Do(ctx, http.MethodGet, b.path("devices"), nil, nil)
	default:
		return "", b.api.Do(ctx, http.MethodGet, b.path("users?page_size=20"), nil, nil)
	}
}
