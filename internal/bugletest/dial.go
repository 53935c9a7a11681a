package bugletest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"bugle/internal/sip"
)

// Dial calls a number, a user@host or a SIP URI. It returns when the INVITE is on its way; WaitAnswer waits for more.
func (p *Phone) Dial(ctx context.Context, number string) (*PhoneCall, error) {
	uri, err := p.target(number)
	if err != nil {
		return nil, err
	}
	dst := p.server()
	if !dst.Addr.IsValid() {
		addr, ok := uri.Address()
		if !ok {
			return nil, invalid("Dial", "%q is no URI with an address, and the phone has no server", number)
		}
		dst = sip.Destination{Transport: transportOf(uri, p.o.Transport), Addr: addr}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := p.newCall(token(), token())
	c.dialled = uri.User
	c.remote = sip.Address{URI: uri}
	local := sip.Address{Display: p.o.DisplayName, URI: p.record()}
	local.Params = local.Params.With("tag", c.key.localTag)
	c.dialog = dialog{callID: c.key.callID, local: local.String(), remote: c.remote.String(), target: uri.String(), dst: dst}
	if err := c.open(dst); err != nil {
		return nil, err
	}
	offer, err := c.session.Offer()
	if err == nil && !p.add(c) {
		err = errors.New("the phone is closed")
	}
	if err != nil {
		c.session.Close()
		return nil, err
	}
	c.tell(Event{Kind: EventDialled, Text: number})
	if err := c.sendInvite(c.describe(offer, "")); err != nil {
		c.end(503, err.Error(), false)
		return nil, err
	}
	return c, nil
}

// target makes a URI of what was dialled.
func (p *Phone) target(number string) (sip.URI, error) {
	if strings.HasPrefix(number, "sip:") {
		uri, err := sip.ParseURI(number)
		if err != nil {
			return sip.URI{}, err
		}
		return uri, nil
	}
	user, host, has := strings.Cut(number, "@")
	if !has {
		host = p.domain()
	}
	if user == "" || host == "" || strings.ContainsAny(number, " \t<>\"") {
		return sip.URI{}, invalid("Dial", "%q is not a number, user@host or SIP URI", number)
	}
	if has {
		// The host may have a port.
		parsed, err := sip.ParseURI("sip:" + host)
		parsed.User = user
		return parsed, err
	}
	return sip.URI{Scheme: "sip", User: user, Host: host}, nil
}

// sendInvite sends the first INVITE, or the same again with credentials.
func (c *PhoneCall) sendInvite(offer []byte) error {
	c.mu.Lock()
	req := c.dialog.request(sip.INVITE)
	c.inviteSeq = c.dialog.seq
	dst := c.dialog.dst
	c.mu.Unlock()
	c.addContact(req)
	req.SetBody("application/sdp", offer)
	c.phone.keys.attach(req)
	client, err := c.phone.stack.Request(req, dst, func(r sip.Result) { c.onInviteResult(req, offer, r) })
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.client = client
	leaving := c.leaving
	c.mu.Unlock()
	if leaving { // Hangup came between a challenge and this
		client.Cancel("")
	}
	return nil
}

func (c *PhoneCall) addContact(m *sip.Message) {
	m.AddAddress("Contact", sip.Address{URI: c.phone.contact()})
	m.Add("Allow", allowed)
}

func (c *PhoneCall) onInviteResult(req *sip.Message, offer []byte, r sip.Result) {
	if r.Err != nil {
		status, text := 503, "the call could not be sent"
		if errors.Is(r.Err, sip.ErrTimeout) {
			status, text = 408, "no answer came"
		}
		c.phone.log.Info("INVITE failed", "call", c.key.callID, "err", r.Err)
		c.end(status, text, false)
		return
	}
	resp := r.Response
	switch status := resp.StatusCode(); {
	case status == 100:
	case status < 200:
		c.onProvisional(resp)
	case status < 300:
		c.on2xx(resp)
	case status == 401 || status == 407:
		again, err := c.phone.keys.take(resp, req.Has("Authorization") || req.Has("Proxy-Authorization"))
		c.mu.Lock()
		again = again && !c.leaving
		c.mu.Unlock()
		if err != nil {
			c.phone.log.Warn("challenge", "call", c.key.callID, "err", err)
		}
		if again {
			if err := c.sendInvite(offer); err == nil {
				return
			}
		}
		fallthrough
	default:
		c.end(status, strings.Clone(resp.Reason()), true)
	}
}

func (c *PhoneCall) onProvisional(resp *sip.Message) {
	kind := EventRinging
	if resp.StatusCode() != 180 && len(resp.Body()) > 0 {
		kind = EventProgress
	}
	c.mu.Lock()
	first := c.phase == starting
	if c.phase == starting {
		c.phase = early
	}
	_, known := c.find(kind)
	ended := c.phase == up || c.phase == over
	c.mu.Unlock()
	if ended {
		return
	}
	if len(resp.Body()) > 0 {
		if err := c.session.SetAnswer(resp.Body()); err != nil {
			c.phone.log.Warn("early answer", "call", c.key.callID, "err", err)
		}
	}
	if first || !known {
		c.tell(Event{Kind: kind, Status: resp.StatusCode(), Remote: true})
	}
}

// on2xx takes a 2xx to the call's first INVITE: the answer, one of its retransmissions, or one of another fork (RFC 3261
// §13.2.2.4).
func (c *PhoneCall) on2xx(resp *sip.Message) {
	if seq, _ := resp.CSeq(); seq != c.firstSeq() {
		c.acknowledge(&c.dialog, seq) // a retransmission for a re-INVITE
		return
	}
	c.mu.Lock()
	first := c.phase == starting || c.phase == early
	if first {
		c.dialog.learn(resp)
		c.phase = up
	}
	same := c.dialog.remoteTag == resp.ToTag()
	leaving := c.leaving
	c.mu.Unlock()
	switch {
	case !same:
		c.release(resp)
		return
	case !first:
		c.acknowledge(&c.dialog, c.firstSeq())
		return
	}
	err := c.session.SetAnswer(resp.Body())
	c.session.Answered()
	c.acknowledge(&c.dialog, c.firstSeq())
	switch {
	case err != nil:
		c.phone.log.Warn("the answer cannot be used", "call", c.key.callID, "err", err)
		c.leave(fmt.Sprintf("the session description of the answer cannot be used: %v", err))
	case leaving: // CANCEL came too late
		c.leave("")
	default:
		c.tell(Event{Kind: EventAnswered, Status: resp.StatusCode(), Remote: true})
	}
}

// leave hangs up an answered call without waiting.
func (c *PhoneCall) leave(why string) {
	c.phone.run(func() {
		ctx, cancel := context.WithTimeout(context.Background(), shortly)
		defer cancel()
		c.bye(ctx, why)
	})
}

func (c *PhoneCall) firstSeq() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inviteSeq
}

// acknowledge sends the ACK to a 2xx.
func (c *PhoneCall) acknowledge(d *dialog, seq uint32) {
	c.mu.Lock()
	ack, dst := d.requestAt(sip.ACK, seq), d.hop()
	client := c.client
	c.mu.Unlock()
	if client != nil {
		// RFC 3261 §22.1: the credentials of the INVITE.
		ack.Copy(client.Request(), "Authorization")
		ack.Copy(client.Request(), "Proxy-Authorization")
	}
	if err := c.phone.stack.Send(ack, dst); err != nil {
		c.phone.log.Warn("ACK", "call", c.key.callID, "err", err)
	}
}

// release acknowledges a 2xx of another fork and hangs it up.
func (c *PhoneCall) release(resp *sip.Message) {
	c.mu.Lock()
	other := c.dialog
	c.mu.Unlock()
	other.learn(resp)
	c.acknowledge(&other, c.firstSeq())
	c.phone.run(func() {
		ctx, cancel := context.WithTimeout(context.Background(), shortly)
		defer cancel()
		_, _ = c.phone.transact(ctx, other.requestAt(sip.BYE, c.firstSeq()+1), other.hop())
	})
}
