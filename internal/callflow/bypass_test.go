package callflow_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/callflow/callflowtest"
	"bugle/internal/media"
)

// bypassed is a click-to-call whose two parties talk, before their phones are told of each other.
type bypassed struct {
	*attempt
	first, second *simulate.Leg
}

func bypass(h *callflowtest.House, policy call.BypassMedia) *bypassed {
	h.T.Helper()
	order := clickToCall()
	order.Bypass = policy
	b := &bypassed{attempt: originate(h, order)}
	b.first = h.Legs()[0]
	b.first.PicksUp()
	h.Settle()
	b.second = h.Legs()[1]
	b.second.PicksUp()
	h.Settle()
	return b
}

// goes says which way the phones' audio goes now.
func (b *bypassed) goes() string {
	b.h.Settle()
	first, second := b.first.SendsTo(), b.second.SendsTo()
	switch server := (netip.AddrPort{}); {
	case first == server && second == server:
		return "carried"
	case first == b.second.Address() && second == b.first.Address():
		return "direct"
	}
	return "half"
}

// moment is long enough for messages to come and go.
const moment = 20 * time.Millisecond

func (b *bypassed) want(way string) {
	b.h.T.Helper()
	if got := b.goes(); got != way {
		b.h.T.Errorf("the audio is %s, not %s: %s sends to %s, %s to %s", got, way, b.first.Address(), b.first.SendsTo(), b.second.Address(), b.second.SendsTo())
	}
	for _, l := range b.h.Legs() {
		if lost := l.Lost(); len(lost) > 0 {
			b.h.T.Errorf("%q was played to a phone that talked to another one", lost)
		}
	}
}

func TestPhonesExchangeTheirAudioAndComeBack(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	b := bypass(h.House, call.BypassAlways)
	b.want("carried")
	h.Advance(2 * time.Second)
	b.want("direct")
	h.Advance(5 * time.Hour) // no audio comes, and nobody minds
	b.want("direct")
	b.second.Holds(true)
	h.Advance(moment)
	b.want("carried")
	if s := b.first.State(); s.Sounding == "" {
		t.Error("who is held hears nothing")
	}
	h.Advance(time.Minute)
	b.want("carried")
	b.second.Holds(false)
	b.want("carried")
	h.Advance(2 * time.Second)
	b.want("direct")
	b.first.HangsUp()
	h.Advance(time.Minute)
	b.over()
	// Away, back and away again; who holds comes back by that. None is sent to who is about to be hung up on.
	if first, second := b.first.Invites(), b.second.Invites(); first != 3 || second != 2 {
		t.Errorf("%d and %d INVITEs within the dialogs, want 3 and 2", first, second)
	}
}

func TestWhoIsHungUpOnIsNotCalledBackFirst(t *testing.T) {
	t.Parallel()
	for _, which := range []string{"first", "second", "server"} {
		h := newOriginateHouse(t)
		b := bypass(h.House, call.BypassAlways)
		h.Advance(2 * time.Second)
		b.want("direct")
		switch which {
		case "first":
			b.first.HangsUp()
		case "second":
			b.second.HangsUp()
		default:
			b.o.Hangup()
		}
		h.Advance(time.Minute)
		b.over()
		if n := b.first.Invites() + b.second.Invites(); n != 2 {
			t.Errorf("the %s hangs up: %d INVITEs within the dialogs", which, n)
		}
	}
}

func TestWithoutLeaveTheServerCarries(t *testing.T) {
	t.Parallel()
	b := bypass(newOriginateHouse(t).House, call.BypassNever)
	b.h.Advance(time.Minute)
	b.want("carried")
	if n := b.first.Invites() + b.second.Invites(); n != 0 {
		t.Errorf("%d INVITEs within the dialogs", n)
	}
}

func endpoint(address, signalling, source string) media.Endpoint {
	e := media.Endpoint{RTP: netip.MustParseAddrPort(address), Signalling: netip.MustParseAddr(signalling)}
	if source != "" {
		e.Source = netip.MustParseAddrPort(source)
	}
	return e
}

