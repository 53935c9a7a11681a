package bugletest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"bugle"
	"bugle/internal/media"
	"bugle/internal/sip"
)

// StatusError is a SIP request that was refused.
type StatusError struct {
	Method string
	Status int // 408 also when nothing came back at all
	Reason string
}

// Error reads "INVITE: 486 Busy Here".
func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d %s", e.Method, e.Status, e.Reason) }

// phase is how far a call has come.
type phase uint8

const (
	starting phase = iota // INVITE sent or received
	early                 // somebody rings
	up
	over
)

// PhoneCall is one call of a phone, from either side. Its methods may be called from any goroutine.
type PhoneCall struct {
	phone    *Phone
	key      dialogKey
	incoming bool
	dialled  string
	remote   sip.Address
	invite   *sip.Message           // of an incoming call
	server   *sip.ServerTransaction // of an incoming call
	session  *media.Session
	ear      *ear
	done     chan struct{}

	telling sync.Mutex // held while an event is told, so that events are told in order; before mu

	mu        sync.Mutex
	phase     phase
	leaving   bool // Hangup was called
	dialog    dialog
	client    *sip.ClientTransaction        // of an outgoing call's INVITE
	inviteSeq uint32                        // its CSeq
	acks      map[uint32]func(*sip.Message) // own 2xx to INVITE that wait for their ACK, by CSeq
	inviting  bool                          // a re-INVITE of ours is under way
	offered   int                           // how many session descriptions were sent
	events    []Event
	changed   chan struct{} // closed and replaced whenever something below or above changes
	hearings  []Hearing
	passed    int // hearings that WaitHear and WaitTone have passed
	keys      string
	keysTaken int // of keys, by WaitKeys
}

func (p *Phone) newCall(callID, localTag string) *PhoneCall {
	return &PhoneCall{phone: p, key: dialogKey{strings.Clone(callID), strings.Clone(localTag)}, done: make(chan struct{}),
		changed: make(chan struct{}), acks: make(map[uint32]func(*sip.Message))}
}

// open makes the call's media session and begins to listen.
func (c *PhoneCall) open(peer sip.Destination) error {
	session, err := c.phone.engine.NewSession(media.SessionOptions{Codecs: c.phone.o.Codecs, Signalling: peer.Addr.Addr(),
		Local: c.phone.addr.Addr(), Events: (*callMedia)(c), Label: c.key.callID})
	if err != nil {
		return err
	}
	ear := newEar(c, c.phone.o.Recogniser)
	c.mu.Lock()
	gone := c.phase == over // a CANCEL crossed the answer
	if !gone {
		c.session, c.ear = session, ear
	}
	c.mu.Unlock()
	if gone {
		session.Close()
		return &bugle.Error{Op: "bugletest.open", Kind: bugle.KindConflict, Message: "the call is over"}
	}
	session.Record(ear)
	c.Quiet()
	return nil
}

// ID is the call's Call-ID.
func (c *PhoneCall) ID() string { return c.key.callID }

// Incoming tells whether the other side called.
func (c *PhoneCall) Incoming() bool { return c.incoming }

// Remote is the other side as it is shown: display name and user part of its address.
func (c *PhoneCall) Remote() (name, number string) { return c.remote.Display, c.remote.URI.User }

// Dialled is the user part of the URI that was called.
func (c *PhoneCall) Dialled() string { return c.dialled }

// Header is a header field of the INVITE of an incoming call, "" when it has none.
func (c *PhoneCall) Header(name string) string {
	if c.invite == nil {
		return ""
	}
	return strings.Clone(c.invite.Header(name))
}

// Hangup ends the call by what its state allows: CANCEL, a final response, or BYE. It returns when the call is over; when
// ctx ends first, the call is over at once for this side.
func (c *PhoneCall) Hangup(ctx context.Context) error {
	c.mu.Lock()
	was, again := c.phase, c.leaving
	c.leaving = true
	client := c.client
	c.mu.Unlock()
	switch {
	case was == over || again:
	case was == up:
		c.bye(ctx, "")
	case c.incoming:
		if err := c.Reject(480); err != nil {
			return err
		}
	case client != nil:
		client.Cancel("")
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.end(487, "hung up, and the other side did not say a word to it", false)
		return fmt.Errorf("hanging up: %w", context.Cause(ctx))
	}
}

// bye sends BYE and ends the call whatever comes of it.
func (c *PhoneCall) bye(ctx context.Context, why string) {
	_, err := c.request(ctx, sip.BYE, "", nil)
	if err != nil {
		c.phone.log.Warn("BYE failed", "call", c.key.callID, "err", err)
	}
	c.end(200, why, false)
}

// request sends a request within the dialog and waits for its final response.
func (c *PhoneCall) request(ctx context.Context, method sip.Method, contentType string, body []byte) (*sip.Message, error) {
	c.mu.Lock()
	dst := c.dialog.hop()
	c.mu.Unlock()
	return c.phone.exchange(ctx, dst, func() *sip.Message {
		c.mu.Lock()
		req := c.dialog.request(method)
		c.mu.Unlock()
		if body != nil {
			req.SetBody(contentType, body)
		}
		return req
	})
}

// Press presses keys one after the other: 0-9, *, #, A-D. It returns when the last has been sent.
func (c *PhoneCall) Press(ctx context.Context, keys string) error {
	return c.PressBy(ctx, c.phone.o.Keys, keys)
}

// keyPause is between two keys, as long as the media session makes it.
const keyPause = 100 * time.Millisecond

