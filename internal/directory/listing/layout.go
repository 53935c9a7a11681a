package listing

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// The page, in points.
const (
	marginSide   = 46
	marginTop    = 44
	marginBottom = 40
	gutter       = 26 // between two columns
	// longList is how many people make a listing long enough for two columns.
	longList = 40
)

// page is one page being filled.
type page struct {
	content   bytes.Buffer
	bookmarks []bookmark
}

type bookmark struct {
	title string
	y     float64 // from the top
}

// cells are where the cells of a single column begin, from its beginning.
type cells struct{ name, department, extension, extensionEnd float64 }

// layout fills pages from the top down, column by column.
type layout struct {
	listing  *Listing
	t        *typesetter
	words    words
	paper    paper
	mirrored bool // the language reads from right to left, and so does the page
	japanese bool // the language, which puts a blank between the parts of a name
	people   int
	columns  int
	cells    cells

	columnWidth float64
	pages       []*page
	column      int     // from 0
	top         float64 // of the columns of this page, from the top
	y           float64 // where the column has been filled to
}

func newLayout(l *Listing, t *typesetter, people []Entry) *layout {
	lay := &layout{listing: l, t: t, words: t.words(), paper: l.paper(), people: len(people), columns: 1}
	base, _ := t.language.Base()
	lay.japanese = base.String() == "ja"
	lay.mirrored = isRightToLeft([]rune(lay.words.name))
	lay.columnWidth = lay.paper.width - 2*marginSide
	if len(people) > longList {
		lay.columns = 2
		lay.columnWidth = (lay.columnWidth - gutter) / 2
	}
	w := lay.columnWidth
	lay.cells = cells{0, w * 0.45, w * 0.66, w * 0.78}
	departments, direct := false, false
	for _, e := range people {
		departments = departments || e.Department != ""
		direct = direct || len(e.Direct) > 0
	}
	if !direct { // its room goes to the others
		lay.cells = cells{0, w * 0.55, w * 0.82, w}
	}
	if !departments {
		lay.cells.department = lay.cells.extension
	}
	lay.words = lay.words.without(departments, direct)
	return lay
}

// without leaves out the headings of cells that nobody has.
func (w words) without(departments, direct bool) words {
	if !departments {
		w.department = ""
	}
	if !direct {
		w.direct = ""
	}
	return w
}

// all lays out everybody and returns the pages.
func (l *layout) all(ctx context.Context, people []Entry) ([]*page, error) {
	l.newPage()
	letters, letter := newLetters(l.t.language), ""
	for i := range people {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e := &people[i]
		r := l.row(e)
		if heading := letters.heading(e, l.listing.SortBy); heading != letter {
			letter = heading
			if heading == ideographs && !l.t.hasLetters(heading) {
				heading = anyIdeographs
			}
			l.letter(heading, r.height)
		}
		l.place(r)
	}
	if len(people) == 0 {
		s := style{size: 11}
		for _, line := range l.t.lines(l.words.empty, s, l.columnWidth, 3) {
			l.y += 24
			l.text(line, 0, l.y, grey)
		}
	}
	l.note()
	l.footers()
	return l.pages, nil
}

func (l *layout) current() *page { return l.pages[len(l.pages)-1] }

func (l *layout) bottom() float64 { return l.paper.height - marginBottom - 26 }

// left is the left edge of the column in hand.
func (l *layout) left() float64 {
	n := l.column
	if l.mirrored {
		n = l.columns - 1 - n
	}
	return marginSide + float64(n)*(l.columnWidth+gutter)
}

// text draws a line in the column in hand, x from the column's beginning, its baseline at y.
func (l *layout) text(line line, x, y float64, ink string) {
	if l.mirrored {
		x = l.columnWidth - x - line.width
	}
	l.draw(line, l.left()+x, y, ink)
}

// draw draws a line on the current page, x from the left edge of the paper.
func (l *layout) draw(line line, x, y float64, ink string) {
	l.current().draw(l.paper, line, x, y, ink)
}

func (p *page) draw(paper paper, line line, x, y float64, ink string) {
	if len(line.operators) == 0 {
		return
	}
	fmt.Fprintf(&p.content, "BT %s rg %s RG 1 0 0 1 %.2f %.2f Tm\n", ink, ink, x, paper.height-y)
	p.content.Write(line.operators)
	p.content.WriteString("ET\n")
}

// rule draws a horizontal line.
func (p *page) rule(paper paper, x, y, width, thickness float64, ink string) {
	fmt.Fprintf(&p.content, "%s rg %.2f %.2f %.2f %.2f re f\n", ink, x, paper.height-y-thickness/2, width, thickness)
}

