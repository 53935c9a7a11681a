package sip

import (
	"strings"

	"bugle"
)

// Address is a name-addr or addr-spec with header parameters, as in From, To, Contact and Route (RFC 3261 §20.10).
type Address struct {
	Display string // without quotes
	URI     URI
	Params  Params // of the header field, such as ";tag=1"
}

func badAddress(what string) error {
	return &bugle.Error{Op: "sip.ParseAddress", Kind: bugle.KindInvalid, Message: "bad address: " + what}
}

// ParseAddress parses one address. The result shares the text's memory. A URI of an unknown scheme gives ErrScheme beside
// the address. Without angle brackets, what follows a semicolon belongs to the header field (RFC 3261 §20).
func ParseAddress(text string) (Address, error) {
	text = trimSpace(text)
	var a Address
	rest := text
	if strings.HasPrefix(rest, `"`) {
		end := endOfQuoted(rest)
		if end < 0 {
			return Address{}, badAddress("the display name has no closing quote")
		}
		a.Display = unquote(rest[:end])
		rest = trimSpace(rest[end:])
		if !strings.HasPrefix(rest, "<") {
			return Address{}, badAddress("no < follows the display name")
		}
	}
	uri := ""
	if open := strings.IndexByte(rest, '<'); open >= 0 {
		if name := trimSpace(rest[:open]); name != "" {
			if !isDisplayName(name) {
				return Address{}, badAddress("the display name must be quoted")
			}
			a.Display = name
		}
		rest = rest[open+1:]
		end := strings.IndexByte(rest, '>')
		if end < 0 {
			return Address{}, badAddress("< without >")
		}
		uri, rest = rest[:end], trimSpace(rest[end+1:])
		if rest != "" && rest[0] != ';' {
			return Address{}, badAddress("text follows >")
		}
		a.Params = Params(rest)
	} else {
		uri = rest
		if semi := strings.IndexByte(rest, ';'); semi >= 0 {
			uri, a.Params = trimSpace(rest[:semi]), Params(rest[semi:])
		}
		if strings.IndexByte(uri, '?') >= 0 || strings.IndexByte(uri, ',') >= 0 {
			// RFC 3261 §20: such a URI must stand in angle brackets.
			return Address{}, badAddress("a URI with ? or , must stand in angle brackets")
		}
	}
	if !a.Params.wellFormed() {
		return Address{}, badAddress("its parameters are malformed")
	}
	var err error
	a.URI, err = ParseURI(uri)
	return a, err
}

// endOfQuoted returns the index after the closing quote of the quoted string at the start of s, -1 without one.
func endOfQuoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// isDisplayName says whether s may stand before < without quotes: tokens and space. Bytes above ASCII are let through,
// since phones send names unquoted.
func isDisplayName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !tokenBytes[c] && !isSpace(c) && c < 0x80 {
			return false
		}
	}
	return true
}

// wellFormed says whether each parameter has a token for its name and, after "=", a token, a host or a quoted string.
func (p Params) wellFormed() bool {
	rest := string(p)
	for rest != "" {
		var one string
		one, rest = cutParam(rest)
		name, value, has := strings.Cut(one, "=")
		if !isToken(trimSpace(name)) {
			return false
		}
		if value = trimSpace(value); has && !isParamValue(value) {
			return false
		}
	}
	return true
}

func isParamValue(v string) bool {
	if strings.HasPrefix(v, `"`) {
		return endOfQuoted(v) == len(v)
	}
	for i := 0; i < len(v); i++ {
		// Beyond the token, what stands in a host and in the values that real phones send unquoted.
		if c := v[i]; !tokenBytes[c] && c != '[' && c != ']' && c != ':' && c != '/' && c != '@' && c != '=' && c < 0x80 {
			return false
		}
	}
	return v != ""
}

// Tag returns the tag parameter.
func (a Address) Tag() string { return a.Params.Value("tag") }

// String returns the address as it goes on the wire.
func (a Address) String() string { return string(a.AppendTo(nil)) }

// AppendTo appends the address as it goes on the wire: always with angle brackets, the display name quoted.
func (a Address) AppendTo(dst []byte) []byte {
	if a.Display != "" {
		dst = append(appendQuoted(dst, a.Display), ' ')
	}
	dst = append(dst, '<')
	dst = a.URI.AppendTo(dst)
	dst = append(dst, '>')
	return append(dst, a.Params...)
}
