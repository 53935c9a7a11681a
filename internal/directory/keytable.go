package directory

import (
	"cmp"
	"math/bits"
	"sort"
	"strings"
)

// packedDigits is how many digits a packed key holds.
const packedDigits = 16

// key is a string of digits: the first sixteen packed, four bits each from the top, a digit's bits being the digit plus
// one, so that keys compare as their strings do; the rest as it is.
type key struct {
	packed uint64
	tail   string
}

func newKey(digits string) key {
	head, tail := digits, ""
	if len(digits) > packedDigits {
		head, tail = digits[:packedDigits], digits[packedDigits:]
	}
	return key{pack(head), tail}
}

// pack packs at most sixteen digits.
func pack(digits string) (packed uint64) {
	for i := range len(digits) {
		packed |= uint64(digits[i]-'0'+1) << (60 - 4*i)
	}
	return packed
}

func (k key) compare(other key) int {
	if c := cmp.Compare(k.packed, other.packed); c != 0 {
		return c
	}
	return strings.Compare(k.tail, other.tail)
}

// prefix is what a search looks for: every key that starts with it.
type prefix struct {
	from, to uint64 // packed keys in [from, to) start with the first sixteen digits
	tail     string
}

// newPrefix reports false for what no key can start with.
func newPrefix(digits string) (prefix, bool) {
	if digits == "" || len(digits) > 8*maxName {
		return prefix{}, false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return prefix{}, false
		}
	}
	k := newKey(digits)
	length := min(len(digits), packedDigits)
	return prefix{from: k.packed, to: k.packed + 1<<(64-4*length), tail: k.tail}, true
}

// starts reports whether k starts with the prefix.
func (p prefix) starts(k key) bool {
	return k.packed >= p.from && k.packed < p.to && strings.HasPrefix(k.tail, p.tail)
}

// keyTable holds keys in order. All its parts are flat, without pointers to follow.
type keyTable struct {
	packed []uint64
	ranks  []uint32 // the owner of each key
	tails  []uint32 // where the tail of each key starts in tailText; one more at the end
	text   string
	least  rangeMin
}

func (t *keyTable) tail(i int) string { return t.text[t.tails[i]:t.tails[i+1]] }

// find returns the range of keys that start with p.
func (t *keyTable) find(p prefix) (from, to int) {
	from = lowerBound(t.packed, p.from)
	to = from + lowerBound(t.packed[from:], p.to)
	if p.tail == "" {
		return from, to
	}
	from += sort.Search(to-from, func(i int) bool { return t.tail(from+i) >= p.tail })
	to = from + sort.Search(to-from, func(i int) bool { return !strings.HasPrefix(t.tail(from+i), p.tail) })
	return from, to
}

// lowerBound returns how many of the sorted values are less than v.
func lowerBound(sorted []uint64, v uint64) int {
	from, to := 0, len(sorted)
	for from < to {
		middle := int(uint(from+to) >> 1)
		if sorted[middle] < v {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from
}

// keyWriter takes keys in order.
type keyWriter struct {
	table keyTable
	text  []byte
}

func newKeyWriter(size int) *keyWriter {
	return &keyWriter{table: keyTable{packed: make([]uint64, 0, size), ranks: make([]uint32, 0, size),
		tails: make([]uint32, 0, size+1)}}
}

func (w *keyWriter) add(k ranked) {
	w.table.packed = append(w.table.packed, k.packed)
	w.table.ranks = append(w.table.ranks, k.rank)
	w.table.tails = append(w.table.tails, uint32(len(w.text)))
	w.text = append(w.text, k.tail...)
}

func (w *keyWriter) finish() keyTable {
	w.table.tails = append(w.table.tails, uint32(len(w.text)))
	w.table.text = string(w.text)
	w.table.least = newRangeMin(w.table.ranks)
	return w.table
}

// rangeMin finds where in a range of ranks the least stands: the ranks in blocks, and over the blocks' minima a sparse
// table, whose level l has the least of 2^l blocks from each.
type rangeMin struct {
	levels [][]uint32 // positions in ranks
}

const blockSize = 32

func newRangeMin(ranks []uint32) rangeMin {
	if len(ranks) == 0 {
		return rangeMin{}
	}
	blocks := (len(ranks) + blockSize - 1) / blockSize
	level := make([]uint32, blocks)
	for b := range level {
		level[b] = scanMin(ranks, b*blockSize, min((b+1)*blockSize, len(ranks)))
	}
	m := rangeMin{levels: [][]uint32{level}}
	for span := 1; 2*span <= blocks; span *= 2 {
		below := m.levels[len(m.levels)-1]
		level := make([]uint32, blocks-2*span+1)
		for b := range level {
			level[b] = lesser(ranks, below[b], below[b+span])
		}
		m.levels = append(m.levels, level)
	}
	return m
}

// position returns where in ranks[from:to], which is not empty, the least rank stands first.
func (m *rangeMin) position(ranks []uint32, from, to int) int {
	first, last := (from+blockSize-1)/blockSize, to/blockSize // whole blocks
	if first >= last {
		return int(scanMin(ranks, from, to))
	}
	best := uint32(from)
	if head := first * blockSize; from < head {
		best = scanMin(ranks, from, head)
	}
	level := bits.Len(uint(last-first)) - 1
	best = lesser(ranks, best, m.levels[level][first])
	best = lesser(ranks, best, m.levels[level][last-1<<level])
	if tail := last * blockSize; tail < to {
		best = lesser(ranks, best, scanMin(ranks, tail, to))
	}
	return int(best)
}

func scanMin(ranks []uint32, from, to int) uint32 {
	best, least := from, ranks[from]
	for i := from + 1; i < to; i++ {
		if ranks[i] < least {
			best, least = i, ranks[i]
		}
	}
	return uint32(best)
}

func lesser(ranks []uint32, a, b uint32) uint32 {
	if ranks[b] < ranks[a] {
		return b
	}
	return a
}
