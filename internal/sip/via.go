package sip

import (
	"net/netip"
	"strings"

	"bugle"
)

// Via is one Via header field value (RFC 3261 §20.42).
type Via struct {
	Transport string // as it stands, "UDP"
	Host      string // an IPv6 address without its brackets
	Port      uint16 // 0 when none is given
	Params    Params
}

// magicCookie starts every branch of RFC 3261 §8.1.1.7.
const magicCookie = "z9hG4bK"

func badVia(what string) error {
	return &bugle.Error{Op: "sip.ParseVia", Kind: bugle.KindInvalid, Message: "bad Via: " + what}
}

// ParseVia parses one Via value. The result shares the text's memory.
func ParseVia(text string) (Via, error) {
	name, rest, ok := strings.Cut(text, "/")
	if !ok || !equalFold(trimSpace(name), "SIP") {
		return Via{}, badVia("the protocol is not SIP")
	}
	version, rest, ok := strings.Cut(rest, "/")
	if !ok || trimSpace(version) != "2.0" {
		return Via{}, badVia("the version is not 2.0")
	}
	rest = trimSpace(rest)
	space := strings.IndexAny(rest, " \t")
	if space < 0 {
		return Via{}, badVia("it has no sent-by")
	}
	v := Via{Transport: rest[:space]}
	if !isToken(v.Transport) {
		return Via{}, badVia("the transport is not a token")
	}
	sentBy := trimSpace(rest[space:])
	if semi := strings.IndexByte(sentBy, ';'); semi >= 0 {
		sentBy, v.Params = trimSpace(sentBy[:semi]), Params(sentBy[semi:])
	}
	if strings.ContainsAny(sentBy, " \t") {
		sentBy = strings.Map(func(r rune) rune { // RFC 3261 §25.1: space may stand around the colon
			if r == ' ' || r == '\t' {
				return -1
			}
			return r
		}, sentBy)
	}
	var problem string
	if v.Host, v.Port, problem = parseHostPort(sentBy); problem != "" {
		return Via{}, badVia(problem)
	}
	if !v.Params.wellFormed() {
		return Via{}, badVia("its parameters are malformed")
	}
	return v, nil
}

// Branch returns the branch parameter.
func (v Via) Branch() string { return v.Params.Value("branch") }

// Received returns the received parameter as an address, invalid when it is absent or no address. RFC 5118 §4.5: brackets
// around an IPv6 address are not in the grammar and are accepted.
func (v Via) Received() netip.Addr {
	text := strings.TrimSuffix(strings.TrimPrefix(v.Params.Value("received"), "["), "]")
	a, _ := netip.ParseAddr(text)
	return a
}

// RPort returns the rport parameter (RFC 3581): asked is set when it is there, port is 0 when it has no value.
func (v Via) RPort() (port uint16, asked bool) {
	text, asked := v.Params.Get("rport")
	n, _ := number(text, 65535)
	return uint16(n), asked
}