func TestWhichPhonesExchangeTheirAudio(t *testing.T) {
	t.Parallel()
	plain := endpoint("198.51.100.1:4000", "198.51.100.1", "")
	secure, tones, lawless := plain, plain, plain
	secure.Profile, tones.Event, lawless.Codecs = "RTP/SAVP", -1, []media.Payload{{Codec: "PCMA", Number: 8}}
	for name, c := range map[string]struct {
		first, second media.Endpoint
		auto, always  string
	}{
		"both on the Internet":                   {plain, endpoint("203.0.113.9:5000", "203.0.113.9", "203.0.113.9:5000"), "direct", "direct"},
		"both in the office":                     {endpoint("10.1.0.1:4000", "10.1.0.1", ""), endpoint("10.2.0.1:4000", "10.2.0.1", ""), "direct", "direct"},
		"one in the office":                      {plain, endpoint("10.2.0.1:4000", "10.2.0.1", ""), "carried", "direct"},
		"one behind a router":                    {plain, endpoint("192.168.1.7:4000", "203.0.113.9", ""), "carried", "direct"},
		"audio that comes from elsewhere":        {plain, endpoint("203.0.113.9:4000", "203.0.113.9", "203.0.113.9:4001"), "carried", "moved"},
		"one network behind one router":          {endpoint("192.168.1.6:4000", "203.0.113.9", ""), endpoint("192.168.1.7:4000", "203.0.113.9", ""), "direct", "direct"},
		"two networks behind one router":         {endpoint("192.168.1.6:4000", "203.0.113.9", ""), endpoint("192.168.2.7:4000", "203.0.113.9", ""), "carried", "direct"},
		"like networks behind different routers": {endpoint("192.168.1.6:4000", "203.0.113.9", ""), endpoint("192.168.1.7:4000", "203.0.113.10", ""), "carried", "direct"},
		"two versions of IP":                     {plain, endpoint("[2001:db8::1]:4000", "2001:db8::1", ""), "carried", "carried"},
		"both on version 6":                      {endpoint("[2001:db8::2]:4000", "2001:db8::2", ""), endpoint("[2001:db8::1]:4000", "2001:db8::1", ""), "direct", "direct"},
		"one encrypts":                           {plain, secure, "carried", "carried"},
		"both encrypt":                           {secure, secure, "direct", "direct"},
		"keys as tones":                          {plain, tones, "carried", "carried"},
		"one of the codecs":                      {plain, lawless, "direct", "direct"},
		"no codec in common": {lawless, func() media.Endpoint {
			e := plain
			e.Codecs = []media.Payload{{Codec: "PCMU"}}
			return e
		}(), "carried", "carried"},
	} {
		for policy, want := range map[call.BypassMedia]string{call.BypassAuto: c.auto, call.BypassAlways: c.always} {
			h := newOriginateHouse(t)
			b := bypass(h.House, policy)
			b.first.At(c.first)
			b.second.At(c.second)
			h.Advance(time.Minute)
			if want == "moved" {
				if to := b.first.SendsTo(); to != c.second.Source {
					t.Errorf("%s: audio is sent to %s", name, to)
				}
				continue
			}
			if got := b.goes(); got != want {
				t.Errorf("%s, %d: the audio is %s, not %s", name, policy, got, want)
			}
		}
	}
}

