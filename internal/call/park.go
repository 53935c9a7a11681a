package call

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle/internal/media"
)

// A parked caller waits in a slot of the account until a phone dials for him. The slot is the call's: it lasts as long as
// the caller waits, and the phone that retrieves him is moved into his call, as at the end of an attended transfer.

// What TakeSlot may find.
var (
	ErrSlotTaken   = errors.New("somebody waits in this slot")
	ErrSlotsBeyond = errors.New("no slot is free up to the highest one that is allowed")
)

// firstSlot is the lowest slot that is chosen for a call that names none, as KAZOO's.
const firstSlot = 101

// Parking says what is known of a call that is to be parked.
type Parking struct {
	Slot       string // "": the lowest number from 101 that is free
	Highest    int    // slot number that may be taken; 0: any
	PresenceID string // whose lamps show the slot, "" for the slot and the account's realm
	RingbackID string // device that is rung when nobody retrieves the caller, "" for none
}

// Parked is a call in a slot.
type Parked struct {
	Parking
	Since        time.Time
	Caller       LegInfo // who waits
	Realm        string
	ParkerCallID string // Call-ID of the leg that has parked him, "" when he has come by himself
}

// slot is a place in which a call waits.
type slot struct {
	Parking
	call   *Call
	since  time.Time
	parker string
	told   bool // LegParked was
}

// takeSlot reserves a slot for a call.
func (r *Registry) takeSlot(s *slot) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.slots[s.call.about.AccountID]
	if s.Slot == "" {
		n := firstSlot
		for taken[strconv.Itoa(n)] != nil {
			n++
		}
		s.Slot = strconv.Itoa(n)
	} else if taken[s.Slot] != nil {
		return ErrSlotTaken
	}
	if n, err := strconv.Atoi(s.Slot); s.Highest > 0 && (err != nil || n > s.Highest) {
		return ErrSlotsBeyond
	}
	if taken == nil {
		if r.slots == nil {
			r.slots = map[string]map[string]*slot{}
		}
		taken = map[string]*slot{}
		r.slots[s.call.about.AccountID] = taken
	}
	taken[s.Slot] = s
	return nil
}

func (r *Registry) leaveSlot(s *slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	account := s.call.about.AccountID
	if delete(r.slots[account], s.Slot); len(r.slots[account]) == 0 {
		delete(r.slots, account)
	}
}

// inSlot is the call that waits in a slot, nil for none.
func (r *Registry) inSlot(accountID, number string) *Call {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.slots[accountID][number]; s != nil {
		return s.call
	}
	return nil
}

// Parked returns the calls that are parked in an account, by slot: numbers in their order, then other names.
func (r *Registry) Parked(accountID string) []Parked {
	r.mu.Lock()
	var list []Parked
	for _, s := range r.slots[accountID] {
		p := Parked{Parking: s.Parking, Since: s.since, Realm: s.call.about.Realm, ParkerCallID: s.parker}
		if legs := s.call.Info().Legs; len(legs) > 0 {
			p.Caller = legs[0]
		}
		list = append(list, p)
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b Parked) int {
		if n := len(a.Slot) - len(b.Slot); n != 0 {
			return n
		}
		return strings.Compare(a.Slot, b.Slot)
	})
	return list
}

// TakeSlot takes a slot of the account for the caller and returns its number. ErrSlotTaken and ErrSlotsBeyond say why he
// cannot have it. He keeps it until somebody talks to him, LeaveSlot, or the end of the call.
func (c *Call) TakeSlot(ctx context.Context, p Parking) (number string, err error) {
	op := &looking{}
	op.look = func() { number, err = c.takeSlot(p) }
	if asked := c.ask(ctx, op); asked != nil {
		return "", asked
	}
	return number, err
}

func (c *Call) takeSlot(p Parking) (string, error) {
	if c.slot != nil {
		return c.slot.Slot, nil
	}
	s := &slot{Parking: p, call: c, since: c.clock.Now()}
	switch device, _ := c.deviceOf(c.caller); {
	case c.referral != nil && c.referral.by != nil:
		s.parker = c.referral.by.leg.ID()
	case c.referral == nil && device != "":
		s.parker = c.caller.leg.ID()
	}
	if err := c.settings.Registry.takeSlot(s); err != nil {
		return "", err
	}
	c.slot = s
	c.note("parked", "in slot "+s.Slot)
	return s.Slot, nil
}

