package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/event"
	"bugle/internal/store"
)

// floors measures what nothing above the store, and nothing above HTTP, would take for the same work, and compares.
func (b *bench) floors(ctx context.Context, api map[string]float64) error {
	own, err := b.storeAlone(ctx)
	if err != nil {
		return err
	}
	http := map[string]float64{}
	for _, work := range [...]string{listing, creating, patching} {
		if http[work], err = b.httpAlone(ctx, work); err != nil {
			return err
		}
	}
	fmt.Printf("\n%-34s %14s %14s %14s %6s\n", "times the store's own", "with HTTP", "HTTP counted ¹", "without HTTP", "aim")
	for _, work := range [...]struct {
		name string
		aim  float64
	}{{listing, 2}, {creating, 1.5}, {patching, 1.5}} {
		floor := own[work.name]
		fmt.Printf("%-34s %14.2f %14.2f %14.2f %6.1f\n", work.name, api[work.name]/floor,
			api[work.name]/(floor+http[work.name]), (api[work.name]-http[work.name])/floor, work.aim)
	}
	fmt.Println("\n¹ in the floor too")
	return nil
}

// storeAlone is the store's own work in this process: on the database that the server has left, with its cache, all that
// follows its log and its setting of the collector.
func (b *bench) storeAlone(ctx context.Context) (map[string]float64, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(300))
	s, err := b.reopen(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	cache := store.NewCache(s, store.CacheOptions{})
	defer cache.Close()
	if err := cache.Warm(ctx, crossbar.TypeAccount, crossbar.TypeCallflow, crossbar.TypeUser, crossbar.TypeDevice,
		crossbar.TypeDirectory, crossbar.TypeMenu, crossbar.TypeMedia, crossbar.TypeGroup); err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	directories := event.NewDirectories(s, quiet, func(v any) { panic(v) })
	position, err := directories.Load(ctx)
	if err != nil {
		return nil, err
	}
	follower := event.Follow(event.Options{Log: s, After: position, Name: "directories", Logger: quiet, Handle: directories.Apply,
		Lost: directories.Load, IsLost: func(err error) bool { return errors.Is(err, store.ErrSwept) },
		OnPanic: func(v any) { panic(v) }})
	defer follower.Close()
	projector := event.Project(event.ProjectorOptions{Store: s, Logger: quiet, OnPanic: func(v any) { panic(v) }})
	defer projector.Close()

	page := store.Query{AccountID: b.account, Type: crossbar.TypeUser, Limit: 50}
	models, _, err := s.List(ctx, store.Query{AccountID: b.account, Type: crossbar.TypeUser, Limit: 1000})
	if err != nil {
		return nil, err
	}
	mine := func() (float64, error) { return processCPU(os.Getpid()) }
	out := map[string]float64{}
	for _, work := range [...]struct {
		name, of string
		clients  int
		do       func(n int64) error
	}{
		{"the store's own list of 50", listing, b.clients, func(int64) error {
			docs, _, err := s.List(ctx, page)
			if err == nil && len(docs) != 50 {
				err = fmt.Errorf("a list of %d", len(docs))
			}
			return err
		}},
		{"the store's own new user", creating, b.clients, func(n int64) error {
			d := models[n%int64(len(models))] // with its keys, indexes, sort key and private part
			d.ID, d.Created, d.Body = bugle.NewID(), time.Time{}, numbered(d.Body, n)
			d.Keys = nil // none of them has one: they have no username
			return s.Write(ctx, func(tx *store.Tx) error { return tx.Put(&d, "") })
		}},
		{"the store's own edit of a callflow", patching, 1, func(n int64) error {
			return s.Write(ctx, func(tx *store.Tx) error {
				d, err := tx.Get(b.account, crossbar.TypeCallflow, b.flow)
				if err != nil {
					return err
				}
				rev := d.Rev
				if n > 1 {
					d.Body = append(json.RawMessage{'{'}, d.Body[strings.IndexByte(string(d.Body), ',')+1:]...)
				}
				d.Body = numbered(d.Body, n)
				return tx.Put(&d, rev)
			})
		}},
	} {
		if out[work.of], err = b.load(ctx, work.name, work.clients, mine, work.do); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// reopen opens the database of the server, which has ended.
func (b *bench) reopen(ctx context.Context) (*store.Store, error) {
	if b.store != "" {
		return store.OpenPostgres(ctx, b.store, store.Options{})
	}
	return store.OpenSQLite(ctx, filepath.Join(b.dir, "data", "bugle.db"), store.Options{})
}

// numbered is a document with one more key.
func numbered(body json.RawMessage, n int64) json.RawMessage {
	return append(append(json.RawMessage(`{"a":`), strconv.FormatInt(n, 10)+`,`...), body[1:]...)
}

// httpAlone is what an HTTP server takes, in a process of its own, that reads the same requests and answers the same
// bytes.
func (b *bench) httpAlone(ctx context.Context, work string) (cpu float64, err error) {
	file := filepath.Join(b.dir, "answer")
	if err := os.WriteFile(file, b.answers[work], 0o600); err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := exec.CommandContext(ctx, self, "-answer", file)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return 0, err
	}
	defer func() {
		cancel()
		_ = server.Wait() // killed
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, err
	}
	verb, body, clients := http.MethodGet, "", b.clients
	switch work {
	case creating:
		verb, body = http.MethodPut, `{"data":`+person(1)+`}`
	case patching:
		verb, body, clients = http.MethodPatch, `{"data":{"ui_metadata":{"n":1}}}`, 1
	}
	return b.load(ctx, "HTTP alone: "+work, clients, func() (float64, error) { return processCPU(server.Process.Pid) },
		func(int64) error {
			_, err := b.askAt(ctx, strings.TrimSpace(address), verb, "/v2/accounts/"+b.account+"/users", body)
			return err
		})
}

// answerAll is that server.
func answerAll(ctx context.Context, file string) error {
	debug.SetGCPercent(300)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text)
	})}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
