package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle"
)

// A backup is a gzipped tar that either engine writes and either reads, so that it also moves a system from one to the
// other:
//
//	manifest.json            Manifest
//	tables/<name>/<n>.json   some rows of a table, a chunk
//	blobs/<account>/<sha256> audio
//	end.json                 Contents: without it the file was cut off
//
// Secrets are in it as they are in the database, sealed; the key is not in it.

const (
	archiveFormat = 1
	chunkTarget   = 1 << 20   // bytes after which a chunk is written
	chunkLimit    = 256 << 20 // bytes of a chunk that a restore takes
)

// archived are the tables of a backup: all but those of the migrations. A restore fills them in this order.
var archived = []string{"settings", "counters", "documents", "document_keys", "document_index", "changes", "bindings", "calls", "messages",
	"attempts", "placements", "spent_tokens",
	"projections", "numeric_ids", "contact_facts", "contact_refs", "contacts", "directory_events", "contact_accounts",
	"hook_deliveries", "hook_attempts", "hook_endpoints", "hook_nodes", "readers",
	"oauth_sessions", "oauth_tokens", "subscriptions"}

// archivedSince are the versions of the tables' definition with which tables came; the others were there from the first.
var archivedSince = map[string]int64{"messages": 3, "attempts": 5, "placements": 5, "spent_tokens": 5, "projections": 8, "numeric_ids": 8, "contact_facts": 8, "contact_refs": 8,
	"contacts": 8, "directory_events": 8, "contact_accounts": 8,
	"hook_deliveries": 6, "hook_attempts": 6, "hook_endpoints": 6, "hook_nodes": 6, "readers": 6,
	"oauth_sessions": 9, "oauth_tokens": 9, "subscriptions": 9}

// archivedAt are the tables that a database of a version has.
func archivedAt(version int64) []string {
	return slices.DeleteFunc(slices.Clone(archived), func(table string) bool { return archivedSince[table] > version })
}

// Manifest begins a backup.
type Manifest struct {
	Format  int       `json:"format"`
	Tables  int64     `json:"tables"` // version of the tables' definition
	Written time.Time `json:"written"`
	Program string    `json:"program"` // version of the program that wrote it
}

// Contents counts what a backup holds.
type Contents struct {
	Rows  map[string]int64 `json:"rows"` // by table
	Blobs int64            `json:"blobs"`
}

