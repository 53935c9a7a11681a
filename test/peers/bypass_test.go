package peers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
	"bugle/internal/sipua"
)

// bypassing is button of which the phones exchange their audio themselves.
func bypassing(id string, policy call.BypassMedia) callflow.Origination {
	order := button(id)
	order.Bypass = policy
	return order
}

// until waits for what nobody tells.
func (o *office) until(what string, true func() bool) {
	o.t.Helper()
	for !true() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-o.ctx.Done():
			o.t.Fatalf("never: %s", what)
		}
	}
}

// aims waits until a phone sends its audio to an address.
func (x *exchange) aims(phone *bugletest.PhoneCall, to netip.AddrPort) {
	x.t.Helper()
	x.until(fmt.Sprintf("a phone sends to %s", to), func() bool { return phone.Stats().Remote == to })
}

func TestTwoPhonesExchangeTheirAudio(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]call.BypassMedia{"always": call.BypassAlways, "auto": call.BypassAuto} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			lee, bob := x.phone(x.lee, bugletest.Answering(0, leeTone)), x.phone(x.bob, bugletest.Answering(0, bobTone))
			c := x.originate(bypassing("1", policy))
			first, second := x.next(lee), x.next(bob)
			c.wait("bridged")
			server := [2]netip.AddrPort{first.Stats().Remote, second.Stats().Remote}
			x.aims(first, second.Stats().Local)
			x.aims(second, first.Stats().Local)
			legs := x.legs()
			first.SayTone(laterTone)
			x.hears(second, laterTone) // a phone hears nobody but whom its last description names
			first.SayTone(leeTone)
			x.hears(second, leeTone)
			must(t, first.Press(x.ctx, "42"))
			must(t, second.WaitKeys(x.ctx, "42"))
			for _, l := range legs {
				before := sipua.Session(l).Stats()
				must(t, first.Press(x.ctx, "1"))
				if after := sipua.Session(l).Stats(); after.PacketsReceived != before.PacketsReceived || after.PacketsSent != before.PacketsSent {
					t.Errorf("the server carries packets: %+v, then %+v", before, after)
				}
			}
			// A key by signalling comes back to the server, which sends it on, and then leaves them alone again.
			must(t, second.PressBy(x.ctx, bugletest.KeysByInfo, "7"))
			must(t, first.WaitKeys(x.ctx, "7"))
			x.aims(first, second.Stats().Local)
			x.aims(second, first.Stats().Local)
			must(t, second.Hold(x.ctx))
			x.aims(first, server[0])
			x.hears(first, holdTone)
			must(t, second.Resume(x.ctx))
			x.hears(first, bobTone)
			x.aims(first, second.Stats().Local)
			x.aims(second, first.Stats().Local)
			must(t, first.Hangup(x.ctx))
			x.ends(second, 200, true)
			c.wait("ended NORMAL_CLEARING")
		})
	}
}

// ear is the audio of a phone that sipp plays: it sends back what comes, and notes from where.
type ear struct {
	conn *net.UDPConn
	done chan struct{}

	mu   sync.Mutex
	from []netip.AddrPort // each time that another one than before sends
}

func (o *office) newEar() *ear {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(o.t, err)
	e := &ear{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			e.mu.Lock()
			if len(e.from) == 0 || e.from[len(e.from)-1] != from {
				e.from = append(e.from, from)
			}
			e.mu.Unlock()
			_, _ = conn.WriteToUDPAddrPort(packet[:n], from)
		}
	}()
	o.t.Cleanup(func() {
		_ = conn.Close()
		<-e.done
	})
	return e
}

func (e *ear) port() int { return e.conn.LocalAddr().(*net.UDPAddr).Port }

// sender is who sends now.
func (e *ear) sender() netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.from) == 0 {
		return netip.AddrPort{}
	}
	return e.from[len(e.from)-1]
}

// servers tells whether an address is one of the exchange's for audio.
func servers(a netip.AddrPort) bool { return a.Port() >= 28000 && a.Port() <= 29999 }

// tail recognises what baresip heard in the last second.
func (b *baresip) tail() (heard []bugletest.Hearing, length int) {
	files, _ := filepath.Glob(filepath.Join(b.dir, "heard", "*-dec.wav"))
	for _, file := range files {
		wav, err := os.ReadFile(file)
		if err != nil || len(wav) < 44 {
			continue
		}
		pcm := make([]int16, (len(wav)-44)/2)
		for i := range pcm {
			pcm[i] = int16(wav[44+2*i]) | int16(wav[45+2*i])<<8
		}
		length = max(length, len(pcm))
		listener := b.o.ears.Listen(func(h bugletest.Hearing) { heard = append(heard, h) }, nil)
		listener.Write(pcm[max(0, len(pcm)-media.SampleRate):])
		listener.Close()
	}
	return heard, length
}

// goesOnHearing waits until baresip has recorded two more seconds, of which the last is a tone.
func (b *baresip) goesOnHearing(hertz float64) {
	b.o.t.Helper()
	_, before := b.tail()
	b.o.until(fmt.Sprintf("baresip %s hears %v", b.name, hertz), func() bool {
		heard, now := b.tail()
		if now < before+2*media.SampleRate {
			return false
		}
		for _, h := range heard {
			if h.IsTone(hertz) {
				return true
			}
		}
		return false
	})
}

