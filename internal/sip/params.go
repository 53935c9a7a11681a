package sip

import (
	"iter"
	"strings"
)

// Params is a list of parameters as it stands in a message, ";lr;transport=tcp", each with its leading semicolon. The
// zero value is the empty list.
type Params string

// Get returns the value of the named parameter without its quotes and whether the parameter is there at all; a
// parameter without "=" has the value "". Names are compared without case.
func (p Params) Get(name string) (string, bool) {
	for n, v := range p.All() {
		if equalFold(n, name) {
			return v, true
		}
	}
	return "", false
}

// Has says whether the named parameter is there.
func (p Params) Has(name string) bool {
	_, ok := p.Get(name)
	return ok
}

// Value returns the value of the named parameter, "" when it is absent.
func (p Params) Value(name string) string {
	v, _ := p.Get(name)
	return v
}

// All iterates over name and unquoted value of each parameter in order.
func (p Params) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		rest := string(p)
		for rest != "" {
			var one string
			one, rest = cutParam(rest)
			name, value, _ := strings.Cut(one, "=")
			name = trimSpace(name)
			if name == "" {
				continue
			}
			if !yield(name, unquote(trimSpace(value))) {
				return
			}
		}
	}
}

// With returns the list with the parameter set to value, which must already be a token, a host or a quoted string;
// an empty value gives a parameter without "=".
func (p Params) With(name, value string) Params {
	out := string(p.Without(name)) + ";" + name
	if value != "" {
		out += "=" + value
	}
	return Params(out)
}

// Without returns the list without the named parameter.
func (p Params) Without(name string) Params {
	if !p.Has(name) {
		return p
	}
	var out strings.Builder
	rest := string(p)
	for rest != "" {
		var one string
		one, rest = cutParam(rest)
		n, _, _ := strings.Cut(one, "=")
		if n = trimSpace(n); n != "" && !equalFold(n, name) {
			out.WriteByte(';')
			out.WriteString(trimSpace(one))
		}
	}
	return Params(out.String())
}

// cutParam takes the first parameter, without its semicolon, from a list.
func cutParam(list string) (one, rest string) {
	list = trimSpace(list)
	list = strings.TrimPrefix(list, ";")
	quoted := false
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return list[:i], list[i:]
			}
		}
	}
	return list, ""
}
