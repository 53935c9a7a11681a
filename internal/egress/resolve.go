package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"bugle"
)

const maxResolved = 16 // addresses of one name that are looked at

// Resolver is what Resolve asks; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Resolve finds the addresses of a SIP host that may be reached, in the order in which they are to be tried (RFC 3263
// §4.2). transport is "udp", "tcp" or "tls". port 0 means that the URI gave none: SRV records are asked first, then the
// addresses with the transport's own port. The error is a *bugle.Error of KindForbidden when the name has addresses
// but none may be reached, of KindUnavailable when it has none or does not resolve.
func (g *Guard) Resolve(ctx context.Context, host string, port int, transport string) ([]netip.AddrPort, error) {
	return g.ResolveWith(ctx, net.DefaultResolver, host, port, transport)
}

// ResolveWith is Resolve with another resolver.
func (g *Guard) ResolveWith(ctx context.Context, r Resolver, host string, port int, transport string) ([]netip.AddrPort, error) {
	if port < 0 || port > 65535 {
		return nil, &bugle.Error{Op: "egress.Resolve", Kind: bugle.KindInvalid, Message: "a port is 1 to 65535"}
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	usual := 5060
	if transport == "tls" {
		usual = 5061
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if port == 0 {
			port = usual
		}
		if err := g.Check(addr); err != nil {
			return nil, err
		}
		return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), uint16(port))}, nil
	}
	if host == "" {
		return nil, &bugle.Error{Op: "egress.Resolve", Kind: bugle.KindInvalid, Message: "no host"}
	}
	if port == 0 {
		if out, refused := g.services(ctx, r, host, transport); len(out) > 0 || refused != nil {
			return out, refused
		}
		port = usual
	}
	return g.addresses(ctx, r, host, uint16(port), nil)
}

// services asks for SRV records; both results are empty when there are none.
func (g *Guard) services(ctx context.Context, r Resolver, host, transport string) (out []netip.AddrPort, refused error) {
	service, proto := "sip", "udp"
	switch transport {
	case "tcp":
		proto = "tcp"
	case "tls":
		service, proto = "sips", "tcp"
	}
	_, records, err := r.LookupSRV(ctx, service, proto, host) // sorted by priority and shuffled by weight
	if err != nil {
		return nil, nil
	}
	for _, rec := range records {
		if len(out) >= maxResolved || rec.Target == "." {
			break
		}
		found, err := g.addresses(ctx, r, strings.TrimSuffix(rec.Target, "."), rec.Port, out)
		if err == nil {
			out = found
		} else if bugle.KindOf(err) == bugle.KindForbidden {
			refused = err
		}
	}
	if len(out) > 0 {
		refused = nil
	}
	return out, refused
}

// addresses appends the allowed addresses of a name to out.
func (g *Guard) addresses(ctx context.Context, r Resolver, host string, port uint16, out []netip.AddrPort) ([]netip.AddrPort, error) {
	found, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		return nil, &bugle.Error{Op: "egress.Resolve", Kind: bugle.KindUnavailable,
			Message: fmt.Sprintf("%s has no address", host), Err: err}
	}
	var refused error
	before := len(out)
	for _, addr := range found[:min(len(found), maxResolved)] {
		if err := g.Check(addr); err != nil {
			refused = err
			continue
		}
		out = append(out, netip.AddrPortFrom(addr.Unmap(), port))
	}
	if len(out) == before {
		return nil, refused
	}
	return out, nil
}
