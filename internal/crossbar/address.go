package crossbar

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// addressKey is a key whose string names a host that bugle will connect to.
type addressKey struct {
	path string // dotted; "*" stands for every member of an array
	kind addressKind
}

type addressKind int

const (
	webAddress addressKind = iota // an http or https URL
	hostName                      // a host name or address, with or without a port
	sipAddress                    // a SIP URI, or a host as above
)

// checkAddresses refuses URLs that can never be connected to. A name is judged when it is resolved, by egress; an address
// that stands in the document is judged here, so that the client hears of it.
func (e *edit) checkAddresses() {
	for _, key := range e.res.addresses {
		for _, path := range expand(e.doc, key.path) {
			text := stringAt(e.doc, path)
			if text == "" {
				continue
			}
			if problem := e.req.api.addressProblem(key.kind, text); problem != "" {
				e.errs.add(path, "error", map[string]any{"message": problem, "value": clip(text, 256)})
			}
		}
	}
}

func (a *API) addressProblem(kind addressKind, text string) string {
	var host string
	switch kind {
	case webAddress:
		u, err := url.Parse(text)
		if err != nil || !slices.Contains([]string{"http", "https"}, strings.ToLower(u.Scheme)) || u.Hostname() == "" {
			return "Must be a URL with the scheme http or https and a host"
		}
		host = u.Hostname()
	case sipAddress:
		host = text
		if scheme, rest, ok := strings.Cut(text, ":"); ok && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips")) {
			host = rest
		}
		host = host[strings.LastIndexByte(host, '@')+1:]
		if i := strings.IndexAny(host, ";?"); i >= 0 {
			host = host[:i]
		}
		host = withoutPort(host)
	case hostName:
		host = withoutPort(text)
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n<>\"/\\") {
		return "Must name a host"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		if name := strings.TrimSuffix(strings.ToLower(host), "."); name != "localhost" && !strings.HasSuffix(name, ".localhost") {
			return ""
		}
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if a.opts.Egress == nil {
		return ""
	}
	if err := a.opts.Egress.Check(addr); err != nil {
		return errorText(err)
	}
	return ""
}

// withoutPort is the host of "host", "host:port", "[v6]:port" or a bare IPv6 address.
func withoutPort(s string) string {
	if strings.HasPrefix(s, "[") {
		host, _, _ := strings.Cut(s[1:], "]")
		return host
	}
	if host, _, ok := strings.Cut(s, ":"); ok && strings.Count(s, ":") == 1 {
		return host
	}
	return s
}
