package callflowtest

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"bugle"
	"bugle/internal/media"
)

// Mailboxes is a module.Mailboxes in memory, of the account AccountID. It is safe for concurrent use; tests write to Boxes and
// PINs before there are calls.
type Mailboxes struct {
	mu       sync.Mutex
	speech   *Speech
	Boxes    map[string]bugle.Mailbox
	PINs     map[string]string     // by box id
	Names    map[string][]int16    // recorded, by user id
	messages []*Voicemail          // the oldest first
	greeting map[string][2][]int16 // by box id: the greeting, the temporary one
	Locked   bool
	Down     bool // the store
}

// Voicemail is a message in a box, with its audio.
type Voicemail struct {
	bugle.VoicemailMessage
	BoxID string
	PCM   []int16
}

func newMailboxes(s *Speech) *Mailboxes {
	return &Mailboxes{speech: s, Boxes: map[string]bugle.Mailbox{}, PINs: map[string]string{}, Names: map[string][]int16{},
		greeting: map[string][2][]int16{}}
}

func (b *Mailboxes) lock(account string) error {
	b.mu.Lock()
	switch {
	case b.Down:
		return &bugle.Error{Op: "callflowtest", Kind: bugle.KindUnavailable, Err: ErrDown}
	case account != AccountID:
		return missing("account " + account)
	}
	return nil
}

func missing(what string) error {
	return &bugle.Error{Op: "callflowtest", Kind: bugle.KindNotFound, Message: what}
}

// find returns the first box that fits.
func (b *Mailboxes) find(account string, fits func(bugle.Mailbox) bool) (bugle.Mailbox, error) {
	err := b.lock(account)
	defer b.mu.Unlock()
	if err != nil {
		return bugle.Mailbox{}, err
	}
	for _, box := range b.Boxes {
		if fits(box) {
			return box, nil
		}
	}
	return bugle.Mailbox{}, missing("mailbox")
}

// Mailbox is module.Mailboxes'.
func (b *Mailboxes) Mailbox(_ context.Context, account, id string) (bugle.Mailbox, error) {
	return b.find(account, func(box bugle.Mailbox) bool { return box.ID == id })
}

// MailboxByNumber is module.Mailboxes'.
func (b *Mailboxes) MailboxByNumber(_ context.Context, account, number string) (bugle.Mailbox, error) {
	return b.find(account, func(box bugle.Mailbox) bool { return box.Number == number })
}

// MailboxesOf is module.Mailboxes'.
func (b *Mailboxes) MailboxesOf(_ context.Context, account, userID string) (list []bugle.Mailbox, err error) {
	err = b.lock(account)
	defer b.mu.Unlock()
	for _, box := range b.Boxes {
		if box.OwnerID == userID {
			list = append(list, box)
		}
	}
	return list, err
}

// CheckPIN is module.Mailboxes'.
func (b *Mailboxes) CheckPIN(_ context.Context, account string, box bugle.Mailbox, pin string) (bool, error) {
	err := b.lock(account)
	defer b.mu.Unlock()
	if b.Locked {
		err = &bugle.Error{Op: "callflowtest", Kind: bugle.KindLimited, Message: "locked"}
	}
	return pin != "" && b.PINs[box.ID] == pin, err
}

// CountMessages is module.Mailboxes'.
func (b *Mailboxes) CountMessages(_ context.Context, account, boxID string) (fresh, saved int, err error) {
	err = b.lock(account)
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.BoxID == boxID && m.Folder == bugle.VoicemailNew {
			fresh++
		}
		if m.BoxID == boxID && m.Folder == bugle.VoicemailSaved {
			saved++
		}
	}
	return fresh, saved, err
}

// Messages is module.Mailboxes'.
func (b *Mailboxes) Messages(_ context.Context, account string, box bugle.Mailbox, folder string) (list []bugle.VoicemailMessage, err error) {
	err = b.lock(account)
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.BoxID == box.ID && m.Folder == folder {
			list = append(list, m.VoicemailMessage)
		}
	}
	if !box.OldestFirst {
		slices.Reverse(list)
	}
	return list, err
}

