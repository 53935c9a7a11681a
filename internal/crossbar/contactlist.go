package crossbar

import (
	"net/http"
	"regexp"
	"strings"

	"bugle/internal/store"
)

func contactLists() *resource {
	return &resource{noun: "lists", typ: TypeList, schema: "lists",
		about:       "What is in a list is at `entries`. Deleting the list deletes them.",
		summary:     func(doc map[string]any) map[string]any { return pick(doc, "name", "description", "org") },
		summaryKeys: []string{"name", "description", "org"}, order: byName,
		along: func(e *edit) error {
			if e.how != deleting {
				return nil
			}
			return deleteIndexed(e.tx, e.owner.id, TypeListEntry, store.Index{Name: IndexList, Value: e.id})
		},
	}
}

func listEntries() *resource {
	keys := []string{"capture_group_key", "capture_group_length", "displayname", "firstname", "lastname", "list_id", "number",
		"pattern", "profile", "type"}
	r := &resource{noun: "entries", typ: TypeListEntry, schema: "list_entries",
		about: "The entries of a list. DELETE on all of them empties the list. `vcard` is an entry as text/vcard, with the list's `org`; " +
			"`photo` takes a JPEG or PNG of at most 2 MB.",
		within: map[string]string{"lists": IndexList}, nested: true, parentKey: "list_id",
		summary:     func(doc map[string]any) map[string]any { return pick(doc, keys...) },
		summaryKeys: keys,
		order: func(e *edit) []byte {
			for _, key := range [...]string{"displayname", "lastname", "firstname", "number", "pattern"} {
				if text := stringAt(e.doc, key); text != "" {
					return e.collated(text)
				}
			}
			return nil
		},
		check: func(e *edit) error {
			e.checkPattern("pattern")
			return nil
		},
		index: func(e *edit) []store.Index {
			return []store.Index{{Name: IndexList, Value: stringAt(e.doc, "list_id")}}
		},
	}
	r.shapes = personShapes("list_entries.document")
	r.endpoints = []endpoint{photoEndpoint(r), vcardEndpoint(r, describeEntry), {path: "", ops: map[string]operation{
		http.MethodGet: {run: func(req *request) (*reply, error) { return req.list(r) }},
		http.MethodPut: {run: func(req *request) (*reply, error) { return req.create(r) }},
		http.MethodDelete: {run: func(req *request) (*reply, error) {
			if err := req.parentExists(); err != nil {
				return nil, err
			}
			err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
				return deleteIndexed(tx, req.account.id, TypeListEntry, store.Index{Name: IndexList, Value: req.route.parentID})
			})
			return &reply{status: http.StatusOK}, err
		}}}}}
	return r
}

// describeEntry writes who an entry of a list is into a card.
func describeEntry(c *card, req *request, doc map[string]any) error {
	first, last := stringAt(doc, "firstname"), stringAt(doc, "lastname")
	c.name(firstOf(map[string]any{"shown": stringAt(doc, "displayname"), "whole": strings.TrimSpace(first + " " + last),
		"number": stringAt(doc, "number")}, "shown", "whole", "number"), first, last)
	c.profile(doc)
	c.text("TEL;VALUE=text;TYPE=voice", stringAt(doc, "number"))
	list, err := req.api.get(req.ctx, req.account.id, TypeList, req.route.parentID)
	if err != nil {
		return req.missing(err, req.route.parentID)
	}
	about, err := parseObject(list.Body)
	c.text("ORG", stringAt(about, "org"))
	return err
}

const maxPattern = 1000 // characters of a regular expression in a document

// checkPattern refuses text at the dotted paths ("*" for members of arrays) that is no regular expression.
func (e *edit) checkPattern(paths ...string) {
	for _, pattern := range paths {
		for _, path := range expand(e.doc, pattern) {
			e.checkExpression(path, stringAt(e.doc, path))
		}
	}
}

func (e *edit) checkExpression(path, text string) {
	if len(text) > maxPattern {
		e.errs.add(path, "maxLength", map[string]any{"message": "String must not be more than 1000 characters", "target": maxPattern})
		return
	}
	if _, err := regexp.Compile(text); err != nil {
		e.errs.add(path, "pattern", map[string]any{"message": "Must be a regular expression (RE2): " + err.Error(), "value": text})
	}
}
