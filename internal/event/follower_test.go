package event

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bugle"
)

// fakeLog is a change log in memory that can fail.
type fakeLog struct {
	mu      sync.Mutex
	changes []bugle.Change
	kept    int64 // positions up to here are swept
	failing error
	nudges  map[chan struct{}]bool
	looks   int
}

var errSwept = errors.New("swept")

func (l *fakeLog) Changes(ctx context.Context, after int64, limit int) ([]bugle.Change, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	if err := errors.Join(ctx.Err(), l.failing); err != nil {
		return nil, err
	}
	if after < l.kept {
		return nil, fmt.Errorf("log: %w", errSwept)
	}
	i, _ := slices.BinarySearchFunc(l.changes, after+1, func(c bugle.Change, p int64) int { return int(c.Position - p) })
	return slices.Clone(l.changes[i:min(i+limit, len(l.changes))]), nil
}

func (l *fakeLog) Tail(int64, int) ([]bugle.Change, bool) { return nil, false }

func (l *fakeLog) Subscribe() (<-chan struct{}, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch := make(chan struct{}, 1)
	if l.nudges == nil {
		l.nudges = map[chan struct{}]bool{}
	}
	l.nudges[ch] = true
	return ch, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.nudges, ch)
	}
}

func (l *fakeLog) add(n int, nudge bool) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.changes = append(l.changes, bugle.Change{Position: int64(2 * (len(l.changes) + 1))}) // with gaps
	}
	for ch := range l.nudges {
		if nudge {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
	return l.changes[len(l.changes)-1].Position
}

func (l *fakeLog) looked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looks
}

func (l *fakeLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

// seen collects what a follower hands out; a batch that was refused does not count.
type seen struct {
	mu        sync.Mutex
	positions []int64
	refuse    int // how many batches to refuse
	panics    int // how many to panic on
}

func (s *seen) handle(_ context.Context, changes []bugle.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics > 0 {
		s.panics--
		panic("boom")
	}
	if s.refuse > 0 {
		s.refuse--
		return errors.New("not now")
	}
	for _, c := range changes {
		s.positions = append(s.positions, c.Position)
	}
	return nil
}

// set makes the next batches be refused, or panicked on.
func (s *seen) set(refuse, panics int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.panics = refuse, panics
}

func (s *seen) check(t *testing.T, first, last int64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	want := first
	for _, p := range s.positions {
		if p != want {
			t.Fatalf("change %d where %d was to come: %v", p, want, s.positions)
		}
		want += 2
	}
	if want != last+2 {
		t.Fatalf("the last change is %d, want %d", want-2, last)
	}
}

func TestFollowInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, got := &fakeLog{}, &seen{}
		last := log.add(25, false)
		f := Follow(Options{Log: log, After: 4, Handle: got.handle, Batch: 10})
		synctest.Wait() // without time passing: full batches follow each other at once
		got.check(t, 6, last)
		if f.Position() != last {
			t.Errorf("position %d", f.Position())
		}
		start := time.Now()
		last = log.add(1, true) // a nudge
		if err := f.Wait(t.Context(), last); err != nil || time.Since(start) != 0 {
			t.Errorf("after a nudge: %v, %v", err, time.Since(start))
		}
		last = log.add(1, false) // a nudge that was lost
		if err := f.Wait(t.Context(), last); err != nil || time.Since(start) > time.Second {
			t.Errorf("without a nudge: %v, %v", err, time.Since(start))
		}
		got.check(t, 6, last)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.Wait(ctx, last+2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for what never comes: %v", err)
		}
		if looks := log.looked(); looks > 130 {
			t.Errorf("%d looks in a quiet minute", looks)
		}
		f.Close()
		f.Close()
		if err := f.Wait(t.Context(), last+2); err == nil {
			t.Error("waiting for an ended follower succeeds")
		}
		if len(log.nudges) != 0 {
			t.Error("an ended follower is still subscribed")
		}
	})
}

// TestFollowGathers: a change that comes alone is handled at once, those that come one after another together.
func TestFollowGathers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		var mu sync.Mutex
		var batches []int
		f := Follow(Options{Log: log, Gather: 50 * time.Millisecond, Handle: func(_ context.Context, changes []bugle.Change) error {
			mu.Lock()
			defer mu.Unlock()
			batches = append(batches, len(changes))
			return nil
		}})
		defer f.Close()
		expect := func(want ...int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(batches, want) {
				t.Fatalf("batches of %v, want %v", batches, want)
			}
		}
		synctest.Wait()
		log.add(1, true)
		expect(1)
		for range 9 {
			log.add(1, true)
			expect(1)
		}
		time.Sleep(50 * time.Millisecond)
		expect(1, 9)
		time.Sleep(time.Second)
		log.add(1, true)
		expect(1, 9, 1)
	})
}

func TestFollowThroughFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var panics atomic.Int64
		log, got := &fakeLog{}, &seen{refuse: 3, panics: 2}
		last := log.add(7, false)
		f := Follow(Options{Log: log, Handle: got.handle, Batch: 3, OnPanic: func(any) { panics.Add(1) }})
		defer f.Close()
		start := time.Now()
		if err := f.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		got.check(t, 2, last)
		// 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s of pauses.
		if took := time.Since(start); took != 3100*time.Millisecond || panics.Load() != 2 {
			t.Errorf("took %v, %d panics", took, panics.Load())
		}
		log.fail(errors.New("no database"))
		last = log.add(5, true)
		looks := log.looked()
		time.Sleep(10 * time.Minute)
		if n := log.looked() - looks; n < 60 || n > 80 {
			t.Errorf("%d looks in ten minutes without a database", n)
		}
		log.add(1, true) // a nudge shortens no pause
		log.fail(nil)
		start = time.Now()
		if err := f.Wait(t.Context(), last); err != nil || time.Since(start) > 10*time.Second {
			t.Errorf("after the outage: %v, %v", err, time.Since(start))
		}
		got.set(1, 0) // pauses begin anew after a success
		start = time.Now()
		if err := f.Wait(t.Context(), log.add(1, true)); err != nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("the first pause after a success: %v, %v", err, time.Since(start))
		}
	})
}

func TestFollowLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, got := &fakeLog{kept: 10}, &seen{}
		last := log.add(9, false)
		var loads atomic.Int64
		f := Follow(Options{Log: log, After: 2, Handle: got.handle,
			IsLost: func(err error) bool { return errors.Is(err, errSwept) },
			Lost: func(context.Context) (int64, error) {
				if loads.Add(1) == 1 {
					return 0, errors.New("the documents cannot be loaded now")
				}
				return 14, nil
			}})
		defer f.Close()
		if err := f.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		got.check(t, 16, last)
		if n := loads.Load(); n != 2 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// TestFollowClose ends a follower in the middle of a batch, of a pause, and of a look.
func TestFollowClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		log.add(1, false)
		inside := make(chan struct{})
		f := Follow(Options{Log: log, Handle: func(ctx context.Context, _ []bugle.Change) error {
			close(inside)
			<-ctx.Done()
			return ctx.Err()
		}})
		<-inside
		f.Close()
		if f.Position() != 0 {
			t.Error("an unfinished batch counts as handled")
		}
		f = Follow(Options{Log: log, Handle: func(context.Context, []bugle.Change) error { return errors.New("not now") }})
		time.Sleep(time.Minute)
		start := time.Now()
		f.Close()
		if time.Since(start) != 0 {
			t.Error("closing waits for a pause")
		}
	})
}
