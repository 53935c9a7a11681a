package crossbar

import (
	"sync"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"bugle/internal/store"
)

// collators makes sort keys; a Collator serves one goroutine at a time.
type collators struct {
	mu     sync.Mutex
	byTag  map[string]*collate.Collator
	buffer collate.Buffer
}

const maxCollators = 64

// key is the sort key of text under a language's rules, cut to what the store takes.
func (c *collators) key(lang, text string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	col := c.byTag[lang]
	if col == nil {
		if len(c.byTag) >= maxCollators || c.byTag == nil {
			c.byTag = map[string]*collate.Collator{}
		}
		col = collate.New(language.Make(lang))
		c.byTag[lang] = col
	}
	c.buffer.Reset()
	key := append([]byte(nil), col.KeyFromString(&c.buffer, clip(text, 400))...)
	if len(key) > store.MaxValue {
		key = key[:store.MaxValue]
	}
	return key
}

func (e *edit) collated(text string) []byte {
	return e.req.api.collators.key(e.owner.view.Language, text)
}

// byName orders a list by the documents' names.
func byName(e *edit) []byte { return e.collated(stringAt(e.doc, "name")) }
