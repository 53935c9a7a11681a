package listing

import (
	"encoding/binary"
	"math"

	ot "github.com/go-text/typesetting/font/opentype"
)

// unitsPerEm is the grid of the fonts that are written: that of a CFF font and of PDF's glyph widths when nothing else is
// said, so no reader has to apply a matrix, at which they differ.
const unitsPerEm = 1000

// Operators of CFF dictionaries and Type 2 charstrings (Adobe Technical Notes 5176 and 5177).
const (
	cffFontBBox    = 5
	cffCharset     = 15
	cffCharStrings = 17
	cffPrivate     = 18
	cffROS         = 12<<8 | 30
	cffCIDCount    = 12<<8 | 34
	cffFDArray     = 12<<8 | 36
	cffFDSelect    = 12<<8 | 37

	charRLineTo   = 5
	charRRCurveTo = 8
	charEndChar   = 14
	charRMoveTo   = 21
)

// charString is a Type 2 charstring being drawn.
type charString struct {
	code []byte
	x, y int
}

func newCharString(width int) *charString {
	return &charString{code: appendCharNumber(nil, width)} // before the operands of the first operator
}

func (c *charString) end() []byte { return append(c.code, charEndChar) }

// to appends the way to a point.
func (c *charString) to(px, py float64) {
	x, y := int(math.Round(px)), int(math.Round(py))
	c.code = appendCharNumber(appendCharNumber(c.code, x-c.x), y-c.y)
	c.x, c.y = x, y
}

// draw adds an outline in font units, scaled and then moved.
func (c *charString) draw(outline []ot.Segment, scale, dx, dy float64) {
	fromX, fromY := 0.0, 0.0
	for _, segment := range outline {
		var p [3][2]float64
		for i, point := range segment.ArgsSlice() {
			p[i] = [2]float64{float64(point.X)*scale + dx, float64(point.Y)*scale + dy}
		}
		end := p[0]
		switch segment.Op {
		case ot.SegmentOpMoveTo:
			c.to(p[0][0], p[0][1])
			c.code = append(c.code, charRMoveTo)
		case ot.SegmentOpLineTo:
			c.to(p[0][0], p[0][1])
			c.code = append(c.code, charRLineTo)
		case ot.SegmentOpQuadTo: // raised to a cubic curve, which is the same curve
			c.to(fromX+(p[0][0]-fromX)*2/3, fromY+(p[0][1]-fromY)*2/3)
			c.to(p[1][0]+(p[0][0]-p[1][0])*2/3, p[1][1]+(p[0][1]-p[1][1])*2/3)
			c.to(p[1][0], p[1][1])
			c.code = append(c.code, charRRCurveTo)
			end = p[1]
		case ot.SegmentOpCubeTo:
			c.to(p[0][0], p[0][1])
			c.to(p[1][0], p[1][1])
			c.to(p[2][0], p[2][1])
			c.code = append(c.code, charRRCurveTo)
			end = p[2]
		}
		fromX, fromY = end[0], end[1]
	}
}

// appendCharNumber appends an operand of a charstring. Outlines that leave 16 bits are cut there: no glyph is that large.
func appendCharNumber(b []byte, n int) []byte {
	switch n = min(max(n, math.MinInt16), math.MaxInt16); {
	case n >= -107 && n <= 107:
		return append(b, byte(n+139))
	case n >= 108 && n <= 1131:
		return append(b, byte((n-108)>>8+247), byte(n-108))
	case n >= -1131 && n <= -108:
		return append(b, byte((-n-108)>>8+251), byte(-n-108))
	}
	return append(b, 28, byte(n>>8), byte(n))
}

// appendDictEntry appends operands of fixed size, so that a dictionary is as long before its offsets are known as after,
// and the operator.
func appendDictEntry(b []byte, operator int, operands ...int) []byte {
	for _, n := range operands {
		b = binary.BigEndian.AppendUint32(append(b, 29), uint32(int32(n)))
	}
	if operator > 0xff {
		b = append(b, byte(operator>>8))
	}
	return append(b, byte(operator))
}

// appendIndex appends an INDEX: the count of items, their offsets, the items.
func appendIndex(b []byte, items ...[]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(items)))
	if len(items) == 0 {
		return b
	}
	offset := uint32(1)
	b = append(b, 4)
	b = binary.BigEndian.AppendUint32(b, offset)
	for _, item := range items {
		offset += uint32(len(item))
		b = binary.BigEndian.AppendUint32(b, offset)
	}
	for _, item := range items {
		b = append(b, item...)
	}
	return b
}

// cidFont returns a CID-keyed CFF font whose glyph n is charStrings[n] and has CID n.
func cidFont(name string, charStrings [][]byte, box [4]int) []byte {
	n := len(charStrings)
	const firstString = 391 // the number of a font's own first string, after the standard ones
	var charset, fdSelect, fdArray, private int
	top := func() []byte {
		dict := appendDictEntry(nil, cffROS, firstString, firstString+1, 0)
		dict = appendDictEntry(dict, cffFontBBox, box[0], box[1], box[2], box[3])
		dict = appendDictEntry(dict, cffCIDCount, n)
		dict = appendDictEntry(dict, cffCharset, charset)
		dict = appendDictEntry(dict, cffFDSelect, fdSelect)
		dict = appendDictEntry(dict, cffFDArray, fdArray)
		return appendDictEntry(dict, cffCharStrings, private) // charstrings follow the private dictionary, which is empty
	}
	head := func() []byte {
		b := appendIndex([]byte{1, 0, 4, 4}, []byte(name))
		b = appendIndex(b, top())
		b = appendIndex(b, []byte("Adobe"), []byte("Identity"))
		return appendIndex(b) // no subroutines
	}
	charset = len(head())
	ranges := []byte{2} // format 2: one range of CIDs, for all glyphs but the first
	if n > 1 {
		ranges = binary.BigEndian.AppendUint16(append(ranges, 0, 1), uint16(n-2))
	}
	fdSelect = charset + len(ranges)
	selection := binary.BigEndian.AppendUint16([]byte{3, 0, 1, 0, 0, 0}, uint16(n)) // format 3: all glyphs in dictionary 0
	fdArray = fdSelect + len(selection)
	fonts := func() []byte { return appendIndex(nil, appendDictEntry(nil, cffPrivate, 0, private)) }
	private = fdArray + len(fonts())
	b := append(head(), ranges...)
	b = append(b, selection...)
	b = append(b, fonts()...)
	return appendIndex(b, charStrings...)
}
