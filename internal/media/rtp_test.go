package media

import "testing"

func TestParsePacket(t *testing.T) {
	t.Parallel()
	whole := func(change func(b []byte)) []byte {
		b := append(rtpPacket(8, 0x1234, 0x89ABCDEF, []byte{1, 2, 3, 4, 5, 6, 7, 8}), 0)[:20]
		change(b)
		return b
	}
	tests := []struct {
		name       string
		datagram   []byte
		start, end int // of the payload; 0 for a packet that is refused
	}{
		{"plain", whole(func([]byte) {}), 12, 20},
		{"one contributor", whole(func(b []byte) { b[0] |= 1 }), 16, 20},
		{"padding", whole(func(b []byte) { b[0] |= 0x20; b[19] = 3 }), 12, 17},
		{"padding and nothing else", whole(func(b []byte) { b[0] |= 0x20; b[19] = 8 }), 12, 12},
		{"extension", whole(func(b []byte) { b[0] |= 0x10; b[14], b[15] = 0, 1 }), 20, 20},
		{"nothing", nil, 0, 0},
		{"cut in the header", whole(func([]byte) {})[:11], 0, 0},
		{"version 1", whole(func(b []byte) { b[0] = 0x40 }), 0, 0},
		{"contributors beyond the end", whole(func(b []byte) { b[0] |= 3 }), 0, 0},
		{"extension beyond the end", whole(func(b []byte) { b[0] |= 0x10; b[14], b[15] = 0xFF, 0xFF }), 0, 0},
		{"extension cut", whole(func(b []byte) { b[0] |= 0x12 }), 0, 0},
		{"padding of nothing", whole(func(b []byte) { b[0] |= 0x20; b[19] = 0 }), 0, 0},
		{"padding over the header", whole(func(b []byte) { b[0] |= 0x20; b[19] = 9 }), 0, 0},
	}
	for _, test := range tests {
		p, ok := parsePacket(test.datagram)
		if ok != (test.start > 0) || ok && (p.start != test.start || p.end != test.end) {
			t.Errorf("%s: %v, payload %d to %d", test.name, ok, p.start, p.end)
		}
		if ok && (p.payload != 8 || p.sequence != 0x1234 || p.timestamp != 0x89ABCDEF || p.ssrc != 5 || p.marker) {
			t.Errorf("%s: read as %+v", test.name, p)
		}
	}
}

// TestReceptionCounts follows RFC 3550 A.1 through a wrap, a new SSRC and a jump.
func TestReceptionCounts(t *testing.T) {
	t.Parallel()
	var r reception
	at := func(ssrc uint32, sequence uint16) {
		r.count(0, &packet{ssrc: ssrc, sequence: sequence})
	}
	for _, sequence := range []uint16{65533, 65534, 0, 1, 65535, 3} { // one late, 2 lost
		at(1, sequence)
	}
	if r.lost() != 1 || r.expected() != 7 {
		t.Errorf("lost %d of %d", r.lost(), r.expected())
	}
	at(2, 100)
	at(2, 103)
	if r.lost() != 3 {
		t.Errorf("after a new SSRC lost %d", r.lost())
	}
	at(2, 30000) // the sender began anew: nothing is lost by that
	at(2, 30001)
	if r.lost() != 3 {
		t.Errorf("after a jump lost %d", r.lost())
	}
	at(2, 30001) // twice
	if r.lost() != 2 {
		t.Errorf("after a double lost %d", r.lost())
	}
}
