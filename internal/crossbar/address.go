package crossbar

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Kinds of addresses, as the schemas' x-address names them: strings that say to which hosts bugle will connect.
const (
	webAddress   = "web"   // an http or https URL
	mediaAddress = "media" // a media reference, which may be such a URL
	hostName     = "host"  // a host name or address, with or without a port
	sipAddress   = "sip"   // a SIP URI, or a host as above
)

// checkAddresses refuses URLs that can never be connected to, wherever a schema says that there is one: in the document, and
// in the data of the modules of its callflow or metaflows. A name is judged when it is resolved, by egress; an address that
// stands in the document is judged here, so that the client hears of it.
func (e *edit) checkAddresses() {
	e.addressesIn(e.res.schema, e.doc, nil)
	flows := map[string]any{}
	if e.res.typ == TypeCallflow {
		flows["flow"] = e.doc["flow"]
	}
	for _, path := range [...]string{"metaflows.patterns", "metaflows.numbers", "metaflow.patterns", "metaflow.numbers"} {
		byKey, _ := treeAt(e.doc, path).(map[string]any)
		for key, flow := range byKey {
			flows[path+"."+fieldPath(key)] = flow
		}
	}
	for begin, flow := range flows {
		walkFlow(flow, func(node map[string]any, path []string) {
			if module := stringAt(node, "module"); module != "" {
				e.addressesIn("callflows."+module, node["data"], append(append(strings.Split(begin, "."), path...), "data"))
			}
		})
	}
}

// addressesIn checks what a schema calls an address in v, which stands at a path of the document.
func (e *edit) addressesIn(schema string, v any, path []string) {
	e.req.api.schemas.visit(e.req.api.schemas.tree[schema], v, path, func(schema map[string]any, v any, path []string) {
		kind := stringAt(schema, "x-address")
		text, _ := v.(string)
		if kind == "" || text == "" {
			return
		}
		if problem := e.req.api.addressProblem(kind, text); problem != "" {
			e.errs.add(fieldPath(path...), "error", map[string]any{"message": problem, "value": clip(text, 256)})
		}
	})
}

func (a *API) addressProblem(kind, text string) string {
	var host string
	if kind == mediaAddress {
		scheme, _, _ := strings.Cut(text, "://")
		if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			return "" // an id, a prompt, a text to be spoken
		}
	}
	switch kind {
	case webAddress, mediaAddress:
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
		name := strings.TrimSuffix(strings.ToLower(host), ".")
		if numeric(name[strings.LastIndexByte(name, '.')+1:]) {
			return "Must name a host, or have an IPv4 address as four decimal numbers"
		}
		if name != "localhost" && !strings.HasSuffix(name, ".localhost") {
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

// numeric reports whether the last label of a host is a number, so that it is no name, though some resolvers take 127.1, 0x7f.1 or
// 2130706433 for an address. URL Standard, "ends in a number".
func numeric(label string) bool {
	_, err := strconv.ParseUint(label, 0, 64)
	return err == nil || label != "" && strings.Trim(label, "0123456789") == ""
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
