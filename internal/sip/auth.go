package sip

import (
	"iter"
	"strings"

	"bugle"
)

// Auth is a challenge or credentials: the value of WWW-Authenticate, Proxy-Authenticate, Authorization or
// Proxy-Authorization, as "Digest realm=..., nonce=..." (RFC 3261 §20.44, RFC 7235 §2.1).
type Auth struct {
	Scheme string // as it stands; compare without case
	params string
}

// ParseAuth takes a value apart. The result shares the text's memory. Text that is not a scheme and a list of
// name=value, or that names a parameter twice, is an error.
func ParseAuth(value string) (Auth, error) {
	value = trimSpace(value)
	scheme, params, _ := strings.Cut(value, " ")
	if !isToken(scheme) {
		return Auth{}, &bugle.Error{Op: "sip.ParseAuth", Kind: bugle.KindInvalid, Message: "the scheme is not a token"}
	}
	a := Auth{Scheme: scheme, params: trimSpace(params)}
	var seen [16]string
	n := 0
	for rest := a.params; rest != ""; {
		var one string
		one, rest = cutAuth(rest)
		if one == "" {
			continue
		}
		name, val, ok := strings.Cut(one, "=")
		name, val = trimSpace(name), trimSpace(val)
		if !ok || !isToken(name) || strings.HasPrefix(val, `"`) && endOfQuoted(val) != len(val) {
			return Auth{}, &bugle.Error{Op: "sip.ParseAuth", Kind: bugle.KindInvalid,
				Message: "a parameter is not name=value"}
		}
		for _, s := range seen[:n] {
			if equalFold(s, name) {
				return Auth{}, &bugle.Error{Op: "sip.ParseAuth", Kind: bugle.KindInvalid, Message: "a parameter is repeated"}
			}
		}
		if n < len(seen) {
			seen[n] = name
			n++
		}
	}
	return a, nil
}

// IsDigest says whether the scheme is Digest.
func (a Auth) IsDigest() bool { return equalFold(a.Scheme, "Digest") }

// Get returns the value of the named parameter without its quotes, "" when it is absent.
func (a Auth) Get(name string) string {
	for n, v := range a.All() {
		if equalFold(n, name) {
			return v
		}
	}
	return ""
}

// All iterates over name and unquoted value of each parameter in order.
func (a Auth) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := a.params; rest != ""; {
			var one string
			one, rest = cutAuth(rest)
			name, value, _ := strings.Cut(one, "=")
			if name = trimSpace(name); name != "" && !yield(name, unquote(trimSpace(value))) {
				return
			}
		}
	}
}

// cutAuth takes the first element of a list separated by commas outside quotes.
func cutAuth(list string) (one, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return trimSpace(list[:i]), list[i+1:]
		}
	}
	return trimSpace(list), ""
}

// AuthBuilder appends parameters to a challenge or credentials.
type AuthBuilder struct{ text []byte }

// NewAuth starts a value of the given scheme.
func NewAuth(scheme string) *AuthBuilder { return &AuthBuilder{text: []byte(scheme)} }

// Quoted appends name="value".
func (b *AuthBuilder) Quoted(name, value string) *AuthBuilder {
	b.name(name)
	b.text = appendQuoted(b.text, value)
	return b
}

// Token appends name=value; the value must be a token.
func (b *AuthBuilder) Token(name, value string) *AuthBuilder {
	b.name(name)
	b.text = append(b.text, value...)
	return b
}

func (b *AuthBuilder) name(name string) {
	if b.text[len(b.text)-1] == '"' || strings.IndexByte(view(b.text), '=') >= 0 {
		b.text = append(b.text, ',')
	}
	b.text = append(append(append(b.text, ' '), name...), '=')
}

// String returns the header value.
func (b *AuthBuilder) String() string { return string(b.text) }
