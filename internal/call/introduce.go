package call

import (
	"net/netip"
	"slices"

	"bugle/internal/media"
)

// introduce makes of what two phones are what each is told of the other, or says why they cannot exchange their audio
// themselves.
func introduce(a, b *media.Endpoint, policy BypassMedia) (why string) {
	switch {
	case a.Profile != b.Profile:
		return "one phone encrypts its audio and the other one does not"
	case a.RTP.Addr().Is4() != b.RTP.Addr().Is4():
		return "the phones speak different versions of IP"
	case (a.Event < 0) != (b.Event < 0):
		return "one phone sends keys as events and the other one as tones"
	}
	shared := slices.IndexFunc(a.Codecs, func(p media.Payload) bool { return codecOf(b, p.Codec) >= 0 })
	if shared < 0 {
		return "the phones have no codec in common"
	}
	name := a.Codecs[shared].Codec
	a.Codecs = a.Codecs[shared : shared+1]
	other := codecOf(b, name)
	b.Codecs = b.Codecs[other : other+1]
	if policy == BypassAuto {
		if !reach(a, b) {
			return "it is not certain that the phones reach each other"
		}
		return ""
	}
	if a.Signalling != b.Signalling { // not behind one router
		outside(a)
		outside(b)
	}
	return ""
}

func codecOf(e *media.Endpoint, name string) int {
	return slices.IndexFunc(e.Codecs, func(p media.Payload) bool { return p.Codec == name })
}

// same tells whether two endpoints are one for the phone that sends there.
func same(a, b *media.Endpoint) bool {
	return a.RTP == b.RTP && a.RTCP == b.RTCP && a.Event == b.Event && slices.Equal(a.Codecs, b.Codecs)
}

// reach tells whether it is certain that two phones reach each other. Either both are where they say, which is where their
// signalling comes from, and both on the Internet or both on private addresses; or they are in one network behind one router.
func reach(a, b *media.Endpoint) bool {
	switch {
	case scopeOf(a.RTP.Addr()) != scopeOf(b.RTP.Addr()):
		return false
	case open(a) && open(b):
		return true
	}
	return a.Signalling.IsValid() && a.Signalling == b.Signalling && scopeOf(a.RTP.Addr()) == privateScope && neighbours(a.RTP.Addr(), b.RTP.Addr())
}

// open tells whether no router translates a phone's addresses.
func open(e *media.Endpoint) bool {
	return e.RTP.Addr() == e.Signalling && (!e.Source.IsValid() || e.Source == e.RTP)
}

// outside puts a phone where its audio comes from: the port that its router has opened for it.
func outside(e *media.Endpoint) {
	if e.Source.IsValid() && e.Source != e.RTP {
		e.RTP = e.Source
		e.RTCP = netip.AddrPortFrom(e.Source.Addr(), min(e.Source.Port(), 65534)+1)
	}
}

type scope uint8

const (
	globalScope scope = iota
	privateScope
	hostScope
)

func scopeOf(a netip.Addr) scope {
	switch {
	case a.IsLoopback():
		return hostScope
	case a.IsPrivate(), a.IsLinkLocalUnicast(), carriers.Contains(a):
		return privateScope
	}
	return globalScope
}

// carriers are the addresses behind a carrier's routers (RFC 6598).
var carriers = netip.MustParsePrefix("100.64.0.0/10")

// neighbours tells whether two private addresses are in one small network.
func neighbours(a, b netip.Addr) bool {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	network, err := a.Prefix(bits)
	return err == nil && network.Contains(b)
}
