package sip

import "time"

// transaction is what the four machines of RFC 3261 §17 share. Each has at most two timers at a time, one that repeats
// (A, E, G) and one that ends the state (B, D, F, H, I, J, K, L, M); its state tells which they are.
type transaction struct {
	stack    *Stack
	lane     *lane
	alarm    alarm
	repeat   instant       // when the repeating timer fires, 0 when it is not set
	interval time.Duration // what it was last set to
	expire   instant       // when the other timer fires
	reliable bool          // the transport retransmits by itself
	err      error
}

// input is what moves a machine.
type input uint8

const (
	inMessage     input = iota // a request (server) or a response (client) of this transaction came from the wire
	inRespond                  // the TU sends a response (server)
	inACK                      // the ACK to a final response that is not 2xx (server)
	inRepeat                   // the repeating timer fired
	inExpire                   // the ending timer fired
	inSendFailure              // the transport could not send
)

func (t *transaction) startRepeat(d time.Duration) {
	t.interval = d
	t.repeat = t.stack.alarms.now() + instant(d)
	t.wind()
}

// startExpire sets the ending timer. One of half a minute, for which most transactions wait in case the other side has
// missed their end, may be a 128th late, so that all of a quarter of a second cost one wake-up.
func (t *transaction) startExpire(d time.Duration) {
	t.expire = t.stack.alarms.now() + instant(d)
	if d >= 64*t.stack.options.T1 {
		grain := max(instant(d)/128, 1)
		t.expire = (t.expire + grain - 1) / grain * grain
	}
	t.wind()
}

func (t *transaction) stopTimers() {
	t.repeat, t.expire = 0, 0
	t.wind()
}

// startOnly sets the ending timer and stops the repeating one.
func (t *transaction) startOnly(d time.Duration) {
	t.repeat = 0
	t.startExpire(d)
}

// wind puts the alarm where the earlier timer is.
func (t *transaction) wind() {
	when := t.expire
	if t.repeat != 0 && (when == 0 || t.repeat < when) {
		when = t.repeat
	}
	t.stack.alarms.set(&t.alarm, when)
}

// fired returns which timers are due and takes them off. Ending comes first: a transaction that is over sends nothing.
func (t *transaction) fired(now instant) (in input, ok bool) {
	switch {
	case t.expire != 0 && t.expire <= now:
		t.expire = 0
		return inExpire, true
	case t.repeat != 0 && t.repeat <= now:
		t.repeat = 0
		return inRepeat, true
	}
	return 0, false
}
