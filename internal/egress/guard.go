package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"bugle"
)

// Guard decides which addresses may be reached. It is immutable and safe for concurrent use.
type Guard struct {
	allowed  []netip.Prefix
	guardian *ssrf.Guardian
}

// New returns a guard that lets connections to public addresses pass, and those to special ones only inside allowed.
// A prefix of IPv4-mapped form counts as the IPv4 network that it means.
func New(allowed []netip.Prefix) *Guard {
	g := &Guard{}
	var v4, v6 []netip.Prefix
	for _, p := range allowed {
		if !p.IsValid() {
			continue
		}
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		p = p.Masked()
		g.allowed = append(g.allowed, p)
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	g.guardian = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAnyNetwork(), ssrf.WithAllowedV4Prefixes(v4...),
		ssrf.WithAllowedV6Prefixes(v6...))
	return g
}

// ParseNetworks reads the operator's list: CIDR networks or single addresses, separated by commas or blanks.
func ParseNetworks(list string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p.Masked())
			continue
		}
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return nil, &bugle.Error{Op: "egress.ParseNetworks", Kind: bugle.KindInvalid,
				Message: fmt.Sprintf("%q is no network; write 10.0.0.0/8 or 192.0.2.7", s)}
		}
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out, nil
}

// Check returns nil when a connection to addr may be opened, otherwise a *bugle.Error of KindForbidden.
func (g *Guard) Check(addr netip.Addr) error {
	if !addr.IsValid() {
		return forbidden(addr, nil)
	}
	// A mapped address reaches the IPv4 host that it holds, whatever the socket's family; a zone does not matter.
	addr = addr.Unmap().WithZone("")
	if g.CheckAllowed(addr) == nil {
		return nil
	}
	// A translated or tunnelled address is as dangerous as the IPv4 address inside, and the gateway on the way
	// can be anybody's.
	if inner, ok := embedded(addr); ok {
		if err := g.Check(inner); err != nil {
			return forbidden(addr, err)
		}
		if addr.Is6() && nat64.Contains(addr) {
			return nil // 64:ff9b::/96 to a public address is how an IPv6-only network reaches it
		}
	}
	if err := g.guardian.SafeAddr(addr); err != nil {
		return forbidden(addr, err)
	}
	return nil
}

// CheckAllowed is Check for what may only be sent inside of the operator's networks, such as a request without TLS.
func (g *Guard) CheckAllowed(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(addr) {
			return nil
		}
	}
	return forbidden(addr, nil)
}

// ControlAllowed is Control with CheckAllowed.
func (g *Guard) ControlAllowed(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return forbidden(netip.Addr{}, err)
	}
	return g.CheckAllowed(ap.Addr())
}

// Control is a net.Dialer.Control: it judges the address that is about to be dialled.
func (g *Guard) Control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return forbidden(netip.Addr{}, err)
	}
	return g.Check(ap.Addr())
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291 §2.5.5.1
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380
)

// embedded returns the IPv4 address inside an IPv6 address that a gateway or tunnel would send the packets to.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr), nat64Local.Contains(addr), compatible.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case teredo.Contains(addr): // the client's address, each bit inverted
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	case b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP, RFC 5214
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return netip.Addr{}, false
}

func forbidden(addr netip.Addr, err error) error {
	return &bugle.Error{Op: "egress.Check", Kind: bugle.KindForbidden, Err: err,
		Message: fmt.Sprintf("connections to %s are not allowed; the operator can allow a network with --egress-allow", addr)}
}
