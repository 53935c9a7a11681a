package listing

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf16"

	"github.com/go-text/typesetting/font"
)

// glyph is a shape in the file and the characters it stands for. A PDF font says for each of its glyphs what is copied, so
// the same shape that stands for others is another glyph; and because no two readers agree on how the characters of
// several glyphs are told apart and put in order, the glyphs that together make a syllable, or a letter and its marks, are
// made one glyph of the file.
type glyph struct {
	parts string // of the font, where they stand; "" for a blank
	width int    // thousandths of an em
	text  string
}

// part is one glyph of the font within a glyph of the file, offset in thousandths of an em.
type part struct {
	id   font.GID
	x, y int
}

func appendPart(b []byte, p part) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(p.id))
	b = binary.BigEndian.AppendUint32(b, uint32(int32(p.x)))
	return binary.BigEndian.AppendUint32(b, uint32(int32(p.y)))
}

func (g glyph) each(yield func(part) bool) {
	for b := []byte(g.parts); len(b) > 0; b = b[12:] {
		p := part{font.GID(binary.BigEndian.Uint32(b)), int(int32(binary.BigEndian.Uint32(b[4:]))), int(int32(binary.BigEndian.Uint32(b[8:])))}
		if !yield(p) {
			return
		}
	}
}

// ascent and descent are how far above and below its baseline a reader marks a line that is being copied: the same for all
// fonts, and less than lines are apart.
const ascent, descent = 900, -300

// maxGlyphs bounds a font of the file: its glyphs have numbers of 16 bits.
const maxGlyphs = math.MaxUint16

// glyphSet is one font of the file: the glyphs in use of one face.
type glyphSet struct {
	name    string // resource name, without the slash
	face    *font.Face
	numbers map[glyph]uint16
	glyphs  []glyph // by number
}

func newGlyphSet(name string, face *font.Face) *glyphSet {
	set := &glyphSet{name: name, face: face, numbers: map[glyph]uint16{}}
	set.number(glyph{}) // number 0 is the missing glyph's in every font
	return set
}

func (s *glyphSet) scale() float64 { return unitsPerEm / float64(s.face.Upem()) }

// advance is the width that the font gives a glyph, in thousandths of an em.
func (s *glyphSet) advance(id font.GID) int {
	return int(math.Round(float64(s.face.HorizontalAdvance(id)) * s.scale()))
}

func (s *glyphSet) number(g glyph) uint16 {
	n, ok := s.numbers[g]
	if !ok {
		n = uint16(len(s.glyphs))
		s.numbers[g] = n
		s.glyphs = append(s.glyphs, g)
	}
	return n
}

// write adds the font to the file under id: a composite font, its one descendant with the widths, the outlines and the
// map from glyphs to characters.
func (s *glyphSet) write(file *objects, id string) {
	outlines, widths := make([][]byte, len(s.glyphs)), make([]int, len(s.glyphs))
	for n, g := range s.glyphs {
		drawn := newCharString(g.width)
		for p := range g.each {
			outline, _ := s.face.GlyphDataOutline(p.id) // a glyph that is a picture only is left blank
			drawn.draw(outline.Segments, s.scale(), float64(p.x), float64(p.y))
		}
		outlines[n], widths[n] = drawn.end(), g.width
	}
	box := [4]int{-2 * unitsPerEm, -unitsPerEm, 3 * unitsPerEm, 2 * unitsPerEm} // no glyph leaves it
	name := "BUGLEX+Listing" + s.name
	program := file.stream("/Subtype /CIDFontType0C", cidFont(name, outlines, box))
	characters := file.stream("", s.characterMap())

	descriptor := file.add()
	fmt.Fprintf(descriptor, "<</Type /FontDescriptor /FontName /%s /Flags 4 /FontBBox [%d %d %d %d] /ItalicAngle 0 /Ascent %d "+
		"/Descent %d /CapHeight 714 /StemV 80 /FontFile3 ", name, box[0], box[1], box[2], box[3], ascent, descent)
	descriptor.refer(program)
	descriptor.WriteString(">>")

	descendant := file.add()
	fmt.Fprintf(descendant, "<</Type /Font /Subtype /CIDFontType0 /BaseFont /%s /CIDSystemInfo <</Registry (Adobe) "+
		"/Ordering (Identity) /Supplement 0>> /DW 0 /W [0 %d] /FontDescriptor ", name, widths)
	descendant.refer(descriptor.id)
	descendant.WriteString(">>")

	whole := file.addAs(id)
	fmt.Fprintf(whole, "<</Type /Font /Subtype /Type0 /BaseFont /%s-Identity-H /Encoding /Identity-H /DescendantFonts [", name)
	whole.refer(descendant.id)
	whole.WriteString("] /ToUnicode ")
	whole.refer(characters)
	whole.WriteString(">>")
}

// characterMap is the CMap by which readers find the characters of each glyph.
func (s *glyphSet) characterMap() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo <</Registry (Adobe) " +
		"/Ordering (UCS) /Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n" +
		"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	var numbers []int
	for n, g := range s.glyphs {
		if g.text != "" {
			numbers = append(numbers, n)
		}
	}
	const block = 100 // entries at most, by the specification
	for start := 0; start < len(numbers); start += block {
		part := numbers[start:min(start+block, len(numbers))]
		fmt.Fprintf(&b, "%d beginbfchar\n", len(part))
		for _, n := range part {
			fmt.Fprintf(&b, "<%04X> <%X>\n", n, bigEndianUTF16(s.glyphs[n].text))
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return b.Bytes()
}

// bigEndianUTF16 is text as PDF writes it.
func bigEndianUTF16(text string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return b
}
