package store

import (
	"slices"
	"sync"
	"time"

	"bugle"
)

const (
	tailLength  = 256      // changes that are kept
	tailBytes   = 32 << 10 // of the documents of one that is kept
	tailSilence = 100 * time.Millisecond
)

// Tail returns up to limit changes right after a position that this process has committed a moment ago, without asking the
// database. all says that those are what nudges have told of so far, so that who was nudged need not ask Changes; who was not
// asks it all the same. The changes are shared: do not write into them.
func (s *Store) Tail(after int64, limit int) (changes []bugle.Change, all bool) {
	list, all := s.tail.since(after, limit)
	if len(list) == 0 {
		return nil, all
	}
	changes = make([]bugle.Change, len(list))
	for i := range list {
		changes[i] = list[i].change
	}
	return changes, all
}

// tail keeps the last changes that this process has committed. Those who follow the log are nudged by the commit and mostly
// want no more than that, so they need not ask the database, each of them, for what has just been at hand. What is kept is
// shared: nobody writes to it.
type tail struct {
	mu     sync.Mutex
	kept   [tailLength]commit // by position
	last   int64              // position of a commit of this process
	silent time.Time          // until then it tells nothing
}

// put keeps what was committed.
func (t *tail) put(commits []commit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range commits {
		c := commits[i]
		t.last = max(t.last, c.change.Position)
		if len(c.change.Before)+len(c.change.After) > tailBytes {
			continue
		}
		c.now = nil
		t.kept[c.change.Position%tailLength] = c
	}
}

// since returns up to limit changes after a position in commit order, as far as they are kept without a gap, and whether they
// are all that was told of.
func (t *tail) since(after int64, limit int) (list []commit, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.silent.IsZero() && time.Now().Before(t.silent) {
		return nil, false
	}
	at := func(position int64) *commit { return &t.kept[position%tailLength] }
	end := after + 1
	for end-after <= int64(min(limit, tailLength)) && at(end).change.Position == end {
		end++
	}
	for position := after + 1; position < end; position++ {
		list = append(list, *at(position))
	}
	return list, t.last > 0 && end > t.last
}

// forget keeps nothing up to a position: retention has removed it from the log.
func (t *tail) forget(last int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.kept {
		if t.kept[i].change.Position <= last {
			t.kept[i] = commit{}
		}
	}
}

// hush has everybody ask the database for a while: another process has committed, and the nudge that tells so may have melted
// into one of this process's own.
func (t *tail) hush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.silent = time.Now().Add(tailSilence)
}

// ownCopy has the commits hold their documents for themselves: what was given to Put belongs to who gave it.
func ownCopy(changes []pending) []commit {
	commits := make([]commit, len(changes))
	for i := range changes {
		c := changes[i].commit
		if c.now != nil {
			d := *c.now
			d.Body, d.Private, d.SortKey = slices.Clone(d.Body), slices.Clone(d.Private), slices.Clone(d.SortKey)
			c.now, c.change.After = &d, d.Body
		}
		commits[i] = c
	}
	return commits
}
