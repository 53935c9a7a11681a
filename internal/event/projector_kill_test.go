package event_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bugle/internal/contact"
	"bugle/internal/event"
	"bugle/internal/store"
	"bugle/internal/store/pgtest"
)

func openAt(where string) (*store.Store, error) {
	if store.IsPostgres(where) {
		return store.OpenPostgres(context.Background(), where, store.Options{})
	}
	return store.OpenSQLite(context.Background(), where, store.Options{})
}

// writerMain edits from two goroutines beside a projector, one line for each edit, until it is killed.
func writerMain(where string) int {
	s, err := openAt(where)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	event.Project(event.ProjectorOptions{Store: s, Batch: 3})
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			e := &editor{s, func(_ string, n int) int { return rand.IntN(n) }}
			for {
				if err := e.edit(); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				if _, err := os.Stdout.WriteString("edited\n"); err != nil {
					return
				}
			}
		})
	}
	writers.Wait()
	return 1
}

func TestProjectorKilled(t *testing.T) {
	t.Parallel()
	killAgainAndAgain(t, filepath.Join(t.TempDir(), "bugle.db"), 6)
}

func TestProjectorKilledOnPostgres(t *testing.T) {
	t.Parallel()
	killAgainAndAgain(t, pgtest.URL(t), 4)
}

// killAgainAndAgain kills a server that edits and projects at random moments: the next one projects what is left, and in the
// end every change has had exactly its events.
func killAgainAndAgain(t *testing.T, where string, rounds int) {
	s, err := openAt(where)
	if err != nil {
		t.Fatal(err)
	}
	p := project(t, s, 3) // from the beginning: every document makes an event
	settle(t, s, p)
	p.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "BUGLE_EVENT_WRITER="+where)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for range 20 + rand.IntN(40) {
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatalf("the writer ended by itself: %v", err)
			}
		}
		time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond) // a random point of a write, not a synchronisation
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
	}
	if s, err = openAt(where); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p = project(t, s, 3)
	defer p.Close()
	settle(t, s, p)
	check(t, s, 0, nil)
	t.Logf("%d changes, %d events of one account", len(logOf(t, s)), len(eventsOf(t, event.NewContacts(s), "a", 0)))
}

// TestTwoProjectors: two servers on one PostgreSQL edit and project at once, and begin so. Nothing is told twice or left out.
func TestTwoProjectors(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	var stores []*store.Store
	var projectors []*event.Projector
	for range 2 {
		s, err := openAt(url)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		p := event.Project(event.ProjectorOptions{Store: s, Batch: 3, Logger: slog.New(slog.DiscardHandler),
			OnPanic: func(v any) { t.Errorf("panic: %v", v) }})
		defer p.Close()
		stores, projectors = append(stores, s), append(projectors, p)
	}
	for i, p := range projectors {
		settle(t, stores[i], p)
	}
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			e := &editor{stores[i%2], func(_ string, n int) int { return rand.IntN(n) }}
			for range 60 {
				if err := e.edit(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	for i, p := range projectors {
		settle(t, stores[i], p)
	}
	check(t, stores[0], 0, map[string]map[string]contact.Contact{})
}
