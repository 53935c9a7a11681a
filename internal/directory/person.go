package directory

import (
	"encoding/binary"
	"hash/maphash"

	"bugle"
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

// appendRecord encodes a person, its id first.
func appendRecord(b []byte, p *Person) []byte {
	for _, field := range [...]string{p.ID, p.Given, p.Family, p.Phonetic, p.Nickname, p.Extension, p.CallflowID, p.Recorded} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	return b
}

// readRecord decodes the person at the start of s. The fields share s.
func readRecord(s string) (p Person) {
	for _, field := range [...]*string{&p.ID, &p.Given, &p.Family, &p.Phonetic, &p.Nickname, &p.Extension, &p.CallflowID, &p.Recorded} {
		*field, s = readField(s)
	}
	return p
}

func readField(s string) (field, rest string) {
	size := uint64(0)
	for shift := 0; ; shift += 7 {
		c := s[0]
		s = s[1:]
		size |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return s[:size], s[size:]
		}
	}
}

// people holds persons in rank order as records in a few large strings: no pointers, so that a million of them cost the
// garbage collector nothing.
type people struct {
	chunks []string
	refs   []uint64 // by rank: chunk in the high, offset in the low 32 bits
	size   int      // bytes of records written, those that changes left behind included
}

const (
	chunkSize = 1 << 18
	// maxChunks bounds how many chunks changes may leave before the records are written anew.
	maxChunks = 256
)

func (p *people) record(rank uint32) string {
	ref := p.refs[rank]
	return p.chunks[ref>>32][uint32(ref):]
}

func (p *people) at(rank uint32) Person { return readRecord(p.record(rank)) }

func (p *people) id(rank uint32) string {
	id, _ := readField(p.record(rank))
	return id
}

// peopleWriter appends persons in rank order.
type peopleWriter struct {
	people
	chunk []byte
}

func (w *peopleWriter) add(p *Person) {
	if len(w.chunk) >= chunkSize {
		w.flush()
	}
	if w.chunk == nil {
		w.chunk = make([]byte, 0, 1<<10)
	}
	start := len(w.chunk)
	w.refs = append(w.refs, uint64(len(w.chunks))<<32|uint64(start))
	w.chunk = appendRecord(w.chunk, p)
	w.size += len(w.chunk) - start
}

func (w *peopleWriter) flush() {
	if len(w.chunk) > 0 {
		w.chunks = append(w.chunks, string(w.chunk))
	}
	w.chunk = w.chunk[:0]
}

// idTable finds a rank by id: open addressing over ranks, the ids stay in the records.
type idTable struct {
	seed  maphash.Seed
	slots []uint32 // rank, or one of the two below
	used  int      // slots that are not empty, left ones included
}

const (
	slotEmpty = ^uint32(0)
	slotLeft  = ^uint32(0) - 1 // a person that was removed
)

func newIDTable(people *people) idTable {
	size := 16
	for size*5 < len(people.refs)*8 { // filled to five eighths at most
		size *= 2
	}
	t := idTable{seed: maphash.MakeSeed(), slots: make([]uint32, size)}
	for i := range t.slots {
		t.slots[i] = slotEmpty
	}
	for rank := range people.refs {
		t.add(people.id(uint32(rank)), uint32(rank))
	}
	return t
}

func (t *idTable) add(id string, rank uint32) {
	mask := uint64(len(t.slots) - 1)
	for i := maphash.String(t.seed, id) & mask; ; i = (i + 1) & mask {
		if t.slots[i] == slotEmpty {
			t.slots[i], t.used = rank, t.used+1
			return
		}
	}
}

func (t *idTable) find(id string, people *people) (rank uint32, ok bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(t.slots) - 1)
	for i := maphash.String(t.seed, id) & mask; ; i = (i + 1) & mask {
		switch rank := t.slots[i]; {
		case rank == slotEmpty:
			return 0, false
		case rank != slotLeft && people.id(rank) == id:
			return rank, true
		}
	}
}
