package directory

import (
	"slices"
	"sort"
	"strings"
)

// Snapshot is an immutable state of a directory, safe for concurrent use: a base, and over it the changes since it was
// built.
type Snapshot struct {
	base    *base
	removed []uint32            // ranks of the base that no longer count, ascending
	added   []*entry            // in sort order
	places  []uint32            // for each of added, how many of the base sort before it
	packed  [sides][]overlayKey // the keys of added, in no order
}

// overlayKey is a key of one of added, side by side so that a search reads them at a stroke.
type overlayKey struct {
	packed uint64
	entry  *entry
}

// changes is how much the overlay holds.
func (s *Snapshot) changes() int { return len(s.removed) + len(s.added) }

// with returns the snapshot after a change: e in, whoever had the id out. e nil only takes out.
func (s *Snapshot) with(id string, e *entry, o *order) *Snapshot {
	next := &Snapshot{base: s.base, removed: s.removed, added: s.added, places: s.places, packed: s.packed}
	if rank, ok := s.base.ids.find(id, &s.base.people); ok {
		if at, gone := slices.BinarySearch(s.removed, rank); !gone {
			next.removed = insert(s.removed, at, rank)
		}
	}
	if at := slices.IndexFunc(s.added, func(a *entry) bool { return a.person.ID == id }); at >= 0 {
		old := s.added[at]
		next.added, next.places = without(s.added, at), without(s.places, at)
		for side := range next.packed {
			next.packed[side] = slices.DeleteFunc(slices.Clone(s.packed[side]), func(k overlayKey) bool { return k.entry == old })
		}
	}
	if e == nil {
		return next
	}
	at := sort.Search(len(next.added), func(i int) bool { return next.added[i].sortKey >= e.sortKey })
	next.added = insert(next.added, at, e)
	next.places = insert(next.places, at, s.base.place(e, o))
	for side, keys := range e.keys {
		packed := slices.Grow(slices.Clip(next.packed[side]), len(keys))
		for _, digits := range keys {
			packed = append(packed, overlayKey{newKey(digits).packed, e})
		}
		next.packed[side] = packed
	}
	return next
}

// place returns how many people of the base sort before e.
func (b *base) place(e *entry, o *order) uint32 {
	var buf []byte
	return uint32(sort.Search(len(b.people.refs), func(rank int) bool {
		p := b.people.at(uint32(rank))
		buf = o.appendKey(buf[:0], &p)
		return string(buf) >= e.sortKey
	}))
}

func insert[T any](list []T, at int, v T) []T {
	out := make([]T, 0, len(list)+1)
	return append(append(append(out, list[:at]...), v), list[at:]...)
}

func without[T any](list []T, at int) []T {
	return append(append(make([]T, 0, len(list)), list[:at]...), list[at+1:]...)
}

