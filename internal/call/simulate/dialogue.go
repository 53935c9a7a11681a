package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle/internal/call"
)

// Dialogue is what a caller and the phones of a world do, and what is expected to come of it, line by line:
//
//	from PHONE                      the phone that the next call comes from
//	dial NUMBER                     the caller dials; "" is no number at all
//	press KEY ...                   ... presses keys, 200 ms apart
//	wait DURATION                   time passes
//	says SAMPLE                     what the caller says from now on, for who records it; 0 is silence
//	hear CLIP ...                   the next clips that begin are these, in this order
//	heard CLIP ...                  the same, without letting time pass
//	silence DURATION                nothing begins for so long
//	ringing | progress | answered   the caller's phone is told 180, 183 or 200
//	rings PHONE                     a new call rings there
//	quiet PHONE                     no call rings there now
//	answers PHONE | early PHONE     the phone picks up; sends early media
//	refuses PHONE STATUS            the phone refuses with a SIP status: 486, 603, ...
//	talks PHONE                     caller and phone hear each other
//	apart PHONE                     they do not
//	sounds PHONE|caller [CLIP]      this clip is being played to the phone now; without one nothing is
//	released PHONE CAUSE            the call let go of the phone, with this cause
//	hangs up [PHONE]                the caller, or the phone
//	holds [PHONE], resumes [PHONE]
//	transfers PHONE|caller NUMBER   a blind transfer
//	told PHONE|caller STATUS ...    progress of the transfer it asked for, so far
//	ends [CAUSE|STATUS]             the call ended for the caller, and how
//
// Empty lines and lines that begin with "--" are comments. PHONE is a device id, a target's name or a number.
type Dialogue struct {
	World *World
	From  string // phone that calls until a line says another
	// Caller is the leg of the last "dial" line.
	Caller *Leg

	heard int // clips of Caller that lines have accounted for
	rung  map[*Leg]bool
	log   []string
}

// Run carries the lines of script out and returns the first that did not hold.
func (d *Dialogue) Run(script string) error {
	if d.rung == nil {
		d.rung = map[*Leg]bool{}
	}
	for n, line := range strings.Split(script, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "--") {
			continue
		}
		d.World.Settle()
		if err := d.line(words[0], words[1:]); err != nil {
			return fmt.Errorf("line %d: %s: %w\nso far:\n%s", n+1, strings.TrimSpace(line), err, d.Transcript())
		}
		d.World.Settle()
		d.log = append(d.log, fmt.Sprintf("%s %s", d.World.Now().Format("15:04:05.0"), strings.Join(words, " ")))
	}
	return nil
}

// Transcript is what has happened, for people.
func (d *Dialogue) Transcript() string {
	lines := slices.Clone(d.log)
	if d.Caller != nil {
		s := d.Caller.State()
		lines = append(lines, fmt.Sprintf("caller heard %q", s.Heard))
		if s.Over {
			lines = append(lines, "caller's leg is over: "+s.outcome())
		}
	}
	for _, l := range d.World.Legs() {
		s, t := l.State(), l.Target()
		state := "rings"
		switch {
		case s.Over:
			state = "over: " + s.outcome()
		case s.Answered:
			state = "answered"
		}
		lines = append(lines, fmt.Sprintf("phone %s %s %s", t.DeviceID, t.URI, state))
	}
	return "  " + strings.Join(lines, "\n  ")
}

func (d *Dialogue) line(verb string, words []string) error {
	if verb == "from" || verb == "dial" {
		if len(words) != 1 {
			return fmt.Errorf("takes one word")
		}
		if verb == "from" {
			d.From = words[0]
			return nil
		}
		d.Caller, d.heard = d.World.Call(d.From, strings.Trim(words[0], `"`)), 0
		return nil
	}
	if d.Caller == nil {
		return fmt.Errorf("nobody has dialled yet")
	}
	if do, ok := callerLines[verb]; ok {
		return do(d, words)
	}
	if do, ok := phoneLines[verb]; ok {
		if len(words) == 0 {
			return fmt.Errorf("takes a phone")
		}
		return do(d, words[0], words[1:])
	}
	return fmt.Errorf("no such line")
}