// PressBy is Press by the given means, whatever the phone's own are.
func (c *PhoneCall) PressBy(ctx context.Context, mode KeyMode, keys string) error {
	return c.press(ctx, mode, keys, c.phone.o.KeyLength)
}

// PressFor is Press with each key held for a time of 40 ms to 8 s.
func (c *PhoneCall) PressFor(ctx context.Context, keys string, each time.Duration) error {
	return c.press(ctx, c.phone.o.Keys, keys, each)
}

func (c *PhoneCall) press(ctx context.Context, mode KeyMode, keys string, each time.Duration) error {
	if bad := strings.Trim(keys, "0123456789*#ABCD"); bad != "" || keys == "" {
		return invalid("Press", "%q are not keys; allowed are 0-9, *, # and A-D", keys)
	}
	for i, key := range keys {
		last := i == len(keys)-1 // the other side may hang up on it
		if c.Over() {
			return fmt.Errorf("pressing %c: %w", key, c.whyOver())
		}
		c.tell(Event{Kind: EventPressed, Text: string(key)})
		if mode == KeysByInfo {
			// As Cisco's phones began it; there is no RFC.
			body := fmt.Sprintf("Signal=%c\r\nDuration=%d\r\n", key, each.Milliseconds())
			resp, err := c.request(ctx, sip.INFO, "application/dtmf-relay", []byte(body))
			if err == nil {
				err = refusal(sip.INFO, resp)
			}
			if err != nil {
				return err
			}
			continue
		}
		c.session.SendDigits(string(key), each)
		// A finger's pace: the key is held, then let go.
		if err := c.pause(ctx, each+keyPause); err != nil && !(last && errors.Is(err, errOver)) {
			return err
		}
	}
	return nil
}

func (c *PhoneCall) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.done:
		return c.whyOver()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Say plays a clip to the other side, over and over with loop, in place of what was being said.
func (c *PhoneCall) Say(clip *media.Clip, loop bool) {
	if c.session != nil {
		c.session.Play(0, []*media.Clip{clip}, loop)
	}
}

// SayTone says a tone until Quiet or something else is said. Its frequency is rounded to whole hertz.
func (c *PhoneCall) SayTone(hertz float64) { c.Say(toneClip(hertz), true) }

// Quiet says nothing more. The phone goes on sending silence, as phones do.
func (c *PhoneCall) Quiet() { c.Say(silence(), true) }

// Over tells whether the call has ended.
func (c *PhoneCall) Over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == over
}

// Up tells whether the call was answered and has not ended.
func (c *PhoneCall) Up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == up
}

// Done is closed when the call is over.
func (c *PhoneCall) Done() <-chan struct{} { return c.done }

// Events are the events so far, in order.
func (c *PhoneCall) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// Stats are the media's counters.
func (c *PhoneCall) Stats() media.Stats {
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	if session == nil {
		return media.Stats{}
	}
	return session.Stats()
}

// Heard is the audio that has come in so far, 8 kHz, silence where packets were lost.
func (c *PhoneCall) Heard() []int16 {
	c.mu.Lock()
	ear := c.ear
	c.mu.Unlock()
	if ear == nil {
		return nil
	}
	return ear.heard()
}

// HeardLength is the length of Heard.
func (c *PhoneCall) HeardLength() time.Duration { return span(int64(len(c.Heard()))) }

// WriteWAV writes Heard as a WAV file.
func (c *PhoneCall) WriteWAV(w io.Writer) error { return media.WriteWAV(w, c.Heard()) }

// tell records an event and tells it to the phone's owner.
func (c *PhoneCall) tell(event Event) {
	c.telling.Lock()
	defer c.telling.Unlock()
	event.At = time.Now()
	c.mu.Lock()
	c.events = append(c.events, event)
	switch event.Kind {
	case EventHeard:
		c.hearings = append(c.hearings, event.Heard)
	case EventKey:
		c.keys += event.Text
	}
	c.mu.Unlock()
	if c.phone.o.OnEvent != nil {
		c.phone.o.OnEvent(c, event)
	}
	// Only now, so that the owner is told before those who waited go on.
	c.mu.Lock()
	c.wake()
	c.mu.Unlock()
}

// wake wakes all who wait; with mu held.
func (c *PhoneCall) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// end ends the call, once: what was heard is decided, the ports are given back, and the last event is told.
func (c *PhoneCall) end(status int, text string, remote bool) {
	c.mu.Lock()
	if c.phase == over {
		c.mu.Unlock()
		return
	}
	c.phase = over
	session, ear := c.session, c.ear
	c.wake()
	c.mu.Unlock()
	c.phone.work.Go(func() {
		if session != nil {
			session.StopRecord()
			ear.wait(2 * time.Second)
			session.Close()
		}
		c.phone.forget(c)
		c.tell(Event{Kind: EventEnded, Status: status, Text: text, Remote: remote})
		close(c.done)
	})
}

// callMedia takes the events of a call's media session.
type callMedia PhoneCall

// OnDigit implements media.Events.
func (m *callMedia) OnDigit(key byte) {
	(*PhoneCall)(m).tell(Event{Kind: EventKey, Text: string(rune(key)), Remote: true})
}

// OnPlayEnded implements media.Events.
func (m *callMedia) OnPlayEnded(int) {}

// OnMediaTimeout implements media.Events.
func (m *callMedia) OnMediaTimeout() {
	c := (*PhoneCall)(m)
	c.phone.log.Info("no audio comes", "call", c.key.callID)
}
