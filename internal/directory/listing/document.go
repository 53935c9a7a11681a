package listing

import (
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// objects are PDF objects for fpdf to import: each has a name of 40 characters, which fpdf replaces by a number wherever
// another object refers to it.
type objects struct {
	list []*object
}

type object struct {
	bytes.Buffer
	id         string
	references map[int]string // by offset
}

func (o *objects) add() *object { return o.addAs(fmt.Sprintf("%040d", len(o.list))) }

func (o *objects) addAs(id string) *object {
	added := &object{id: id, references: map[int]string{}}
	o.list = append(o.list, added)
	return added
}

func (o *object) refer(id string) {
	o.references[o.Len()] = id
	o.WriteString(id + " 0 R")
}

// stream adds a compressed stream with further keys of its dictionary and returns its name.
func (o *objects) stream(keys string, content []byte) string {
	added := o.add()
	added.WriteString("<<")
	added.writeStream(keys, content)
	return added.id
}

func (o *object) writeStream(keys string, content []byte) {
	var packed bytes.Buffer
	writer := zlib.NewWriter(&packed)
	_, _ = writer.Write(content) // a buffer takes all
	_ = writer.Close()
	fmt.Fprintf(o, "%s /Filter /FlateDecode /Length %d>>\nstream\n", keys, packed.Len())
	_, _ = packed.WriteTo(o)
	o.WriteString("\nendstream")
}

func (o *objects) importInto(file *fpdf.Fpdf) {
	content, references := map[string][]byte{}, map[string]map[int]string{}
	for _, object := range o.list {
		object.WriteString("\nendobj")
		content[object.id], references[object.id] = object.Bytes(), object.references
	}
	file.ImportObjects(content)
	file.ImportObjPos(references)
}

// resourcesID names the one resource dictionary that all pages share.
var resourcesID = strings.Repeat("r", 40)

// writeDocument writes the pages as a PDF file.
func writeDocument(ctx context.Context, w io.Writer, l *Listing, t *typesetter, pages []*page) error {
	paper := l.paper()
	file := fpdf.NewCustom(&fpdf.InitType{UnitStr: "pt", Size: fpdf.SizeType{Wd: paper.width, Ht: paper.height}})
	file.SetMargins(0, 0, 0)
	file.SetAutoPageBreak(false, 0)
	title := clean(l.Directory)
	file.SetTitle(title, true)
	file.SetAuthor(clean(l.Account), true)
	file.SetCreator("bugle", true)
	file.SetProducer("bugle", true)
	file.SetLang(t.language.String())
	date := l.Date
	if date.IsZero() {
		date = time.Unix(0, 0).UTC()
	}
	file.SetCreationDate(date)
	file.SetModificationDate(date)

	imported, templates := &objects{}, map[string]string{}
	for i, page := range pages {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := fmt.Sprintf("/Page%d", i+1)
		form := imported.addAs(fmt.Sprintf("p%039d", i))
		templates[name] = form.id
		fmt.Fprintf(form, "<</Type /XObject /Subtype /Form /BBox [0 0 %.2f %.2f] /Resources ", paper.width, paper.height)
		form.refer(resourcesID)
		form.writeStream("", page.content.Bytes())
		file.AddPage()
		if i == 0 {
			file.SetAlpha(1, "Normal") // makes it PDF 1.4, whose text may say what it stands for
		}
		for _, mark := range page.bookmarks {
			file.Bookmark("\xfe\xff"+string(bigEndianUTF16(mark.title)), 0, mark.y)
		}
		file.UseImportedTemplate(name, 1, 1, 0, -paper.height)
	}
	resources := imported.addAs(resourcesID)
	resources.WriteString("<</ProcSet [/PDF /Text] /Font <<")
	for i, set := range t.sets {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := fmt.Sprintf("f%039d", i)
		set.write(imported, id)
		resources.WriteString("/" + set.name + " ")
		resources.refer(id)
	}
	resources.WriteString(">>>>")
	imported.importInto(file)
	file.ImportTemplates(templates)
	if err := file.Output(&patientWriter{ctx: ctx, to: w}); err != nil {
		return fmt.Errorf("write the listing: %w", err)
	}
	return nil
}

// patientWriter hands what fpdf writes in one piece on in small ones, and stops between them when nobody waits any more.
type patientWriter struct {
	ctx context.Context
	to  io.Writer
}

func (w *patientWriter) Write(p []byte) (int, error) {
	const piece = 64 << 10
	written := 0
	for written < len(p) {
		if err := w.ctx.Err(); err != nil {
			return written, err
		}
		n, err := w.to.Write(p[written:min(written+piece, len(p))])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
