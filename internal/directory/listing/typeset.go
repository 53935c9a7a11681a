package listing

import (
	"slices"
	"strings"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	shaped "github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// style is how a text is printed.
type style struct {
	size float64 // points
	bold bool
}

// line is one line of shaped text. Its operators draw it from wherever the pen stands, inside a text object.
type line struct {
	width     float64 // points
	operators []byte
}

// ellipsis ends what did not fit.
const ellipsis = "…"

// maxRunes bounds a text before it is shaped: more than the longest that is ever printed.
const maxRunes = 400

// typesetter turns texts into lines. It is not safe for concurrent use.
type typesetter struct {
	*search
	language language.Tag

	shaper    shaping.HarfbuzzShaper
	segmenter shaping.Segmenter
	wrapper   shaping.LineWrapper
	outputs   []shaping.Output

	ellipses map[[2]bool]shaping.Output // by right to left, and bold

	choices map[choice]chosen
	faces   map[chosen]*font.Face
	inUse   map[*font.Face]*glyphSet // the set of the face that still has room
	sets    []*glyphSet
	faint   map[*font.Face]bool // faces without the weight asked for, whose glyphs are drawn thicker
	missing map[rune]bool
}

type choice struct {
	r    rune
	bold bool
}

func newTypesetter(fonts *Fonts, tag language.Tag) (*typesetter, error) {
	search, err := newSearch(fonts)
	if err != nil {
		return nil, err
	}
	t := &typesetter{search: search, language: tag, ellipses: map[[2]bool]shaping.Output{}, choices: map[choice]chosen{},
		faces: map[chosen]*font.Face{},
		inUse: map[*font.Face]*glyphSet{}, faint: map[*font.Face]bool{}, missing: map[rune]bool{}}
	t.shaper.SetFontCacheSize(16)
	return t, nil
}

// weightedFaces finds the faces of one weight for go-text.
type weightedFaces struct {
	*typesetter
	bold bool
}

func (w weightedFaces) ResolveFace(r rune) *font.Face {
	key := choice{r, w.bold}
	found, ok := w.choices[key]
	if !ok {
		if found = w.choose(r, w.bold); found.font == nil { // the first font's box stands for it
			found = w.choose('x', w.bold)
		}
		w.choices[key] = found
	}
	face := w.faces[found]
	if face == nil {
		face = font.NewFace(found.font)
		w.faces[found] = face
		w.faint[face] = !found.bold
	}
	return face
}

// clean makes of any bytes a text that can be printed on one line: composed, without controls, blanks single.
func clean(text string) string {
	const enough = maxRunes * 16 // bytes; a rune has at most 4, and a few marks
	if len(text) > enough {
		text = text[:enough]
	}
	text = norm.NFC.String(strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\uFEFF':
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// lines returns text in at most limit lines of the width, the last of which ends in an ellipsis when more would follow.
func (t *typesetter) lines(text string, s style, width float64, limit int) []line {
	runes := []rune(clean(text))
	if len(runes) == 0 {
		return nil
	}
	if len(runes) > maxRunes {
		runes = append(runes[:maxRunes], []rune(ellipsis)...)
	}
	rtl := isRightToLeft(runes)
	direction := di.DirectionLTR
	if rtl {
		direction = di.DirectionRTL
	}
	levels := bidiLevels(runes, rtl)
	faces := weightedFaces{t, s.bold}
	t.outputs = t.outputs[:0]
	for start := 0; start < len(runes); {
		end := start + 1
		for end < len(runes) && levels[end] == levels[start] {
			end++
		}
		t.outputs = t.shapeLevel(t.outputs, runes, start, end, levels[start], faces)
		start = end
	}
	config := shaping.WrapConfig{Direction: direction, TruncateAfterLines: limit, Truncator: t.ellipsis(rtl, faces),
		DisableTrailingWhitespaceTrim: true}
	wrapped, truncated := t.wrapper.WrapParagraph(config, int(width/s.size*unitsPerEm), runes, shaping.NewSliceIterator(t.outputs))
	lines := make([]line, 0, len(wrapped))
	for i, outputs := range wrapped {
		cut := truncated > 0 && i == len(wrapped)-1
		lines = append(lines, t.line(runes, levels, outputs, s, rtl, cut))
	}
	return lines
}

// ellipsis returns the shaped end of a line that is cut.
func (t *typesetter) ellipsis(rtl bool, faces weightedFaces) shaping.Output {
	key := [2]bool{rtl, faces.bold}
	end, ok := t.ellipses[key]
	if !ok {
		end = t.shapeLevel(nil, []rune(ellipsis), 0, 1, levelOf(rtl), faces)[0]
		t.ellipses[key] = end
	}
	return end
}

// one returns text on a single line of any length up to width.
func (t *typesetter) one(text string, s style, width float64) line {
	if lines := t.lines(text, s, width, 1); len(lines) > 0 {
		return lines[0]
	}
	return line{}
}

// toEms converts what shaping gives: 64ths of the size, which is set as a thousand.
func toEms[units ~int32](n units) float64 { return float64(n) / (64 * unitsPerEm) }

// shapeLevel appends the shaped runs of a part of the text that has one embedding level.
func (t *typesetter) shapeLevel(outputs []shaping.Output, runes []rune, start, end int, level int8, faces weightedFaces) []shaping.Output {
	input := shaping.Input{Text: runes, RunStart: start, RunEnd: end, Direction: di.DirectionLTR, Size: 64 * unitsPerEm,
		Language: shaped.NewLanguage(t.language.String())}
	if level%2 == 1 {
		input.Direction = di.DirectionRTL
	}
	for _, run := range t.segmenter.Split(input, faces) {
		if run.Script == shaped.Han {
			run.Language = t.hanLanguage(runes)
		}
		outputs = append(outputs, t.shaper.ShapeNoExtents(run))
	}
	return outputs
}

// hanLanguage tells in whose shapes ideographs are printed: those of the kana or hangul beside them, of the listing's
// language, or Chinese ones.
func (t *typesetter) hanLanguage(runes []rune) shaped.Language {
	for _, r := range runes {
		switch {
		case isKana(r):
			return "ja"
		case unicode.Is(unicode.Hangul, r):
			return "ko"
		}
	}
	switch base, _ := t.language.Base(); base.String() {
	case "ja", "ko", "zh":
		return shaped.NewLanguage(t.language.String())
	}
	return "zh"
}

// line puts the runs of a wrapped line in the order in which they are seen, and draws them.
func (t *typesetter) line(runes []rune, levels []int8, outputs shaping.Line, s style, rtl, cut bool) line {
	end := 0 // after the last character of the line in the text
	visual := make([]visualRun, len(outputs))
	for i, output := range outputs {
		visual[i] = visualRun{output, runes, levelOf(rtl)}
		if cut && i == len(outputs)-1 {
			visual[i].text = []rune(ellipsis)
			visual[i].Runes = shaping.Range{Count: 1}
			continue
		}
		visual[i].level = levels[output.Runes.Offset]
		end = max(end, output.Runes.Offset+output.Runes.Count)
	}
	reorder(visual)
	p := pen{typesetter: t, style: s, blank: -1}
	if end > 0 && runes[end-1] == ' ' {
		p.blank = end - 1 // a blank at the end of a line takes no room
	}
	for _, run := range visual {
		p.draw(run)
	}
	p.finish()
	return line{width: p.x * s.size, operators: p.operators.Bytes()}
}

type visualRun struct {
	shaping.Output
	text  []rune
	level int8
}

// reorder is rule L2 of the bidirectional algorithm: from the highest level down to the lowest odd one, runs at that
// level or above are turned round.
func reorder(runs []visualRun) {
	highest := int8(0)
	for _, run := range runs {
		highest = max(highest, run.level)
	}
	for level := highest; level > 0; level-- {
		for start := 0; start < len(runs); start++ {
			end := start
			for end < len(runs) && runs[end].level >= level {
				end++
			}
			if end > start {
				slices.Reverse(runs[start:end])
				start = end
			}
		}
	}
}
