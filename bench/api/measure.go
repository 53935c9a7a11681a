package main

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bugle/internal/bugletest"
)

type options struct {
	store, profiles                 string
	users, clients, seconds, rounds int
}

const apiKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// bench is a running server with an account of many users.
type bench struct {
	options
	dir     string
	server  *bugletest.Program
	http    *http.Client
	token   string
	account string
	user    string
	flow    string
	answers map[string][]byte // the first one of each work
}

func measure(ctx context.Context, o options) (err error) {
	b := &bench{options: o, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		answers: map[string][]byte{}}
	if b.dir, err = os.MkdirTemp("", "bugle-bench-api"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := bugletest.BuildProgram(ctx, filepath.Join(b.dir, "bugle")); err != nil {
		return err
	}
	err = b.served(ctx, b.company)
	if err != nil {
		return err
	}
	f, err := b.startFloor(ctx)
	if err == nil {
		err = errors.Join(b.served(ctx, func(ctx context.Context) error {
			if err := b.others(ctx); err != nil {
				return err
			}
			return b.compare(ctx, f)
		}), f.end())
	}
	return errors.Join(err, b.dropCopy(context.WithoutCancel(ctx)))
}

// served runs do while the server runs.
func (b *bench) served(ctx context.Context, do func(context.Context) error) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	err := do(ctx)
	_, ended := b.server.End(syscall.SIGTERM)
	return errors.Join(err, ended)
}

// The works that have a floor.
const (
	listing  = "list 50 users"
	creating = "PUT user"
	patching = "PATCH callflow"
)

// work is what clients ask for again and again.
type work struct {
	name, verb, path string
	clients          int
	body             func(n int64) string // nil: none
}

func (w work) text(n int64) string {
	if w.body == nil {
		return ""
	}
	return `{"data":` + w.body(n) + `}`
}

// file is its name as a part of a file's.
func (w work) file() string { return strings.NewReplacer(" ", "-", ",", "").Replace(w.name) }

func (b *bench) works() []work {
	sum := md5.Sum([]byte("bench:bench"))
	users := "/v2/accounts/" + b.account + "/users"
	return []work{
		{name: "GET one user", verb: "GET", path: users + "/" + b.user, clients: b.clients},
		{name: listing, verb: "GET", path: users, clients: b.clients},
		{name: "list 50 users, filtered", verb: "GET", path: users + "?filter_timezone=Europe%2FWarsaw", clients: b.clients},
		{name: creating, verb: "PUT", path: users, body: person, clients: b.clients},
		{name: patching, verb: "PATCH", path: "/v2/accounts/" + b.account + "/callflows/" + b.flow, clients: 1,
			body: func(n int64) string { return fmt.Sprintf(`{"ui_metadata":{"n":%d}}`, n) }},
		{name: "user_auth", verb: "PUT", path: "/v2/user_auth", clients: b.clients, body: func(int64) string {
			return `{"account_name":"Bench","credentials":"` + hex.EncodeToString(sum[:]) + `"}`
		}},
	}
}

func (b *bench) work(name string) work {
	works := b.works()
	return works[slices.IndexFunc(works, func(w work) bool { return w.name == name })]
}

// others measures the works that have no floor.
func (b *bench) others(ctx context.Context) error {
	fmt.Printf("%-34s %12s %12s %16s\n", "work", "requests/s", "ms each", "CPU-s per 1,000")
	for _, w := range b.works() {
		if w.name == listing || w.name == creating || w.name == patching {
			continue
		}
		o, err := b.serve(ctx, w, 0)
		if err != nil {
			return err
		}
		fmt.Printf("%-34s %12.0f %12.2f %16.3f\n", w.name, float64(o.Done)/o.Took, o.Took*1000*float64(w.clients)/float64(o.Done), o.each())
	}
	return nil
}

// serve has the server do a work; the first round takes a profile when one is wanted.
func (b *bench) serve(ctx context.Context, w work, round int) (o outcome, err error) {
	profiled := make(chan error, 1)
	go func() {
		if b.profiles == "" || round > 0 {
			profiled <- nil
		} else {
			profiled <- b.profile(ctx, filepath.Join(b.profiles, "server-"+w.file()+".pprof"))
		}
	}()
	o, err = load(ctx, task{Clients: w.clients, Seconds: b.seconds}, func() (float64, error) { return processCPU(b.server.PID) },
		func(n int64) error {
			answer, err := b.ask(ctx, w.verb, w.path, w.text(n))
			if n == 1 {
				b.answers[w.name] = answer.raw
			}
			return err
		})
	return o, errors.Join(err, <-profiled)
}

func (b *bench) profile(ctx context.Context, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", b.server.Admin, b.seconds), nil)
	if err != nil {
		return err
	}
	answer, err := b.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, answer.Body)
	return errors.Join(err, file.Close())
}

