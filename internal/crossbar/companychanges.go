package crossbar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"bugle/internal/contact"
)

const (
	typeEvents = "text/event-stream"

	changesPage    = 500                   // of one answer
	eventsBeat     = 15 * time.Second      // between signs of life, at which the token is judged again
	eventsPoll     = 5 * time.Second       // between looks when no nudge comes
	eventsRest     = 50 * time.Millisecond // at least between looks, however often there are nudges
	eventsWrite    = 30 * time.Second      // that a client may take to read
	streamsAtOnce  = 1000
	streamsAccount = 100 // of one account
)

// watchers bound the event streams that are open, and end them with the API.
type watchers struct {
	mu     sync.Mutex
	open   map[string]int // by account
	total  int
	ended  chan struct{}
	ending sync.Once
}

func newWatchers() *watchers { return &watchers{open: map[string]int{}, ended: make(chan struct{})} }

func (w *watchers) enter(account string) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total >= streamsAtOnce || w.open[account] >= streamsAccount {
		return nil, &fault{status: http.StatusTooManyRequests, message: "too_many_requests", retry: time.Minute,
			data: say(fmt.Sprintf("an account may have %d event streams open, the server %d", streamsAccount, streamsAtOnce))}
	}
	w.total++
	w.open[account]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.total--
		if w.open[account]--; w.open[account] == 0 {
			delete(w.open, account)
		}
	}, nil
}

func (w *watchers) end() { w.ending.Do(func() { close(w.ended) }) }

// directoryChanges answers with what altered the company directory after a cursor.
func (req *request) directoryChanges() (*reply, error) {
	from, err := req.contacts()
	if err != nil {
		return nil, err
	}
	given, ok := req.outerParam("after")
	if last := req.http.Header.Get("Last-Event-ID"); last != "" && req.accepts == typeEvents {
		given, ok = last, true
	}
	last, _, err := from.State(req.ctx, req.account.id)
	if err != nil {
		return nil, err
	}
	after := last
	if ok {
		if after, err = strconv.ParseInt(given, 10, 64); err != nil || after < 0 {
			return nil, oneError("after", "invalid", "A cursor is what an earlier answer gave as cursor", clip(given, 64))
		}
	}
	events, err := req.eventsAfter(from, after)
	if err != nil {
		return nil, err
	}
	if req.accepts == typeEvents {
		leave, err := req.api.watchers.enter(req.account.id)
		if err != nil {
			return nil, err
		}
		if req.http.Method == http.MethodHead {
			leave()
		}
		req.writer.Header().Set("Cache-Control", "no-store")
		req.writer.Header().Set("X-Accel-Buffering", "no") // proxies must not hold events back
		return &reply{status: http.StatusOK, stream: &stream{contentType: typeEvents, write: func(ctx context.Context, w io.Writer) error {
			defer leave()
			return req.watch(ctx, w, from, after, events)
		}}}, nil
	}
	changes := make([]any, len(events))
	for i := range events {
		changes[i], after = changeTree(&events[i]), events[i].Cursor
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"changes": changes, "cursor": strconv.FormatInt(after, 10),
		"more": len(events) == changesPage})}, nil
}

func (req *request) eventsAfter(from Contacts, after int64) ([]contact.Event, error) {
	events, err := from.Events(req.ctx, req.account.id, after, changesPage)
	if errors.Is(err, contact.ErrGone) {
		return nil, &fault{status: http.StatusGone, message: "gone", data: say(contact.ErrGone.Error())}
	}
	return events, err
}

// watch sends events as they come: id is the cursor, data the change. It ends when the client goes, when the token is no good
// any more, when it has fallen behind what is kept, and with the server; a client connects again and goes on from the last
// id. https://html.spec.whatwg.org/multipage/server-sent-events.html
func (req *request) watch(ctx context.Context, w io.Writer, from Contacts, after int64, events []contact.Event) error {
	control := http.NewResponseController(req.writer)
	send := func(format string, args ...any) error {
		_ = control.SetWriteDeadline(time.Now().Add(eventsWrite)) // what cannot be set is not needed: a test's recorder
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return control.Flush()
	}
	nudge, stop := from.Subscribe()
	defer stop()
	poll, beat := time.NewTicker(eventsPoll), time.NewTicker(eventsBeat)
	defer poll.Stop()
	defer beat.Stop()
	if err := send("retry: 1000\n\n"); err != nil {
		return nil // the client has gone
	}
	for {
		for i := range events {
			if err := send("id: %d\nevent: change\ndata: %s\n\n", events[i].Cursor, appendTree(nil, changeTree(&events[i]))); err != nil {
				return nil
			}
			after = events[i].Cursor
		}
		if len(events) < changesPage {
			select {
			case <-ctx.Done():
				return nil
			case <-req.api.watchers.ended:
				return nil
			case <-nudge:
				if !rested(ctx, eventsRest) {
					return nil
				}
			case <-poll.C:
			case <-beat.C:
				if !req.stillAllowed() {
					return nil
				}
				if err := send(": \n\n"); err != nil {
					return nil
				}
			}
		}
		var err error
		if events, err = req.eventsAfter(from, after); err != nil {
			if f := faultOf(err); f.status == http.StatusGone {
				_ = send("event: gone\ndata: %s\n\n", appendTree(nil, f.data))
			}
			return nil // it connects again, and is told
		}
	}
}

// rested waits, and reports whether ctx is still good then.
func rested(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// stillAllowed judges again who asked: a token ends, users are disabled, accounts move.
func (req *request) stillAllowed() bool {
	if req.token == "" { // Basic: known at the beginning, and asked for again when the client connects again
		return req.api.opts.Now().Sub(req.started) < tokenLife
	}
	who, err := req.api.verify(req.ctx, req.token)
	if err != nil {
		return false
	}
	account, err := req.api.account(req.ctx, req.account.id)
	if err != nil {
		return false
	}
	again := &request{api: req.api, identity: who, account: account}
	return again.allowed() && (who.admin || who.account.id == account.id)
}
