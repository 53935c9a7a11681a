package directory

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTheLeastRankOfARangeIsFound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		ranks := make([]uint32, 1+r.IntN(40*blockSize))
		for i := range ranks {
			ranks[i] = r.Uint32N(1000)
		}
		m := newRangeMin(ranks)
		for range 100 {
			from := r.IntN(len(ranks))
			to := from + 1 + r.IntN(len(ranks)-from)
			if at := m.position(ranks, from, to); at < from || at >= to || ranks[at] != slices.Min(ranks[from:to]) {
				t.Fatalf("of %d to %d it is at %d", from, to, at)
			}
		}
	}
}

// Enough people with one key for its range to span many blocks, in the base and partly in the overlay.
func TestManyOfOneNameComeInOrder(t *testing.T) {
	t.Parallel()
	all := crowd(3000)
	x := New(Options{SortBy: "first_name"})
	for i := range all {
		all[i].Family = "Zimmermann"
	}
	x.Load(all[:2900])
	for _, p := range all[2900:] {
		x.Put(p)
	}
	want := slices.Collect(x.Snapshot().All())
	for digits, fields := range map[string]Fields{"946": LastName, "9466376266": Both} {
		m := x.Snapshot().Search(digits, fields)
		if got := slices.Collect(m.All()); !slices.Equal(got, want) {
			t.Errorf("%s finds %d of %d in another order", digits, len(got), len(want))
		}
		if first, _ := m.First(); first != want[0] || m.Count(100) != 100 || m.Count(5000) != 3000 {
			t.Errorf("%s: first %+v, %d and %d", digits, first, m.Count(100), m.Count(5000))
		}
	}
}