// newPage begins a page: the first with the title, the others with the names in small.
func (l *layout) newPage() {
	l.pages = append(l.pages, &page{})
	l.column = 0
	width := l.paper.width - 2*marginSide
	small := style{size: detailSize + 0.5}
	if len(l.pages) == 1 {
		l.header(l.t.one(l.listing.Account, style{size: 10, bold: true}, width*0.7), l.t.one(l.listing.date(l.t.language), small, width*0.28),
			marginTop+8, accent)
		y := float64(marginTop) + 12
		title := style{size: titleSize, bold: true}
		for _, part := range l.t.lines(l.listing.Directory, title, width, 2) {
			y += titleSize * 1.2
			l.header(part, line{}, y, black)
		}
		l.current().rule(l.paper, marginSide, y+12, width, 1.4, accent)
		l.top = y + 16
	} else {
		l.header(l.t.one(l.listing.Directory, style{size: small.size, bold: true}, width*0.48), l.t.one(l.listing.Account, small, width*0.48),
			marginTop, accent)
		l.current().rule(l.paper, marginSide, marginTop+8, width, 0.8, accent)
		l.top = marginTop + 11
	}
	l.y = l.top
	if l.columns == 1 && l.people > 0 {
		l.headings()
	}
}

// header draws a line at the beginning and one at the end of the page's width.
func (l *layout) header(begin, end line, y float64, ink string) {
	left, right := float64(marginSide), l.paper.width-marginSide
	if l.mirrored {
		l.draw(begin, right-begin.width, y, ink)
		l.draw(end, left, y, grey)
		return
	}
	l.draw(begin, left, y, ink)
	l.draw(end, right-end.width, y, grey)
}

// headings name the cells of a single column.
func (l *layout) headings() {
	s := style{size: detailSize, bold: true}
	l.y += 16
	end := func(text string, x, width float64) {
		line := l.t.one(text, s, width)
		l.text(line, x-line.width, l.y, grey)
	}
	c := l.cells
	l.text(l.t.one(l.words.name, s, c.department), c.name, l.y, grey)
	l.text(l.t.one(l.words.department, s, c.extension-c.department-cellGap), c.department, l.y, grey)
	end(l.words.extension, c.extensionEnd, c.extensionEnd-c.extension)
	end(l.words.direct, l.columnWidth, l.columnWidth-c.extensionEnd-cellGap)
	l.y += 2
}

// room makes sure that height fits into the column, or begins the next one.
func (l *layout) room(height float64) {
	if l.y+height <= l.bottom() {
		return
	}
	if l.column+1 < l.columns {
		l.column++
		l.y = l.top
		return
	}
	l.newPage()
}

// letter puts a letter heading, never as the last thing in a column.
func (l *layout) letter(letter string, next float64) {
	height := letterSpace + letterSize*1.1 + 4
	l.room(height + next)
	s := style{size: letterSize, bold: true}
	y := l.y + letterSpace + letterSize*0.85
	l.current().bookmarks = append(l.current().bookmarks, bookmark{letter, l.y})
	l.text(l.t.one(letter, s, l.columnWidth), 0, y, accent)
	l.y += height
	l.current().rule(l.paper, l.left(), l.y, l.columnWidth, 0.7, accent)
}

// place puts a row, with a hairline below.
func (l *layout) place(r row) {
	l.room(r.height)
	for _, item := range r.items {
		l.draw(item.line, l.left()+item.x, l.y+item.baseline, item.ink)
	}
	l.y += r.height
	l.current().rule(l.paper, l.left(), l.y, l.columnWidth, 0.35, hair)
}

// note names the characters that could not be printed.
func (l *layout) note() {
	const most = 24
	missed := l.t.missed()
	if len(missed) == 0 {
		return
	}
	var names []string
	for i, r := range missed {
		if i == most {
			names = append(names, ellipsis)
			break
		}
		names = append(names, fmt.Sprintf("U+%04X", r))
	}
	s := style{size: detailSize}
	lines := l.t.lines(l.words.missing+" "+strings.Join(names, ", "), s, l.columnWidth, 8)
	height := 10 + float64(len(lines))*s.size*leading
	l.room(height)
	l.y += 10
	for _, line := range lines {
		l.y += s.size * leading
		l.text(line, 0, l.y, grey)
	}
}

// footers number the pages, now that it is known how many there are.
func (l *layout) footers() {
	s := style{size: detailSize}
	width := l.paper.width - 2*marginSide
	date := l.t.one(l.listing.date(l.t.language), s, width*0.3)
	y := l.paper.height - marginBottom + 4
	for i, page := range l.pages {
		number := l.t.one(fmt.Sprintf(l.words.page, i+1, len(l.pages)), s, width*0.5)
		page.rule(l.paper, marginSide, y-14, width, 0.35, hair)
		begin, end := float64(marginSide), l.paper.width-marginSide-number.width
		if l.mirrored {
			begin, end = l.paper.width-marginSide-date.width, marginSide
		}
		page.draw(l.paper, date, begin, y, grey)
		page.draw(l.paper, number, end, y, grey)
	}
}
