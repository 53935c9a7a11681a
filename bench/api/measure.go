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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bugle/internal/bugletest"
)

type options struct {
	store                   string
	users, clients, seconds int
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
	answers map[string][]byte // the last one of each work
}

func measure(ctx context.Context, o options) (err error) {
	b := &bench{options: o, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		answers: map[string][]byte{}}
	if b.dir, err = os.MkdirTemp("", "bugle-bench-api"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.start(ctx); err != nil {
		return err
	}
	took, err := b.api(ctx)
	_, ended := b.server.End(syscall.SIGTERM)
	if err := errors.Join(err, ended); err != nil {
		return err
	}
	return b.floors(ctx, took)
}

// The works that have a floor.
const (
	listing  = "list 50 users"
	creating = "PUT user"
	patching = "PATCH callflow"
)

// api loads the server and returns the CPU-seconds of 1,000 requests of each work.
func (b *bench) api(ctx context.Context) (map[string]float64, error) {
	if err := b.company(ctx); err != nil {
		return nil, err
	}
	fmt.Printf("%-34s %12s %12s %16s\n", "work", "requests/s", "ms each", "CPU-s per 1,000")
	sum := md5.Sum([]byte("bench:bench"))
	users := "/v2/accounts/" + b.account + "/users"
	took := map[string]float64{}
	for _, work := range []struct {
		name, verb, path string
		body             func(n int64) string
		clients          int
	}{
		{name: "GET one user", verb: "GET", path: users + "/" + b.user},
		{name: listing, verb: "GET", path: users},
		{name: "list 50 users, filtered", verb: "GET", path: users + "?filter_timezone=Europe%2FWarsaw"},
		{name: creating, verb: "PUT", path: users, body: person},
		{name: patching, verb: "PATCH", path: "/v2/accounts/" + b.account + "/callflows/" + b.flow, clients: 1,
			body: func(n int64) string { return fmt.Sprintf(`{"ui_metadata":{"n":%d}}`, n) }},
		{name: "user_auth", verb: "PUT", path: "/v2/user_auth", body: func(int64) string {
			return `{"account_name":"Bench","credentials":"` + hex.EncodeToString(sum[:]) + `"}`
		}},
	} {
		clients := work.clients
		if clients == 0 {
			clients = b.clients
		}
		cpu, err := b.load(ctx, work.name, clients, func() (float64, error) { return processCPU(b.server.PID) }, func(n int64) error {
			body := ""
			if work.body != nil {
				body = `{"data":` + work.body(n) + `}`
			}
			answer, err := b.ask(ctx, work.verb, work.path, body)
			if n == 1 {
				b.answers[work.name] = answer.raw
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		took[work.name] = cpu
	}
	return took, nil
}

func (b *bench) start(ctx context.Context) error {
	binary := filepath.Join(b.dir, "bugle")
	if err := bugletest.BuildProgram(ctx, binary); err != nil {
		return err
	}
	arguments := []string{"--api-tokens", "1000000000", "--api-tokens-per-second", "1000000000", "--api-anonymous-per-minute", "1000000000"}
	if b.store != "" {
		arguments = append(arguments, "--store", b.store, "--blob-dir", filepath.Join(b.dir, "blobs"))
	}
	var err error
	b.server, err = bugletest.StartProgram(ctx, bugletest.ProgramOptions{Path: binary, DataDir: filepath.Join(b.dir, "data"),
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

// load runs one work from some clients for the time that was asked for, prints a line and returns the CPU-seconds of
// 1,000.
func (b *bench) load(ctx context.Context, name string, clients int, cpu func() (float64, error), work func(n int64) error) (float64, error) {
	before, err := cpu()
	if err != nil {
		return 0, err
	}
	var n atomic.Int64
	began := time.Now()
	until := began.Add(time.Duration(b.seconds) * time.Second)
	err = together(clients, func() error {
		for time.Now().Before(until) {
			if err := work(n.Add(1)); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	took := time.Since(began).Seconds()
	after, err2 := cpu()
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	done := float64(n.Load())
	each := (after - before) / done * 1000
	fmt.Printf("%-34s %12.0f %12.2f %16.3f\n", name, done/took, took*1000*float64(clients)/done, each)
	return each, nil
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