// find returns which of added have a key on one of the sides that starts with p, in sort order.
func (s *Snapshot) find(p prefix, onSide [sides]bool) []int {
	var found []int
	for side, wanted := range onSide {
		if !wanted {
			continue
		}
		for _, k := range s.packed[side] {
			if k.packed < p.from || k.packed >= p.to || (p.tail != "" && !k.entry.starts(side, p)) {
				continue
			}
			found = append(found, sort.Search(len(s.added), func(i int) bool { return s.added[i].sortKey >= k.entry.sortKey }))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (e *entry) starts(side int, p prefix) bool {
	return slices.ContainsFunc(e.keys[side], func(digits string) bool { return p.starts(newKey(digits)) })
}

// merged returns a base of the snapshot's people, in time linear in their number and without a sort key made.
func (s *Snapshot) merged() *base {
	old := s.base
	size := len(old.people.refs) - len(s.removed) + len(s.added)
	ranks := make([]uint32, len(old.people.refs)) // by old rank
	addedRanks := make([]uint32, len(s.added))
	w := peopleWriter{}
	w.refs = make([]uint64, 0, size)
	// The records of the removed stay behind in their chunks until all are written anew.
	rewrite := size <= 8*maxOverlay || len(old.people.chunks) >= maxChunks+old.people.size/chunkSize
	if !rewrite {
		w.chunks = slices.Clone(old.people.chunks)
		w.size = old.people.size
	}
	gone := s.removed
	next := 0
	for rank := range uint32(len(old.people.refs) + 1) {
		for next < len(s.added) && s.places[next] == rank {
			addedRanks[next] = uint32(len(w.refs))
			w.add(&s.added[next].person)
			next++
		}
		if int(rank) == len(old.people.refs) {
			break
		}
		if len(gone) > 0 && gone[0] == rank {
			ranks[rank], gone = slotLeft, gone[1:]
			continue
		}
		ranks[rank] = uint32(len(w.refs))
		if rewrite {
			p := old.people.at(rank)
			w.add(&p)
		} else {
			w.refs = append(w.refs, old.people.refs[rank])
		}
	}
	w.flush()
	b := &base{people: w.people}
	b.ids = old.ids.moved(&b.people, ranks, s.added, addedRanks)
	for side := range b.keys {
		b.keys[side] = old.keys[side].merged(ranks, s.addedKeys(side, addedRanks))
	}
	return b
}

// addedKeys returns the keys of added in order.
func (s *Snapshot) addedKeys(side int, addedRanks []uint32) []ranked {
	keys := make([]ranked, 0, len(s.packed[side]))
	for i, e := range s.added {
		for _, digits := range e.keys[side] {
			keys = append(keys, ranked{newKey(digits), addedRanks[i]})
		}
	}
	slices.SortFunc(keys, compareRanked)
	return keys
}

// merged returns the table with its ranks moved, the keys of removed people left out, and more keys in.
func (t *keyTable) merged(ranks []uint32, more []ranked) keyTable {
	w := newKeyWriter(len(t.packed) + len(more))
	for i, packed := range t.packed {
		rank := ranks[t.ranks[i]]
		if rank == slotLeft {
			continue
		}
		k := ranked{key{packed, t.tail(i)}, rank}
		for len(more) > 0 && compareRanked(more[0], k) < 0 {
			w.add(more[0])
			more = more[1:]
		}
		w.add(k)
	}
	for _, k := range more {
		w.add(k)
	}
	return w.finish()
}

// moved returns the table with its ranks moved and the added people in.
func (t *idTable) moved(people *people, ranks []uint32, added []*entry, addedRanks []uint32) idTable {
	if (t.used+len(added))*4 > len(t.slots)*3 {
		return newIDTable(people)
	}
	next := idTable{seed: t.seed, slots: make([]uint32, len(t.slots)), used: t.used}
	for i, rank := range t.slots {
		if rank < slotLeft {
			rank = ranks[rank]
		}
		next.slots[i] = rank
	}
	for i, e := range added {
		next.add(e.person.ID, addedRanks[i])
	}
	return next
}

// Len is the number of people.
func (s *Snapshot) Len() int { return len(s.base.people.refs) - len(s.removed) + len(s.added) }

// Get returns the person with an id.
func (s *Snapshot) Get(id string) (Person, bool) {
	for _, e := range s.added {
		if e.person.ID == id {
			return e.person, true
		}
	}
	rank, ok := s.base.ids.find(id, &s.base.people)
	if !ok || s.isRemoved(rank) {
		return Person{}, false
	}
	return s.base.people.at(rank), true
}

func (s *Snapshot) isRemoved(rank uint32) bool {
	if len(s.removed) == 0 {
		return false
	}
	_, gone := slices.BinarySearch(s.removed, rank)
	return gone
}

// same reports whether id is there with exactly these values.
func (s *Snapshot) same(p Person) bool {
	old, ok := s.Get(p.ID)
	return ok && old == p
}

// list returns everybody, in sort order.
func (s *Snapshot) list() []Person {
	list := make([]Person, 0, s.Len())
	for p := range s.All() {
		p.ID = strings.Clone(p.ID)
		list = append(list, p)
	}
	return list
}
