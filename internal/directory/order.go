package directory

import (
	"strings"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// Options are what a directory document says about order.
type Options struct {
	SortBy   string // "first_name", or anything else for "last_name"
	Language string // whose collation sorts, such as "sv-se"; unknown or "" means the root collation
}

// order makes sort keys. It is not safe for concurrent use.
type order struct {
	givenFirst bool
	collator   *collate.Collator
	buffer     collate.Buffer
}

func newOrder(options Options) *order {
	tag, err := language.Parse(options.Language)
	if err != nil {
		tag = language.Und
	}
	return &order{givenFirst: strings.HasPrefix(options.SortBy, "first"), collator: collate.New(tag)}
}

// appendKey appends the bytes by which a person sorts: the first name in order, the second, the id. A missing name
// sorts before every other, as in KAZOO. A collation key ends in its third level, whose weights are not zero, so one
// zero ends a key before every longer one.
func (o *order) appendKey(key []byte, p *Person) []byte {
	names := [2]string{p.Family, p.Given}
	if o.givenFirst {
		names = [2]string{p.Given, p.Family}
	}
	for _, name := range names {
		if len(name) > maxName {
			name = name[:maxName]
		}
		o.buffer.Reset()
		key = append(key, o.collator.KeyFromString(&o.buffer, strings.ToValidUTF8(name, "\uFFFD"))...)
		key = append(key, 0)
	}
	return append(key, p.ID...)
}

// SortKey returns the function that makes the bytes by which the people of a directory sort. It is not safe for concurrent
// use.
func SortKey(options Options) func(*Person) string { return newOrder(options).key }

func (o *order) key(p *Person) string { return string(o.appendKey(nil, p)) }
