package registrar

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelled is what RFC 3261 §10.3 says about one binding, kept as simply as can be.
type modelled struct {
	callID  string
	cseq    uint32
	expires time.Time
}

// history is a registrar beside its model: a map for each of two phones.
type history struct {
	r     *Registrar
	clock testClock
	log   *memoryLog
	lazy  time.Duration // RefreshWithin
	model map[string]map[string]modelled
}

// live returns the contacts that the model has for a phone, and forgets those that have ended.
func (h *history) live(device string) (out []string) {
	for c, m := range h.model[device] {
		if m.expires.After(h.clock.Now()) {
			out = append(out, c)
		} else {
			delete(h.model[device], c)
		}
	}
	slices.Sort(out)
	return out
}

func (h *history) draw(t *rapid.T) Request {
	req := request(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "call"), uint32(rapid.IntRange(1, 20).Draw(t, "cseq")))
	req.DeviceID = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "device")
	h.live(req.DeviceID)
	return req
}

func (h *history) register(t *rapid.T) {
	req := h.draw(t)
	next, refused := maps.Clone(h.model[req.DeviceID]), false
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 13), 0, 4, rapid.ID[int]).Draw(t, "contacts") {
		uri := fmt.Sprint("sip:", n)
		seconds := rapid.SampledFrom([]int{-1, 0, 30, 60, 100, 5000}).Draw(t, "expires")
		req.Contacts = append(req.Contacts, contact(uri, seconds))
		old, known := h.model[req.DeviceID][uri]
		switch {
		case known && old.callID == req.CallID && req.CSeq <= old.cseq, seconds > 0 && seconds < 60:
			refused = true
		case seconds == 0:
			delete(next, uri)
		default:
			granted := map[int]int{-1: 300, 60: 60, 100: 100, 5000: 3600}[seconds]
			next[uri] = modelled{req.CallID, req.CSeq, h.clock.Now().Add(time.Duration(granted) * time.Second)}
		}
	}
	saves := slices.ContainsFunc(req.Contacts, func(c Contact) bool { return c.Expires != 0 })
	h.carryOut(t, req, next, refused || saves && len(next) > DefaultMaxContacts)
}

func (h *history) removeAll(t *rapid.T) {
	req := h.draw(t)
	req.RemoveAll, req.Expires = true, 0
	refused := false
	for _, m := range h.model[req.DeviceID] {
		refused = refused || m.callID == req.CallID && req.CSeq <= m.cseq
	}
	h.carryOut(t, req, map[string]modelled{}, refused)
}

func (h *history) carryOut(t *rapid.T, req Request, next map[string]modelled, refused bool) {
	if _, err := register(h.r, req); (err != nil) != refused {
		t.Fatalf("error %v, model refused %v", err, refused)
	}
	if !refused {
		h.model[req.DeviceID] = next
	}
}

func (h *history) restart(t *rapid.T) {
	h.r.Close()
	h.r = New(Options{Clock: h.clock, Log: h.log, RefreshWithin: h.lazy})
	if err := h.r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (h *history) check(t *rapid.T) {
	for device := range h.model {
		var got []string
		for _, b := range h.r.Locate(device) {
			got = append(got, b.Contact)
			if m := h.model[device][b.Contact]; !m.expires.Equal(b.Expires) || m.cseq != b.CSeq {
				t.Fatalf("%s %s: %+v, model %+v", device, b.Contact, b, m)
			}
		}
		slices.Sort(got)
		if want := h.live(device); !slices.Equal(got, want) {
			t.Fatalf("%s: %v, model %v", device, got, want)
		}
	}
}

// TestAgainstAModel runs random histories of two phones against a map.
func TestAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := &history{clock: newClock(), log: &memoryLog{}, model: map[string]map[string]modelled{"a": {}, "b": {}},
			lazy: rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "refresh within")}
		h.r = New(Options{Clock: h.clock, Log: h.log, RefreshWithin: h.lazy})
		defer func() { h.r.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"register":   h.register,
			"remove all": h.removeAll,
			"time passes": func(t *rapid.T) {
				h.clock.Advance(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second)
			},
			"restart": h.restart,
			"":        h.check,
		})
	})
}

func BenchmarkRegister1000(b *testing.B) {
	for _, tt := range []struct {
		name string
		log  Log
	}{{"memory", nil}, {"log", &memoryLog{}}} {
		b.Run(tt.name, func(b *testing.B) {
			r := New(Options{Log: tt.log})
			defer r.Close()
			requests := make([]Request, 1000)
			for i := range requests {
				requests[i] = request("call", 0, contact(fmt.Sprintf("sip:u%d@10.0.0.1:5060", i), 3600))
				requests[i].DeviceID = fmt.Sprint("device", i)
			}
			done := make(chan error, len(requests))
			b.ReportAllocs()
			for b.Loop() {
				for i := range requests {
					requests[i].CSeq++
					r.Register(requests[i], func(_ []Binding, err error) { done <- err })
				}
				for range requests {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
