// Command subscriptions measures the webhook subscriptions of the RingCentral API in the whole program, beside a bare Go HTTP
// client that posts the same bytes in the same run: a thousand subscriptions and one change, one subscription and ten thousand
// changes, how long it is from a commit to the first byte at the receiver, and a site's new name that alters ten thousand contacts.
// Run it from the module's root: go run ./bench/subscriptions -h
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bugle/internal/bugletest"
)

var (
	where   = flag.String("store", "", "URL of an empty PostgreSQL database; empty: SQLite in a temporary directory")
	many    = flag.Int("subscriptions", 1000, "subscriptions that one change is told to")
	changes = flag.Int("changes", 10_000, "changes that one subscription is told of, and contacts of the site that is renamed")
	profile = flag.String("profile", "", "file for a CPU profile of the server while one change is told to many")
	receive = flag.Bool("receive", false, "be the receiver")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := measure
	if *receive {
		run = receiver
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "subscriptions:", err)
		os.Exit(1)
	}
}

// bench is a running program with one company and a receiver.
type bench struct {
	server *bugletest.Program
	api    *bugletest.API
	rc     *bugletest.RingCentral
	hook   *hook
	site   string
	users  []string
	round  int
}

const key = "76543210fedcba9876543210fedcba9876543210fedcba9876543210fedcba98"

func measure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bugle-bench-subscriptions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bugle")
	if err := bugletest.BuildProgram(ctx, binary); err != nil {
		return err
	}
	b := &bench{}
	const plenty = "1000000"
	arguments := []string{"--subscriptions-per-user", fmt.Sprint(*many + 1), "--ringcentral-rates", "light=" + plenty + ",medium=" + plenty + ",heavy=" + plenty + ",auth=" + plenty,
		"--api-tokens", plenty, "--api-tokens-per-second", plenty, "--log-level", "warn"}
	if *where != "" {
		arguments = append(arguments, "--store", *where, "--blob-dir", filepath.Join(dir, "blobs"))
	}
	if b.server, err = bugletest.StartProgram(ctx, bugletest.ProgramOptions{Path: binary, DataDir: filepath.Join(dir, "data"), Arguments: arguments,
		Environment: []string{"BUGLE_API_KEY=" + key, "HOME=" + dir}, Stderr: os.Stderr}); err != nil {
		return err
	}
	defer func() { _, _ = b.server.End(syscall.SIGTERM) }()
	if b.hook, err = startHook(ctx); err != nil {
		return err
	}
	defer b.hook.stop()
	for _, step := range []func(context.Context) error{b.found, b.control, b.latency, b.oneOfMany, b.manyOfOne, b.rename} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// found makes the company: everybody at one site.
func (b *bench) found(ctx context.Context) error {
	b.api = bugletest.NewAPI("http://"+b.server.HTTP, nil)
	if err := b.api.LoginKey(ctx, key); err != nil {
		return err
	}
	account, err := b.api.Create(ctx, "/accounts", map[string]any{"name": "Bench"})
	if err != nil {
		return err
	}
	b.api = b.api.For(account)
	if b.site, err = b.api.Create(ctx, b.api.Account("sites"), map[string]any{"name": "North"}); err != nil {
		return err
	}
	b.users = make([]string, *changes)
	if err := b.each(func(i int) (err error) {
		b.users[i], err = b.api.Create(ctx, b.api.Account("users"), map[string]any{"first_name": "Ann", "last_name": fmt.Sprint("Lee ", i), "department": "Sales",
			"email": fmt.Sprintf("ann%d@acme.example", i), "site_id": b.site})
		return err
	}); err != nil {
		return err
	}
	b.rc = bugletest.NewRingCentral("http://"+b.server.HTTP, nil)
	return b.rc.NewSubscriber(ctx, b.api, b.users[0])
}

