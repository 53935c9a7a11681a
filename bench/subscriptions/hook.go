package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// seen is what the receiver was sent since it was asked last.
type seen struct {
	Requests, Contacts int
	First, Last        int64 // when the first byte of the first and the last request came, in Unix nanoseconds
	Names              map[string]arrival
	Body               []byte // of one request
}

// arrival is when a contact of a first name came first.
type arrival struct{ First int64 }

// receiver is a webhook. GET tells and forgets what it was sent; ?keep=1 only tells how much.
func receiver(ctx context.Context) error {
	var mu sync.Mutex
	now := seen{Names: map[string]arrival{}}
	began := sync.Map{} // when a connection's request began, by connection
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	type connKey struct{}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateActive { // which it is with the first byte
				began.Store(c, time.Now().UnixNano())
			}
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if token := r.Header.Get("Validation-Token"); token != "" {
				w.Header().Set("Validation-Token", token)
				return
			}
			if r.Method == http.MethodGet {
				mu.Lock()
				defer mu.Unlock()
				if r.URL.Query().Get("keep") != "" {
					_ = json.NewEncoder(w).Encode(seen{Requests: now.Requests, Contacts: now.Contacts})
					return
				}
				_ = json.NewEncoder(w).Encode(now)
				now = seen{Names: map[string]arrival{}}
				return
			}
			body, _ := io.ReadAll(r.Body)
			if r.URL.Path == "/bare" {
				return
			}
			value, _ := began.Load(r.Context().Value(connKey{}))
			at, _ := value.(int64)
			mu.Lock()
			defer mu.Unlock()
			now.add(at, body)
		}),
	}
	return server.Serve(l)
}

func (s *seen) add(at int64, body []byte) {
	var n struct {
		Body struct{ Contacts []struct{ FirstName string } }
	}
	if json.Unmarshal(body, &n) != nil {
		return
	}
	s.Requests++
	s.Contacts += len(n.Body.Contacts)
	if s.First == 0 || at < s.First {
		s.First = at
	}
	s.Last, s.Body = max(s.Last, at), body
	for _, c := range n.Body.Contacts {
		if a, known := s.Names[c.FirstName]; !known || at < a.First {
			s.Names[c.FirstName] = arrival{at}
		}
	}
}

// hook is the receiver's process.
type hook struct {
	cmd     *exec.Cmd
	address string
}

func startHook(context.Context) (*hook, error) {
	h := &hook{cmd: self("-receive")}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	_, err = fmt.Fscanln(out, &h.address)
	return h, err
}

func (h *hook) stop() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

func (h *hook) url(path string) string { return "http://" + h.address + "/" + path }

// until waits until contacts were told of, and returns and forgets all that came.
func (h *hook) until(ctx context.Context, contacts int) (seen, error) {
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		had, err := h.ask(ctx, "?keep=1")
		if err != nil {
			return had, err
		}
		if had.Contacts >= contacts {
			return h.ask(ctx, "")
		}
		if time.Now().After(deadline) {
			return had, fmt.Errorf("%d of %d contacts were told of", had.Contacts, contacts)
		}
	}
}

func (h *hook) ask(ctx context.Context, query string) (s seen, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url(query), nil)
	if err != nil {
		return s, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	return s, json.NewDecoder(answer.Body).Decode(&s)
}

// post posts the same bytes as often with net/http alone, as many at once as connections are kept, and returns the CPU-seconds.
func post(url string, body []byte, n int) (float64, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	before := used()
	var group sync.WaitGroup
	failed := make(chan error, 8)
	for w := range 8 {
		group.Go(func() {
			for i := w; i < n; i += 8 {
				request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
				if err == nil {
					request.Header.Set("Content-Type", "application/json; charset=UTF-8")
					request.Header.Set("webhook-id", "bare")
					request.Header.Set("webhook-signature", strings.Repeat("x", 47))
					var answer *http.Response
					if answer, err = client.Do(request); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						answer.Body.Close()
					}
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, errors.Join(errors.New("the bare client"), err)
	default:
		return used() - before, nil
	}
}

// used is what this process has used, in seconds.
func used() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}
