package directory

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"pgregory.net/rapid"
)

func anyName(t *rapid.T, label string) string {
	word := rapid.OneOf(
		rapid.SampledFrom([]string{"", "Ann", "anna", "Anne-Marie", "O'Brien", "Łukasz", "Ángel", "山田", "太郎", "van der Berg",
			"Müller", "R2D2", "158", "Åsa", "Zoë", "Ö", "!!!", "ⵣ", "Wolfeschlegelsteinhausenbergerdorff",
			"Wolfeschlegelsteinhausenbergerdorfer"}),
		rapid.StringMatching(`[a-cA-C]{1,4}( [a-c]{1,3})?`),
		rapid.String(),
	)
	return word.Draw(t, label)
}

func anyPerson(t *rapid.T) Person {
	return Person{
		ID:        fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "id")),
		Given:     anyName(t, "given"),
		Family:    anyName(t, "family"),
		Nickname:  rapid.SampledFrom([]string{"", "", "", "Bob", "Åke B"}).Draw(t, "nickname"),
		Phonetic:  rapid.SampledFrom([]string{"", "", "", "Yamada Taro"}).Draw(t, "phonetic"),
		Extension: rapid.StringMatching(`[0-9]{0,4}`).Draw(t, "extension"),
	}
}

// oracle is a directory as a list that every search reads through.
type oracle struct {
	people  map[string]Person
	options Options
}

func (o *oracle) sorted() []Person {
	list := make([]Person, 0, len(o.people))
	for _, p := range o.people {
		list = append(list, p)
	}
	tag, err := language.Parse(o.options.Language)
	if err != nil {
		tag = language.Und
	}
	c := collate.New(tag)
	slices.SortFunc(list, func(a, b Person) int {
		names := [][2]string{{a.Family, b.Family}, {a.Given, b.Given}}
		if o.options.SortBy == "first_name" {
			slices.Reverse(names)
		}
		for _, pair := range names {
			if n := c.CompareString(strings.ToValidUTF8(pair[0], "\uFFFD"), strings.ToValidUTF8(pair[1], "\uFFFD")); n != 0 {
				return n
			}
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// listed is a person with the keys by which a list is read through.
type listed struct {
	Person
	first, last []string
}

func search(list []listed, digits string, fields Fields) []Person {
	var out []Person
	starts := func(key string) bool { return digits != "" && strings.HasPrefix(key, digits) }
	for _, p := range list {
		if fields != LastName && slices.ContainsFunc(p.first, starts) || fields != FirstName && slices.ContainsFunc(p.last, starts) {
			out = append(out, p.Person)
		}
	}
	return out
}

func (o *oracle) check(t *rapid.T, s *Snapshot) {
	t.Helper()
	want := o.sorted()
	if got := slices.Collect(s.All()); !slices.Equal(got, want) {
		t.Fatalf("everybody is\n%+v, want\n%+v", got, want)
	}
	if s.Len() != len(want) {
		t.Fatalf("Len is %d, want %d", s.Len(), len(want))
	}
	var list []listed
	queries := []string{"2", "22", "262", "9", "5", "9653", "96532453743"}
	for i, p := range want {
		if got, ok := s.Get(p.ID); !ok || got != p {
			t.Fatalf("Get(%q) is %+v, %v", p.ID, got, ok)
		}
		first, last := keysOf(p)
		list = append(list, listed{p, first, last})
		if i%4 != 0 { // their keys are looked for, if others share them
			continue
		}
		for _, key := range slices.Concat(first, last)[:min(1, len(first)+len(last))] {
			queries = append(queries, key, key+"2", key[:(len(key)+1)/2])
		}
	}
	slices.Sort(queries)
	for _, digits := range slices.Compact(queries) {
		for _, fields := range []Fields{FirstName, LastName, Both} {
			want := search(list, digits, fields)
			m := s.Search(digits, fields)
			if got := slices.Collect(m.All()); !slices.Equal(got, want) {
				t.Fatalf("%s in %s finds\n%+v, want\n%+v", digits, fields, got, want)
			}
			for _, limit := range []int{0, 1, 3, 1000} {
				if got := m.Count(limit); got != min(limit, len(want)) {
					t.Fatalf("Count(%d) is %d of %d", limit, got, len(want))
				}
			}
			first, ok := m.First()
			if ok != (len(want) > 0) || ok && first != want[0] {
				t.Fatalf("First is %+v, %v", first, ok)
			}
		}
	}
}

var anyOptions = rapid.Custom(func(t *rapid.T) Options {
	return Options{SortBy: rapid.SampledFrom([]string{"last_name", "first_name"}).Draw(t, "sort"),
		Language: rapid.SampledFrom([]string{"", "en-us", "sv-se", "de", "cs", "nonsense!"}).Draw(t, "language")}
})

// settle merges the overlay now.
func (x *Index) settle() {
	x.writers.Lock()
	defer x.writers.Unlock()
	x.awaitMerge()
	x.snapshot.Store(&Snapshot{base: x.snapshot.Load().merged()})
}

func TestSearchAgreesWithAListReadThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := &oracle{people: map[string]Person{}, options: anyOptions.Draw(t, "options")}
		x := New(o.options)
		kept, keptWant := x.Snapshot(), o.sorted()
		t.Repeat(map[string]func(*rapid.T){
			"load": func(t *rapid.T) {
				list := rapid.SliceOfN(rapid.Custom(anyPerson), 0, 60).Draw(t, "people")
				x.Load(list)
				clear(o.people)
				for _, p := range list {
					o.people[p.ID] = p
				}
			},
			"put": func(t *rapid.T) {
				p := anyPerson(t)
				x.Put(p)
				o.people[p.ID] = p
			},
			"remove": func(t *rapid.T) {
				id := fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "id"))
				x.Remove(id)
				delete(o.people, id)
			},
			"merge":     func(t *rapid.T) { x.settle() },
			"configure": func(t *rapid.T) { o.options = anyOptions.Draw(t, "options"); x.Configure(o.options) },
			"keep":      func(t *rapid.T) { kept, keptWant = x.Snapshot(), o.sorted() },
			"": func(t *rapid.T) {
				o.check(t, x.Snapshot())
				if got := slices.Collect(kept.All()); !slices.Equal(got, keptWant) {
					t.Fatalf("a kept snapshot has changed: %+v, want %+v", got, keptWant)
				}
			},
		})
	})
}