var callerLines = map[string]func(d *Dialogue, words []string) error{
	"press":    (*Dialogue).press,
	"wait":     (*Dialogue).wait,
	"says":     (*Dialogue).says,
	"hear":     func(d *Dialogue, words []string) error { return d.hear(words, true) },
	"heard":    func(d *Dialogue, words []string) error { return d.hear(words, false) },
	"silence":  (*Dialogue).silence,
	"ringing":  func(d *Dialogue, _ []string) error { return d.told("180", func(s State) bool { return s.Rung }) },
	"progress": func(d *Dialogue, _ []string) error { return d.told("183", func(s State) bool { return s.Progressed }) },
	"answered": func(d *Dialogue, _ []string) error { return d.told("200", func(s State) bool { return s.Answered }) },
	"ends":     (*Dialogue).ends,
	"hangs":    (*Dialogue).hangs,
	"holds":    func(d *Dialogue, words []string) error { return d.holds(words, true) },
	"resumes":  func(d *Dialogue, words []string) error { return d.holds(words, false) },
}

var phoneLines = map[string]func(d *Dialogue, phone string, words []string) error{
	"rings": (*Dialogue).rings,
	"quiet": func(d *Dialogue, phone string, _ []string) error {
		if d.World.leg(phone, ringing) != nil {
			return fmt.Errorf("it rings")
		}
		return nil
	},
	"answers": func(d *Dialogue, phone string, _ []string) error { return d.ringingPhone(phone, (*Leg).PicksUp) },
	"early": func(d *Dialogue, phone string, _ []string) error {
		return d.ringingPhone(phone, func(l *Leg) { l.Rings(true) })
	},
	"refuses": (*Dialogue).refuses,
	"talks":   (*Dialogue).talks,
	"apart": func(d *Dialogue, phone string, words []string) error {
		if d.talks(phone, words) == nil {
			return fmt.Errorf("they hear each other")
		}
		return nil
	},
	"sounds":    (*Dialogue).sounds,
	"released":  (*Dialogue).released,
	"transfers": (*Dialogue).transfers,
	"told":      (*Dialogue).toldStatuses,
}

func ringing(s State) bool { return !s.Over && !s.Answered }

func (d *Dialogue) press(keys []string) error {
	for _, key := range strings.Join(keys, "") {
		d.Caller.Presses(byte(key))
		d.World.Advance(200 * time.Millisecond)
	}
	return nil
}

func (d *Dialogue) wait(words []string) error {
	t, err := duration(words)
	if err == nil {
		d.World.Advance(t)
	}
	return err
}

func (d *Dialogue) says(words []string) error {
	if len(words) != 1 {
		return fmt.Errorf("takes a sample")
	}
	sample, err := strconv.ParseInt(words[0], 10, 16)
	if err == nil {
		d.Caller.Says(int16(sample))
	}
	return err
}

func duration(words []string) (time.Duration, error) {
	if len(words) != 1 {
		return 0, fmt.Errorf("takes a duration")
	}
	return time.ParseDuration(words[0])
}

func (d *Dialogue) hear(clips []string, wait bool) error {
	for _, clip := range clips {
		var heard []string
		more := func() bool {
			s := d.Caller.State()
			heard = s.Heard
			return len(heard) > d.heard || s.Over || !wait
		}
		d.World.until(more)
		if len(heard) <= d.heard {
			return fmt.Errorf("heard nothing more")
		}
		if heard[d.heard] != clip {
			return fmt.Errorf("heard %q", heard[d.heard])
		}
		d.heard++
	}
	return nil
}

func (d *Dialogue) silence(words []string) error {
	t, err := duration(words)
	if err != nil {
		return err
	}
	d.World.Advance(t)
	if heard := d.Caller.State().Heard; len(heard) > d.heard {
		return fmt.Errorf("heard %q", heard[d.heard])
	}
	return nil
}

func (d *Dialogue) told(what string, is func(State) bool) error {
	if !d.World.until(func() bool { s := d.Caller.State(); return is(s) || s.Over }) || !is(d.Caller.State()) {
		return fmt.Errorf("the caller was not told %s", what)
	}
	return nil
}

