package sip

import (
	"net/netip"
	"strconv"
	"strings"

	"bugle"
)

// URI is a SIP, SIPS or tel URI (RFC 3261 §19.1, RFC 3966), or one of an unknown scheme.
type URI struct {
	Scheme   string // in lower case
	User     string // with its escapes undone; the number of a tel URI; may hold any byte
	Password string // as it stands, escapes included
	Host     string // in lower case only if the sender wrote it so; an IPv6 address without its brackets
	Port     uint16 // 0 when none is given
	Params   Params // ";transport=tcp;lr"
	Headers  string // what follows "?", escapes included
	Opaque   string // what follows the colon of a URI that is neither sip, sips nor tel
}

// ErrScheme is the cause in the error of ParseURI for a URI that is well formed but of no SIP scheme; the URI is returned
// with Scheme and Opaque set.
var ErrScheme = &bugle.Error{Op: "sip.ParseURI", Kind: bugle.KindUnsupported,
	Message: "the URI scheme is not known; sip, sips and tel are"}

func badURI(what string) error {
	return &bugle.Error{Op: "sip.ParseURI", Kind: bugle.KindInvalid, Message: "bad URI: " + what}
}

// ParseURI parses a URI without angle brackets. The result shares the text's memory. An unknown scheme gives ErrScheme.
func ParseURI(text string) (URI, error) {
	colon := strings.IndexByte(text, ':')
	if colon <= 0 || !isScheme(text[:colon]) {
		return URI{}, badURI("it has no scheme")
	}
	scheme, rest := text[:colon], text[colon+1:]
	for i := 0; i < len(rest); i++ {
		if c := rest[i]; c <= ' ' || c == '<' || c == '>' || c == '"' || c == 0x7f {
			return URI{}, badURI("it holds a space, an angle bracket, a quote or a control character")
		}
	}
	switch {
	case equalFold(scheme, "sip"):
		return parseSIPURI("sip", rest)
	case equalFold(scheme, "sips"):
		return parseSIPURI("sips", rest)
	case equalFold(scheme, "tel"):
		return parseTelURI(rest)
	}
	return URI{Scheme: strings.ToLower(scheme), Opaque: rest}, ErrScheme
}

func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := lower(s[i])
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

func parseTelURI(rest string) (URI, error) {
	u := URI{Scheme: "tel"}
	number := rest
	if semi := strings.IndexByte(rest, ';'); semi >= 0 {
		number, u.Params = rest[:semi], Params(rest[semi:])
	}
	var ok bool
	if u.User, ok = unescape(number); !ok || u.User == "" {
		return URI{}, badURI("the telephone number is empty or has a broken escape")
	}
	return u, nil
}

func parseSIPURI(scheme, rest string) (URI, error) {
	u := URI{Scheme: scheme}
	// The user part may hold ";" and "?", and no "@" follows it unescaped except in headers: the first "@" ends it.
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		user := rest[:at]
		rest = rest[at+1:]
		if colon := strings.IndexByte(user, ':'); colon >= 0 {
			user, u.Password = user[:colon], user[colon+1:]
			if _, ok := unescape(u.Password); !ok || strings.IndexByte(u.Password, ':') >= 0 {
				return URI{}, badURI("the password has a colon or a broken escape")
			}
		}
		var ok bool
		if u.User, ok = unescape(user); !ok {
			return URI{}, badURI("the user part has a broken escape")
		}
		if u.User == "" {
			return URI{}, badURI("the user part is empty")
		}
	}
	if q := strings.IndexByte(rest, '?'); q >= 0 {
		rest, u.Headers = rest[:q], rest[q+1:]
	}
	if semi := strings.IndexByte(rest, ';'); semi >= 0 {
		rest, u.Params = rest[:semi], Params(rest[semi:])
	}
	var err string
	if u.Host, u.Port, err = parseHostPort(rest); err != "" {
		return URI{}, badURI(err)
	}
	return u, nil
}

// parseHostPort splits host and port; problem is empty when both are well formed.
func parseHostPort(text string) (host string, port uint16, problem string) {
	portText, hasPort := "", false
	if strings.HasPrefix(text, "[") {
		end := strings.IndexByte(text, ']')
		if end < 0 {
			return "", 0, "the IPv6 address has no closing bracket"
		}
		// RFC 5118 §4.10: the grammar of RFC 3261 allows three colons before an IPv4 address.
		host = strings.Replace(text[1:end], ":::", "::", 1)
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() || a.Zone() != "" {
			return "", 0, "what stands in brackets is not an IPv6 address"
		}
		if rest := text[end+1:]; rest != "" {
			if rest[0] != ':' {
				return "", 0, "text follows the IPv6 address"
			}
			portText, hasPort = rest[1:], true
		}
	} else {
		host, portText, hasPort = strings.Cut(text, ":")
		if !isHost(host) {
			return "", 0, "the host is not a name or an address"
		}
	}
	if hasPort {
		n, ok := number(portText, 65535)
		if !ok {
			return "", 0, "the port is not a number up to 65535"
		}
		port = uint16(n)
	}
	return host, port, ""
}

func isHost(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= lower(c) && lower(c) <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}

// String returns the URI as it goes on the wire.
func (u URI) String() string { return string(u.AppendTo(nil)) }

// AppendTo appends the URI as it goes on the wire, with the user part escaped as needed.
func (u URI) AppendTo(dst []byte) []byte {
	dst = append(dst, u.Scheme...)
	dst = append(dst, ':')
	switch u.Scheme {
	case "sip", "sips":
	case "tel":
		dst = appendEscaped(dst, u.User)
		return append(dst, u.Params...)
	default:
		return append(dst, u.Opaque...)
	}
	if u.User != "" {
		dst = appendEscaped(dst, u.User)
		if u.Password != "" {
			dst = append(append(dst, ':'), u.Password...)
		}
		dst = append(dst, '@')
	}
	dst = appendHostPort(dst, u.Host, u.Port)
	dst = append(dst, u.Params...)
	if u.Headers != "" {
		dst = append(append(dst, '?'), u.Headers...)
	}
	return dst
}

func appendHostPort(dst []byte, host string, port uint16) []byte {
	if strings.IndexByte(host, ':') >= 0 && !strings.HasPrefix(host, "[") {
		dst = append(append(append(dst, '['), host...), ']')
	} else {
		dst = append(dst, host...)
	}
	if port != 0 {
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(port), 10)
	}
	return dst
}

// Address returns the host as an address, when it is one and not a name, with the port or the scheme's default.
func (u URI) Address() (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(u.Host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	port := u.Port
	if port == 0 {
		port = 5060
		if u.Scheme == "sips" {
			port = 5061
		}
	}
	return netip.AddrPortFrom(a, port), true
}

// uriParamsThatCount are the URI parameters that make a difference even when only one of two URIs has them.
var uriParamsThatCount = [...]string{"user", "ttl", "method", "maddr", "transport"}

// Equal compares two URIs by the rules of RFC 3261 §19.1.4.
func (u URI) Equal(v URI) bool {
	if u.Scheme != v.Scheme || u.User != v.User || u.Password != v.Password || !equalFold(u.Host, v.Host) ||
		u.Port != v.Port || u.Opaque != v.Opaque || u.Headers != v.Headers {
		return false
	}
	for name, value := range u.Params.All() {
		if other, ok := v.Params.Get(name); ok && !equalFold(value, other) {
			return false
		}
	}
	for _, name := range uriParamsThatCount {
		if u.Params.Has(name) != v.Params.Has(name) {
			return false
		}
	}
	return true
}