func (b *Mailboxes) message(id string) (*Voicemail, error) {
	for _, m := range b.messages {
		if m.ID == id {
			return m, nil
		}
	}
	return nil, missing("message " + id)
}

// MessageAudio is module.Mailboxes': a clip with the name of the message.
func (b *Mailboxes) MessageAudio(_ context.Context, account, id string) (*media.Clip, error) {
	err := b.lock(account)
	defer b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	m, err := b.message(id)
	if err != nil {
		return nil, err
	}
	return media.NewClip(m.ID, m.PCM), nil
}

// Deposit is module.Mailboxes': the message's id is "m1", "m2", ...
func (b *Mailboxes) Deposit(_ context.Context, account string, box bugle.Mailbox, m bugle.VoicemailMessage, pcm []int16) error {
	err := b.lock(account)
	defer b.mu.Unlock()
	if err != nil {
		return err
	}
	m.ID, m.Folder = "m"+strconv.Itoa(len(b.messages)+1), bugle.VoicemailNew
	b.messages = append(b.messages, &Voicemail{m, box.ID, slices.Clone(pcm)})
	return nil
}

// MoveMessage is module.Mailboxes'.
func (b *Mailboxes) MoveMessage(_ context.Context, account, id, folder string) error {
	err := b.lock(account)
	defer b.mu.Unlock()
	if err != nil {
		return err
	}
	m, err := b.message(id)
	if err == nil {
		m.Folder = folder
	}
	return err
}

// ForwardMessage is module.Mailboxes'.
func (b *Mailboxes) ForwardMessage(ctx context.Context, account, id string, to bugle.Mailbox) error {
	b.mu.Lock()
	m, err := b.message(id)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Deposit(ctx, account, to, m.VoicemailMessage, m.PCM)
}

// SetPIN is module.Mailboxes'.
func (b *Mailboxes) SetPIN(_ context.Context, account, boxID, pin string) error {
	err := b.lock(account)
	defer b.mu.Unlock()
	if err == nil {
		b.PINs[boxID] = pin
	}
	return err
}

// SetGreeting is module.Mailboxes': the greeting's media reference is "greeting-BOX" or "temporary-BOX".
func (b *Mailboxes) SetGreeting(_ context.Context, account string, box bugle.Mailbox, temporary bool, pcm []int16) error {
	err := b.lock(account)
	defer b.mu.Unlock()
	if err != nil {
		return err
	}
	now, both := b.Boxes[box.ID], b.greeting[box.ID]
	if temporary {
		both[1], now.Temporary = pcm, ""
		if pcm != nil {
			now.Temporary = "temporary-" + box.ID
		}
	} else {
		both[0], now.Unavailable = pcm, "greeting-"+box.ID
	}
	b.greeting[box.ID], b.Boxes[box.ID] = both, now
	return nil
}

// SetName is module.Mailboxes'.
func (b *Mailboxes) SetName(_ context.Context, account, userID string, pcm []int16) error {
	err := b.lock(account)
	defer b.mu.Unlock()
	if err == nil {
		b.Names[userID] = pcm
	}
	return err
}

// SetUp is module.Mailboxes'.
func (b *Mailboxes) SetUp(_ context.Context, account, boxID string) error {
	err := b.lock(account)
	defer b.mu.Unlock()
	if box := b.Boxes[boxID]; err == nil {
		box.IsSetup = true
		b.Boxes[boxID] = box
	}
	return err
}

// All are the messages of all boxes, the oldest first.
func (b *Mailboxes) All() []Voicemail {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Voicemail
	for _, m := range b.messages {
		list = append(list, *m)
	}
	return list
}

// Box is a box as it is now.
func (b *Mailboxes) Box(id string) bugle.Mailbox {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Boxes[id]
}

// Greetings are the recorded greeting of a box and the temporary one.
func (b *Mailboxes) Greetings(id string) (unavailable, temporary []int16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.greeting[id][0], b.greeting[id][1]
}

// Fall makes the store one that does not answer any more.
func (b *Mailboxes) Fall() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Down = true
}
