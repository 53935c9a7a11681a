package store

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzLinks: what was packed comes back, and a damaged column is an error, never a panic.
func FuzzLinks(f *testing.F) {
	f.Add("number", "acme", "1001", "owner_id", "x", []byte{})
	f.Add("", "", "", "", "", []byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Add("é", "\x00", "\xff", "a", "", []byte{1, 200, 1, 2})
	f.Fuzz(func(t *testing.T, space, scope, value, name, other string, column []byte) {
		keys := []Key{{space, scope, value}, {scope, value, space}}
		index := []Index{{name, other}, {other, name}, {space, value}}
		for n := range len(index) {
			gotKeys, gotIndex, err := decodeLinks(encodeLinks(keys[:min(n, 2)], index[:n]))
			if err != nil || !slices.Equal(gotKeys, keys[:min(n, 2)]) || !slices.Equal(gotIndex, index[:n]) {
				t.Fatalf("%v %v, %v", gotKeys, gotIndex, err)
			}
		}
		if keys, index, err := decodeLinks(column); err == nil && len(column) > 0 {
			if again, _, err := decodeLinks(encodeLinks(keys, index)); err != nil || !slices.Equal(again, keys) {
				t.Fatalf("%v became %v, %v", keys, again, err)
			}
		}
	})
}

// FuzzCursor: a cursor comes back as it was, and nothing that a client sends does harm.
func FuzzCursor(f *testing.F) {
	f.Add([]byte("name"), "u1", []byte("AQ"))
	f.Add([]byte{}, "", []byte("AQD_"))
	f.Fuzz(func(t *testing.T, sortKey []byte, id string, cursor []byte) {
		if text(id) {
			gotKey, gotID, err := decodeCursor(encodeCursor(sortKey, id))
			if err != nil || !bytes.Equal(gotKey, sortKey) || gotID != id {
				t.Fatalf("%q %q, %v", gotKey, gotID, err)
			}
		}
		_, _, _ = decodeCursor(cursor)
	})
}