// LeaveSlot gives the caller's slot back: he goes on elsewhere.
func (c *Call) LeaveSlot() { c.do(func() { c.leaveSlot(LegAbandoned) }) }

// leaveSlot gives the slot back and tells why.
func (c *Call) leaveSlot(why Moment) {
	s := c.slot
	if s == nil {
		return
	}
	if s.told {
		c.tell(c.caller, why, "")
	}
	c.slot = nil
	c.settings.Registry.leaveSlot(s)
}

// Transferring tells whether the call has come here by a transfer that is still under way, and whether the party that asked
// for it is still there, which talks to the caller again when the flow ends without having reached anybody.
func (c *Call) Transferring(ctx context.Context) (underway, back bool) {
	_ = c.ask(ctx, &looking{look: func() { underway, back = c.referral != nil, c.referral != nil && c.referral.by != nil }})
	return underway, back
}

// ParkOptions say how a caller waits in his slot.
type ParkOptions struct {
	// Announce is heard by the one who parks, before anything else: the party that has transferred the caller here, unless
	// it has put him on hold and hears nothing; else, unless Direct, the caller himself, who may hang up or let another party
	// take his place (an attended transfer) meanwhile and after it.
	Announce []*media.Clip
	Direct   bool
	Music    []*media.Clip // heard again and again while waiting
	Timeout  time.Duration // longest wait
}

// Park has the caller wait in the slot that TakeSlot has taken. It returns true when somebody has retrieved him and the talk
// is over, and false when the time is up: he has his slot still.
func (c *Call) Park(ctx context.Context, options ParkOptions) (retrieved bool, err error) {
	op := &parking{options: options}
	err = c.ask(ctx, op)
	return op.winner != nil, err
}

// parking is a caller in a slot, and the talk with the one who has retrieved him.
type parking struct {
	dialling
	options ParkOptions
	teller  *party // who hears the announcement now
	telling int    // token of it
	music   int    // token of the music, 0 for none
	alarm   *alarm
}

func (o *parking) begin(c *Call) {
	c.detect(false)
	o.alarm = c.after(o.options.Timeout, func() { c.complete(nil) })
	switch {
	case len(o.options.Announce) == 0, c.referral != nil && (c.referral.by == nil || c.referral.by.held),
		c.referral == nil && o.options.Direct:
	case c.referral != nil:
		o.announce(c, c.referral.by)
	default:
		o.announce(c, c.caller)
		return
	}
	o.wait(c)
}

func (o *parking) announce(c *Call, to *party) {
	c.token++
	o.teller, o.telling = to, c.token
	to.leg.Play(o.telling, o.options.Announce, false)
}

// wait begins the music. Whoever has transferred the caller here is done when the slot was announced to him.
func (o *parking) wait(c *Call) {
	if o.teller == nil {
		c.settleReferral(200)
	}
	c.slot.told = true
	c.tell(c.caller, LegParked, "")
	music := o.options.Music
	if len(c.music) > 0 {
		music = c.music
	}
	if len(music) > 0 {
		o.music = c.play(music, true)
	}
}

func (o *parking) onEvent(c *Call, p *party, e Event) {
	if o.winner != nil {
		o.bridgeEvent(c, p, e)
		return
	}
	if played, ok := e.(PlayEnded); ok && p == o.teller && played.Token == o.telling {
		o.teller = nil
		if p == c.caller {
			o.wait(c)
			return
		}
		c.settleReferral(200)
	}
}

// succeeded is told that a party has taken another one's place.
func (o *parking) succeeded(c *Call, p, q *party) {
	if o.winner != nil {
		o.dialling.succeeded(c, p, q)
		return
	}
	o.teller, o.music = nil, 0
	o.wait(c)
}

// retrieved joins the caller with the one who has dialled for him.
func (o *parking) retrieved(c *Call, q *party) {
	o.silence(c)
	o.winner = q
	o.bridge(c)
}

func (o *parking) silence(c *Call) {
	o.alarm.stop()
	if (o.music != 0 || o.teller == c.caller) && !c.ended {
		c.caller.leg.StopPlay()
	}
	o.music, o.teller = 0, nil
}

func (o *parking) release(c *Call) {
	o.silence(c)
	o.dialling.release(c)
}
