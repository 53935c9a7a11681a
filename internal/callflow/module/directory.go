package module

import (
	"context"
	"slices"
	"strconv"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/directory"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// The waits and tries of a directory, as KAZOO's callers know them.
const (
	keyWait     = 2 * time.Second // for a key, the first as well as the next
	listWait    = 4 * time.Second // for a key after a name of the list: KAZOO's two waits of two seconds
	silentTries = 3               // rounds, and readings of a name, without a key
	mostLetters = 1 << 16         // keys of one search when max_dtmf says nothing: a bound of memory, which takes hours to reach
	mostCounted = 100             // matches that are counted
)

// directory: the caller is answered, keys the first letters of a name, and is connected with the person.
//
// One match is confirmed with 1, when the directory asks for it. Several are counted: 2 to 9 add letters, # or silence
// lead to the list, in which 1 connects, 2 reads the next name and 3 or * starts over. 0 leaves by "_" anywhere, except
// where it is the next digit of an extension or a number that somebody is found by. Every key cuts every prompt. Three
// rounds without a key end it.
func (m *modules) directory(ctx context.Context, step *callflow.Step) callflow.Next {
	id := step.Data().String("id")
	doc, err := m.Documents.Directory(ctx, step.Account.ID, id)
	if err != nil {
		step.Call.Note("no such directory", id)
		return callflow.Continue("_")
	}
	if step.Call.Answer(ctx) != nil {
		return callflow.Stop{}
	}
	d := &search{modules: m, step: step, doc: doc, silent: silentTries}
	d.most = doc.MaxDTMF
	if d.most <= 0 || d.most > mostLetters {
		d.most = mostLetters
	}
	d.least = min(max(doc.MinDTMF, 1), d.most)
	if rest, ok := step.Node.Children["_"]; ok && !rest.IsZero() {
		d.operator = true
	}
	for state := (*search).start; state != nil; {
		state = state(d, ctx)
	}
	return d.next
}

// search is one caller in a directory.
type search struct {
	*modules
	step        *callflow.Step
	doc         bugle.Directory
	least, most int  // letters
	operator    bool // 0 leads somewhere

	people  *directory.Snapshot
	notice  []*media.Clip // said before the next prompt
	silent  int           // rounds without a key that are left
	letters string
	ended   byte // what ended the letters: '#', 'm' for max_dtmf, 0 for silence
	matches directory.Matches
	cursor  *directory.Cursor
	person  directory.Person // the one that is read
	next    callflow.Next    // set by the last state
}

// state is what is going on; it returns what follows, nil when the directory is left.
type state func(d *search, ctx context.Context) state

// start begins a search with the people as they are now, who stay so until its end.
func (d *search) start(ctx context.Context) state {
	people, ok := d.Directories.Snapshot(d.step.Account.ID, d.doc.ID)
	if !ok || people.Len() == 0 {
		d.step.Call.Note("directory", "has no members")
		if d.play(ctx, d.prompts(ctx, speech.PromptDirNoResults)) != nil {
			return d.leave(callflow.Stop{})
		}
		return d.leave(callflow.Continue("_"))
	}
	d.people, d.letters = people, ""
	d.step.Call.Flush()
	return (*search).instruct
}

// restart begins anew after something was said, with all tries.
func (d *search) restart(notice []*media.Clip) state {
	d.notice, d.silent = notice, silentTries
	return (*search).start
}

// instruct asks for letters.
func (d *search) instruct(ctx context.Context) state {
	prompt := speech.PromptDirEnterName
	switch directory.Fields(d.doc.SearchFields) {
	case directory.FirstName:
		prompt = speech.PromptDirEnterFirstName
	case directory.LastName:
		prompt = speech.PromptDirEnterLastName
	}
	d.notice = slices.Concat(d.notice, d.prompts(ctx, prompt))
	return (*search).collect
}

// collect takes letters until #, max_dtmf or silence.
func (d *search) collect(ctx context.Context) state {
	got, err := d.keys(ctx, call.CollectOptions{Max: d.most - len(d.letters), Terminators: "#0*"})
	if err != nil {
		return d.leave(callflow.Stop{})
	}
	d.letters += got.Digits
	d.ended = got.Terminator
	if got.Full {
		d.ended = 'm'
	}
	switch {
	case d.ended == '0' && d.continues('0'):
		d.letters += "0"
		if len(d.letters) < d.most {
			return (*search).collect
		}
		d.ended = 'm'
	case d.ended == '0':
		return d.zero(ctx, (*search).collect)
	}
	switch {
	case d.ended == '*':
		return d.restart(nil)
	case d.letters == "":
		return (*search).silence
	case len(d.letters) < d.least:
		return d.restart(d.Speech.SpecifyMinimum(ctx, d.step.Account.ID, d.step.Language, d.least))
	}
	return (*search).find
}

// continues tells whether the key goes on with what somebody is found by: of 0, that it belongs to the extension of a
// person whose name has no letters, or to a name with numbers.
func (d *search) continues(key byte) bool {
	if d.letters == "" {
		return false
	}
	_, found := d.people.Search(d.letters+string(key), directory.Fields(d.doc.SearchFields)).First()
	return found
}

// silence is a round in which nothing was keyed.
func (d *search) silence(ctx context.Context) state {
	d.silent--
	if d.silent > 0 {
		return (*search).start
	}
	_ = d.play(ctx, slices.Concat(d.Speech.SpecifyMinimum(ctx, d.step.Account.ID, d.step.Language, d.least),
		d.prompts(ctx, speech.PromptDirNoResults)))
	return d.leave(callflow.Stop{})
}

// find searches.
func (d *search) find(ctx context.Context) state {
	d.matches = d.people.Search(d.letters, directory.Fields(d.doc.SearchFields))
	n := d.matches.Count(mostCounted + 1)
	d.step.Call.Note("searched", describe(d.letters, n))
	switch {
	case n == 0:
		return d.restart(d.prompts(ctx, speech.PromptDirNoResults))
	case n == 1:
		d.person, _ = d.matches.First()
		if d.doc.ConfirmMatch {
			return (*search).confirm
		}
		return (*search).connect
	case d.ended == 0:
		return (*search).narrow
	case d.ended == 'm':
		d.step.Call.Flush() // letters too many are no answers to what follows
	}
	d.notice = d.count(ctx, false)
	return (*search).list
}

// narrow says how many match and takes more letters.
func (d *search) narrow(ctx context.Context) state {
	d.notice = slices.Concat(d.notice, d.count(ctx, true))
	got, err := d.keys(ctx, call.CollectOptions{Max: 1, Terminators: "#0*"})
	switch {
	case err != nil:
		return d.leave(callflow.Stop{})
	case got.Terminator == '0':
		return d.zero(ctx, (*search).narrow)
	case got.Terminator == '*':
		return d.restart(nil)
	case got.Digits == "":
		return (*search).list
	case got.Digits < "2" || got.Digits > "9":
		d.notice = d.prompts(ctx, speech.PromptDirInvalidKey)
		return (*search).narrow
	}
	d.letters += got.Digits
	if len(d.letters) >= d.most {
		d.ended = 'm'
		return (*search).find
	}
	return (*search).collect
}

// list begins to read the matches.
func (d *search) list(ctx context.Context) state {
	d.cursor = d.matches.Cursor()
	return (*search).nextName
}

// nextName goes to the next match.
func (d *search) nextName(ctx context.Context) state {
	var ok bool
	if d.person, ok = d.cursor.Next(); !ok {
		return d.restart(d.prompts(ctx, speech.PromptDirNoMore))
	}
	d.silent = silentTries
	return (*search).name
}

// name reads one match and asks what to do.
func (d *search) name(ctx context.Context) state {
	d.notice = slices.Concat(d.notice, d.prompts(ctx, speech.PromptDirResultNumber), d.personName(ctx),
		d.prompts(ctx, speech.PromptDirResultMenu))
	got, err := d.keys(ctx, call.CollectOptions{Max: 1, First: listWait})
	if err != nil {
		return d.leave(callflow.Stop{})
	}
	switch got.Digits {
	case "1":
		return (*search).connect
	case "2":
		return (*search).nextName
	case "3", "*":
		return d.restart(nil)
	case "0":
		d.silent = silentTries
		return d.zero(ctx, (*search).name)
	case "":
		d.silent--
		if d.silent > 0 {
			return (*search).name
		}
		_ = d.play(ctx, d.prompts(ctx, speech.PromptDirNoMore))
		return d.leave(callflow.Stop{})
	}
	d.silent = silentTries
	d.notice = d.prompts(ctx, speech.PromptDirInvalidKey)
	return (*search).name
}

// confirm asks whether the only match is the right one.
func (d *search) confirm(ctx context.Context) state {
	d.step.Call.Flush()
	d.notice = slices.Concat(d.prompts(ctx, speech.PromptDirFound), d.personName(ctx),
		d.prompts(ctx, speech.PromptDirConfirmMenu))
	got, err := d.keys(ctx, call.CollectOptions{Max: 1})
	if err != nil {
		return d.leave(callflow.Stop{})
	}
	switch got.Digits {
	case "1":
		return (*search).connect
	case "0":
		d.silent = silentTries
		return d.zero(ctx, (*search).start)
	}
	return d.restart(nil)
}

// connect goes on in the person's callflow.
func (d *search) connect(ctx context.Context) state {
	d.step.Call.Note("directory", "connects to "+d.person.DisplayName())
	flow, err := d.step.Callflow(ctx, d.person.CallflowID)
	if err != nil {
		d.step.Call.Note("no such callflow", d.person.CallflowID)
		return d.leave(callflow.Continue("_"))
	}
	return d.leave(callflow.Branch(flow.Flow))
}

// zero leaves by "_"; without it 0 is an invalid key, and then follows.
func (d *search) zero(ctx context.Context, then state) state {
	if d.operator {
		return d.leave(callflow.Continue("_"))
	}
	d.notice = d.prompts(ctx, speech.PromptDirInvalidKey)
	return then
}

func (d *search) leave(next callflow.Next) state {
	d.next = next
	return nil
}

// keys says the notice and collects keys.
func (d *search) keys(ctx context.Context, o call.CollectOptions) (call.Collected, error) {
	o.Prompts, d.notice = d.notice, nil
	if o.First == 0 {
		o.First = keyWait
	}
	o.Between = keyWait
	return d.step.Call.Collect(ctx, o)
}

func (d *search) play(ctx context.Context, clips []*media.Clip) error {
	_, err := d.step.Call.Play(ctx, clips, call.PlayOptions{Terminators: call.AnyKey})
	return err
}

func (d *search) prompts(ctx context.Context, ids ...string) []*media.Clip {
	return d.Speech.Prompts(ctx, d.step.Account.ID, d.step.Language, ids...)
}

func (d *search) count(ctx context.Context, narrow bool) []*media.Clip {
	n := d.matches.Count(mostCounted + 1)
	return d.Speech.Found(ctx, d.step.Account.ID, d.step.Language, min(n, mostCounted), n > mostCounted, narrow)
}

// personName is the person's name, and the extension when the directory says so.
func (d *search) personName(ctx context.Context) []*media.Clip {
	clips := d.Speech.PersonName(ctx, d.step.Account.ID, d.step.Language, d.person.Recorded, d.person.DisplayName())
	if !d.doc.SpeakExtension || d.person.Extension == "" {
		return clips
	}
	return slices.Concat(clips, d.prompts(ctx, speech.PromptDirAtExtension),
		d.Speech.Digits(ctx, d.step.Account.ID, d.step.Language, d.person.Extension))
}

func describe(letters string, n int) string {
	count := strconv.Itoa(n)
	if n > mostCounted {
		count = "more than " + strconv.Itoa(mostCounted)
	}
	return letters + ": " + count + " matched"
}
