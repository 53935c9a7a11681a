package contact

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Fold is text as searches compare it: without case, marks and ligatures.
func Fold(text string) string {
	folded := cases.Fold().String(norm.NFKD.String(text))
	return strings.Map(func(r rune) rune {
		if r >= 0x300 && r < 0x370 || r < ' ' { // combining marks
			return -1
		}
		return r
	}, folded)
}

// fields are the parts of a contact that a search looks into, by RingCentral's names, and name.
func (c *Contact) fields(name string) []string {
	switch name {
	case "firstName":
		return []string{c.FirstName}
	case "lastName":
		return []string{c.LastName}
	case "name":
		return []string{c.Name}
	case "extensionNumber":
		return []string{c.Extension}
	case "email":
		return []string{c.Email}
	case "jobTitle":
		return []string{c.JobTitle}
	case "department":
		return []string{c.Department}
	case "phoneNumber":
		var out []string
		for _, n := range c.PhoneNumbers {
			out = append(out, Digits(n.Number))
		}
		return out
	}
	return nil
}

// SearchFields are the names that Query.Fields may have.
var SearchFields = []string{"firstName", "lastName", "extensionNumber", "phoneNumber", "email", "jobTitle", "department", "name"}

// Digits are the digits of a text, by which telephone numbers are compared.
func Digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

// Matches reports whether a search finds the contact: Query.Search and Query.Fields.
func (c *Contact) Matches(search string, fields []string) bool {
	if search == "" {
		return true
	}
	if len(fields) == 0 {
		fields = SearchFields
	}
	folded, number := Fold(search), Digits(search)
	for _, field := range fields {
		for _, text := range c.fields(field) {
			if field == "phoneNumber" {
				if number != "" && number == Digits(folded) && strings.Trim(folded, "0123456789+-./() ") == "" && strings.Contains(text, number) {
					return true
				}
			} else if text != "" && strings.Contains(Fold(text), folded) {
				return true
			}
		}
	}
	return false
}

// SearchText has every text in it that Matches may find, so that a database can sort out what cannot match: a folded search, or
// the digits of one, is part of it.
func (c *Contact) SearchText() string {
	var b strings.Builder
	for _, field := range SearchFields {
		for _, text := range c.fields(field) {
			if text != "" {
				b.WriteString(Fold(text))
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// Sorter makes the keys by which lists are in order: family name, given name, or the name. It serves one goroutine at a time.
type Sorter struct {
	collator *collate.Collator
	buffer   collate.Buffer
}

// NewSorter returns a sorter of the root collation, which is right for most languages and does not change with an account's.
func NewSorter() *Sorter { return &Sorter{collator: collate.New(language.Und)} }

const maxKey = 400 // bytes

// Key returns the sort key; contacts of the same key are in the order of their ids.
func (s *Sorter) Key(c *Contact) []byte {
	name := strings.TrimSpace(c.LastName + " " + c.FirstName)
	if name == "" {
		name = c.Name
	}
	if len(name) > maxKey {
		name = name[:maxKey]
	}
	s.buffer.Reset()
	key := s.collator.KeyFromString(&s.buffer, strings.ToValidUTF8(name, "\uFFFD"))
	return append([]byte{}, key[:min(len(key), 1000)]...)
}
