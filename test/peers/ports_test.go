package peers

import (
	"net"
	"os"
	"sync"
	"testing"
)

// Ports that strangers are given. They lie below those that the system hands out, from which a port that was free
// when it was looked at may be gone when the stranger binds it.
const (
	firstPort = 10000
	lastPort  = 15999
)

var ports struct {
	mu   sync.Mutex
	next int
}

// freePorts returns the first of n ports in a row, beginning with an even one, that are free and that no other test of
// this process is given.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.next == 0 {
		ports.next = firstPort + os.Getpid()*118%(lastPort-firstPort) // another process begins elsewhere
	}
	for range lastPort - firstPort {
		first := ports.next + ports.next%2
		if first+n > lastPort {
			ports.next = firstPort
			continue
		}
		ports.next = first + n
		if free(first, n) {
			return first
		}
	}
	t.Fatal("no ports are free")
	return 0
}

func free(first, n int) bool {
	for port := first; port < first+n; port++ {
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4zero, Port: port})
		if err != nil {
			return false
		}
		_ = udp.Close()
		tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			return false
		}
		_ = tcp.Close()
	}
	return true
}