func (d *Dialogue) ends(words []string) error {
	if !d.World.until(func() bool { return d.Caller.State().Over }) {
		return fmt.Errorf("it goes on")
	}
	s := d.Caller.State()
	for _, want := range words {
		if want != string(s.Cause) && want != strconv.Itoa(s.Status) {
			return fmt.Errorf("it ended with %s, status %d", s.Cause, s.Status)
		}
	}
	if s.Remote {
		return fmt.Errorf("the caller hung up")
	}
	return nil
}

func (d *Dialogue) party(words []string) (*Leg, error) {
	if len(words) == 0 || words[0] == "caller" {
		return d.Caller, nil
	}
	if l := d.World.leg(words[0], func(s State) bool { return !s.Over }); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%s has no call", words[0])
}

func (d *Dialogue) hangs(words []string) error {
	if len(words) == 0 || words[0] != "up" {
		return fmt.Errorf("say: hangs up")
	}
	l, err := d.party(words[1:])
	if err == nil {
		l.HangsUp()
	}
	return err
}

func (d *Dialogue) holds(words []string, on bool) error {
	l, err := d.party(words)
	if err == nil {
		l.Holds(on)
	}
	return err
}

func (d *Dialogue) rings(phone string, _ []string) error {
	var l *Leg
	fresh := func() bool {
		l = d.World.leg(phone, ringing)
		return l != nil && !d.rung[l]
	}
	if !d.World.until(func() bool { return fresh() || d.Caller.State().Over }) || l == nil || d.rung[l] {
		return fmt.Errorf("it does not ring")
	}
	d.rung[l] = true
	return nil
}

func (d *Dialogue) ringingPhone(phone string, do func(*Leg)) error {
	l := d.World.leg(phone, ringing)
	if l == nil {
		return fmt.Errorf("it does not ring")
	}
	do(l)
	return nil
}

func (d *Dialogue) refuses(phone string, words []string) error {
	if len(words) != 1 {
		return fmt.Errorf("takes a SIP status")
	}
	status, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	return d.ringingPhone(phone, func(l *Leg) { l.Refuses(status) })
}

func (d *Dialogue) talks(phone string, _ []string) error {
	l := d.World.leg(phone, func(s State) bool { return !s.Over })
	if l == nil {
		return fmt.Errorf("it has no call")
	}
	if d.Caller.State().Joined != l || l.State().Joined != d.Caller {
		return fmt.Errorf("they do not hear each other")
	}
	return nil
}

func (d *Dialogue) sounds(phone string, words []string) error {
	l, err := d.party([]string{phone})
	if err != nil {
		return err
	}
	if sounding := l.State().Sounding; sounding != strings.Join(words, " ") {
		return fmt.Errorf("what sounds is %q", sounding)
	}
	return nil
}

func (d *Dialogue) released(phone string, words []string) error {
	over := func(s State) bool { return s.Over && !s.Remote }
	var l *Leg
	if !d.World.until(func() bool { l = d.World.leg(phone, over); return l != nil }) {
		return fmt.Errorf("it was not released")
	}
	if len(words) == 1 && words[0] != string(l.State().Cause) {
		return fmt.Errorf("it was released with %s", l.State().Cause)
	}
	return nil
}

func (d *Dialogue) transfers(phone string, words []string) error {
	if len(words) != 1 {
		return fmt.Errorf("takes a phone and a number")
	}
	l, err := d.party([]string{phone})
	if err == nil {
		l.Transfers(words[0])
	}
	return err
}

func (d *Dialogue) toldStatuses(phone string, words []string) error {
	l := d.Caller
	if phone != "caller" {
		l = d.World.leg(phone, func(s State) bool { return len(s.Statuses) > 0 })
	}
	if l == nil {
		return fmt.Errorf("it asked for no transfer")
	}
	want := strings.Join(words, " ")
	said := func() string { return strings.Trim(fmt.Sprint(l.State().Statuses), "[]") }
	if !d.World.until(func() bool { return said() == want }) {
		return fmt.Errorf("it was told %s", said())
	}
	return nil
}

var _ call.Originator = (*World)(nil)
