package bugletest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/sip"
)

// shortly bounds what a phone does in the background for a call that goes.
const shortly = 5 * time.Second

// onInvite takes a new call.
func (p *Phone) onInvite(tx *sip.ServerTransaction, req *sip.Message) {
	from, err := req.From()
	if err != nil {
		_ = tx.Reply(400, "")
		return
	}
	p.mu.Lock()
	behaviour := p.behaviour
	p.mu.Unlock()
	if behaviour.Silent {
		return
	}
	// Every response to one request gets the same tag.
	answer := sip.NewResponse(req, 180, "")
	c := p.newCall(req.CallID(), answer.ToTag())
	c.incoming, c.invite, c.server, c.remote = true, req, tx, from
	if uri, err := req.URI(); err == nil {
		c.dialled = strings.Clone(uri.User)
	}
	seq, _ := req.CSeq()
	c.dialog = dialog{callID: c.key.callID, local: strings.Clone(wholeHeader(answer, "To")),
		remote: strings.Clone(wholeHeader(req, "From")), remoteTag: strings.Clone(req.FromTag()), remoteSeq: seq,
		dst: tx.Source().Destination()}
	c.dialog.target = c.remote.URI.String()
	c.dialog.retarget(req)
	for route := range req.Headers("Record-Route") {
		c.dialog.routes = append(c.dialog.routes, strings.Clone(route))
	}
	if !p.add(c) {
		_ = tx.Reply(480, "")
		return
	}
	tx.OnCancel(func() {
		_ = tx.Reply(487, "")
		c.end(487, "the caller cancelled", true)
	})
	name, number := c.Remote()
	c.tell(Event{Kind: EventInvited, Text: strings.TrimSpace(name + " " + number), Remote: true})
	p.deliver(c)
	c.behave(behaviour)
}

func (p *Phone) deliver(c *PhoneCall) {
	for {
		select {
		case p.incoming <- c:
			return
		default:
		}
		select {
		case <-p.incoming:
		default:
		}
	}
}

func (c *PhoneCall) behave(b Behaviour) {
	var err error
	switch {
	case b.Status != 0:
		err = c.Reject(b.Status)
	case b.Rings:
		err = c.Ring()
	case b.Answers:
		err = c.Ring()
		c.phone.run(func() {
			if c.pause(context.Background(), b.After) != nil || c.Answer(context.Background()) != nil {
				return
			}
			if b.Tone > 0 {
				c.SayTone(b.Tone)
			}
		})
	}
	if err != nil {
		c.phone.log.Warn("incoming call", "call", c.key.callID, "err", err)
	}
}

// Ring sends 180 on an incoming call.
func (c *PhoneCall) Ring() error {
	if err := c.forward(early, "Ring"); err != nil {
		return err
	}
	resp := sip.NewResponse(c.invite, 180, "")
	c.addContact(resp)
	if err := c.server.Respond(resp); err != nil {
		return err
	}
	c.tell(Event{Kind: EventRinging, Status: 180})
	return nil
}

// forward moves an unanswered incoming call on.
func (c *PhoneCall) forward(to phase, where string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.incoming || c.phase >= up {
		return &bugle.Error{Op: "bugletest." + where, Kind: bugle.KindConflict,
			Message: "the call is not an incoming one that waits for an answer"}
	}
	c.phase = to
	return nil
}

// Answer accepts an incoming call.
func (c *PhoneCall) Answer(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	peer := c.dialog.hop()
	c.mu.Unlock()
	if err := c.forward(up, "Answer"); err != nil {
		return err
	}
	if err := c.open(peer); err != nil {
		_ = c.server.Reply(500, "")
		c.end(500, err.Error(), false)
		return err
	}
	body, lateOffer, err := c.answerTo(c.invite)
	if err != nil {
		status := statusOf(err)
		_ = c.server.Reply(status, "")
		c.end(status, err.Error(), false)
		return err
	}
	if err := c.accept(c.server, c.invite, body, lateOffer); err != nil {
		c.end(500, err.Error(), false)
		return err
	}
	c.session.Answered()
	c.tell(Event{Kind: EventAnswered, Status: 200})
	return nil
}

// statusOf is the status for a session description that cannot be used.
func statusOf(err error) int {
	switch bugle.KindOf(err) {
	case bugle.KindUnsupported:
		return 488
	case bugle.KindInvalid:
		return 400
	}
	return 500
}

