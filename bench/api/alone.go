package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/event"
	"bugle/internal/store"
)

// place is the database that the floor opens, and what is in it.
type place struct{ Store, File, Account, Flow string }

// task is one work of one round; outcome is what it took.
type task struct {
	Work             string
	Clients, Seconds int
	Rate             float64 // a second; 0: as many as there can be
	Profile          string  // file for a CPU profile; "" for none
}

type outcome struct {
	Done      int64
	Took, CPU float64 // seconds
}

// each is the CPU-seconds of 1,000.
func (o outcome) each() float64 { return o.CPU / float64(o.Done) * 1000 }

// beAlone is the store's own work in this process: with a server's cache, all of a server that follows the log of its own
// accord and its setting of the collector, and nothing else. It reads a place and then tasks, and writes an outcome for each,
// the first when it is ready.
func beAlone(ctx context.Context, in io.Reader, out io.Writer) error {
	debug.SetGCPercent(300)
	tasks, outcomes := json.NewDecoder(in), json.NewEncoder(out)
	var at place
	if err := tasks.Decode(&at); err != nil {
		return err
	}
	s, err := at.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	cache := store.NewCache(s, store.CacheOptions{})
	defer cache.Close()
	if err := cache.Warm(ctx, crossbar.TypeAccount, crossbar.TypeCallflow, crossbar.TypeUser, crossbar.TypeDevice,
		crossbar.TypeDirectory, crossbar.TypeMenu, crossbar.TypeMedia, crossbar.TypeGroup); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	directories := event.NewDirectories(s, quiet, func(v any) { panic(v) })
	position, err := directories.Load(ctx)
	if err != nil {
		return err
	}
	follower := event.Follow(event.Options{Log: s, After: position, Name: "directories", Logger: quiet, Handle: directories.Apply,
		Lost: directories.Load, IsLost: func(err error) bool { return errors.Is(err, store.ErrSwept) },
		OnPanic: func(v any) { panic(v) }})
	defer follower.Close()
	projector := event.Project(event.ProjectorOptions{Store: s, Logger: quiet, OnPanic: func(v any) { panic(v) }})
	defer projector.Close()
	works, err := at.works(ctx, s)
	if err != nil {
		return err
	}
	if err := outcomes.Encode(outcome{}); err != nil {
		return err
	}
	for {
		var t task
		if err := tasks.Decode(&t); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		o, err := t.do(ctx, works[t.Work])
		if err == nil {
			err = outcomes.Encode(o)
		}
		if err != nil {
			return err
		}
	}
}

func (t task) do(ctx context.Context, work func(n int64) error) (o outcome, err error) {
	if t.Profile != "" {
		file, err := os.Create(t.Profile)
		if err != nil {
			return o, err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return o, err
		}
		defer pprof.StopCPUProfile()
	}
	return load(ctx, t, func() (float64, error) { return processCPU(os.Getpid()) }, work)
}

func (at place) open(ctx context.Context) (*store.Store, error) {
	if at.Store != "" {
		return store.OpenPostgres(ctx, at.Store, store.Options{})
	}
	return store.OpenSQLite(ctx, filepath.Clean(at.File), store.Options{})
}

// works are what the store does for each work of the server, and nothing besides.
func (at place) works(ctx context.Context, s *store.Store) (map[string]func(n int64) error, error) {
	page := store.Query{AccountID: at.Account, Type: crossbar.TypeUser, Limit: 50}
	models, _, err := s.List(ctx, store.Query{AccountID: at.Account, Type: crossbar.TypeUser, Limit: 1000})
	if err != nil {
		return nil, err
	}
	return map[string]func(n int64) error{
		listing: func(int64) error {
			docs, _, err := s.List(ctx, page)
			if err == nil && len(docs) != 50 {
				err = fmt.Errorf("a list of %d", len(docs))
			}
			return err
		},
		creating: func(n int64) error {
			d := models[n%int64(len(models))] // with its keys, indexes, sort key and private part
			d.ID, d.Created, d.Body = bugle.NewID(), time.Time{}, numbered(d.Body, n)
			d.Keys = nil // none of them has one: they have no username
			return s.Write(ctx, func(tx *store.Tx) error { return tx.Put(&d, "") })
		},
		patching: func(n int64) error {
			return s.Write(ctx, func(tx *store.Tx) error {
				d, err := tx.Get(at.Account, crossbar.TypeCallflow, at.Flow)
				if err != nil {
					return err
				}
				if strings.HasPrefix(string(d.Body), `{"a":`) {
					d.Body = append(json.RawMessage{'{'}, d.Body[strings.IndexByte(string(d.Body), ',')+1:]...)
				}
				d.Body = numbered(d.Body, n)
				return tx.Put(&d, d.Rev)
			})
		},
	}, nil
}

// numbered is a document with one more key.
func numbered(body json.RawMessage, n int64) json.RawMessage {
	return append(append(json.RawMessage(`{"a":`), strconv.FormatInt(n, 10)+`,`...), body[1:]...)
}
