package crossbar

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// halfSurrogate reports whether a valid JSON string escapes a surrogate that is not one of a pair: no character, and the
// decoder would put another in its place. RFC 8259 §8.2
func halfSurrogate(text []byte) bool {
	unit := func(at int) rune {
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(string(text[at+2:at+6]), 16, 16) // the decoder has taken it
		return rune(n)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		switch r := unit(i); {
		case r == 0:
			i++ // the escaped character
		case !utf16.IsSurrogate(r):
			i += 5
		case utf16.DecodeRune(r, unit(i+6)) == utf8.RuneError:
			return true
		default:
			i += 11
		}
	}
	return false
}

// RFC 8259 §6
func (p *treeParser) number() (any, error) {
	start := p.at
	digits := func() bool {
		from := p.at
		for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
			p.at++
		}
		return p.at > from
	}
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !digits() {
		return nil, errNotJSON
	}
	if p.peek() == '.' {
		p.at++
		if !digits() {
			return nil, errNotJSON
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		from := p.at
		if !digits() {
			return nil, errNotJSON
		}
		if exponent, err := strconv.Atoi(string(p.text[from:p.at])); err != nil || exponent > maxExponent {
			return nil, errNumber
		}
	}
	if p.at-start > maxNumber {
		return nil, errNumber
	}
	return json.Number(p.text[start:p.at]), nil
}

// wantsInteger reports whether a schema takes whole numbers and no others.
func wantsInteger(schema map[string]any) bool {
	switch want := schema["type"].(type) {
	case string:
		return want == "integer"
	case []any:
		return slices.Contains(want, any("integer")) && !slices.Contains(want, any("number"))
	}
	return false
}

// plainInteger is a whole number as everything that reads documents understands it: 30.0 and 3e1 are 30. inRange is false for
// a whole number that 64 bits do not hold; what is not whole is returned as it is.
func plainInteger(n json.Number) (plain json.Number, inRange bool) {
	if _, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return n, true
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || !r.IsInt() {
		return n, true
	}
	return json.Number(r.Num().String()), r.Num().IsInt64()
}

// writtenPlainly reports whether a number is surely a whole one of 64 bits, written without a fraction or an exponent.
func writtenPlainly(n json.Number) bool {
	if len(n) > 18 {
		return false
	}
	for i := range len(n) {
		if c := n[i]; c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// oddNumber reports whether a number in a tree is not written plainly.
func oddNumber(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return !writtenPlainly(v)
	case map[string]any:
		for _, member := range v {
			if oddNumber(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, oddNumber)
	}
	return false
}

// plainAt writes the number n at a path of doc plainly, where the schema wants whole ones; the path is added to large when n is
// too large to be used.
func plainAt(doc map[string]any, path []string, schema map[string]any, n json.Number, large [][]string) [][]string {
	if !wantsInteger(schema) || writtenPlainly(n) {
		return large
	}
	plain, inRange := plainInteger(n)
	if place(doc, path, plain); !inRange {
		large = append(large, slices.Clone(path))
	}
	return large
}

func tooLargeNumber(v any) map[string]any {
	return map[string]any{"message": "Value must be a whole number of at most 64 bits", "value": shown(v)}
}
