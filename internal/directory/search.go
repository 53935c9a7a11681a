package directory

import "iter"

// Fields says which names a search looks at: the search_fields of a directory document.
type Fields string

// The values of search_fields. Any other value reads as Both.
const (
	FirstName Fields = "first_name" // given-name tokens, and given name run on into the family name
	LastName  Fields = "last_name"  // family-name tokens, and family name run on into the given name
	Both      Fields = "both"       // either
)

func (f Fields) sides() [sides]bool {
	return [sides]bool{sideFirst: f != LastName, sideLast: f != FirstName}
}

// Search finds the people one of whose keys starts with digits (0-9). No digits, or any other character in them, match
// nobody.
func (s *Snapshot) Search(digits string, fields Fields) Matches {
	p, ok := newPrefix(digits)
	if !ok {
		return Matches{snapshot: s}
	}
	onSide := fields.sides()
	m := Matches{snapshot: s}
	for side, wanted := range onSide {
		if wanted {
			m.ranges[side].from, m.ranges[side].to = s.base.keys[side].find(p)
		}
	}
	if len(s.added) > 0 {
		m.added = s.find(p, onSide)
	}
	return m
}

// Matches is the result of a search, lazily: nothing is collected until it is asked for. It is a value, never changes,
// and keeps its snapshot alive.
type Matches struct {
	snapshot *Snapshot
	ranges   [sides]struct{ from, to int } // of the base's keys
	added    []int                         // of the overlay's entries
}

// First returns the first match in sort order.
func (m Matches) First() (Person, bool) { return m.Cursor().Next() }

// Count returns how many people match, at most limit.
func (m Matches) Count(limit int) int {
	count := 0
	for c := m.Cursor(); count < limit && c.advance(); {
		count++
	}
	return count
}

// All walks the matches in sort order, each person once.
func (m Matches) All() iter.Seq[Person] {
	return func(yield func(Person) bool) {
		for c := m.Cursor(); ; {
			p, ok := c.Next()
			if !ok || !yield(p) {
				return
			}
		}
	}
}

// Cursor returns a walk of the matches in sort order that can be left and resumed. It is not safe for concurrent use.
func (m Matches) Cursor() *Cursor {
	c := &Cursor{snapshot: m.snapshot, added: m.added}
	c.heap = c.space[:0]
	for side, r := range m.ranges {
		c.push(side, r.from, r.to)
	}
	return c
}

// Cursor is a place in the matches of a search. The ranges of keys that are not yet walked lie in a heap by their least
// rank; the least of all is the next match, and its range falls in two around it.
type Cursor struct {
	snapshot *Snapshot
	heap     []span
	added    []int // of the overlay's entries, those not yet walked
	last     uint32
	started  bool
	rank     uint32 // the current match: a rank of the base,
	entry    *entry // or one of the overlay
	space    [24]span
}

// span is a range of keys of one side with its least rank and where that stands.
type span struct {
	rank         uint32
	side         uint32
	from, to, at int
}

// Next returns the next match, each person once.
func (c *Cursor) Next() (Person, bool) {
	if !c.advance() {
		return Person{}, false
	}
	if c.entry != nil {
		return c.entry.person, true
	}
	return c.snapshot.base.people.at(c.rank), true
}

// advance moves to the next match.
func (c *Cursor) advance() bool {
	for len(c.heap) > 0 {
		rank := c.heap[0].rank
		repeated := c.started && rank == c.last // a person by another key comes right after
		if repeated || c.snapshot.isRemoved(rank) {
			c.pop()
			continue
		}
		break
	}
	if len(c.added) > 0 {
		next := c.added[0]
		if len(c.heap) == 0 || c.snapshot.places[next] <= c.heap[0].rank {
			c.entry, c.added = c.snapshot.added[next], c.added[1:]
			return true
		}
	}
	if len(c.heap) == 0 {
		return false
	}
	c.rank, c.entry = c.heap[0].rank, nil
	c.last, c.started = c.rank, true
	c.pop()
	return true
}

// pop takes the least rank out of the heap and puts what is left of its range back.
func (c *Cursor) pop() {
	top := c.heap[0]
	left, right := top, top
	left.to, right.from = top.at, top.at+1
	switch {
	case left.from < left.to:
		c.heap[0] = c.least(left)
		c.down()
		c.push(int(right.side), right.from, right.to)
	case right.from < right.to:
		c.heap[0] = c.least(right)
		c.down()
	default:
		c.heap[0] = c.heap[len(c.heap)-1]
		c.heap = c.heap[:len(c.heap)-1]
		c.down()
	}
}

func (c *Cursor) least(s span) span {
	table := &c.snapshot.base.keys[s.side]
	s.at = table.least.position(table.ranks, s.from, s.to)
	s.rank = table.ranks[s.at]
	return s
}

func (c *Cursor) push(side, from, to int) {
	if from >= to {
		return
	}
	c.heap = append(c.heap, c.least(span{side: uint32(side), from: from, to: to}))
	for child := len(c.heap) - 1; child > 0; {
		parent := (child - 1) / 2
		if c.heap[parent].rank <= c.heap[child].rank {
			return
		}
		c.heap[parent], c.heap[child] = c.heap[child], c.heap[parent]
		child = parent
	}
}

func (c *Cursor) down() {
	for parent := 0; ; {
		child := 2*parent + 1
		if child >= len(c.heap) {
			return
		}
		if child+1 < len(c.heap) && c.heap[child+1].rank < c.heap[child].rank {
			child++
		}
		if c.heap[parent].rank <= c.heap[child].rank {
			return
		}
		c.heap[parent], c.heap[child] = c.heap[child], c.heap[parent]
		parent = child
	}
}

// All walks everybody in sort order.
func (s *Snapshot) All() iter.Seq[Person] {
	return func(yield func(Person) bool) {
		next := 0
		for rank := range uint32(len(s.base.people.refs) + 1) {
			for next < len(s.added) && s.places[next] == rank {
				if !yield(s.added[next].person) {
					return
				}
				next++
			}
			if int(rank) < len(s.base.people.refs) && !s.isRemoved(rank) && !yield(s.base.people.at(rank)) {
				return
			}
		}
	}
}