// answerTo answers the offer of an INVITE or UPDATE; one without gets an offer, whose answer comes with the ACK.
func (c *PhoneCall) answerTo(req *sip.Message) (body []byte, lateOffer bool, err error) {
	if len(req.Body()) == 0 {
		body, err = c.session.Offer()
		return c.describe(body, ""), true, err
	}
	body, err = c.session.Accept(req.Body())
	return c.describe(body, ""), false, err
}

// accept sends a 200 to an INVITE and sends it again until its ACK comes (RFC 3261 §13.3.1.4).
func (c *PhoneCall) accept(tx *sip.ServerTransaction, req *sip.Message, body []byte, lateOffer bool) error {
	resp := sip.NewResponse(req, 200, "")
	c.addContact(resp)
	resp.SetBody("application/sdp", body)
	seq, _ := req.CSeq()
	acked := make(chan struct{})
	c.mu.Lock()
	c.acks[seq] = func(ack *sip.Message) {
		close(acked)
		if lateOffer && len(ack.Body()) > 0 {
			if err := c.session.SetAnswer(ack.Body()); err != nil {
				c.leave(fmt.Sprintf("the session description of the ACK cannot be used: %v", err))
			}
		}
	}
	c.mu.Unlock()
	if err := tx.Respond(resp); err != nil {
		return err
	}
	c.phone.run(func() { c.repeat(tx, resp, acked) })
	return nil
}

func (c *PhoneCall) repeat(tx *sip.ServerTransaction, resp *sip.Message, acked <-chan struct{}) {
	const t1, t2 = 500 * time.Millisecond, 4 * time.Second
	for wait, total := t1, time.Duration(0); total < 64*t1; wait = min(2*wait, t2) {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-acked:
		case <-c.done:
		case <-c.phone.quit:
		}
		timer.Stop()
		select {
		case <-acked:
			return
		case <-c.done:
			return
		case <-c.phone.quit:
			return
		default:
		}
		total += wait
		_ = tx.Respond(resp)
	}
	c.leave("no ACK came")
}

func (c *PhoneCall) onACK(ack *sip.Message) {
	seq, _ := ack.CSeq()
	c.mu.Lock()
	got := c.acks[seq]
	delete(c.acks, seq)
	c.mu.Unlock()
	if got != nil {
		got(ack)
	}
}

// Reject refuses an incoming call with a final status, 300 to 699.
func (c *PhoneCall) Reject(status int) error {
	if status < 300 || status > 699 {
		return invalid("Reject", "%d is not a status of 300 to 699", status)
	}
	if err := c.forward(early, "Reject"); err != nil {
		return err
	}
	if err := c.server.Reply(status, ""); err != nil {
		return err
	}
	c.end(status, sip.ReasonPhrase(status), false)
	return nil
}

// onRequest takes a request within the call; false when it does not belong to it.
func (c *PhoneCall) onRequest(tx *sip.ServerTransaction, req *sip.Message) bool {
	c.mu.Lock()
	seq, _ := req.CSeq()
	known := c.dialog.remoteTag == req.FromTag() && c.phase != over
	late := seq < c.dialog.remoteSeq
	if known && !late {
		c.dialog.remoteSeq = seq
	}
	c.mu.Unlock()
	switch {
	case !known:
		return false
	case late:
		_ = tx.Reply(500, "CSeq is out of order") // RFC 3261 §12.2.2
		return true
	}
	switch req.Method() {
	case sip.BYE:
		_ = tx.Reply(200, "")
		c.end(200, strings.Clone(req.Header("Reason")), true)
	case sip.INVITE, sip.UPDATE:
		c.onOffer(tx, req)
	case sip.INFO:
		c.onInfo(tx, req)
	case sip.OPTIONS, sip.NOTIFY:
		_ = tx.Reply(200, "")
	default:
		resp := sip.NewResponse(req, 405, "")
		resp.Add("Allow", allowed)
		_ = tx.Respond(resp)
	}
	return true
}