// each does something for every user, eight at once.
func (b *bench) each(f func(i int) error) error {
	var group sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, 8)
	for range 8 {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(b.users); i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// renameAll gives every user a new first name, and returns what began the names.
func (b *bench) renameAll(ctx context.Context) (began string, err error) {
	b.round++
	began = fmt.Sprintf("R%d-", b.round)
	return began, b.each(func(i int) error { return b.renameUser(ctx, i, fmt.Sprint(began, i)) })
}

func (b *bench) renameUser(ctx context.Context, i int, name string) error {
	return b.api.Patch(ctx, b.api.Account("users", b.users[i]), map[string]any{"first_name": name})
}

// quiet waits until the server has nothing left to do: it uses next to no CPU.
func (b *bench) quiet(ctx context.Context) error {
	for ctx.Err() == nil {
		used := b.cpu()
		time.Sleep(300 * time.Millisecond)
		if b.cpu()-used < 0.015 {
			return nil
		}
	}
	return ctx.Err()
}

// control is what the changes cost that nobody is told of.
func (b *bench) control(ctx context.Context) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	began, used := time.Now(), b.cpu()
	if _, err := b.renameAll(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	if err := b.quiet(ctx); err != nil {
		return err
	}
	fmt.Printf("%d changes, nobody is told: %v, %.3f CPU-s per 1,000 changes\n", *changes, took.Round(time.Millisecond), per(b.cpu()-used, *changes))
	return nil
}

func per(seconds float64, n int) float64 { return seconds * 1000 / float64(n) }

// latency changes one contact after the other, 20 a second, with one subscription.
func (b *bench) latency(ctx context.Context) error {
	if _, err := b.rc.Hook(ctx, b.hook.url("one")); err != nil {
		return err
	}
	n := min(500, *changes)
	answered := map[string]time.Time{}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		name := fmt.Sprint("L", i)
		if err := b.renameUser(ctx, i, name); err != nil {
			return err
		}
		answered[name] = time.Now()
		<-tick.C
	}
	seen, err := b.hook.until(ctx, n)
	if err != nil {
		return err
	}
	began, err := b.transactions(ctx)
	if err != nil {
		return err
	}
	var afterAnswer, afterBegin []time.Duration
	for name, at := range answered {
		first := time.Unix(0, seen.Names[name].First)
		afterAnswer, afterBegin = append(afterAnswer, first.Sub(at)), append(afterBegin, first.Sub(began[name]))
	}
	fmt.Printf("a change to the first byte at the receiver: %s after the API's answer, %s after its transaction began\n", spread(afterAnswer), spread(afterBegin))
	return nil
}

// spread is the median and the 99th percentile.
func spread(list []time.Duration) string {
	slices.Sort(list)
	return fmt.Sprintf("p50 %v, p99 %v", list[len(list)/2].Round(10*time.Microsecond), list[len(list)*99/100].Round(10*time.Microsecond))
}

// transactions are when the changes began by which contacts got their names.
func (b *bench) transactions(ctx context.Context) (map[string]time.Time, error) {
	out, after := map[string]time.Time{}, "0"
	for {
		var page struct {
			Changes []struct {
				At      time.Time `json:"iso_8601"`
				Contact struct {
					Name string `json:"first_name"`
				}
			}
			Cursor string
			More   bool
		}
		if err := b.api.Do(ctx, "GET", b.api.Account("directory", "changes")+"?after="+after, nil, &page); err != nil {
			return nil, err
		}
		for _, c := range page.Changes {
			out[c.Contact.Name] = c.At
		}
		if after = page.Cursor; !page.More {
			return out, nil
		}
	}
}

// manyOfOne has one subscription told of many changes.
func (b *bench) manyOfOne(ctx context.Context) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	if _, err := b.hook.until(ctx, 0); err != nil {
		return err
	}
	began, used := time.Now(), b.cpu()
	if _, err := b.renameAll(ctx); err != nil {
		return err
	}
	edited := time.Since(began)
	seen, err := b.hook.until(ctx, *changes)
	if err != nil {
		return err
	}
	took := time.Unix(0, seen.Last).Sub(began)
	if err := b.quiet(ctx); err != nil {
		return err
	}
	fmt.Printf("1 subscription, %d changes: %d requests, the last %v after the first change (the API answered for %v), %.3f CPU-s per 1,000 changes, the changes themselves with it\n",
		seen.Contacts, seen.Requests, took.Round(time.Millisecond), edited.Round(time.Millisecond), per(b.cpu()-used, seen.Contacts))
	return nil
}

