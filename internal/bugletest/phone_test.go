package bugletest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"bugle/internal/media"
)

// newPhone makes a phone that is closed with the test.
func newPhone(t *testing.T, o Options) *Phone {
	t.Helper()
	_, o.Recogniser = testCatalogue()
	if o.OnEvent == nil {
		began := time.Now()
		o.OnEvent = func(c *PhoneCall, e Event) { t.Logf("%6.3f %s %s", time.Since(began).Seconds(), o.Username, e) }
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// within bounds a test that would hang; it is no measure of speed.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// connect makes two phones talk.
func connect(t *testing.T, ctx context.Context, a, b *Phone) (from, to *PhoneCall) {
	t.Helper()
	from, err := a.Dial(ctx, b.URI())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case to = <-b.Incoming():
	case <-ctx.Done():
		t.Fatal("no call came in")
	}
	must(t, to.Ring())
	must(t, from.WaitRinging(ctx))
	must(t, to.Answer(ctx))
	must(t, from.WaitAnswer(ctx))
	return from, to
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hear waits for a tone when what is a number, for a prompt otherwise.
func hear(t *testing.T, ctx context.Context, c *PhoneCall, what any) (h Hearing) {
	t.Helper()
	var err error
	if hertz, ok := what.(int); ok {
		h, err = c.WaitTone(ctx, float64(hertz))
	} else {
		h, err = c.WaitHear(ctx, what.(string))
	}
	must(t, err)
	return h
}

func ended(t *testing.T, ctx context.Context, c *PhoneCall, status int, remote bool) {
	t.Helper()
	event, err := c.WaitEnd(ctx)
	must(t, err)
	if event.Status != status || event.Remote != remote {
		t.Errorf("ended with %s, want %d, remote %v", event, status, remote)
	}
}

func TestTwoPhonesTalkPressKeysHoldAndHangUp(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx := within(t)
			clips, _ := testCatalogue()
			a := newPhone(t, Options{Username: "ann", DisplayName: "Ann \"Bo\" Lee", Transport: transport})
			b := newPhone(t, Options{Username: "bob", Codecs: []string{"PCMA"}, Transport: transport})
			from, to := connect(t, ctx, a, b)
			if name, number := to.Remote(); name != "Ann \"Bo\" Lee" || number != "ann" || to.Dialled() != "bob" {
				t.Errorf("called by %q %q as %q", name, number, to.Dialled())
			}
			from.SayTone(700)
			to.SayTone(440)
			hear(t, ctx, from, 440)
			hear(t, ctx, to, 700)
			must(t, from.Press(ctx, "0123456789*#"))
			must(t, to.WaitKeys(ctx, "0123456789*#"))
			must(t, to.PressBy(ctx, KeysByInfo, "5A"))
			must(t, from.WaitKeys(ctx, "5A"))
			to.Quiet()
			must(t, from.WaitToneOver(ctx, 440))
			must(t, from.Hold(ctx))
			held, err := to.Wait(ctx, EventHeld)
			must(t, err)
			must(t, from.Resume(ctx))
			if resumed, err := to.Wait(ctx, EventResumed); err != nil || !resumed.At.After(held.At) {
				t.Errorf("resumed: %v %v", resumed, err)
			}
			to.Say(clips["dir-no_results_found"], false)
			if h := hear(t, ctx, from, "dir-no_results_found"); !h.Whole {
				t.Errorf("heard %v of it only", h.Length)
			}
			must(t, to.Hangup(ctx))
			ended(t, ctx, to, 200, false)
			ended(t, ctx, from, 200, true)
			var wav bytes.Buffer
			must(t, from.WriteWAV(&wav))
			pcm, err := media.ReadWAV(&wav, 10<<20)
			must(t, err)
			if !slices.Equal(pcm, from.Heard()) || from.HeardLength() < 3*time.Second {
				t.Errorf("the recording is %v long", from.HeardLength())
			}
		})
	}
}

func TestAPhoneMisbehavesAsItIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		behaviour Behaviour
		status    int
	}{
		"busy": {Busy(), 486}, "rejecting": {Rejecting(), 603}, "unavailable": {Unavailable(), 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t)
			a := newPhone(t, Options{Username: "ann"})
			b := newPhone(t, Options{Username: "bob", Behaviour: test.behaviour})
			call, err := a.Dial(ctx, b.URI())
			must(t, err)
			err = call.WaitAnswer(ctx)
			if refused, ok := errors.AsType[*StatusError](err); !ok || refused.Status != test.status {
				t.Errorf("answered with %v, want %d", err, test.status)
			}
			ended(t, ctx, call, test.status, true)
			ended(t, ctx, <-b.Incoming(), test.status, false)
		})
	}
}

func TestACallerWhoGivesUpCancels(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	a := newPhone(t, Options{Username: "ann"})
	b := newPhone(t, Options{Username: "bob", Behaviour: NeverAnswering()})
	call, err := a.Dial(ctx, b.URI())
	must(t, err)
	must(t, call.WaitRinging(ctx))
	must(t, call.Hangup(ctx))
	ended(t, ctx, call, 487, true)
	ended(t, ctx, <-b.Incoming(), 487, true)
}

