package bugletest

import (
	"context"
	"errors"
	"time"

	"bugle/internal/sip"
)

// registration is a phone's own side of its binding (RFC 3261 §10.2).
type registration struct {
	callID  string
	seq     uint32
	stop    context.CancelFunc // ends the refreshing, nil while there is none
	granted time.Duration
}

// Register registers with the server and keeps the registration alive until Unregister or Close. The error of a refusal
// is a *StatusError.
func (p *Phone) Register(ctx context.Context) error {
	if !p.o.Server.IsValid() {
		return invalid("Register", "the phone has no server")
	}
	if err := p.register(ctx, p.wish()); err != nil {
		return err
	}
	refreshing, stop := context.WithCancel(context.Background())
	p.mu.Lock()
	if p.reg.stop != nil {
		p.reg.stop()
	}
	p.reg.stop = stop
	p.mu.Unlock()
	p.run(func() { p.refresh(refreshing) })
	return nil
}

func (p *Phone) wish() time.Duration {
	if p.o.Expires > 0 {
		return p.o.Expires
	}
	return time.Hour
}

// refresh registers again at half of what was granted.
func (p *Phone) refresh(ctx context.Context) {
	for {
		p.mu.Lock()
		half := max(p.reg.granted/2, time.Second)
		p.mu.Unlock()
		timer := time.NewTimer(half)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		case <-p.quit:
			timer.Stop()
			return
		}
		if err := p.register(ctx, p.wish()); err != nil && ctx.Err() == nil {
			p.log.Warn("registration not refreshed", "err", err)
		}
	}
}

// Unregister removes the registration.
func (p *Phone) Unregister(ctx context.Context) error {
	p.mu.Lock()
	if p.reg.stop != nil {
		p.reg.stop()
		p.reg.stop = nil
	}
	p.mu.Unlock()
	return p.register(ctx, 0)
}

func (p *Phone) register(ctx context.Context, wish time.Duration) error {
	resp, err := p.exchange(ctx, p.server(), func() *sip.Message { return p.registerRequest(wish) })
	if err != nil {
		return err
	}
	if resp.StatusCode() == 423 {
		// RFC 3261 §10.2.8
		least, ok := sip.Seconds(resp.Header("Min-Expires"))
		if !ok || wish == 0 {
			return refusal(sip.REGISTER, resp)
		}
		wish = time.Duration(least) * time.Second
		resp, err = p.exchange(ctx, p.server(), func() *sip.Message { return p.registerRequest(wish) })
		if err != nil {
			return err
		}
	}
	if err := refusal(sip.REGISTER, resp); err != nil {
		return err
	}
	granted, ok := p.granted(resp)
	if wish > 0 && !ok {
		return errors.New("REGISTER: 200, but the phone's contact is not among those of the answer")
	}
	p.mu.Lock()
	p.reg.granted = granted
	p.mu.Unlock()
	return nil
}

// Granted is how long the last registration lasts by the server's word.
func (p *Phone) Granted() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reg.granted
}

// granted finds the phone's own contact in the answer (RFC 3261 §10.3 step 8).
func (p *Phone) granted(resp *sip.Message) (time.Duration, bool) {
	contacts, _ := resp.Addresses("Contact")
	for _, c := range contacts {
		if !c.URI.Equal(p.contact()) {
			continue
		}
		if seconds, ok := sip.Seconds(c.Params.Value("expires")); ok {
			return time.Duration(seconds) * time.Second, true
		}
		seconds, ok := resp.Expires()
		return time.Duration(seconds) * time.Second, ok
	}
	return 0, false
}

func (p *Phone) registerRequest(wish time.Duration) *sip.Message {
	p.mu.Lock()
	if p.reg.callID == "" {
		p.reg.callID = token()
	}
	p.reg.seq++
	callID, seq := p.reg.callID, p.reg.seq
	p.mu.Unlock()
	uri := sip.URI{Scheme: "sip", Host: p.domain()}
	req := sip.NewRequest(sip.REGISTER, uri.String())
	record := sip.Address{Display: p.o.DisplayName, URI: p.record()}
	to := record
	record.Params = record.Params.With("tag", token())
	req.AddAddress("From", record)
	req.AddAddress("To", to)
	req.Add("Call-ID", callID)
	req.AddCSeq(seq, sip.REGISTER)
	req.AddAddress("Contact", sip.Address{URI: p.contact()})
	req.AddInt("Expires", int(wish/time.Second))
	req.Add("Allow", allowed)
	req.Add("User-Agent", "bugle-phone")
	return req
}

func (p *Phone) server() sip.Destination {
	return sip.Destination{Transport: p.o.Transport, Addr: p.o.Server}
}
