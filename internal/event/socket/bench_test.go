package socket_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bugle/internal/event/kazoo"
	"bugle/internal/event/socket"
)

// BenchmarkEvent is what an event of a call costs while sessions have subscribed to it, each of which reads over loopback in this
// process: until all have it, and, as call-ns/op, what the call waits.
func BenchmarkEvent(b *testing.B) {
	for _, sessions := range []int{0, 1, 1000} {
		b.Run(fmt.Sprint(sessions), func(b *testing.B) {
			w := newWorld(b, func(o *socket.Options) {
				o.Limits = socket.Limits{PerAddress: sessions + 1, PerAccount: sessions + 1, Queue: 1 << 20, QueueBytes: 1 << 30}
			})
			var read atomic.Int64
			for range sessions {
				w.listen(b, &read)
			}
			eventually(b, "all have subscribed", func() bool { return w.sockets.Stats().Subscriptions == sessions })
			leg := kazoo.Channel{Event: kazoo.EventAnswer, AccountID: w.acme, At: time.Unix(1_800_000_000, 0), CallID: "4fdc2c6a@192.0.2.7", Direction: "inbound",
				AuthorizingID: w.annID, AuthorizingType: "device", OwnerID: w.annID, CallerName: "Ann", CallerNumber: "1001", CalleeNumber: "1002",
				From: "1001@acme.example", To: "1002@acme.example", Request: "1002@acme.example", Created: time.Unix(1_800_000_000, 0)}
			all := func(events int64) { // which takes as long as the machine's other work lets it
				for deadline := time.Now().Add(3 * time.Minute); read.Load() < events*int64(sessions); time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						b.Fatal("in vain: all are told")
					}
				}
			}
			told := int64(0)
			if sessions > 0 { // how long an event is
				w.sockets.Call(leg)
				all(1)
				told++
			}
			before, calls := cpu(b), time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				from := time.Now()
				if w.sockets.Listens(leg.AccountID) {
					w.sockets.Call(leg)
				}
				calls += time.Since(from)
				if told++; told%20 == 0 && sessions > 0 {
					all(told)
				}
			}
			if sessions > 0 {
				all(told)
			}
			b.ReportMetric(float64(calls.Nanoseconds())/float64(b.N), "call-ns/op")
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e3, "cpu-us/op")
		})
	}
}

// listen is a client of an open socket that counts what it is told and looks at nothing.
func (w *world) listen(b *testing.B, read *atomic.Int64) {
	address := strings.TrimSuffix(strings.TrimPrefix(w.url, "ws://"), socket.Path)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		socket.Path, address)
	in := bufio.NewReader(conn)
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		b.Fatal(res, err)
	}
	text := fmt.Sprintf(`{"action":"subscribe","auth_token":%q,"data":{"account_id":%q,"binding":"call.*.*"}}`, w.ann, w.acme)
	frame := append([]byte{0x81, 0xfe, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}, text...) // masked with nothing
	if _, err := conn.Write(frame); err != nil {
		b.Fatal(err)
	}
	go func() {
		for answered := false; ; answered = true {
			head, err := in.Peek(4)
			if err != nil {
				return
			}
			size := 2 + int(head[1])
			if head[1] == 126 {
				size = 4 + int(head[2])<<8 + int(head[3])
			}
			if _, err := io.CopyN(io.Discard, in, int64(size)); err != nil {
				return
			}
			if answered {
				read.Add(1)
			}
		}
	}()
}

// cpu is the time that this process has computed.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
