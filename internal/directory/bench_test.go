package directory

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// crowd makes names of random syllables, as dense as real ones at their starts: 3 % of the family names start with Smi,
// one is Wyzola. Some have accents, several words or a hyphen.
func crowd(n int) []Person {
	r := rand.New(rand.NewPCG(7, 7))
	const consonants, vowels = "bcdfghjklmnprstv", "aeiou"
	name := func(syllables int) string {
		var b strings.Builder
		for range syllables {
			b.WriteByte(consonants[r.IntN(len(consonants))])
			b.WriteByte(vowels[r.IntN(len(vowels))])
		}
		return strings.ToUpper(b.String()[:1]) + b.String()[1:]
	}
	list := make([]Person, n)
	for i := range list {
		family := name(3)
		switch {
		case i == n/2:
			family = "Wyzola"
		case r.IntN(100) < 3:
			family = "Smi" + strings.ToLower(name(2))
		case r.IntN(100) < 5:
			family += "-" + name(2)
		case r.IntN(100) < 5:
			family = "Ó " + family + "ñez"
		}
		list[i] = Person{ID: fmt.Sprintf("%032x", i), Given: name(2), Family: family, Extension: fmt.Sprint(1000000 + i),
			CallflowID: fmt.Sprintf("%032x", 1<<40+i)}
	}
	return list
}

// scan is the floor to stand on: every key of everybody, in sort order, looked at for each search.
type scan []struct{ first, last []string }

func newScan(s *Snapshot) scan {
	var all scan
	for p := range s.All() {
		first, last := keysOf(p)
		all = append(all, struct{ first, last []string }{first, last})
	}
	return all
}

func (s scan) count(digits string, limit int) (n int) {
	for _, p := range s {
		if anyStarts(p.first, digits) || anyStarts(p.last, digits) {
			if n++; n == limit {
				break
			}
		}
	}
	return n
}

func (s scan) all(digits string) (n int) { return s.count(digits, -1) }

func anyStarts(keys []string, digits string) bool {
	for _, key := range keys {
		if strings.HasPrefix(key, digits) {
			return true
		}
	}
	return false
}

var crowdSizes = []int{1_000, 100_000, 1_000_000}

func loaded(b *testing.B, n int) *Index {
	x := New(Options{Language: "en-us"})
	x.Load(crowd(n))
	return x
}

// A search as a caller makes one: the first match in sort order, and the count up to 100. Digits: 764 (Smi, many), 999
// (Wyz, one), 7646246 (seven digits), 22222 (nearly none).
func BenchmarkSearch(b *testing.B) {
	for _, n := range crowdSizes {
		x := loaded(b, n)
		naive := newScan(x.Snapshot())
		for _, digits := range []string{"764", "999", "526", "7642626", "2"} {
			b.Run(fmt.Sprintf("people=%d/digits=%s/index", n, digits), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					m := x.Snapshot().Search(digits, Both)
					m.First()
					m.Count(100)
				}
			})
			b.Run(fmt.Sprintf("people=%d/digits=%s/overlay", n, digits), func(b *testing.B) {
				s := x.Snapshot()
				o := newOrder(x.options)
				for i, p := range crowd(maxOverlay - 2) {
					p.ID = fmt.Sprint("new", i)
					s = s.with(p.ID, newEntry(p, o), o)
				}
				for b.Loop() {
					m := s.Search(digits, Both)
					m.First()
					m.Count(100)
				}
			})
			b.Run(fmt.Sprintf("people=%d/digits=%s/scan", n, digits), func(b *testing.B) {
				for b.Loop() {
					naive.all(digits)
				}
			})
		}
	}
}

// Searches that no other search has warmed the memory for: everybody's family name in turn, three and seven digits.
func BenchmarkSearchAnybody(b *testing.B) {
	for _, n := range crowdSizes {
		x := loaded(b, n)
		s := x.Snapshot()
		var keys []string
		for p := range s.All() {
			_, last := keysOf(p)
			keys = append(keys, last[len(last)-1])
		}
		for _, length := range []int{3, 7} {
			b.Run(fmt.Sprintf("people=%d/length=%d", n, length), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					m := s.Search(keys[i*7919%n][:length], Both)
					m.First()
					m.Count(100)
				}
			})
		}
	}
}

func BenchmarkChange(b *testing.B) {
	for _, n := range crowdSizes {
		x := loaded(b, n)
		list := crowd(n)
		b.Run(fmt.Sprintf("people=%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				p := list[i*7919%n]
				p.Family = fmt.Sprint("Changed", i)
				x.Put(p)
			}
		})
		x.settle()
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, n := range crowdSizes {
		s := loaded(b, n).Snapshot()
		o := newOrder(Options{})
		for i, p := range crowd(min(maxOverlay-2, n)) {
			p.Family = fmt.Sprint("Changed", i)
			s = s.with(p.ID, newEntry(p, o), o)
		}
		b.Run(fmt.Sprintf("people=%d", n), func(b *testing.B) {
			for b.Loop() {
				s.merged()
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range crowdSizes {
		list := crowd(n)
		b.Run(fmt.Sprintf("people=%d", n), func(b *testing.B) {
			x := New(Options{Language: "en-us"})
			for b.Loop() {
				x.Load(list)
			}
			runtime.GC()
			var with, without runtime.MemStats
			runtime.ReadMemStats(&with)
			runtime.KeepAlive(x)
			x = nil
			runtime.GC()
			runtime.ReadMemStats(&without)
			b.ReportMetric(float64(with.HeapAlloc-without.HeapAlloc)/float64(n), "B/person")
		})
	}
}