// quiet waits until a second passes in which the server carries no packet of audio.
func (x *exchange) quiet() {
	x.t.Helper()
	var last uint64
	since := time.Now()
	x.until("the server carries no audio", func() bool {
		var sum uint64
		for _, l := range x.legs() {
			s := sipua.Session(l).Stats()
			sum += s.PacketsReceived + s.PacketsSent
		}
		if sum != last {
			last, since = sum, time.Now()
		}
		return time.Since(since) > time.Second
	})
}

func TestTwoBaresipsExchangeTheirAudioAndComeBackForAHold(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	lee, bob := x.newBaresip(x.lee, leeTone), x.newBaresipBy(x.bob, bobTone, "PCMU", "tcp")
	c := x.originate(bypassing("baresips", call.BypassAuto))
	lee.wait("CALL_INCOMING")
	lee.do("accept", "")
	bob.wait("CALL_INCOMING")
	bob.do("accept", "")
	c.wait("bridged")
	lee.hears(bobTone)
	bob.hears(leeTone)
	x.quiet()
	lee.goesOnHearing(bobTone)
	bob.goesOnHearing(leeTone)
	x.quiet()
	lee.press("5")
	if key := bob.wait("CALL_DTMF_START"); key.Param != "5" {
		t.Errorf("Bob's phone hears key %q", key.Param)
	}
	bob.do("hold", "")
	lee.goesOnHearing(holdTone)
	bob.do("resume", "")
	lee.goesOnHearing(bobTone)
	x.quiet()
	lee.do("hangup", "")
	bob.wait("CALL_CLOSED")
	c.ends("first_ringing", "first_answered", "second_ringing", "bridged", "ended NORMAL_CLEARING")
}

func TestSippAndBaresipExchangeTheirAudioAndComeBackForAHold(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	s, e, bob := x.newSipp(x.lee, "nobody"), x.newEar(), x.newBaresip(x.bob, bobTone)
	s.play("a phone registers")
	done := s.start("a called phone exchanges audio with another and holds", "-key", "audio", strconv.Itoa(e.port()))
	c := x.originate(bypassing("sipp", call.BypassAlways))
	bob.wait("CALL_INCOMING")
	bob.do("accept", "")
	c.wait("bridged")
	bob.hears(bobTone) // there and back
	if from := e.sender(); !servers(from) {
		t.Errorf("before, audio comes from %s", from)
	}
	x.until("audio comes from the other phone", func() bool { return e.sender().IsValid() && !servers(e.sender()) })
	x.quiet()
	bob.goesOnHearing(bobTone)
	bob.goesOnHearing(holdTone) // sipp's scenario has come to that
	x.until("audio comes through the server again", func() bool { return servers(e.sender()) })
	x.until("audio comes from the other phone again", func() bool { return !servers(e.sender()) })
	x.quiet()
	bob.goesOnHearing(bobTone)
	bob.do("hangup", "")
	<-done
	c.wait("ended NORMAL_CLEARING")
}

func TestSippRefusesToExchangeItsAudio(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]bool{"first": false, "second": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			s, e, bob := x.newSipp(x.lee, "nobody"), x.newEar(), x.newBaresip(x.bob, bobTone)
			s.play("a phone registers")
			done := s.start("a called phone refuses to exchange audio with another", "-key", "audio", strconv.Itoa(e.port()))
			order := bypassing("sipp", call.BypassAlways)
			if second {
				order.First, order.Second = order.Second, order.First
			}
			c := x.originate(order)
			bob.wait("CALL_INCOMING")
			bob.do("accept", "")
			c.wait("bridged")
			x.until("the phones were asked", func() bool { return strings.Contains(x.log(), "bugle carries the audio: a phone does not do it") })
			bob.goesOnHearing(bobTone)
			if from := e.sender(); !servers(from) {
				t.Errorf("audio comes from %s", from)
			}
			bob.do("hangup", "")
			<-done
		})
	}
}

// TestAPhoneThatSaysNothingKeepsItsCall: an INVITE within the dialog to which sipp says nothing at all.
func TestAPhoneThatSaysNothingKeepsItsCall(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	t.Cleanup(cancel)
	x.ctx = ctx
	s, e, bob := x.newSipp(x.lee, "nobody"), x.newEar(), x.newBaresip(x.bob, bobTone)
	s.play("a phone registers")
	done := s.start("a called phone says nothing to a second INVITE", "-key", "audio", strconv.Itoa(e.port()))
	order := bypassing("sipp", call.BypassAlways)
	order.First, order.Second = order.Second, order.First // sipp is the second
	c := x.originate(order)
	bob.wait("CALL_INCOMING")
	bob.do("accept", "")
	c.wait("bridged")
	x.until("the phone is given up", func() bool { return strings.Contains(x.log(), "bugle carries the audio: a phone does not answer") })
	bob.goesOnHearing(bobTone)
	if from := e.sender(); !servers(from) {
		t.Errorf("audio comes from %s", from)
	}
	bob.do("hangup", "")
	<-done
}
