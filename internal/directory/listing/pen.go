package listing

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/shaping"
)

// pen writes the operators of a line.
type pen struct {
	*typesetter
	style     style
	blank     int // index of a character not to draw, -1 for none
	operators bytes.Buffer
	set       *glyphSet
	x         float64      // where the text has come to, in ems
	at        float64      // where a reader of the operators has come to
	pieces    bytes.Buffer // of the array of glyphs and distances not yet written
}

func (p *pen) draw(run visualRun) {
	for i := 0; i < len(run.Glyphs); {
		cluster := run.Glyphs[i:]
		n := 1
		for n < len(cluster) && cluster[n].TextIndex() == cluster[0].TextIndex() {
			n++
		}
		cluster = cluster[:n]
		i += n
		from := cluster[0].TextIndex()
		if run.text[from] == ' ' && from == p.blank {
			continue
		}
		p.cluster(run, cluster, run.text[from:min(from+cluster[0].RunesCount(), len(run.text))])
	}
}

// cluster draws the glyphs that together stand for text, as one. Readers turn right-to-left text round character by
// character, so there the glyph stands for the last character and blanks for the others, each in its share of the width.
func (p *pen) cluster(run visualRun, glyphs []shaping.Glyph, text []rune) {
	set := p.setOf(run.Face)
	var parts []byte
	x := 0.0
	for _, g := range glyphs {
		if g.GlyphID == 0 {
			p.miss(text)
		}
		parts = appendPart(parts, part{g.GlyphID, thousandths(x + toEms(g.XOffset)), thousandths(toEms(g.YOffset))})
		x += toEms(g.Advance)
	}
	width := max(thousandths(x), 0)
	if len(glyphs) == 1 { // what kerning adds is left to the line: or each letter would be another glyph before each other
		width = set.advance(glyphs[0].GlyphID)
	}
	if off := thousandths(p.at - p.x); off != 0 {
		fmt.Fprintf(&p.pieces, "%d", off)
		p.at -= float64(off) / unitsPerEm
	}
	drawn := glyph{string(parts), width, string(text)}
	if run.Direction.Progression() == di.TowardTopLeft && len(text) > 1 {
		share := width / len(text)
		drawn.width, drawn.text = width-share*(len(text)-1), string(text[len(text)-1:])
		p.glyph(set, drawn)
		for i := len(text) - 2; i >= 0; i-- {
			p.glyph(set, glyph{"", share, string(text[i : i+1])})
		}
	} else {
		p.glyph(set, drawn)
	}
	p.x += x
}

func thousandths(ems float64) int { return int(math.Round(ems * unitsPerEm)) }

// miss notes characters that no font has.
func (p *pen) miss(text []rune) {
	for _, r := range text {
		if !unicode.In(r, unicode.Variation_Selector, unicode.Cf) {
			p.missing[r] = true
		}
	}
}

// setOf returns the font of the file for a face, with room for a cluster.
func (p *pen) setOf(face *font.Face) *glyphSet {
	set := p.inUse[face]
	if set == nil || len(set.glyphs)+maxRunes+len(ellipsis) > maxGlyphs {
		set = newGlyphSet(fmt.Sprintf("F%d", len(p.sets)+1), face)
		p.sets = append(p.sets, set)
		p.inUse[face] = set
	}
	if set != p.set {
		p.useSet(set)
	}
	return set
}

// glyph draws one glyph after those before it.
func (p *pen) glyph(set *glyphSet, g glyph) {
	fmt.Fprintf(&p.pieces, "<%04X>", set.number(g))
	p.at += float64(g.width) / unitsPerEm
}

// useSet changes the font. A font without the bold that is wanted is drawn with thicker strokes.
func (p *pen) useSet(set *glyphSet) {
	p.flush()
	was, is := p.set != nil && p.thick(p.set), p.thick(set)
	switch {
	case is && !was:
		fmt.Fprintf(&p.operators, "2 Tr %.3f w\n", p.style.size*0.025)
	case was && !is:
		p.operators.WriteString("0 Tr\n")
	}
	fmt.Fprintf(&p.operators, "/%s %.2f Tf\n", set.name, p.style.size)
	p.set = set
}

func (p *pen) thick(set *glyphSet) bool { return p.style.bold && p.faint[set.face] }

// finish writes what is left and sets back what the next line would inherit.
func (p *pen) finish() {
	p.flush()
	if p.set != nil && p.thick(p.set) {
		p.operators.WriteString("0 Tr\n")
	}
}

// flush writes the pieces gathered.
func (p *pen) flush() {
	if p.pieces.Len() > 0 {
		p.operators.WriteString("[" + strings.ReplaceAll(p.pieces.String(), "><", "") + "] TJ\n")
		p.pieces.Reset()
	}
}
