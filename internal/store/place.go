package store

import (
	"bytes"
	"strings"
)

// Beyond reports whether d stands behind a place in a list that both are of. A malformed place is KindInvalid.
func (d *Document) Beyond(place []byte, descending bool) (bool, error) {
	sortKey, id, err := decodeCursor(place)
	if err != nil {
		return false, err
	}
	order := bytes.Compare(d.SortKey, sortKey)
	if order == 0 {
		order = strings.Compare(d.ID, id)
	}
	if descending {
		order = -order
	}
	return order > 0, nil
}