// TestAPhoneThatDoesNotDoIt: whatever either phone answers at whatever step, both hear each other through the server.
func TestAPhoneThatDoesNotDoIt(t *testing.T) {
	t.Parallel()
	odd := map[string]simulate.Answer{"488": {Status: 488}, "491": {Status: 491}, "503": {Status: 503}, "timeout": {Status: 408},
		"timeout, and it does it": {Status: 408, Acts: true}, "late": {After: 8 * time.Second},
		"no use": {Unusable: true}, "no use, and it does it": {Unusable: true, Acts: true}}
	for name, answer := range odd {
		for step, fits := range map[string]func(b *bypassed){
			"the first":  func(b *bypassed) { b.second.Answers(simulate.Answer{}); b.first.Answers(answer) },
			"the second": func(b *bypassed) { b.second.Answers(answer) },
			"coming back": func(b *bypassed) {
				b.second.Answers(simulate.Answer{Status: 488})
				b.first.Answers(simulate.Answer{}, answer)
			},
		} {
			h := newOriginateHouse(t)
			b := bypass(h.House, call.BypassAlways)
			fits(b)
			if step == "the first" && answer.Status == 0 { // late: both may come later
				fits(b)
			}
			h.Advance(5 * time.Minute)
			if step == "coming back" && strings.HasPrefix(name, "timeout") || step == "coming back" && name == "no use" {
				// It is not there any more, or nobody knows where its audio goes, and none comes.
				if !b.first.State().Over || !b.second.State().Over {
					t.Error("a phone that has gone for ever is not given up")
				}
				b.over()
				continue
			}
			if got := b.goes(); got != "carried" {
				t.Errorf("%s says %s: the audio is %s", step, name, got)
			}
			if b.first.State().Over || b.second.State().Over {
				t.Errorf("%s says %s: a party was hung up on", step, name)
			}
			b.second.Holds(true)
			h.Advance(moment)
			if s := b.first.State(); s.Sounding == "" {
				t.Errorf("%s says %s: who is held hears nothing", step, name)
			}
			b.first.HangsUp()
			h.Advance(5 * time.Minute)
			b.over()
		}
	}
}

func TestAPhoneThatWillNotComeBackIsHungUpOn(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	b := bypass(h.House, call.BypassAlways)
	refuses := simulate.Answer{Status: 488}
	b.first.Answers(simulate.Answer{}, refuses, refuses, refuses, refuses)
	h.Advance(2 * time.Second)
	b.want("direct")
	b.second.Holds(true)
	h.Advance(time.Minute)
	if !b.first.State().Over || !b.second.State().Over {
		t.Error("nobody can hear anybody, and the call goes on")
	}
	b.over()
}

func TestGlareIsWaitedOut(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	b := bypass(h.House, call.BypassAlways)
	glare := simulate.Answer{Status: 491}
	b.first.Answers(simulate.Answer{}, glare)
	h.Advance(2 * time.Second)
	b.want("direct")
	b.second.Holds(true)
	h.Settle()
	b.first.Holds(true) // which is what it was about to ask for
	h.Advance(time.Minute)
	b.want("carried")
	b.first.Holds(false)
	b.second.Holds(false)
	h.Advance(5 * time.Second)
	b.want("direct")
}

func TestATransferBringsTheAudioBackAndTheNextPartyGoesToo(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	b := bypass(h.House, call.BypassAlways)
	h.Advance(2 * time.Second)
	b.want("direct")
	b.second.Transfers("1003")
	h.Advance(moment)
	if to := b.first.SendsTo(); to.IsValid() {
		t.Errorf("the audio of who is left goes to %s", to)
	}
	b.second = h.Legs()[2]
	b.second.PicksUp()
	h.Settle()
	b.want("carried")
	h.Advance(2 * time.Second)
	b.want("direct")
	b.second.HangsUp()
	h.Advance(time.Minute)
	b.over()
}

// TestParkingBringsTheAudioBack: who is parked hears the server's music, and not the phone that has parked; who retrieves may
// talk without the server again.
func TestParkingBringsTheAudioBack(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	h.Callflow("park", "*4", `{"module":"park","data":{"action":"park"}}`)
	h.Callflow("retrieve", `^\*5([0-9]*)$`, `{"module":"park","data":{"action":"retrieve"}}`)
	b := bypass(h.House, call.BypassAlways)
	h.Advance(2 * time.Second)
	b.want("direct")
	b.second.Transfers("*4")
	h.Advance(time.Minute)
	if !b.second.State().Over || b.first.State().Over || b.first.SendsTo().IsValid() || len(h.Calls.Registry.Parked(callflowtest.AccountID)) != 1 {
		t.Fatalf("%d are parked; the audio of the one goes to %s", len(h.Calls.Registry.Parked(callflowtest.AccountID)), b.first.SendsTo())
	}
	third := h.World.Call("1003", "*5101")
	h.Settle()
	b.second = third
	b.want("carried")
	h.Advance(time.Minute)
	if way := b.goes(); way == "half" {
		t.Errorf("the audio is %s", way)
	}
	third.HangsUp()
	h.Advance(time.Minute)
	b.over()
}