func TestACallerWhomNobodyAnswersHangsUpInHisOwnTime(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	a := newPhone(t, Options{Username: "ann"})
	b := newPhone(t, Options{Username: "bob", Behaviour: Deaf()})
	call, err := a.Dial(ctx, b.URI())
	must(t, err)
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if err := call.Hangup(impatient); err == nil {
		t.Error("hung up on a phone that does not respond, without an error")
	}
	ended(t, ctx, call, 487, false)
}

func TestAPhoneAnswersByItselfAndSaysItsTone(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	a := newPhone(t, Options{Username: "ann"})
	b := newPhone(t, Options{Username: "bob", Behaviour: Answering(50*time.Millisecond, 555)})
	call, err := a.Dial(ctx, b.URI())
	must(t, err)
	hear(t, ctx, call, 555)
	if _, err := call.Wait(ctx, EventRinging); err != nil {
		t.Error(err)
	}
	must(t, call.Hangup(ctx))
	other := <-b.Incoming()
	ended(t, ctx, other, 200, true)
}

func TestWaitingForWhatDoesNotComeTellsWhatCameInstead(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	clips, _ := testCatalogue()
	a, b := newPhone(t, Options{Username: "ann"}), newPhone(t, Options{Username: "bob"})
	from, to := connect(t, ctx, a, b)
	to.Say(clips["dir-found"], false)
	hear(t, ctx, from, "dir-found")
	to.SayTone(900)
	hear(t, ctx, from, 900)
	short, cancel := context.WithTimeoutCause(ctx, 200*time.Millisecond, errors.New("too long"))
	defer cancel()
	if _, err := from.WaitHear(short, "dir-found"); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("what was heard once counted twice: %v", err)
	}
	if _, err := from.WaitHear(ctx, "no-such-prompt"); err == nil {
		t.Error("waited for a prompt that nobody knows")
	}
	must(t, to.Press(ctx, "12"))
	if err := from.WaitKeys(ctx, "13"); err == nil {
		t.Error("took 12 for 13")
	}
	to.Say(clips["vm-goodbye"], false)
	go func() {
		_, _ = from.Wait(ctx, EventHeard)
		_ = to.Hangup(ctx)
	}()
	_, err := from.WaitTone(ctx, 1200)
	if err == nil || !errors.Is(err, errOver) {
		t.Errorf("waited for a tone beyond the end of the call: %v", err)
	}
	if err := from.Press(ctx, "1"); err == nil {
		t.Error("pressed a key after the end")
	}
}

func TestAPhoneCallsItself(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	a := newPhone(t, Options{Username: "ann"})
	from, to := connect(t, ctx, a, a)
	to.SayTone(440)
	hear(t, ctx, from, 440)
	must(t, from.Hangup(ctx))
	ended(t, ctx, to, 200, true)
}

func TestClosingAPhoneHangsUp(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	a, b := newPhone(t, Options{Username: "ann"}), newPhone(t, Options{Username: "bob"})
	_, to := connect(t, ctx, a, b)
	must(t, a.Close())
	ended(t, ctx, to, 200, true)
	if _, err := a.Dial(ctx, b.URI()); err == nil {
		t.Error("a closed phone dialled")
	}
}

func TestATonesLoopHasNoSeam(t *testing.T) {
	t.Parallel()
	pcm := toneClip(701).PCM()
	twice := slices.Concat(pcm, pcm)
	for i := range twice {
		want := 5000 * math.Sin(2*math.Pi*701*float64(i)/media.SampleRate)
		if math.Abs(float64(twice[i])-want) > 200 {
			t.Fatalf("sample %d is %d, want %.0f", i, twice[i], want)
		}
	}
}

func TestWhatCannotBeDialledIsRefused(t *testing.T) {
	t.Parallel()
	p := newPhone(t, Options{Username: "ann"})
	for _, number := range []string{"", "sip:", "a b", "sip:x@unresolved.example", "x@unresolved.example", "@host"} {
		if call, err := p.Dial(t.Context(), number); err == nil {
			t.Errorf("dialled %q: %v", number, call)
		}
	}
	if _, err := New(Options{Transport: "smoke"}); err == nil {
		t.Error("a phone by smoke was made")
	}
	if got := fmt.Sprint(p.Register(t.Context())); !strings.Contains(got, "no server") {
		t.Errorf("registered without a server: %s", got)
	}
}

func TestEachDescriptionHasTheNextVersionAndTheWantedDirection(t *testing.T) {
	t.Parallel()
	c := newPhone(t, Options{Username: "ann"}).newCall("id", "tag")
	const description = "v=0\r\no=- 77 9 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\na=ptime:20\r\n"
	for i, direction := range []string{"", "sendonly", "sendrecv"} {
		want := strings.Replace(description, " 9 IN", fmt.Sprintf(" %d IN", i+1), 1)
		if direction != "" {
			want = strings.Replace(want, "a=sendrecv\r\n", "", 1) + "a=" + direction + "\r\n"
		}
		if got := string(c.describe([]byte(description), direction)); got != want {
			t.Errorf("%q: %q, want %q", direction, got, want)
		}
	}
}
