package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bugle/internal/bugletest"
)

// Every third contact is made and answered, every third is no number of the account, and every third is refused.
var contacts = []string{"1002", "1009", "2000"}

// asked is what the clients were told.
type asked struct {
	mu             sync.Mutex
	ids            map[string]bool // of the attempts that the API took
	refused, wrong int
	why            error
	took           []time.Duration
}

// history asks the program for rate connects a second over HTTP, half of them to somebody who answers, and compares its history
// with what was asked: every attempt is in it once, with what became of it.
func history(ctx context.Context, rate, seconds int) error {
	dir, err := os.MkdirTemp("", "bugle-connect")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	callee, stop, err := answering(dir)
	if err != nil {
		return err
	}
	defer stop()
	binary := filepath.Join(dir, "bugle")
	if err := bugletest.BuildProgram(ctx, binary); err != nil {
		return err
	}
	const key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	program, err := bugletest.StartProgram(ctx, bugletest.ProgramOptions{Path: binary, DataDir: filepath.Join(dir, "data"),
		Environment: []string{"BUGLE_API_KEY=" + key, "BUGLE_ADMIN_PASSWORD=" + key, "PATH=" + os.Getenv("PATH")},
		Arguments:   []string{"--log-level", "error", "--api-tokens", "1000000", "--api-tokens-per-second", "100000"}})
	if err != nil {
		return err
	}
	defer func() { _, _ = program.End(os.Interrupt) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	defer transport.CloseIdleConnections()
	api := bugletest.NewAPI("http://"+program.HTTP, &http.Client{Transport: transport, Timeout: 30 * time.Second})
	if err := api.LoginKey(ctx, key); err != nil {
		return err
	}
	path, err := furnish(ctx, api, callee)
	if err != nil {
		return err
	}
	told := &asked{ids: map[string]bool{}}
	ask(ctx, api, path, rate, rate*seconds, told)
	state, err := program.End(os.Interrupt) // with its calls over and all written
	if err != nil {
		return err
	}
	used := (state.UserTime() + state.SystemTime()).Seconds()
	again, err := bugletest.StartProgram(ctx, bugletest.ProgramOptions{Path: binary, DataDir: filepath.Join(dir, "data"),
		Environment: []string{"PATH=" + os.Getenv("PATH")}, Arguments: []string{"--api-tokens", "1000000"}})
	if err != nil {
		return err
	}
	defer func() { _, _ = again.End(os.Interrupt) }()
	api = bugletest.NewAPI("http://"+again.HTTP, nil)
	if err := api.LoginKey(ctx, key); err != nil {
		return err
	}
	return told.compare(ctx, api, path+"/history?page_size=500", rate*seconds, used)
}

// furnish makes two numbers that lead to callee, and the click-to-call.
func furnish(ctx context.Context, api *bugletest.API, callee string) (path string, err error) {
	type object = map[string]any
	for _, number := range []string{"1001", "1002"} {
		device, err := api.Create(ctx, api.Account("devices"), object{"name": number,
			"sip": object{"invite_format": "route", "route": "sip:" + number + "@" + callee}})
		if err != nil {
			return "", err
		}
		if _, err := api.Create(ctx, api.Account("callflows"), object{"numbers": []string{number},
			"flow": object{"module": "device", "data": object{"id": device}, "children": object{}}}); err != nil {
			return "", err
		}
	}
	id, err := api.Create(ctx, api.Account("clicktocall"), object{"name": "Bench", "extension": "1001", "whitelist": []string{"^100"}})
	return api.Account("clicktocall", id), err
}

// ask asks for count connects, and hangs up after a second on those that were made.
func ask(ctx context.Context, api *bugletest.API, path string, rate, count int, told *asked) {
	pace := time.NewTicker(time.Second / time.Duration(rate))
	defer pace.Stop()
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { one(ctx, api, path, contacts[i%len(contacts)], told) })
		<-pace.C
	}
	all.Wait()
}

func one(ctx context.Context, api *bugletest.API, path, contact string, told *asked) {
	var attempt struct{ ID string }
	began := time.Now()
	err := api.Do(ctx, http.MethodPost, path+"/connect", map[string]string{"contact": contact}, &attempt)
	took := time.Since(began)
	var refusal *bugletest.APIError
	told.mu.Lock()
	told.took = append(told.took, took)
	switch {
	case err == nil && contact != "2000":
		told.ids[attempt.ID] = true
	case contact == "2000" && errors.As(err, &refusal) && refusal.Status == http.StatusBadRequest:
		told.refused++
	default:
		told.wrong, told.why = told.wrong+1, fmt.Errorf("%s: %w", contact, err)
	}
	told.mu.Unlock()
	if err == nil && contact == "1002" {
		time.Sleep(talk)
		_ = api.Delete(ctx, path+"/connect/"+attempt.ID) // one that is over already is none to end
	}
}

// compare reads the history and holds it against what the clients were told.
func (a *asked) compare(ctx context.Context, api *bugletest.API, path string, count int, used float64) error {
	rows, err := api.List(ctx, path)
	if err != nil {
		return err
	}
	states, seen := map[string]int{}, map[string]bool{}
	for _, row := range rows {
		var item struct{ ID, State, Result string }
		if err := json.Unmarshal(row, &item); err != nil {
			return err
		}
		if seen[item.ID] {
			return fmt.Errorf("the attempt %s is in the history twice", item.ID)
		}
		seen[item.ID] = true
		states[item.State+"/"+item.Result]++
		if item.State != "refused" && !a.ids[item.ID] {
			return fmt.Errorf("the history has an attempt %s that nobody was told of", item.ID)
		}
	}
	for id := range a.ids {
		if !seen[id] {
			return fmt.Errorf("the attempt %s is not in the history", id)
		}
	}
	slices.Sort(a.took)
	fmt.Printf("asked %d, taken %d, refused %d, wrong answers %d (%v)\n", count, len(a.ids), a.refused, a.wrong, a.why)
	fmt.Printf("answered in %v (p50), %v (p99)\n", a.took[len(a.took)/2], a.took[len(a.took)*99/100])
	fmt.Printf("in the history after a restart: %d, %v\nCPU-seconds of the server per 1,000: %.2f\n", len(rows), states, used/float64(count)*1000)
	if len(rows) != count || a.wrong > 0 {
		return fmt.Errorf("%d of %d are in the history", len(rows), count)
	}
	return nil
}
