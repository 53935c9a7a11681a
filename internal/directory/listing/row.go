package listing

import (
	"fmt"
	"strings"
	"unicode"
)

// The sizes of a listing, in points.
const (
	nameSize    = 9.5
	detailSize  = 8
	letterSize  = 13
	titleSize   = 22
	leading     = 1.28 // from one baseline to the next, by size
	rowPadding  = 3.5  // above and below what a row says
	cellGap     = 10   // at least, between two cells
	letterSpace = 11   // above a letter heading
)

// Inks, as levels of red, green and blue.
const (
	black  = "0.1 0.1 0.12"
	grey   = "0.38 0.4 0.44"
	accent = "0.1 0.27 0.46"
	hair   = "0.84 0.85 0.87"
)

// maxNames bounds the lines of a name, maxNumbers those of its numbers: so no row is higher than a column.
const (
	maxNames   = 3
	maxNumbers = 12
)

// item is a line at its place in a row: from the left edge of the column, and the baseline below the upper edge.
type item struct {
	line
	x, baseline float64
	ink         string
}

// row is what is printed of one person.
type row struct {
	items  []item
	height float64
}

// cell is a part of a row: lines beneath each other.
type cell struct {
	lines []line
	style style
	ink   string
	x     float64 // of the edge where lines begin, or end, from the column's beginning
	end   bool    // lines end at x
}

// add puts a cell into the row, its first line at top, and returns where its last one ends.
func (r *row) add(l *layout, c cell, top float64) float64 {
	step := c.style.size * leading
	for i, line := range c.lines {
		x := c.x
		if c.end {
			x -= line.width
		}
		if l.mirrored {
			x = l.columnWidth - x - line.width
		}
		r.items = append(r.items, item{line, x, top + step*float64(i) + c.style.size, c.ink})
	}
	return top + step*float64(len(c.lines))
}

// name is how a person is listed: family name first when people sort by it.
func (l *layout) name(e *Entry) string {
	given, family := clean(e.Given), clean(e.Family)
	switch {
	case given == "" && family == "":
		return clean(e.Display)
	case given == "" || family == "":
		return given + family
	}
	last, next := []rune(family)[0], []rune(given)[0]
	if unicode.In(last, eastAsianScripts...) && unicode.In(next, eastAsianScripts...) {
		if l.japanese || strings.ContainsFunc(family+given+e.Phonetic, isKana) {
			return family + " " + given
		}
		return family + given
	}
	if strings.HasPrefix(l.listing.SortBy, "first") {
		return given + " " + family
	}
	if unicode.Is(unicode.Arabic, last) {
		return family + "، " + given
	}
	return family + ", " + given
}

func isKana(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana) }

// numberLines sets each number on a line of its own.
func (l *layout) numberLines(numbers []string, s style, width float64) []line {
	var lines []line
	for i, number := range numbers {
		if i == maxNumbers-1 && len(numbers) > maxNumbers {
			return append(lines, l.t.one(fmt.Sprintf("+ %d …", len(numbers)-i), s, width))
		}
		if line := l.t.one(number, s, width); line.width > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

func widest(lines []line) float64 {
	width := 0.0
	for _, line := range lines {
		width = max(width, line.width)
	}
	return width
}

// row sets one person: on one row of cells where there is a single column, else the name and the extension above the
// department and the direct numbers.
func (l *layout) row(e *Entry) row {
	direct := make([]string, len(e.Direct))
	for i, number := range e.Direct {
		direct[i] = l.listing.number(number)
	}
	if l.columns == 1 {
		return l.wideRow(e, direct)
	}
	nameStyle, detail, strong := style{size: nameSize}, style{size: detailSize}, style{size: nameSize, bold: true}
	var r row
	extensions := cell{lines: l.numberLines(e.Extensions, strong, l.columnWidth*0.4), style: strong, ink: black, x: l.columnWidth, end: true}
	name := cell{style: nameStyle, ink: black,
		lines: l.t.lines(l.name(e), nameStyle, l.columnWidth-cellGap-widest(extensions.lines), maxNames)}
	bottom := max(r.add(l, name, rowPadding), r.add(l, extensions, rowPadding))
	numbers := cell{lines: l.numberLines(direct, detail, l.columnWidth*0.55), style: detail, ink: grey, x: l.columnWidth, end: true}
	department := cell{style: detail, ink: grey,
		lines: l.t.lines(e.Department, detail, l.columnWidth-cellGap-widest(numbers.lines), 2)}
	bottom = max(r.add(l, department, bottom), r.add(l, numbers, bottom))
	r.height = bottom + rowPadding
	return r
}

// wideRow sets a person across the page.
func (l *layout) wideRow(e *Entry, direct []string) row {
	nameStyle, plain, strong := style{size: nameSize}, style{size: nameSize - 0.5}, style{size: nameSize, bold: true}
	var r row
	c := l.cells
	bottom := r.add(l, cell{style: nameStyle, ink: black, x: c.name,
		lines: l.t.lines(l.name(e), nameStyle, c.department-c.name-cellGap, maxNames)}, rowPadding)
	bottom = max(bottom, r.add(l, cell{style: plain, ink: grey, x: c.department,
		lines: l.t.lines(e.Department, plain, c.extension-c.department-cellGap, maxNames)}, rowPadding))
	bottom = max(bottom, r.add(l, cell{style: strong, ink: black, x: c.extensionEnd, end: true,
		lines: l.numberLines(e.Extensions, strong, c.extensionEnd-c.extension)}, rowPadding))
	bottom = max(bottom, r.add(l, cell{style: plain, ink: black, x: l.columnWidth, end: true,
		lines: l.numberLines(direct, plain, l.columnWidth-c.extensionEnd-cellGap)}, rowPadding))
	r.height = bottom + rowPadding
	return r
}
