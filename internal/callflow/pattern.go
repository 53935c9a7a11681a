package callflow

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"bugle"
)

// compiler turns a regular expression into a program, nil when it is none.
type compiler func(expression string) *regexp.Regexp

func compileOnce(expression string) *regexp.Regexp {
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil
	}
	return re
}

const maxCompiled = 10000

// compiled keeps regular expressions of documents by their text, so that a change of a document needs no word to it. It
// is safe for concurrent use.
type compiled struct {
	mu   sync.RWMutex
	text map[string]*regexp.Regexp
}

func (c *compiled) compile(expression string) *regexp.Regexp {
	c.mu.RLock()
	re, known := c.text[expression]
	c.mu.RUnlock()
	if known {
		return re
	}
	re = compileOnce(expression)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == nil || len(c.text) >= maxCompiled {
		c.text = map[string]*regexp.Regexp{}
	}
	c.text[expression] = re
	return re
}

// match returns the text by which a pattern's match is measured: the longest of its groups, or what matched when it has
// none; and its named groups that are not empty.
func match(re *regexp.Regexp, number string) (longest string, named map[string]string, ok bool) {
	found := re.FindStringSubmatch(number)
	if found == nil {
		return "", nil, false
	}
	if len(found) == 1 {
		return found[0], nil, true
	}
	for i, name := range re.SubexpNames()[1:] {
		text := found[i+1]
		if len(text) > len(longest) {
			longest = text
		}
		if name != "" && text != "" {
			if named == nil {
				named = map[string]string{}
			}
			named[name] = text
		}
	}
	return longest, named, true
}

// plainNumbers stand for what callers dial every day: a pattern that matches them takes calls that are not meant for it.
var plainNumbers = []string{"0", "100", "911", "1001", "55512", "5551234", "+12125550000"}

func checkPattern(pattern string) (warning string, err error) {
	invalid := func(message string, cause error) error {
		return &bugle.Error{Op: "callflow.CheckPattern", Kind: bugle.KindInvalid, Message: message, Err: cause}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		if around := lookaround(pattern); around != "" {
			return "", invalid("look-arounds such as "+around+" are not supported; regular expressions are RE2's "+
				"(https://github.com/google/re2/wiki/Syntax)", err)
		}
		var bad *syntax.Error
		reason := err.Error()
		if e, ok := err.(*syntax.Error); ok {
			bad = e
			reason = bad.Code.String() + ": " + bad.Expr
		}
		return "", invalid("not a regular expression (RE2): "+reason, err)
	}
	matched := 0
	for _, number := range plainNumbers {
		if re.MatchString(number) {
			matched++
		}
	}
	switch {
	case re.MatchString("911"):
		return "this pattern matches plain numbers such as 911", nil
	case matched > 2:
		return "this pattern matches plain numbers of different lengths", nil
	}
	return "", nil
}

// lookaround returns the first look-ahead or look-behind of PCRE in a pattern, "" for none.
func lookaround(pattern string) string {
	for _, mark := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(pattern, mark) {
			return mark
		}
	}
	return ""
}
