package crossbar

import (
	"bytes"
	"slices"

	"bugle/internal/store"
)

// parseKeys reads some top-level keys of a document that the store returned, and passes over the others.
func parseKeys(text []byte, keys []string) (map[string]any, error) {
	p := treeParser{text: text, only: keys, left: len(text)}
	p.space()
	v, err := p.value(0)
	o, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, errNotJSON
	}
	return o, nil
}

// cell is one key of an object, its value as text or as a tree.
type cell struct {
	key  string
	text []byte // nil: it is tree
	tree any
}

// splitKeys is parseKeys into doc, which it empties first. Of the keys in copied it appends the values' text to cells and
// parses nothing.
func splitKeys(text []byte, keys, copied []string, doc map[string]any, cells []cell) ([]cell, error) {
	clear(doc)
	p := treeParser{text: text, only: keys, root: doc, copied: copied, cells: cells, left: len(text)}
	p.space()
	v, err := p.value(0)
	if _, ok := v.(map[string]any); err != nil || !ok {
		return cells, errNotJSON
	}
	return p.cells, nil
}

// appendRows writes the rows of a list. What a row only repeats goes over as the text that is stored.
func (req *request) appendRows(dst []byte, res *resource, docs []store.Document) ([]byte, error) {
	if res.annotate != nil {
		rows, err := req.summaries(res, docs)
		return appendTree(dst, rows), err
	}
	parsed := res.parsedKeys()
	var shown []string
	if !req.identity.admin && res.summary != nil {
		shown = res.self.summary
	}
	cells, doc := make([]cell, 0, 32), map[string]any{}
	var err error
	dst = append(dst, '[')
	for i := range docs {
		if i > 0 {
			dst = append(dst, ',')
		}
		if cells, err = res.row(&docs[i], parsed, doc, cells[:0]); err != nil {
			return nil, err
		}
		if len(shown) > 0 {
			cells = slices.DeleteFunc(cells, func(c cell) bool { return !slices.Contains(shown, c.key) })
		}
		cells = append(cells, cell{key: "id", tree: docs[i].ID})
		if dst, err = appendCells(dst, cells); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// parsedKeys are those of summaryKeys that summary is given, parsed.
func (r *resource) parsedKeys() []string {
	parsed := []string{}
	for _, key := range r.summaryKeys {
		if r.derive == nil && !slices.Contains(r.copied, key) {
			parsed = append(parsed, key)
		}
	}
	return parsed
}

// row appends the cells of a document's row. parsed are the keys that summary looks at, doc is for it to look at.
func (r *resource) row(d *store.Document, parsed []string, doc map[string]any, cells []cell) ([]cell, error) {
	if r.summary == nil {
		return cells, nil
	}
	copies := r.copied
	if r.derive != nil {
		copies = r.summaryKeys
	}
	cells, err := splitKeys(d.Body, parsed, copies, doc, cells)
	if err != nil {
		return nil, err
	}
	if r.derive != nil {
		n := 0
		for i, c := range cells { // what is copied to the front
			if slices.Contains(r.copied, c.key) {
				cells[i], cells[n] = cells[n], c
				n++
			}
		}
		derived := r.derive(cells[n:], cells)[len(cells):]
		return append(cells[:n], derived...), nil
	}
	copied := len(cells)
	for key, value := range r.summary(doc) {
		if !slices.ContainsFunc(cells[:copied], func(c cell) bool { return c.key == key }) { // else it is what stands for a missing key
			cells = append(cells, cell{key: key, tree: value})
		}
	}
	return cells, nil
}

// emptyText is empty of the value that text is.
func emptyText(text []byte) bool {
	switch {
	case len(text) == 0 || string(text) == "null" || string(text) == `""`:
		return true
	case text[0] == '{' || text[0] == '[':
		next := bytes.TrimLeft(text[1:], " \t\r\n")
		return len(next) > 0 && (next[0] == '}' || next[0] == ']')
	}
	return false
}

// appendCells writes an object, keys in order.
func appendCells(dst []byte, cells []cell) ([]byte, error) {
	for i := range cells { // nearly in order already
		for j := i; j > 0 && cells[j].key < cells[j-1].key; j-- {
			cells[j], cells[j-1] = cells[j-1], cells[j]
		}
	}
	dst = append(dst, '{')
	for i, c := range cells {
		if i > 0 {
			if dst = append(dst, ','); c.key == cells[i-1].key {
				return nil, errDuplicate
			}
		}
		dst = append(appendString(dst, c.key), ':')
		if c.text != nil {
			dst = append(dst, c.text...)
		} else {
			dst = appendTree(dst, c.tree)
		}
	}
	return append(dst, '}'), nil
}

// summaries are the rows of a list, for who adds to them.
func (req *request) summaries(res *resource, docs []store.Document) ([]map[string]any, error) {
	rows := make([]map[string]any, 0, len(docs))
	for i := range docs {
		row := map[string]any{}
		if res.summary != nil {
			doc, err := parseKeys(docs[i].Body, res.summaryKeys)
			if err != nil {
				return nil, err
			}
			row = res.summary(doc)
			if !req.identity.admin && len(res.self.summary) > 0 {
				row = pick(row, res.self.summary...)
			}
		}
		row["id"] = docs[i].ID
		rows = append(rows, row)
	}
	if res.annotate != nil {
		if err := res.annotate(req, rows); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// pick copies some keys of a document into a row of a list.
func pick(doc map[string]any, keys ...string) map[string]any {
	row := map[string]any{}
	for _, key := range keys {
		if v, ok := doc[key]; ok {
			row[key] = v
		}
	}
	return row
}

// picking is a summary of some keys and flags, which is [] when unset.
func picking(keys ...string) func(map[string]any) map[string]any {
	return func(doc map[string]any) map[string]any {
		row := pick(doc, keys...)
		row["flags"] = []any{}
		if flags, ok := doc["flags"].([]any); ok {
			row["flags"] = flags
		}
		return row
	}
}
