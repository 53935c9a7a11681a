package module

import (
	"context"
	"errors"
	"slices"
	"time"

	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// The times of a parked call when a node says nothing, in milliseconds; KAZOO's.
const (
	defaultParkWait = 120_000 // until the one who has parked it is rung
	defaultParkRing = 30_000  // how long he is rung
)

const slotsExceeded = "MAX_SLOT_EXCEEDED" // the child for callers who find no slot

// park: a caller waits in a slot with music until a phone dials for him, or a phone is connected with the one who waits there.
//
// Phones park by transferring a caller here, blind or attended, and hear the slot. When nobody retrieves him in time, the
// phone that parked him is rung; when it does not answer either, the child named like the slot follows, or "_", and without
// both he waits on.
func (m *modules) park(ctx context.Context, step *callflow.Step) callflow.Next {
	p := &parking{modules: m, step: step, slot: step.Data().String("slot")}
	if p.slot == "" {
		p.slot = step.CaptureGroup
	}
	p.underway, p.back = step.Call.Transferring(ctx)
	switch step.Data().String("action") {
	case "retrieve":
		return p.retrieve(ctx)
	case "auto":
		if !p.underway && step.Call.Occupied(p.slot) {
			return p.retrieve(ctx)
		}
	case "direct_park":
		p.direct = true
	}
	return p.run(ctx)
}

// parking is one call in a park node.
type parking struct {
	*modules
	step           *callflow.Step
	slot           string
	direct         bool
	underway, back bool // it comes of a transfer; who asked for it is still there
}

// retrieve connects the caller with the one who waits.
func (p *parking) retrieve(ctx context.Context) callflow.Next {
	if p.step.Call.Occupied(p.slot) {
		if p.step.Call.Answer(ctx) != nil || p.step.Call.Retrieve(ctx, p.slot) != nil {
			return callflow.Stop{}
		}
	}
	p.step.Call.Note("nobody to retrieve", p.slot)
	return p.refuse(ctx, speech.PromptParkEmpty)
}

// refuse says why nothing comes of it. A caller who was transferred here goes back to the party that asked for it.
func (p *parking) refuse(ctx context.Context, prompt string) callflow.Next {
	if !p.back && p.step.Call.Answer(ctx) == nil {
		_, _ = p.step.Call.Play(ctx, p.prompts(ctx, prompt), call.PlayOptions{Terminators: call.AnyKey}) // the flow stops anyway
	}
	return callflow.Stop{}
}

func (p *parking) run(ctx context.Context) callflow.Next {
	if !p.underway && p.step.Call.Answer(ctx) != nil { // an answer would end the transfer
		return callflow.Stop{}
	}
	number, err := p.step.Call.TakeSlot(ctx, call.Parking{Slot: p.slot, Highest: p.step.Data().Int("max_slot_number", 0),
		PresenceID: p.presence(), RingbackID: p.step.DeviceID})
	switch {
	case errors.Is(err, call.ErrSlotsBeyond):
		return p.beyond(ctx)
	case errors.Is(err, call.ErrSlotTaken):
		return p.taken(ctx)
	case err != nil:
		return callflow.Stop{}
	}
	p.slot = number
	options := call.ParkOptions{Direct: p.direct, Music: p.step.HoldMusic(ctx),
		Timeout: p.time("ringback_timeout", "default_ringback_timeout", defaultParkWait)}
	options.Announce = slices.Concat(p.prompts(ctx, speech.PromptParkPlaced),
		p.Speech.Digits(ctx, p.step.Account.ID, p.step.Language, number))
	for {
		retrieved, err := p.step.Call.Park(ctx, options)
		if err != nil || retrieved {
			return callflow.Stop{}
		}
		if next := p.unclaimed(ctx); next != nil {
			return next
		}
		options.Announce = nil
	}
}

// unclaimed rings the phone that has parked the caller, and goes on in the flow when it does not answer; nil when the flow
// does not.
func (p *parking) unclaimed(ctx context.Context) callflow.Next {
	p.step.Call.Flush()
	if p.ringBack(ctx) {
		return callflow.Stop{}
	}
	for _, key := range []string{p.slot, "_"} {
		if rest, ok := p.step.Node.Children[key]; ok && !rest.IsZero() {
			p.step.Call.LeaveSlot()
			return callflow.Continue(key)
		}
	}
	if ctx.Err() != nil || p.step.Call.Moved() {
		return callflow.Stop{}
	}
	return nil
}

// ringBack rings the phone that has parked the caller, unless that is the caller himself. It is true when the caller has
// talked to it, or to somebody who has retrieved him meanwhile.
func (p *parking) ringBack(ctx context.Context) bool {
	legs := p.step.Call.Info().Legs
	if p.step.DeviceID == "" || len(legs) == 0 || legs[0].DeviceID == p.step.DeviceID {
		return false
	}
	w := wish{timeout: p.time("callback_timeout", "default_callback_timeout", defaultParkRing), callSelf: true}
	shown := p.step.Caller
	defer func() { p.step.Caller = shown }()
	if p.step.Caller.Number != legs[0].Number { // he has taken the place of the one who called
		shown = call.Party{Name: legs[0].Name, Number: legs[0].Number}
	}
	p.step.Caller = call.Party{Name: "Parking slot " + p.slot + " - " + shown.Name, Number: shown.Number}
	endpoint, ok := p.deviceEndpoint(ctx, p.step, p.step.DeviceID, w)
	if !ok {
		return false
	}
	result, err := p.step.Call.Dial(ctx, []call.Endpoint{endpoint}, call.DialOptions{IgnoreEarlyMedia: true})
	return err != nil || result.Answered
}

// beyond is that the caller may have no slot.
func (p *parking) beyond(ctx context.Context) callflow.Next {
	p.step.Call.Note("no slot", "max_slot_number is reached")
	if rest, ok := p.step.Node.Children[slotsExceeded]; ok && !rest.IsZero() {
		return callflow.Continue(slotsExceeded)
	}
	return p.refuse(ctx, speech.PromptParkFull)
}

// taken is that somebody waits in the slot that was named. A caller who was transferred to it, and whom nobody would have
// back, rings the phone that wanted it.
func (p *parking) taken(ctx context.Context) callflow.Next {
	p.step.Call.Note("slot in use", p.slot)
	if p.underway && !p.back {
		if p.ringBack(ctx) {
			return callflow.Stop{}
		}
		return callflow.Continue("_")
	}
	return p.refuse(ctx, speech.PromptParkInUse)
}

// time is one of the slot's own settings, or the node's default, in milliseconds.
func (p *parking) time(own, general string, otherwise int) time.Duration {
	data := p.step.Data()
	ms := data.Object("slots").Object(p.slot).Int(own, data.Int(general, otherwise))
	return time.Duration(min(max(ms, 1), longestRing*1000)) * time.Millisecond
}

// presence is what the node says of whose lamps show the slot.
func (p *parking) presence() string {
	data := p.step.Data()
	for _, id := range []string{data.Object("slots").Object(p.slot).String("presence_id"), data.String("custom_presence_id"),
		data.String("presence_id")} {
		if id != "" {
			return id
		}
	}
	return ""
}

func (p *parking) prompts(ctx context.Context, ids ...string) []*media.Clip {
	return p.Speech.Prompts(ctx, p.step.Account.ID, p.step.Language, ids...)
}
