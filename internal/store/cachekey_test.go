package store

import (
	"testing"
	"unsafe"

	"bugle"
)

// TestCacheKeepsItsOwnKeys: who asks may look for a part of a message whose buffer is used again.
func TestCacheKeepsItsOwnKeys(t *testing.T) {
	t.Parallel()
	s := sqliteIn(t.TempDir()).open(t, Options{})
	c := cacheOf(t, s, CacheOptions{})
	buffer := []byte("nobody")
	ask := func(value string) {
		t.Helper()
		if _, err := c.GetByKey(t.Context(), Key{"username", "acme", value}); bugle.KindOf(err) != bugle.KindNotFound {
			t.Fatal(err)
		}
	}
	ask(unsafe.String(&buffer[0], len(buffer)))
	copy(buffer, "edited")
	misses := c.Stats().Misses
	if ask("nobody"); c.Stats().Misses != misses {
		t.Error("the key has changed with its buffer")
	}
}
