package directory

import (
	"cmp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// The two sides of a directory: what first_name searches, and what last_name searches.
const (
	sideFirst = iota
	sideLast
	sides
)

// base is a large immutable directory: people in sort order, their place in it being their rank, and for each side the
// keys in order, each with its owner's rank.
type base struct {
	people people
	ids    idTable
	keys   [sides]keyTable
}

// entry is a person on the way into a base or an overlay.
type entry struct {
	person  Person
	sortKey string
	keys    [sides][]string
}

func newEntry(p Person, o *order) *entry {
	e := &entry{person: p, sortKey: o.key(&p)}
	e.keys[sideFirst], e.keys[sideLast] = keysOf(p)
	return e
}

// ranked is one key of one person.
type ranked struct {
	key
	rank uint32
}

func compareRanked(a, b ranked) int {
	if c := a.compare(b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.rank, b.rank)
}

// newBase builds a base of people whose ids differ. The work is spread over the processors.
func newBase(list []Person, options Options) *base {
	type placed struct {
		start   uint64 // the first bytes of the sort key, to compare without following a pointer
		sortKey string
		index   uint32
	}
	order := make([]placed, len(list))
	spread(len(list), func(from, to int) {
		o := newOrder(options)
		var arena []byte // many keys share an allocation
		for i := from; i < to; i++ {
			if cap(arena)-len(arena) < 4*maxName {
				arena = make([]byte, 0, 64<<10)
			}
			start := len(arena)
			arena = o.appendKey(arena, &list[i])
			key := string(arena[start:])
			arena = arena[:start]
			order[i] = placed{start: firstBytes(key), sortKey: key, index: uint32(i)}
		}
	})
	slices.SortFunc(order, func(a, b placed) int {
		if c := cmp.Compare(a.start, b.start); c != 0 {
			return c
		}
		return strings.Compare(a.sortKey, b.sortKey)
	})
	w := peopleWriter{}
	w.refs = make([]uint64, 0, len(list))
	for _, place := range order {
		w.add(&list[place.index])
	}
	w.flush()
	b := &base{people: w.people}
	b.ids = newIDTable(&b.people)
	ranks := make([]uint32, len(list)) // by index in list
	for rank, place := range order {
		ranks[place.index] = uint32(rank)
	}
	b.buildKeys(list, ranks)
	return b
}

func (b *base) buildKeys(list []Person, ranks []uint32) {
	var mu sync.Mutex
	var all [sides][]ranked
	spread(len(list), func(from, to int) {
		var part [sides][]ranked
		for side := range part {
			part[side] = make([]ranked, 0, (to-from)*9/8)
		}
		for i := from; i < to; i++ {
			first, last := keysOf(list[i])
			for side, keys := range [sides][]string{first, last} {
				for _, digits := range keys {
					part[side] = append(part[side], ranked{newKey(digits), ranks[i]})
				}
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for side := range part {
			if all[side] == nil {
				all[side] = part[side]
			} else {
				all[side] = append(all[side], part[side]...)
			}
		}
	})
	var done sync.WaitGroup
	for side := range sides {
		done.Go(func() {
			slices.SortFunc(all[side], compareRanked)
			w := newKeyWriter(len(all[side]))
			for _, k := range all[side] {
				w.add(k)
			}
			b.keys[side] = w.finish()
		})
	}
	done.Wait()
}

// spread runs work over parts of n at the same time, as many as there are processors.
func spread(n int, work func(from, to int)) {
	parts := min(runtime.GOMAXPROCS(0), 16, n/1024+1)
	var done sync.WaitGroup
	for part := range parts {
		done.Go(func() { work(n*part/parts, n*(part+1)/parts) })
	}
	done.Wait()
}

func firstBytes(s string) (v uint64) {
	for i := range 8 {
		v <<= 8
		if i < len(s) {
			v |= uint64(s[i])
		}
	}
	return v
}