// Enough changes, one by one and from several writers, for merges to run while more changes come.
func TestChangesDuringMergesAreKept(t *testing.T) {
	t.Parallel()
	x := New(Options{})
	const writers, each = 4, 600
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", w, i)
				x.Put(Person{ID: id, Given: "Ann", Family: fmt.Sprint("Lee ", i)})
				x.Put(Person{ID: id, Given: "Anna", Family: fmt.Sprint("Lee ", i)})
				if i%3 == 0 {
					x.Remove(id)
				}
				if s := x.Snapshot(); i%64 == 0 && s.Search("2662", FirstName).Count(1<<20) > s.Len() {
					t.Error("more matches than people")
				}
			}
		})
	}
	done.Wait()
	x.writers.Lock()
	x.awaitMerge()
	x.writers.Unlock()
	if got, want := x.Snapshot().Len(), writers*each*2/3; got != want {
		t.Errorf("%d people, want %d", got, want)
	}
	if got, want := x.Snapshot().Search("2662", FirstName).Count(1<<20), writers*each*2/3; got != want {
		t.Errorf("%d of them found as Anna, want %d", got, want)
	}
}

// A writer faster than the merge waits for it, so that searches never have much to look through.
func TestAnOverlayIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := New(Options{})
		x.limit = 50
		merge := make(chan struct{}) // one that is under way
		x.merging, x.merged = merge, x.Snapshot().base
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := range x.limit + 3 {
				x.Put(Person{ID: fmt.Sprint(i), Given: "Ann"})
			}
		})
		synctest.Wait()
		if got := x.Snapshot().changes(); got != x.limit {
			t.Errorf("%d changes wait for a merge, want %d", got, x.limit)
		}
		close(merge)
		writer.Wait()
		x.settle()
		if got := x.Snapshot().Len(); got != x.limit+3 {
			t.Errorf("%d people", got)
		}
	})
}

// Records of people who changed are not kept for ever.
func TestMergesLeaveLittleBehind(t *testing.T) {
	t.Parallel()
	x := New(Options{})
	all := crowd(10 * maxOverlay)
	x.Load(all)
	for i := range maxChunks + 60 {
		all[0].Given = fmt.Sprint("Ann ", i)
		x.Put(all[0])
		x.settle()
	}
	p := &x.Snapshot().base.people
	if most := maxChunks + p.size/chunkSize; len(p.chunks) > most {
		t.Errorf("%d chunks, want at most %d", len(p.chunks), most)
	}
	if got := x.Snapshot().Len(); got != len(all) {
		t.Errorf("%d people", got)
	}
}

func TestAMergeThatPanicsLosesNothing(t *testing.T) {
	t.Parallel()
	x := New(Options{})
	panics := 0
	x.OnPanic = func(any) { panics++ }
	x.Put(Person{ID: "1", Given: "Ann"})
	x.writers.Lock()
	broken := *x.Snapshot()
	broken.places = nil
	x.startMerge(&broken)
	x.awaitMerge()
	x.writers.Unlock()
	if panics != 1 {
		t.Errorf("%d panics counted, want 1", panics)
	}
	if !found(Person{ID: "1", Given: "Ann"}, "266", Both) || x.Snapshot().Len() != 1 {
		t.Error("the person is lost")
	}
}

func TestSameNamesComeInOrderOfTheirIDs(t *testing.T) {
	t.Parallel()
	x := New(Options{})
	x.Load([]Person{{ID: "b", Given: "Ann", Family: "Lee"}, {ID: "a", Given: "Ann", Family: "Lee"}})
	x.Put(Person{ID: "aa", Given: "Ann", Family: "Lee"})
	var ids []string
	for p := range x.Snapshot().Search("533", LastName).All() {
		ids = append(ids, p.ID)
	}
	if !slices.Equal(ids, []string{"a", "aa", "b"}) {
		t.Errorf("order is %v", ids)
	}
}

func TestSwedesSortTheirOwnWay(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{"sv-se": "Ask Zorn Åse Öst", "en-us": "Åse Ask Öst Zorn"} {
		x := New(Options{Language: language})
		for i, name := range []string{"Öst", "Ask", "Zorn", "Åse"} {
			x.Put(Person{ID: fmt.Sprint(i), Family: name})
		}
		var names []string
		for p := range x.Snapshot().All() {
			names = append(names, p.Family)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", language, got, want)
		}
	}
}
