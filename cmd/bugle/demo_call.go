package main

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/call"
)

// The tones that the two parties of the first call say, in hertz.
const (
	callerTone = 700
	calleeTone = 600
)

// credentials is what user_auth takes: the MD5 of "username:password".
func credentials(username, password string) string {
	sum := md5.Sum([]byte(username + ":" + password))
	return hex.EncodeToString(sum[:])
}

// narrator prints a line for each thing that happens, as it happens, with the seconds since the call began.
type narrator struct {
	mu    sync.Mutex
	began time.Time // zero: silent
}

func (n *narrator) begin() {
	n.mu.Lock()
	n.began = time.Now()
	n.mu.Unlock()
}

func (n *narrator) end() {
	n.mu.Lock()
	n.began = time.Time{}
	n.mu.Unlock()
}

func (n *narrator) say(who, format string, values ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.began.IsZero() {
		return
	}
	fmt.Printf("  %6.2f s  %-14s %s\n", time.Since(n.began).Seconds(), who, fmt.Sprintf(format, values...))
}

// step tells what the server did with the call.
func (n *narrator) step(_ string, step call.Step) {
	n.say("server", "%s", strings.TrimSpace(step.Name+" "+step.Detail))
}

// phone returns what tells one phone's events.
func (n *narrator) phone(extension, name string) func(*bugletest.PhoneCall, bugletest.Event) {
	return func(_ *bugletest.PhoneCall, event bugletest.Event) {
		n.say(extension+" "+strings.Fields(name)[0], "%s", event)
	}
}

// firstCall is the demonstration itself: Ann dials the directory, spells O'Bri, and talks with Conor O'Brien.
func (d *demo) firstCall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	ann, conor := d.phones[0], d.phones[1]
	fmt.Println("The first call: Ann Lee dials 411 and spells O'Bri: 6 2 7 4 #. Both phones are real SIP and RTP on UDP sockets.")
	d.narrate.begin()
	defer d.narrate.end()
	call, err := ann.Dial(ctx, "411")
	if err != nil {
		return err
	}
	defer call.Hangup(context.WithoutCancel(ctx))
	if _, err := call.WaitHear(ctx, "dir-enter_person_name"); err != nil {
		return err
	}
	if err := call.Press(ctx, "6274#"); err != nil {
		return err
	}
	if _, err := call.WaitHear(ctx, "dir-found"); err != nil {
		return err
	}
	if err := call.Press(ctx, "1"); err != nil {
		return err
	}
	var other *bugletest.PhoneCall
	select {
	case other = <-conor.Incoming():
	case <-ctx.Done():
		return fmt.Errorf("the callee's phone did not ring: %w", ctx.Err())
	}
	if _, err := other.Wait(ctx, bugletest.EventAnswered); err != nil {
		return err
	}
	call.SayTone(callerTone)
	if _, err := call.WaitTone(ctx, calleeTone); err != nil {
		return fmt.Errorf("the caller did not hear the callee: %w", err)
	}
	if _, err := other.WaitTone(ctx, callerTone); err != nil {
		return fmt.Errorf("the callee did not hear the caller: %w", err)
	}
	if err := other.Hangup(ctx); err != nil {
		return err
	}
	if _, err := call.WaitEnd(ctx); err != nil {
		return err
	}
	d.narrate.end()
	caller, _ := other.Remote()
	fmt.Printf(`
This proved: a name with an apostrophe was found by its letters; the prompts that were heard are the ones that were
meant; Conor's phone showed %q; each heard the other's tone (%d and %d Hz) through the server; one hanging up
ended the call for both.
`, caller, calleeTone, callerTone)
	return nil
}
