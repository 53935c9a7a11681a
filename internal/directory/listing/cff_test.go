package listing

import (
	"math"
	"testing"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/cff"
	ot "github.com/go-text/typesetting/font/opentype"
)

// TestOutlines writes every glyph of the built-in fonts as CFF and reads it back with go-text's parser: the same curves
// to within the grid's rounding.
func TestOutlines(t *testing.T) {
	t.Parallel()
	fonts, err := noFonts().builtIn()
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range fonts {
		face := font.NewFace(read)
		scale := unitsPerEm / float64(face.Upem())
		var outlines [][]ot.Segment
		var codes [][]byte
		for id := font.GID(0); ; id++ {
			outline, ok := face.GlyphDataOutline(id)
			if !ok {
				break
			}
			drawn := newCharString(int(face.HorizontalAdvance(id)))
			drawn.draw(outline.Segments, scale, 0, 0)
			outlines, codes = append(outlines, outline.Segments), append(codes, drawn.end())
		}
		if len(codes) < 100 {
			t.Fatalf("%s has %d glyphs", name, len(codes))
		}
		parsed, err := cff.Parse(cidFont("Test", codes, [4]int{}))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for id, want := range outlines {
			got, _, err := parsed.LoadGlyph(uint16(id))
			if err != nil {
				t.Fatalf("%s: glyph %d: %v", name, id, err)
			}
			if worst := distance(cubics(got, 1), cubics(want, scale)); worst > 1 {
				t.Errorf("%s: glyph %d is off by %.1f of %d", name, id, worst, unitsPerEm)
			}
		}
	}
}

// cubics are the end and control points of an outline, its quadratic curves raised and closing lines left out.
func cubics(outline []ot.Segment, scale float64) (points [][2]float64) {
	var from, start [2]float64
	add := func(p [2]float64) { points, from = append(points, p), p }
	for i, segment := range outline {
		var p [3][2]float64
		for k, point := range segment.ArgsSlice() {
			p[k] = [2]float64{float64(point.X) * scale, float64(point.Y) * scale}
		}
		mix := func(a, b [2]float64) [2]float64 {
			return [2]float64{a[0] + (b[0]-a[0])*2/3, a[1] + (b[1]-a[1])*2/3}
		}
		switch segment.Op {
		case ot.SegmentOpMoveTo:
			add(p[0])
			start = p[0]
		case ot.SegmentOpLineTo:
			last := i+1 == len(outline) || outline[i+1].Op == ot.SegmentOpMoveTo
			if !last || math.Hypot(p[0][0]-start[0], p[0][1]-start[1]) > 1 {
				add(p[0])
			}
		case ot.SegmentOpQuadTo:
			one, two := mix(from, p[0]), mix(p[1], p[0])
			add(one)
			add(two)
			add(p[1])
		case ot.SegmentOpCubeTo:
			add(p[0])
			add(p[1])
			add(p[2])
		}
	}
	return points
}

func distance(a, b [][2]float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Hypot(a[i][0]-b[i][0], a[i][1]-b[i][1]))
	}
	return worst
}
