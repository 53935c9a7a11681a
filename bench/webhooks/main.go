// Command webhooks measures the delivery of webhooks beside a bare Go HTTP client that posts the same bytes: how long it takes
// from the commit to the receiver, and what a thousand deliveries cost.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bugle"
	"bugle/internal/egress"
	"bugle/internal/event/webhook"
	"bugle/internal/store"
)

var (
	where     = flag.String("store", "", "URL of a PostgreSQL database; empty: SQLite in a temporary directory")
	number    = flag.Int("n", 5000, "deliveries whose cost is measured")
	endpoints = flag.Int("endpoints", 20, "endpoints that they are for")
	receive   = flag.Bool("receive", false, "be the receiver")
)

func main() {
	flag.Parse()
	run := measure
	if *receive {
		run = receiver
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// receiver keeps when each delivery came and tells it to GET.
func receiver(context.Context) error {
	var mu sync.Mutex
	seen := map[string]int64{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now().UnixNano()
		if r.Method == http.MethodGet {
			mu.Lock()
			defer mu.Unlock()
			_ = json.NewEncoder(w).Encode(seen)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		if id := r.Header.Get("webhook-id"); seen[id] == 0 {
			seen[id] = at
		}
	}))
}

type owner struct{}

func (owner) Target(context.Context, store.HookEndpoint) (webhook.Target, error) {
	return webhook.Target{Secrets: [][]byte{bytes.Repeat([]byte{7}, 32)}}, nil
}
func (owner) Probe(context.Context, store.HookEndpoint) error              { return nil }
func (owner) Tell(context.Context, store.HookEndpoint, webhook.Transition) {}

// body is a directory's change of one contact.
var body = []byte(`{"uuid":"0b6e3c1c-2b0f-4e57-9a5c-6f0f8f0f0a01","event":"/restapi/v1.0/account/1/directory/entries","timestamp":` +
	`"2026-11-21T12:00:00.000Z","subscriptionId":"5c3b7c3e-6a2e-4a57-8f0e-0a6f3e1d2c4b","body":{"contacts":[{"id":"17","eventType":"Update",` +
	`"type":"User","status":"Enabled","firstName":"Ann","lastName":"Lee","department":"Sales","email":"ann@acme.example",` +
	`"extensionNumber":"1001","account":{"id":"1"},"phoneNumbers":[{"phoneNumber":"+14155550100","usageType":"DirectNumber",` +
	`"type":"VoiceFax"}],"site":{"id":"main-site","name":"Main"}}]}}`)

func measure(ctx context.Context) error {
	cmd := exec.Command(os.Args[0], "-receive")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		return err
	}
	url := "http://" + address + "/"
	dir, err := os.MkdirTemp("", "bugle-bench-webhooks-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var s *store.Store
	if *where != "" {
		s, err = store.OpenPostgres(ctx, *where, store.Options{})
	} else {
		s, err = store.OpenSQLite(ctx, filepath.Join(dir, "bugle.db"), store.Options{})
	}
	if err != nil {
		return err
	}
	defer s.Close()
	networks, err := egress.ParseNetworks("127.0.0.0/8")
	if err != nil {
		return err
	}
	sender := webhook.NewSender(egress.New(networks), nil, nil)
	engine, err := webhook.Start(ctx, webhook.Options{Store: s, Send: sender, Alone: *where == "",
		Kinds: map[string]webhook.Kind{"bench": {Policy: webhook.RingCentral(), Owner: owner{}}}})
	if err != nil {
		return err
	}
	defer engine.Close(ctx)
	if err := latency(ctx, s, url); err != nil {
		return err
	}
	return cost(ctx, s, url)
}

func delivery(i int, url string) store.HookDelivery {
	return store.HookDelivery{ID: bugle.NewID(), Endpoint: fmt.Sprint("e", i%*endpoints), Kind: "bench", AccountID: "a", Event: "x",
		Keys: []string{fmt.Sprint(i)}, Method: "POST", URL: url, Body: body,
		Header: [][2]string{{"Content-Type", "application/json; charset=UTF-8"}, {"Accept", "application/json"}, {"User-Agent", "bugle"}}}
}

func enqueue(ctx context.Context, s *store.Store, list ...store.HookDelivery) error {
	return s.Write(ctx, func(tx *store.Tx) error { return tx.Enqueue(list...) })
}

// arrived waits until the receiver has so many, and returns when each came.
func arrived(url string, n int) (map[string]int64, error) {
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get(url)
		if err != nil {
			return nil, err
		}
		seen := map[string]int64{}
		err = json.NewDecoder(answer.Body).Decode(&seen)
		answer.Body.Close()
		if err != nil || len(seen) >= n {
			return seen, err
		}
	}
	return nil, errors.New("the deliveries did not arrive")
}

var sent int

// latency enqueues one delivery after the other, 100 a second.
func latency(ctx context.Context, s *store.Store, url string) error {
	const n = 1000
	committed := map[string]int64{}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range n + *endpoints { // the first of each endpoint has it claimed
		d := delivery(i, url)
		if err := enqueue(ctx, s, d); err != nil {
			return err
		}
		if sent++; i >= *endpoints {
			committed[d.ID] = time.Now().UnixNano()
		}
		<-tick.C
	}
	seen, err := arrived(url, sent)
	if err != nil {
		return err
	}
	var took []time.Duration
	for id, at := range committed {
		took = append(took, time.Duration(seen[id]-at))
	}
	slices.Sort(took)
	fmt.Printf("commit to the receiver: p50 %v, p99 %v, longest %v\n", took[len(took)/2].Round(time.Microsecond),
		took[len(took)*99/100].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
	return nil
}

// cost enqueues many at once, and then posts as many without an engine.
func cost(ctx context.Context, s *store.Store, url string) error {
	began, used := time.Now(), cpu()
	for i := 0; i < *number; i += 100 {
		var list []store.HookDelivery
		for j := range 100 {
			list = append(list, delivery(i+j, url))
		}
		if err := enqueue(ctx, s, list...); err != nil {
			return err
		}
		sent += 100
	}
	stored := cpu() - used
	for {
		waiting, _, err := s.Deliveries(ctx, store.HookQuery{AccountID: "a", States: []store.HookState{store.HookWaiting}, Limit: 1})
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	took, engine := time.Since(began), cpu()-used
	if _, err := arrived(url, sent); err != nil {
		return err
	}
	per := func(seconds float64) float64 { return seconds * 1000 / float64(*number) }
	fmt.Printf("engine: %.3f CPU-s per 1,000 deliveries (%.3f when the last was enqueued), %.0f a second\n", per(engine), per(stored),
		float64(*number)/took.Seconds())
	began, used = time.Now(), cpu()
	if err := bare(url); err != nil {
		return err
	}
	took = time.Since(began)
	floor := cpu() - used
	fmt.Printf("bare client: %.3f CPU-s per 1,000 requests, %.0f a second\nengine / bare: %.1f\n", per(floor), float64(*number)/took.Seconds(), engine/floor)
	return nil
}

// bare posts the same bytes with net/http alone, as many at once as the engine may.
func bare(url string) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < *number; i += 8 {
				req, err := http.NewRequest("POST", url, bytes.NewReader(body))
				if err != nil {
					failed <- err
					return
				}
				req.Header.Set("Content-Type", "application/json; charset=UTF-8")
				req.Header.Set("webhook-id", "bare")
				req.Header.Set("webhook-signature", strings.Repeat("x", 47))
				answer, err := client.Do(req)
				if err != nil {
					failed <- err
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// cpu is what this process has used, in seconds.
func cpu() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}
