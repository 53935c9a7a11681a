package call

import (
	"context"

	"bugle/internal/media"
)

// What a party hears whom the other one has put on hold is played here, on the held party's own leg, as KAZOO does. Its
// phone is not told: RFC 6337 §5.3 leaves a middle free to answer a hold (RFC 3264 §8.4) by itself, and a phone that were
// sent the hold would play music of its own choice, or end the call when it hears nothing for long. The parties stay
// joined: what is played goes before the other's audio, and the one who holds is sent nothing, because its own description
// asks for that.

// tendHold begins and ends music on hold, after a bridge or a hold has begun or ended. Somebody who holds the call himself is
// sent nothing.
func (c *Call) tendHold() {
	defer c.tendBypass()
	if c.peer == nil {
		c.stopMusic(c.caller)
		return
	}
	for _, pair := range [2][2]*party{{c.caller, c.peer}, {c.peer, c.caller}} {
		p, other := pair[0], pair[1]
		switch waits := other.held && !p.held && p.answered; {
		case p.lent: // it is about to leave this call
		case !waits:
			c.stopMusic(p)
		case p.music == 0:
			c.startMusic(p, other)
		}
	}
}

// SetHoldMusic has everybody who is held in this call hear clips, whatever documents say; none undoes it.
func (c *Call) SetHoldMusic(clips []*media.Clip) { c.do(func() { c.music = clips }) }

// stopMusic ends a party's music on hold.
func (c *Call) stopMusic(p *party) {
	if p.music != 0 && !p.lent {
		p.music = 0
		p.leg.StopPlay()
	}
}

// startMusic plays to p what the party that holds has chosen. Finding it may take time, which the loop does not wait for.
func (c *Call) startMusic(p, by *party) {
	c.token++
	token := c.token
	p.music = token
	if len(c.music) > 0 {
		p.leg.Play(token, c.music, true)
		return
	}
	find := c.settings.HoldMusic
	if find == nil {
		p.leg.Play(token, c.settings.HoldTone, true)
		return
	}
	device, user := c.deviceOf(by)
	c.activity.Begin()
	go func() {
		defer c.activity.End()
		var clips []*media.Clip
		var err error
		c.guard(func() { clips, err = find(c.ctx, c.about.AccountID, device, user) })
		c.do(func() { c.foundMusic(p, token, clips, err) })
	}()
}

// foundMusic plays music that was looked for, unless it is not wanted any more.
func (c *Call) foundMusic(p *party, token int, clips []*media.Clip, err error) {
	if c.ended || p.lent || p.music != token {
		return
	}
	if err != nil {
		c.note("no music on hold", err.Error())
	}
	if len(clips) == 0 {
		clips = c.settings.HoldTone
	}
	p.leg.Play(token, clips, true)
}

// deviceOf is the device of a party and its owner, "" for somebody outside.
func (c *Call) deviceOf(p *party) (device, user string) {
	if p.target != nil {
		return p.target.DeviceID, p.target.UserID
	}
	return c.about.DeviceID, c.about.UserID
}

// HoldMusic finds what is heard by those whom a device, "" for somebody outside, has put on hold. No clips stand for
// Settings.HoldTone; an error says why what was chosen cannot be played.
type HoldMusic func(ctx context.Context, accountID, deviceID, userID string) ([]*media.Clip, error)