// chunk is some rows of a table. A value is a string, an integer, null, or {"base64": "…"}.
type chunk struct {
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

func archiveInvalid(message string, err error) error {
	return &bugle.Error{Op: "store.Restore", Kind: bugle.KindInvalid, Message: message, Err: err}
}

// archiveWriter writes the members of a backup in order.
type archiveWriter struct {
	zip  *gzip.Writer
	tar  *tar.Writer
	now  time.Time
	have Contents
}

func newArchiveWriter(w io.Writer, m Manifest) (*archiveWriter, error) {
	z := gzip.NewWriter(w)
	a := &archiveWriter{zip: z, tar: tar.NewWriter(z), now: m.Written, have: Contents{Rows: map[string]int64{}}}
	return a, a.document("manifest.json", m)
}

func (a *archiveWriter) document(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.member(name, int64(len(text)), bytes.NewReader(text))
}

func (a *archiveWriter) member(name string, size int64, r io.Reader) error {
	if err := a.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: a.now, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := io.Copy(a.tar, r)
	return err
}

func (a *archiveWriter) blob(accountID, sum string, size int64, r io.Reader) error {
	a.have.Blobs++
	return a.member("blobs/"+accountID+"/"+sum, size, r)
}

// rows writes one chunk; text is the JSON of its rows, separated by commas.
func (a *archiveWriter) rows(table string, part int, columns []string, text []byte, n int64) error {
	head, err := json.Marshal(columns)
	if err != nil {
		return err
	}
	a.have.Rows[table] += n
	whole := slices.Concat([]byte(`{"columns":`), head, []byte(`,"rows":[`), text, []byte(`]}`))
	return a.member(fmt.Sprintf("tables/%s/%06d.json", table, part), int64(len(whole)), bytes.NewReader(whole))
}

// end completes the backup.
func (a *archiveWriter) end() error {
	if err := a.document("end.json", a.have); err != nil {
		return err
	}
	return errors.Join(a.tar.Close(), a.zip.Close())
}

// appendRow appends a row as a JSON array.
func appendRow(text []byte, row []any) ([]byte, error) {
	text = append(text, '[')
	for i, v := range row {
		if i > 0 {
			text = append(text, ',')
		}
		switch v := v.(type) {
		case nil:
			text = append(text, "null"...)
		case int64:
			text = strconv.AppendInt(text, v, 10)
		case string:
			quoted, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			text = append(text, quoted...)
		case []byte:
			text = append(text, `{"base64":"`...)
			text = append(base64.StdEncoding.AppendEncode(text, v), `"}`...)
		default:
			return nil, fmt.Errorf("a column holds %T", v)
		}
	}
	return append(text, ']'), nil
}

// archiveReader reads the members of a backup in order.
type archiveReader struct {
	zip      *gzip.Reader
	tar      *tar.Reader
	manifest Manifest
}

// newArchiveReader reads the manifest.
func newArchiveReader(r io.Reader) (*archiveReader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, archiveInvalid("this is no backup of bugle", err)
	}
	a := &archiveReader{zip: z, tar: tar.NewReader(z)}
	head, err := a.tar.Next()
	if err != nil || head.Name != "manifest.json" {
		return nil, archiveInvalid("this is no backup of bugle", err)
	}
	if err := a.document(&a.manifest); err != nil {
		return nil, err
	}
	if a.manifest.Format != archiveFormat {
		return nil, archiveInvalid(fmt.Sprintf("the backup has format %d, this program reads %d", a.manifest.Format, archiveFormat), nil)
	}
	return a, nil
}

// next returns the name of the next member. A file that was cut off has none and no end.json.
func (a *archiveReader) next() (*tar.Header, error) {
	head, err := a.tar.Next()
	if err != nil {
		return nil, archiveInvalid("the backup was cut off or damaged", err)
	}
	return head, nil
}

// end reads what is behind the last member, where the check sum of the whole file is.
func (a *archiveReader) end() error {
	if head, err := a.tar.Next(); err != io.EOF {
		if err == nil {
			err = fmt.Errorf("%s follows the end", head.Name)
		}
		return archiveInvalid("the backup was cut off or damaged", err)
	}
	if _, err := io.Copy(io.Discard, a.zip); err != nil {
		return archiveInvalid("the backup was cut off or damaged", err)
	}
	return nil
}

func (a *archiveReader) document(v any) error {
	text, err := io.ReadAll(io.LimitReader(a.tar, chunkLimit))
	if err != nil {
		return archiveInvalid("the backup was cut off or damaged", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return archiveInvalid("the backup is damaged", err)
	}
	return nil
}

// chunk reads rows, with the values as the database takes them.
func (a *archiveReader) chunk() (chunk, error) {
	var c chunk
	if err := a.document(&c); err != nil {
		return c, err
	}
	for _, name := range c.Columns {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return c, archiveInvalid(fmt.Sprintf("the backup has a column %q", name), nil)
		}
	}
	for _, row := range c.Rows {
		if len(row) != len(c.Columns) {
			return c, archiveInvalid("a row of the backup is damaged", nil)
		}
		for i, v := range row {
			switch v := v.(type) {
			case nil, string:
				continue
			case json.Number:
				n, err := v.Int64()
				if err != nil {
					return c, archiveInvalid("a row of the backup is damaged", err)
				}
				row[i] = n
			case map[string]any:
				text, ok := v["base64"].(string)
				raw, err := base64.StdEncoding.DecodeString(text)
				if !ok || err != nil {
					return c, archiveInvalid("a row of the backup is damaged", err)
				}
				row[i] = raw
			default:
				return c, archiveInvalid("a row of the backup is damaged", nil)
			}
		}
	}
	return c, nil
}
