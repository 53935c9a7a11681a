package peers

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/media"
)

// Tones, in hertz.
const (
	leeTone  = 440
	bobTone  = 700
	sippTone = 620
	holdTone = 425 // what bugle plays on hold where nobody has chosen music
)

// sipp is one run of a scenario.
type sipp struct {
	office    *office
	username  string // whose phone it is
	dial      string // number that is dialled
	port, rtp int    // of SIP, of media (echo and keys, and two above it for video); rtp_stream finds itself one
	dir       string
}

// newSipp takes free ports for a phone that sipp plays.
func (o *office) newSipp(username, dial string) *sipp {
	needs(o.t, "sipp")
	s := &sipp{office: o, username: username, dial: dial, port: freePorts(o.t, 1), rtp: freePorts(o.t, 4), dir: o.t.TempDir()}
	pcm := make([]byte, 2*media.SampleRate) // whole periods, so that it loops without a seam
	for i := range pcm {
		pcm[i] = media.EncodeMuLaw(int16(5000 * math.Sin(2*math.Pi*sippTone*float64(i)/media.SampleRate)))
	}
	must(o.t, os.WriteFile(filepath.Join(s.dir, "tone.ulaw"), pcm, 0o600))
	return s
}

// start begins to play a scenario, whose file is named as the sentence; the result tells how it ended.
func (s *sipp) start(sentence string, more ...string) <-chan struct{} {
	t := s.office.t
	t.Helper()
	scenario, err := filepath.Abs(filepath.Join("scenarios", strings.ReplaceAll(sentence, " ", "-")+".xml"))
	must(t, err)
	arguments := append([]string{s.office.server.String(), "-sf", scenario, "-m", "1", "-i", "127.0.0.1", "-mi", "127.0.0.1",
		"-p", strconv.Itoa(s.port), "-mp", strconv.Itoa(s.rtp), "-s", s.dial,
		"-key", "user", s.username, "-key", "realm", s.office.realm, "-au", s.username, "-ap", s.office.passwords[s.username],
		"-timeout", "40s", "-timeout_error", "-nostdin", "-trace_err", "-error_file", filepath.Join(s.dir, "errors.log"),
		"-trace_msg", "-message_file", filepath.Join(s.dir, "messages.log")}, more...)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	cmd := exec.CommandContext(ctx, "sipp", arguments...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "TERM=dumb")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		if out, err := cmd.CombinedOutput(); err != nil {
			errors, _ := os.ReadFile(filepath.Join(s.dir, "errors.log"))
			messages, _ := os.ReadFile(filepath.Join(s.dir, "messages.log"))
			t.Errorf("%s: %v\n%.2000s\n%.6000s\n%.500s", sentence, err, errors, messages, out)
		}
	}()
	t.Cleanup(func() { <-done })
	return done
}

// play plays a scenario to its end.
func (s *sipp) play(sentence string, more ...string) { <-s.start(sentence, more...) }

func TestSippDialsTheDirectoryKeysLeeByInfoAndTalks(t *testing.T) {
	t.Parallel()
	for transport, mode := range map[string]string{"udp": "u1", "tcp": "t1"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			lee := o.phone(o.lee, bugletest.Answering(200*time.Millisecond, leeTone))
			s := o.newSipp(o.bob, "411")
			s.play("a phone registers", "-t", mode)
			done := s.start("a phone dials the directory keys lee by info and talks", "-t", mode)
			call := o.next(lee)
			if name, number := call.Remote(); name != "Bob Nowak" || number != "1002" {
				t.Errorf("Lee's phone shows %q %q", name, number)
			}
			o.hears(call, sippTone)
			must(t, call.Hangup(o.ctx))
			<-done
		})
	}
}

func TestSippHoldsTakesBackAndHangsUp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lee := o.phone(o.lee, bugletest.Answering(0, leeTone))
	done := o.newSipp(o.bob, "1001").start("a phone dials holds takes back and hangs up", "-rtp_echo")
	call := o.next(lee)
	o.hears(call, leeTone)
	must(t, call.WaitToneOver(o.ctx, leeTone))
	o.hears(call, holdTone)
	call.SayTone(laterTone)
	o.hears(call, laterTone) // there and back, after the hold
	o.ends(call, 200, true)
	<-done
}

func TestSippGivesUpWhileItRings(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lee := o.phone(o.lee, bugletest.NeverAnswering())
	done := o.newSipp(o.bob, "1001").start("a phone dials and gives up while it rings")
	o.ends(o.next(lee), 487, true)
	<-done
}

func TestSippDialsOneThatIsBusyAndOneThatNobodyHas(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.phone(o.lee, bugletest.Busy())
	o.newSipp(o.bob, "1001").play("a phone dials one that is busy")
	o.newSipp(o.bob, "7777").play("a phone dials a number that nobody has")
}

// calledSipp registers sipp as Lee's phone, plays a scenario on it and calls it from Bob's.
func calledSipp(t *testing.T, sentence string, more ...string) (*office, *bugletest.PhoneCall, <-chan struct{}) {
	t.Helper()
	o := newOffice(t)
	bob := o.phone(o.bob, bugletest.Behaviour{})
	s := o.newSipp(o.lee, "nobody")
	s.play("a phone registers")
	done := s.start(sentence, more...)
	call, err := bob.Dial(o.ctx, "1001")
	must(t, err)
	return o, call, done
}

func TestCalledSippAnswersAndTheCallerHangsUp(t *testing.T) {
	t.Parallel()
	o, call, done := calledSipp(t, "a called phone answers and echoes until the caller hangs up", "-rtp_echo")
	must(t, call.WaitAnswer(o.ctx))
	call.SayTone(bobTone)
	o.hears(call, bobTone)
	must(t, call.Hangup(o.ctx))
	<-done
}

func TestCalledSippAnswersAndHangsUp(t *testing.T) {
	t.Parallel()
	o, call, done := calledSipp(t, "a called phone answers and hangs up", "-rtp_echo")
	must(t, call.WaitAnswer(o.ctx))
	call.SayTone(bobTone)
	o.hears(call, bobTone)
	o.ends(call, 200, true)
	<-done
}

func TestCalledSippIsBusy(t *testing.T) {
	t.Parallel()
	o, call, done := calledSipp(t, "a called phone is busy")
	o.ends(call, 486, true)
	<-done
}

func TestCalledSippRingsUntilTheCallerGivesUp(t *testing.T) {
	t.Parallel()
	o, call, done := calledSipp(t, "a called phone rings until the caller gives up")
	must(t, call.WaitRinging(o.ctx))
	must(t, call.Hangup(o.ctx))
	o.ends(call, 487, true)
	<-done
}
