package sipua

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// sipp runs a scenario once; the scenario's file is named as the sentence that it plays.
func (s *server) sipp(sentence, transport string, args ...string) bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	mode := map[string]string{sip.UDP: "u1", sip.TCP: "t1"}[transport]
	args = append([]string{s.addrFor(transport).String(), "-sf", "testdata/sipp/" + strings.ReplaceAll(sentence, " ", "-") + ".xml",
		"-m", "1", "-i", "127.0.0.1", "-s", "411", "-t", mode, "-nostdin", "-timeout", "20", "-timeout_error",
		"-mp", strconv.Itoa(s.mediaPort())}, args...)
	cmd := exec.CommandContext(ctx, "sipp", args...)
	cmd.Env = append(os.Environ(), "TERM=dumb")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Errorf("%s: %v\n%.3000s", sentence, err, out)
		return false
	}
	return true
}

var mediaPorts atomic.Int64

// mediaPort returns a port for sipp, which takes the second one after it too and gives up when that is taken; the one
// between them is free for another use. It is below those that the system hands out, and another one each time.
func (s *server) mediaPort() int {
	for range 5000 {
		port := 10000 + (os.Getpid()*37+int(mediaPorts.Add(1)))%5000*4
		first, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		second, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 2})
		first.Close()
		if err == nil {
			second.Close()
			return port
		}
	}
	s.t.Fatal("no free port")
	return 0
}

// automatic plays the call layer for callers: it rings, answers unless it is to leave them ringing, and hangs up at key 4.
func automatic(t testing.TB, keys chan<- byte, held chan<- bool, answer bool) func(*Options) {
	return func(o *Options) {
		o.Invites = InviteHandlerFunc(func(in Incoming) call.Sink {
			k := newSink(t)
			in.Leg.Ring()
			if answer {
				in.Leg.Answer()
			}
			go func() {
				for p := range k.events {
					switch e := p.event.(type) {
					case call.Digit:
						if keys <- e.Key; e.Key == '4' {
							in.Leg.Hangup(call.NormalClearing)
						}
					case call.Held:
						held <- e.On
					case call.Ended:
						return
					}
				}
			}()
			return k
		})
	}
}

func TestSippScenarios(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sipp"); err != nil {
		t.Skip("sipp is not installed")
	}
	for _, sentence := range []string{"a phone registers with a digest", "a caller dials is answered and hangs up",
		"a caller gives up while it rings", "a caller puts the call on hold and takes it back", "a caller presses 7 6 4 by INFO",
		"a caller requires reliable provisionals"} {
		for _, transport := range []string{sip.UDP, sip.TCP} {
			t.Run(sentence+" over "+transport, func(t *testing.T) {
				t.Parallel()
				keys, held := make(chan byte, 10), make(chan bool, 10)
				s := startServer(t, automatic(t, keys, held, !strings.Contains(sentence, "gives up")))
				if !s.sipp(sentence, transport) {
					return
				}
				s.settled()
				if strings.Contains(sentence, "7 6 4") {
					if got := fmt.Sprintf("%c%c%c", <-keys, <-keys, <-keys); got != "764" {
						t.Errorf("keys %s", got)
					}
				}
				if strings.Contains(sentence, "hold") && (!<-held || <-held) {
					t.Error("hold and resume were not told")
				}
			})
		}
	}
}

func TestSippIsCalled(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sipp"); err != nil {
		t.Skip("sipp is not installed")
	}
	for _, sentence := range []string{"a called phone rings answers and is hung up on", "a called phone is busy"} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, nil)
			port := s.mediaPort() + 1
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.sipp(sentence, sip.UDP, "-p", strconv.Itoa(port))
			}()
			wait(t, "sipp does not listen", func() bool {
				conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			k := newSink(t)
			leg := s.agent.Originate("to-sipp", call.Target{URI: fmt.Sprintf("sip:bob@127.0.0.1:%d", port), Realm: "acme.test"}, k)
			if strings.Contains(sentence, "busy") {
				if e := next[call.Ended](k); e.Status != 486 {
					t.Errorf("%+v", e)
				}
			} else {
				next[call.Ringing](k)
				next[call.Answered](k)
				leg.Hangup(call.NormalClearing)
				next[call.Ended](k)
			}
			<-done
			s.settled()
		})
	}
}