func (b *bench) start(ctx context.Context) error {
	arguments := []string{"--api-tokens", "1000000000", "--api-tokens-per-second", "1000000000", "--api-anonymous-per-minute", "1000000000"}
	if b.store != "" {
		arguments = append(arguments, "--store", b.store, "--blob-dir", filepath.Join(b.dir, "blobs"))
	}
	var err error
	b.server, err = bugletest.StartProgram(ctx, bugletest.ProgramOptions{Path: filepath.Join(b.dir, "bugle"), DataDir: filepath.Join(b.dir, "data"),
		Environment: []string{"BUGLE_API_KEY=" + apiKey, "HOME=" + b.dir}, Arguments: arguments})
	return err
}

// person is a user as a company has them; every tenth is in Warsaw.
func person(n int64) string {
	zone := "Europe/Berlin"
	if n%10 == 0 {
		zone = "Europe/Warsaw"
	}
	return fmt.Sprintf(`{"first_name":"First%d","last_name":"Last%d","email":"u%d@bench.example.com","timezone":"%s",`+
		`"caller_id":{"internal":{"name":"First%d Last%d","number":"%d"}},"ui_metadata":{"origin":"bench"}}`, n, n*7919%10007, n, zone, n, n, n)
}

func (b *bench) company(ctx context.Context) error {
	login, err := b.ask(ctx, "PUT", "/v2/api_auth", `{"data":{"api_key":"`+apiKey+`"}}`)
	if err != nil {
		return err
	}
	b.token = login.AuthToken
	account, err := b.ask(ctx, "PUT", "/v2/accounts", `{"data":{"name":"Bench","realm":"bench.example.com"}}`)
	if err != nil {
		return err
	}
	b.account = account.Data.ID
	base := "/v2/accounts/" + b.account
	user, err := b.ask(ctx, "PUT", base+"/users", `{"data":{"first_name":"Bench","username":"bench","password":"bench","priv_level":"admin"}}`)
	if err != nil {
		return err
	}
	b.user = user.Data.ID
	flow, err := b.ask(ctx, "PUT", base+"/callflows", `{"data":{"numbers":["1000"],"flow":{"module":"user","data":{"id":"`+b.user+`"}}}}`)
	if err != nil {
		return err
	}
	b.flow = flow.Data.ID
	var next atomic.Int64
	return together(8, func() error {
		for n := next.Add(1); n <= int64(b.users) && ctx.Err() == nil; n = next.Add(1) {
			if _, err := b.ask(ctx, "PUT", base+"/users", `{"data":`+person(n)+`}`); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

type envelope struct {
	raw       json.RawMessage
	AuthToken string `json:"auth_token"`
	Data      struct {
		ID string `json:"id"`
	} `json:"data"`
}

// ask sends one request; what a GET answers is read and not looked at.
func (b *bench) ask(ctx context.Context, verb, path, body string) (envelope, error) {
	return b.askAt(ctx, b.server.HTTP, verb, path, body)
}

func (b *bench) askAt(ctx context.Context, address, verb, path, body string) (out envelope, err error) {
	r, err := http.NewRequestWithContext(ctx, verb, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return out, err
	}
	r.Header.Set("X-Auth-Token", b.token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := b.http.Do(r)
	if err != nil {
		return out, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return out, err
	}
	if answer.StatusCode >= 300 {
		return out, fmt.Errorf("%s %s: %s %.300s", verb, path, answer.Status, text)
	}
	if verb == http.MethodPut {
		err = json.Unmarshal(text, &out)
	}
	out.raw = text
	return out, err
}

// load has some clients do one thing for a time, at a rate when there is one: the nth begins no earlier than it is due.
func load(ctx context.Context, t task, cpu func() (float64, error), do func(n int64) error) (o outcome, err error) {
	before, err := cpu()
	if err != nil {
		return o, err
	}
	var n atomic.Int64
	began := time.Now()
	until := began.Add(time.Duration(t.Seconds) * time.Second)
	err = together(t.Clients, func() error {
		for time.Now().Before(until) && ctx.Err() == nil {
			this := n.Add(1)
			if t.Rate > 0 {
				time.Sleep(time.Until(began.Add(time.Duration(float64(this-1) / t.Rate * float64(time.Second)))))
			}
			if err := do(this); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	took := time.Since(began).Seconds()
	after, err2 := cpu()
	return outcome{Done: n.Load(), Took: took, CPU: after - before}, errors.Join(err, err2)
}

func together(clients int, work func() error) error {
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { errs[i] = work() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// processCPU returns the user and system seconds of a process, from /proc.
func processCPU(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, stat)
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, errors.Join(err, err2)
}
