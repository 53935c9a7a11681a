// Package listing prints a company directory: as a PDF that can be handed out, and as rows of CSV.
//
// A listing's people are sorted by the directory's own order and put under letter headings (sort.go), their names and
// numbers are shaped into lines (typeset.go) from fonts that are built in or found on the machine (fonts.go), the lines
// become rows, columns and pages (layout.go, row.go), and pages and glyphs become a PDF file (document.go, glyphs.go,
// cff.go).
//
// Shaping and outlines are go-text's, the file is fpdf's. What lies between is here, because fpdf writes characters, not
// glyphs: each page is a form of its own, handed to fpdf as an imported template, whose text is runs of glyph numbers in
// compact fonts that hold just the outlines in use. TrueType and CFF fonts go the same way. Every glyph keeps the
// characters it stands for, so what is printed can be searched and copied in every script.
//
// Latin, Greek, Cyrillic, Arabic, Hebrew, Devanagari and Thai are built in. Chinese, Japanese and Korean come from the
// machine (Debian's fonts-noto-cjk or another font of the list in fonts.go), and so does every other script whose Noto
// font is installed. A character that no font has is printed as a box, and a note at the end of the listing names it.
package listing

//go:generate go run ./generate