func TestAnAttendedTransferBringsTheAudioBack(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	b := bypass(h.House, call.BypassAlways)
	h.Advance(2 * time.Second)
	b.want("direct")
	other := h.World.Call("1002", "1003")
	h.Settle()
	third := h.Legs()[2]
	third.PicksUp()
	h.Settle()
	b.second.TransfersTo(other)
	h.Advance(time.Minute)
	if !other.State().Over || !b.second.State().Over {
		t.Error("who has transferred is still there")
	}
	if third.State().Joined != b.first || b.first.SendsTo().IsValid() {
		t.Errorf("the other two do not talk by the server; audio goes to %s", b.first.SendsTo())
	}
	third.HangsUp()
	h.Advance(time.Minute)
	b.over()
}

// TestNobodyHearsHalfOfACall lets both parties, and chance, do anything at any time: whenever all is quiet both phones send
// their audio to each other or both to the server, nothing was ever played to a phone that was away, who is held hears music,
// and whoever hangs up when, nothing is left.
func TestNobodyHearsHalfOfACall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		h := newOriginateHouse(t)
		b := bypass(h.House, call.BypassAlways)
		prompt := true // what needs audio waits for both phones, but not for long
		for _, l := range []*simulate.Leg{b.first, b.second} {
			var answers []simulate.Answer
			for range rapid.IntRange(0, 6).Draw(r, "answers") {
				answers = append(answers, simulate.Answer{Status: rapid.SampledFrom([]int{200, 200, 200, 491, 503, 408}).Draw(r, "status"),
					After: time.Duration(rapid.SampledFrom([]int{0, 1, 50, 900, 7000}).Draw(r, "ms")) * time.Millisecond,
					Acts:  rapid.Bool().Draw(r, "acts")})
				a := &answers[len(answers)-1]
				a.Acts = a.Acts && a.Status == 408 // who refuses has done nothing
				prompt = prompt && a.Status == 200 && a.After < time.Second
			}
			l.Answers(answers...)
		}
		var did []string
		for range rapid.IntRange(0, 12).Draw(r, "steps") {
			party := b.first
			name := "first"
			if rapid.Bool().Draw(r, "second") {
				party, name = b.second, "second"
			}
			kind := rapid.SampledFrom([]string{"wait", "wait", "hold", "resume", "key", "transfer", "end"}).Draw(r, "kind")
			did = append(did, kind+" "+name)
			switch kind {
			case "wait":
				h.Advance(time.Duration(rapid.SampledFrom([]int{1, 60, 950, 1100, 3000, 60000}).Draw(r, "ms")) * time.Millisecond)
			case "hold", "resume":
				party.Holds(kind == "hold")
			case "key":
				party.Presses('5')
			case "transfer":
				party.Transfers("999") // which nobody has: it comes back
			case "end":
				if rapid.IntRange(0, 3).Draw(r, "really") == 0 {
					party.HangsUp()
				}
			}
		}
		h.Advance(20 * time.Minute) // until all is quiet
		said := strings.Join(did, ", ")
		if !b.first.State().Over && !b.second.State().Over && b.goes() == "half" {
			r.Fatalf("%s sends to %s, %s to %s after %s", b.first.Address(), b.first.SendsTo(), b.second.Address(), b.second.SendsTo(), said)
		}
		for _, l := range h.Legs() {
			if lost := l.Lost(); len(lost) > 0 && prompt {
				r.Fatalf("%q was played to a phone that was away, after %s", lost, said)
			}
		}
		b.first.HangsUp()
		h.Advance(20 * time.Minute)
		for _, l := range h.Legs() {
			l.HangsUp()
		}
		h.Advance(20 * time.Minute)
		if n := h.Calls.Registry.Count(); n != 0 || h.Panics() != 0 || h.Alarms() != 0 {
			r.Fatalf("%d calls, %d panics, %d alarms are left after %s", n, h.Panics(), h.Alarms(), said)
		}
	})
}
