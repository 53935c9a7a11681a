package sip

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// ofBytes is a request of exactly n bytes on the wire.
func ofBytes(t *testing.T, n int) []byte {
	t.Helper()
	text := request("OPTIONS", fmt.Sprint("z9hG4bK", n), "", fmt.Sprint("of", n), 1)
	body := n - len(wire(text)) - len("12345") + len("0")
	text = strings.Replace(text, "Content-Length: 0", fmt.Sprint("Content-Length: ", body), 1)
	message := append(wire(text), strings.Repeat("x", body)...)
	if len(message) != n {
		t.Fatalf("%d bytes, not %d", len(message), n)
	}
	return message
}

// Whoever changes a number here changes what the server is known to do.
func TestLimitsThatNobodySets(t *testing.T) {
	t.Parallel()
	o := Options{}.defaulted()
	got := fmt.Sprint(MaxDatagram, MaxStreamMessage, MaxHeaderLine, MaxHeaderFields, o.StreamIdle, o.FirstMessage,
		o.QueuePerCall, o.MaxInvites, o.QueueDelay, o.MaxUDPRequest)
	if want := fmt.Sprint(65507, 65536, 8192, 128, 2*time.Minute, 10*time.Second, 32, 2000, 500*time.Millisecond, 1300); got != want {
		t.Errorf("datagram, stream message, line, fields, idle, first message, queue, INVITEs, delay, UDP request:\n%s, want\n%s", got, want)
	}
}

func TestTheLargestMessagesAreRead(t *testing.T) {
	t.Parallel()
	l := newLive(t, nil)
	conn, _ := listenUDP(t)
	_, err := conn.WriteToUDPAddrPort(ofBytes(t, MaxDatagram), l.udp)
	check(t, err)
	if m, _ := readUDP(t, conn); m.StatusCode() != 200 {
		t.Errorf("a datagram of 65,507 bytes: %s", m)
	}
	for n, want := range map[int]int{MaxStreamMessage: 200, MaxStreamMessage + 1: 513} {
		stream := l.dial()
		_, err = stream.Write(ofBytes(t, n))
		check(t, err)
		if m := readStream(t, stream); m.StatusCode() != want {
			t.Errorf("%d bytes on a stream: %s", n, m)
		}
	}
}