// oneOfMany has many subscriptions told of one change, and then posts as much without bugle.
func (b *bench) oneOfMany(ctx context.Context) error {
	began := time.Now()
	for i := 1; i < *many; i++ {
		if _, err := b.rc.Hook(ctx, b.hook.url(fmt.Sprint("many", i))); err != nil {
			return err
		}
	}
	fmt.Printf("%d subscriptions made in %v\n", *many-1, time.Since(began).Round(time.Millisecond))
	const times = 5
	var engine, bare float64
	profiled := make(chan error, 1)
	go func() { profiled <- b.profiled(ctx) }()
	for i := range times {
		if err := b.quiet(ctx); err != nil {
			return err
		}
		if _, err := b.hook.until(ctx, 0); err != nil {
			return err
		}
		began, used := time.Now(), b.cpu()
		if err := b.renameUser(ctx, 0, fmt.Sprint("M", i)); err != nil {
			return err
		}
		seen, err := b.hook.until(ctx, *many)
		if err != nil {
			return err
		}
		if err := b.quiet(ctx); err != nil {
			return err
		}
		engine += b.cpu() - used
		fmt.Printf("%d subscriptions, one change: %d requests, the first after %v, the last after %v, %.3f CPU-s per 1,000\n", *many, seen.Requests,
			time.Unix(0, seen.First).Sub(began).Round(time.Millisecond), time.Unix(0, seen.Last).Sub(began).Round(time.Millisecond), per(b.cpu()-used, *many))
		if used, err = post(b.hook.url("bare"), seen.Body, *many); err != nil {
			return err
		}
		bare += used
	}
	if err := <-profiled; err != nil {
		return err
	}
	fmt.Printf("in all %.3f CPU-s per 1,000 deliveries, a bare client %.3f; %.1f times\n", per(engine, times**many), per(bare, times**many), engine/bare)
	// One goes on.
	var list struct{ Records []struct{ ID string } }
	if err := b.rc.Do(ctx, "GET", "/restapi/v1.0/subscription", nil, &list); err != nil {
		return err
	}
	for _, s := range list.Records[1:] {
		if err := b.rc.Do(ctx, "DELETE", "/restapi/v1.0/subscription/"+s.ID, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// profiled keeps a CPU profile of some seconds of the server.
func (b *bench) profiled(ctx context.Context) error {
	if *profile == "" {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.server.Admin+"/debug/pprof/profile?seconds=8", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(*profile, text, 0o600)
}

// rename gives the site of everybody a new name.
func (b *bench) rename(ctx context.Context) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	if _, err := b.hook.until(ctx, 0); err != nil {
		return err
	}
	began, used := time.Now(), b.cpu()
	if err := b.api.Patch(ctx, b.api.Account("sites", b.site), map[string]any{"name": "South"}); err != nil {
		return err
	}
	seen, err := b.hook.until(ctx, *changes)
	if err != nil {
		return err
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	fmt.Printf("a site's new name: %d contacts in %d requests, the first after %v, the last after %v, %.3f CPU-s per 1,000 contacts\n", seen.Contacts, seen.Requests,
		time.Unix(0, seen.First).Sub(began).Round(time.Millisecond), time.Unix(0, seen.Last).Sub(began).Round(time.Millisecond), per(b.cpu()-used, seen.Contacts))
	return nil
}

// cpu is what the server has used, in seconds.
func (b *bench) cpu() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.server.PID))
	if err != nil {
		return 0
	}
	var user, system int64 // the 14th and 15th field; the second, in brackets, may have spaces
	rest := text[slices.Index(text, ')')+1:]
	var skip string
	if _, err := fmt.Sscan(string(rest), &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &user, &system); err != nil {
		return 0
	}
	return float64(user+system) / 100
}

func self(arguments ...string) *exec.Cmd { return exec.Command(os.Args[0], arguments...) }