// onOffer takes a re-INVITE or UPDATE (RFC 3261 §14.2, RFC 3311 §5.2).
func (c *PhoneCall) onOffer(tx *sip.ServerTransaction, req *sip.Message) {
	c.mu.Lock()
	busy := c.inviting
	ready := c.session != nil && (c.phase == up || req.Method() == sip.UPDATE)
	c.dialog.retarget(req)
	c.mu.Unlock()
	if busy || !ready {
		_ = tx.Reply(491, "")
		return
	}
	if req.Method() == sip.UPDATE && len(req.Body()) == 0 {
		resp := sip.NewResponse(req, 200, "")
		c.addContact(resp)
		_ = tx.Respond(resp)
		c.tell(Event{Kind: EventRefreshed, Text: "UPDATE", Remote: true})
		return
	}
	was := c.session.Held()
	body, lateOffer, err := c.answerTo(req)
	if err != nil {
		_ = tx.Reply(statusOf(err), "")
		return
	}
	if req.Method() == sip.INVITE {
		err = c.accept(tx, req, body, lateOffer)
	} else {
		resp := sip.NewResponse(req, 200, "")
		c.addContact(resp)
		resp.SetBody("application/sdp", body)
		err = tx.Respond(resp)
	}
	if err != nil {
		c.phone.log.Warn("answer to a new offer", "call", c.key.callID, "err", err)
	}
	kind := EventRefreshed
	switch is := c.session.Held(); {
	case is && !was:
		kind = EventHeld
	case was && !is:
		kind = EventResumed
	}
	c.tell(Event{Kind: kind, Text: string(req.Method()), Remote: true})
}

// onInfo takes a key that was pressed (application/dtmf-relay, application/dtmf).
func (c *PhoneCall) onInfo(tx *sip.ServerTransaction, req *sip.Message) {
	signal := ""
	switch strings.ToLower(req.ContentType()) {
	case "application/dtmf-relay":
		for line := range strings.Lines(string(req.Body())) {
			if name, value, ok := strings.Cut(line, "="); ok && strings.EqualFold(strings.TrimSpace(name), "Signal") {
				signal = strings.TrimSpace(value)
			}
		}
	case "application/dtmf":
		signal = strings.TrimSpace(string(req.Body()))
	default:
		_ = tx.Reply(415, "")
		return
	}
	if len(signal) != 1 || !strings.Contains("0123456789*#ABCD", signal) || c.session == nil {
		_ = tx.Reply(400, "not a key")
		return
	}
	_ = tx.Reply(200, "")
	c.tell(Event{Kind: EventKey, Text: signal, Remote: true})
}

// Hold puts the other side on hold, Resume takes it back.
func (c *PhoneCall) Hold(ctx context.Context) error { return c.reinvite(ctx, "sendonly") }

// Resume takes the other side back after Hold.
func (c *PhoneCall) Resume(ctx context.Context) error { return c.reinvite(ctx, "sendrecv") }

// reinvite offers the session anew with another direction (RFC 3264 §8.4).
func (c *PhoneCall) reinvite(ctx context.Context, direction string) error {
	c.mu.Lock()
	if c.phase != up || c.inviting {
		c.mu.Unlock()
		return errors.New("the call is not up, or is being changed already")
	}
	c.inviting = true
	dst := c.dialog.hop()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.inviting = false
		c.mu.Unlock()
	}()
	offer, err := c.session.Offer()
	if err != nil {
		return err
	}
	offer = c.describe(offer, direction)
	var seq uint32
	resp, err := c.phone.exchange(ctx, dst, func() *sip.Message {
		c.mu.Lock()
		req := c.dialog.request(sip.INVITE)
		seq = c.dialog.seq
		c.mu.Unlock()
		c.addContact(req)
		req.SetBody("application/sdp", offer)
		return req
	})
	if err != nil {
		return err
	}
	if err := refusal(sip.INVITE, resp); err != nil {
		return err
	}
	c.acknowledge(&c.dialog, seq)
	return c.session.SetAnswer(resp.Body())
}

// describe gives a session description the next version and, when it is not "", another direction: the phone's own wish,
// which its media session knows nothing of.
func (c *PhoneCall) describe(description []byte, direction string) []byte {
	if description == nil {
		return nil
	}
	c.mu.Lock()
	c.offered++
	version := c.offered
	c.mu.Unlock()
	var out strings.Builder
	for line := range strings.Lines(string(description)) {
		switch text := strings.TrimRight(line, "\r\n"); {
		case strings.HasPrefix(text, "o="):
			fields := strings.Fields(text)
			if len(fields) == 6 { // RFC 8866 §5.2: username, id, version, ...
				fields[2] = strconv.Itoa(version)
			}
			out.WriteString(strings.Join(fields, " ") + "\r\n")
		case direction != "" && (text == "a=sendrecv" || text == "a=sendonly" || text == "a=recvonly" || text == "a=inactive"):
		default:
			out.WriteString(text + "\r\n")
		}
	}
	if direction != "" {
		out.WriteString("a=" + direction + "\r\n") // the audio section is the last
	}
	return []byte(out.String())
}
