package media

import (
	"net/netip"
	"time"
)

const (
	roundTime  = 50 * millisecond // between rounds of everySecond
	roundParts = 20               // rounds until each leg had its turn
)

// core is the part of a loop that every kind has: its legs, their ticks and the room that packets are built in. Only
// whoever runs the loop touches it.
type core struct {
	engine  *Engine
	number  int // of the loop
	timeout instant
	now     instant
	legs    []*leg
	wheel   wheel
	hops    int // ends of loopback pairs that the packet in hand has crossed
	round   int
	roundAt instant

	scratch [headerBytes + 60*SampleRate/1000]byte
	report  [256]byte
	pcm     [maxPacket]int16
	keys    [16]byte
}

func newCore(e *Engine, number int) core {
	return core{engine: e, number: number, timeout: instant(e.timeout)}
}

func (c *core) tell() { c.now = c.engine.now() }

func (c *core) wall() time.Time { return c.engine.began.Add(time.Duration(c.now)) }

func (c *core) add(l *leg) {
	l.core, l.index = c, len(c.legs)
	c.legs = append(c.legs, l)
	if l.busy() {
		l.due = max(l.due, c.now)
		c.wheel.add(l)
	}
}

func (c *core) remove(l *leg) {
	c.wheel.remove(l)
	last := c.legs[len(c.legs)-1]
	c.legs[l.index], last.index = last, l.index
	c.legs[len(c.legs)-1] = nil
	c.legs = c.legs[:len(c.legs)-1]
}

// wait returns how long nothing is due, at most a second.
func (c *core) wait() instant {
	until := c.now + second
	if len(c.legs) > 0 {
		until = c.roundAt
	}
	if due, ok := c.wheel.next(); ok {
		until = min(until, due)
	}
	return max(0, until-c.now)
}

// serve does what is due.
func (c *core) serve() {
	for l := c.wheel.take(c.now); l != nil; l = c.wheel.take(c.now) {
		c.tick(l)
	}
	if c.now < c.roundAt {
		return
	}
	c.roundAt = c.now + roundTime
	c.round = (c.round + 1) % roundParts
	for i := c.round; i < len(c.legs); i += roundParts {
		c.everySecond(c.legs[i])
	}
}

// Each step of a leg recovers: a panic ends that leg and nothing else.

func (c *core) tick(l *leg) {
	defer c.recover(l)
	l.tick()
}

func (c *core) everySecond(l *leg) {
	defer c.recover(l)
	l.everySecond()
}

func (c *core) packet(l *leg, from netip.AddrPort, datagram []byte, report bool) {
	defer c.recover(l)
	if report {
		l.receiveReport(from, datagram)
	} else {
		l.receive(from, datagram)
	}
}

func (c *core) command(l *leg, do func(*leg)) {
	defer c.recover(l)
	do(l)
}

func (c *core) recover(l *leg) {
	if reason := recover(); reason != nil {
		c.engine.panicked(l.session, reason)
		l.session.events.silent()
		c.bury(l)
	}
}

// bury closes a leg that panicked, whose state may be broken.
func (c *core) bury(l *leg) {
	defer func() {
		if reason := recover(); reason != nil {
			c.engine.panicked(l.session, reason)
		}
	}()
	l.close()
}
