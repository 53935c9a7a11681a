package module

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
)

// ringGroup: the phones of several people and devices ring, all at once or one after the other, for some rounds. The
// caller hears ringing, or audio of the administrator's choice, and talks to whoever answers first.
func (m *modules) ringGroup(ctx context.Context, step *callflow.Step) callflow.Next {
	data := step.Data()
	options := call.DialOptions{IgnoreEarlyMedia: true, FailOnSingleReject: data.Bool("fail_on_single_reject", false)}
	if reference := data.String("ringback"); reference != "" {
		options.Ringback = m.resolve(ctx, step, reference)
	}
	if options.Ringback == nil {
		options.Ringback = m.ringback(ctx, step)
	}
	strategy := data.String("strategy")
	if strategy == "single" || strategy == "weighted_random" {
		options.Strategy = call.Single
	}
	var result call.DialResult
	for range min(max(data.Int("repeats", 1), 1), maxRounds) {
		endpoints := m.groupEndpoints(ctx, step, strategy == "weighted_random")
		if len(endpoints) == 0 {
			return callflow.Continue("_")
		}
		var err error
		result, err = step.Call.Dial(ctx, endpoints, options)
		if err != nil || result.Answered {
			return callflow.Stop{}
		}
	}
	return unanswered(step, result)
}

// member is one entry of endpoints.
type member struct {
	bugle.Fields
	weight int
}

func (m *modules) groupEndpoints(ctx context.Context, step *callflow.Step, shuffle bool) []call.Endpoint {
	members := m.members(step, shuffle)
	var endpoints []call.Endpoint
	for _, member := range members {
		w := m.memberWish(step, member)
		id := member.String("id")
		switch kind := member.String("endpoint_type"); kind {
		case "user":
			endpoints = append(endpoints, m.userEndpoints(ctx, step, id, w)...)
		case "device":
			if e, ok := m.deviceEndpoint(ctx, step, id, w); ok {
				endpoints = append(endpoints, e)
			}
		default:
			step.Call.Note("not rung", kind+" "+id+": groups cannot be rung yet")
		}
	}
	return endpoints
}

// members are the entries of endpoints that take part now, in the order in which they are to be rung.
func (m *modules) members(step *callflow.Step, shuffle bool) []member {
	var raw []json.RawMessage
	if json.Unmarshal(step.Data()["endpoints"], &raw) != nil {
		return nil
	}
	var members []member
	now := gregorian(step.Call.Now())
	for _, doc := range raw {
		fields, err := bugle.ParseFields(doc)
		if err != nil {
			continue
		}
		if int64(fields.Int("disable_until", 0)) > now {
			step.Call.Note("not rung", fields.String("id")+": has left the group for now")
			continue
		}
		members = append(members, member{fields, max(fields.Int("weight", 1), 1)})
	}
	if shuffle {
		m.shuffle(members)
	}
	return members
}

// shuffle orders members at random; the heavier a member, the likelier it comes early.
func (m *modules) shuffle(members []member) {
	random := m.Random
	if random == nil {
		random = rand.IntN
	}
	for i := range members {
		total := 0
		for _, other := range members[i:] {
			total += other.weight
		}
		at, pick := random(total), i
		for at >= members[pick].weight {
			at -= members[pick].weight
			pick++
		}
		chosen := members[pick]
		copy(members[i+1:pick+1], slices.Clone(members[i:pick]))
		members[i] = chosen
	}
}

// memberWish is the member's own delay and timeout over those of the group.
func (m *modules) memberWish(step *callflow.Step, member member) wish {
	data := step.Data()
	w := wishOf(data)
	w.delay = seconds(member.Fields, "delay", 0)
	if _, ok := member.Fields["timeout"]; ok {
		w.timeout = seconds(member.Fields, "timeout", 20)
	}
	if alert := data.Object("ringtones").String("internal"); alert != "" {
		w.headers = maps.Clone(w.headers)
		if w.headers == nil {
			w.headers = map[string]string{}
		}
		w.headers["Alert-Info"] = alert
	}
	return w
}

// gregorian is KAZOO's time in documents: seconds since the year 0.
func gregorian(t time.Time) int64 { return t.Unix() + 62167219200 }
