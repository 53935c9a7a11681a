//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"bugle/internal/media"
)

// serveBugle does a work with bugle's sessions.
func serveBugle(o order) ([]int, func() outcome, error) {
	debug.SetGCPercent(400)
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	engine, err := media.NewEngine(media.Options{Loop: o.Design, Loops: o.Loops, LocalIP: loopback,
		OnPanic: func(reason any) { fmt.Fprintln(os.Stderr, reason) }})
	if err != nil {
		return nil, nil, err
	}
	before := resident()
	open := func(port int) (*media.Session, error) {
		s, err := engine.NewSession(media.SessionOptions{Signalling: loopback})
		if err != nil {
			return nil, err
		}
		_, err = s.Accept(fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
			"m=audio %d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", port))
		return s, err
	}
	var ports []int
	var senders []*media.Session
	prompt := media.NewClip("prompt", media.Tone(10*time.Second, 440))
	for i := range o.Streams {
		s, err := open(o.Sinks + i)
		if err != nil {
			return nil, nil, err
		}
		senders = append(senders, s)
		switch o.Work {
		case "relay":
			in, err := open(o.From)
			if err != nil {
				return nil, nil, err
			}
			in.Join(s)
			ports = append(ports, int(in.Local().Port()))
		case "play":
			s.Play(1, []*media.Clip{prompt}, true)
			time.Sleep(time.Duration(rand.Int64N(int64(2 * time.Millisecond)))) // calls do not come all at once
		}
	}
	return ports, func() outcome {
		if o.Work == "hold" {
			runtime.GC()
			runtime.GC()
			return outcome{KiB: (resident() - before) / float64(o.Streams)}
		}
		// The CPU time is read before the packets are counted, at both ends of the window: counting costs a little of
		// what is measured, and no packet is counted whose cost is not.
		result := snapshot(0)
		counts := make(chan uint64)
		for _, s := range senders {
			go func() { counts <- s.Stats().PacketsSent }()
		}
		for range senders {
			result.Packets += <-counts
		}
		if !begun {
			begun = true
			result.Mallocs = snapshot(0).Mallocs // counting allocates, and is not what is measured
		}
		return result
	}, nil
}

// begun tells whether the window has begun.
var begun bool

// resident is the process's memory in KiB.
func resident() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib
		}
	}
	return 0
}
