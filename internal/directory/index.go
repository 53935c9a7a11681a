package directory

import (
	"iter"

	"bugle"
)

// Fields says which names a search looks at: the search_fields of a directory document.
type Fields string

// The values of search_fields. Any other value reads as Both.
const (
	FirstName Fields = "first_name" // given-name tokens, and given name run on into the family name
	LastName  Fields = "last_name"  // family-name tokens, and family name run on into the given name
	Both      Fields = "both"       // either
)

// Person is one member of a directory.
type Person struct {
	ID         string // document id, unique in the directory; the last word in sort order
	Given      string // first_name
	Family     string // last_name
	Phonetic   string // how the name is spelled in Latin letters, when its own script does not say; found by any field
	Nickname   string // another name, found by any field
	Extension  string // as dialled; also the key of a person whose name has no key of its own
	CallflowID string // where the person is reached
	Recorded   string // media id of the recorded name, "" for none
}

// DisplayName is the name as it is said and shown: given name, then family name.
func (p Person) DisplayName() string {
	return bugle.User{FirstName: p.Given, LastName: p.Family}.DisplayName()
}

// Options are what a directory document says about order.
type Options struct {
	SortBy   string // "first_name", or anything else for "last_name"
	Language string // whose collation sorts, such as "sv-se"; unknown or "" means the root collation
}

// Index is the current state of one directory. It is safe for concurrent use.
type Index struct{}

// New returns an empty index.
func New(options Options) *Index { return &Index{} }

// Load replaces all people. It builds outside any lock that searches take: they go on with what was there before. Of
// people with the same id the last counts.
func (x *Index) Load(people []Person) {}

// Put adds a person, or replaces the one with the same id. The next Snapshot has the change.
func (x *Index) Put(p Person) {}

// Remove takes a person out; an unknown id does nothing.
func (x *Index) Remove(id string) {}

// Configure changes the order; the next Snapshot has it.
func (x *Index) Configure(options Options) {}

// Snapshot returns the people as they are now. It never changes and costs nothing; a caller keeps one for a whole call.
func (x *Index) Snapshot() *Snapshot { return &Snapshot{} }

// Snapshot is an immutable state of a directory, safe for concurrent use.
type Snapshot struct{}

// Len is the number of people.
func (s *Snapshot) Len() int { return 0 }

// Get returns the person with an id.
func (s *Snapshot) Get(id string) (Person, bool) { return Person{}, false }

// All walks everybody in sort order.
func (s *Snapshot) All() iter.Seq[Person] { return func(func(Person) bool) {} }

// Search finds the people one of whose keys starts with digits (0-9). No digits, or any other character in them, match
// nobody.
func (s *Snapshot) Search(digits string, fields Fields) Matches { return Matches{} }

// Matches is the result of a search, lazily: nothing is collected until it is asked for. It is a value, never changes,
// and keeps its snapshot alive.
type Matches struct{}

// First returns the first match in sort order.
func (m Matches) First() (Person, bool) { return Person{}, false }

// Count returns how many people match, at most limit.
func (m Matches) Count(limit int) int { return 0 }

// All walks the matches in sort order, each person once.
func (m Matches) All() iter.Seq[Person] { return func(func(Person) bool) {} }

// Cursor returns a walk of the matches in sort order that can be left and resumed. It is not safe for concurrent use.
func (m Matches) Cursor() *Cursor { return &Cursor{} }

// Cursor is a place in the matches of a search.
type Cursor struct{}

// Next returns the next match, each person once.
func (c *Cursor) Next() (Person, bool) { return Person{}, false }
