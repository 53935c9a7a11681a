package listing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"bugle/internal/directory"
	"golang.org/x/text/language"
)

// Listing is a directory to be printed.
type Listing struct {
	Account   string // name of the account, printed above the directory's
	Directory string // name of the directory
	Date      time.Time
	Language  string // of the account, such as "sv-se": how names sort, which words are printed; unknown or "" means English
	Region    string // of the account, such as "SE": which direct numbers are national, and the size of paper
	SortBy    string // the directory's sort_by: "first_name", or anything else for "last_name"
	E164      bool   // direct numbers as +46812345678 instead of the way people write them

	// Entries are the people, in any order. The first error ends the listing and is returned.
	Entries iter.Seq2[Entry, error]
}

// Entry is one person of a listing. All but one name may be empty.
type Entry struct {
	ID         string // decides between people of the same name
	Given      string // first_name
	Family     string // last_name
	Display    string // printed when there is neither of them
	Phonetic   string // reading of a name in Chinese characters, by which it then sorts
	Department string
	Extensions []string
	Direct     []string // telephone numbers, best in E.164; others are read as the region's
}

// Summary tells what was printed.
type Summary struct {
	People int
	Pages  int
	// Missing are the characters that no font has, which the listing shows as boxes and names in a note. They are worth a
	// line in the log: a font package is wanted.
	Missing []rune
}

// From returns entries that are at hand.
func From(entries ...Entry) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, entry := range entries {
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// people returns the entries in order.
func (l *Listing) people(ctx context.Context) ([]Entry, error) {
	var people []Entry
	if l.Entries != nil {
		for entry, err := range l.Entries {
			if err != nil {
				return nil, fmt.Errorf("read the people of the directory: %w", err)
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			people = append(people, entry)
		}
	}
	return sorted(people, directory.Options{SortBy: l.SortBy, Language: l.Language}), nil
}

// WritePDF prints the listing. Nothing is written before all of it is laid out, so an error of the entries or a cancelled
// context leaves w untouched; w gets the file in pieces of 64 KiB, between which the context is looked at.
func (l *Listing) WritePDF(ctx context.Context, w io.Writer, fonts *Fonts) (Summary, error) {
	if fonts == nil {
		return Summary{}, errors.New("a listing needs fonts: pass what NewFonts returns")
	}
	people, err := l.people(ctx)
	if err != nil {
		return Summary{}, err
	}
	tag, err := language.Parse(l.Language)
	if err != nil || tag == language.Und {
		tag = language.English
	}
	t, err := newTypesetter(fonts, tag)
	if err != nil {
		return Summary{}, err
	}
	layout := newLayout(l, t, people)
	pages, err := layout.all(ctx, people)
	if err != nil {
		return Summary{}, err
	}
	summary := Summary{People: len(people), Pages: len(pages), Missing: t.missed()}
	return summary, writeDocument(ctx, w, l, t, pages)
}

// missed are the characters without a glyph so far.
func (t *typesetter) missed() []rune {
	var missed []rune
	for r := range t.missing {
		missed = append(missed, r)
	}
	slices.Sort(missed)
	return missed
}

// paper is a size in points.
type paper struct{ width, height float64 }

// letterRegions print on US Letter, by CLDR; all others on A4.
const letterRegions = "BZ CA CL CO CR GT MX NI PA PH PR SV US VE"

func (l *Listing) paper() paper {
	if l.Region != "" && slices.Contains(strings.Fields(letterRegions), strings.ToUpper(l.Region)) {
		return paper{612, 792}
	}
	return paper{595.28, 841.89}
}
