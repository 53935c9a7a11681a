package listing

import (
	segment "github.com/go-text/typesetting/bidi"
	"golang.org/x/text/unicode/bidi"
)

// isRightToLeft tells whether a text reads from right to left: the direction of its first letter.
func isRightToLeft(runes []rune) bool {
	for _, r := range runes {
		switch properties, _ := bidi.LookupRune(r); properties.Class() {
		case bidi.L:
			return false
		case bidi.R, bidi.AL:
			return true
		}
	}
	return false
}

func levelOf(rtl bool) int8 {
	if rtl {
		return 1
	}
	return 0
}

// bidiLevels returns the embedding level of each character: even ones read from left to right, odd ones from right to
// left. Explicit marks of direction were taken out, so the levels are those of letters and numbers alone.
func bidiLevels(runes []rune, rtl bool) []int8 {
	levels := make([]int8, len(runes))
	direction, even := segment.LeftToRight, int8(0)
	if rtl {
		direction, even = segment.RightToLeft, 2
	}
	var paragraph segment.Paragraph
	runs := paragraph.Segment(runes, direction)
	for i := range runs.NumRuns() {
		run := runs.Run(i)
		start := 0
		if i > 0 {
			start = runs.Run(i - 1).End
		}
		for k := start; k < run.End; k++ {
			levels[k] = 1
			if run.IsLeftToRight() {
				levels[k] = even
			}
		}
	}
	if !rtl && runs.NumRuns() > 1 {
		raiseNumbers(runes, levels)
	}
	return levels
}

// raiseNumbers gives level 2 to the numbers of a left-to-right text that follow letters read from right to left. The
// runs do not tell them from the letters at level 0 that they may touch: in "שרון 12 Ltd" the number stands to the left
// of the name, and Ltd to the right of both.
func raiseNumbers(runes []rune, levels []int8) {
	class := func(i int) bidi.Class {
		properties, _ := bidi.LookupRune(runes[i])
		return properties.Class()
	}
	strong := bidi.L
	for i := range runes {
		switch c := class(i); c {
		case bidi.L, bidi.R, bidi.AL:
			strong = c
		case bidi.AN:
			levels[i] = 2
		case bidi.EN:
			if strong != bidi.L {
				levels[i] = 2
			}
		}
	}
	joins := func(i int) bool { // what goes with the number beside it
		switch class(i) {
		case bidi.ET, bidi.ES, bidi.CS, bidi.NSM, bidi.BN:
			return levels[i] == 0
		}
		return false
	}
	for i := 1; i < len(runes); i++ {
		if levels[i-1] == 2 && joins(i) && (class(i) != bidi.CS && class(i) != bidi.ES || i+1 < len(runes) && levels[i+1] == 2) {
			levels[i] = 2
		}
	}
	for i := len(runes) - 2; i >= 0; i-- {
		if levels[i+1] == 2 && joins(i) && class(i) == bidi.ET {
			levels[i] = 2
		}
	}
}
