package registrar

import (
	"fmt"
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

// TestAgainstAModel runs random histories of a few phones against a map.
func TestAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clock, log := newClock(), &memoryLog{}
		r := New(Options{Clock: clock, Log: log})
		defer func() { r.Close() }()
		model := map[string]map[string]modelled{"a": {}, "b": {}}
		devices := rapid.SampledFrom([]string{"a", "b"})
		live := func(d string) (out []string) {
			for c, m := range model[d] {
				if m.expires.After(clock.Now()) {
					out = append(out, c)
				} else {
					delete(model[d], c)
				}
			}
			slices.Sort(out)
			return out
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": func(t *rapid.T) {
				d := devices.Draw(t, "device")
				live(d) // forgets what has ended
				req := request(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "call"), uint32(rapid.IntRange(1, 20).Draw(t, "cseq")))
				req.DeviceID = d
				next, refused := map[string]modelled{}, false
				for c, m := range model[d] {
					next[c] = m
				}
				uris := rapid.SliceOfNDistinct(rapid.IntRange(0, 13), 0, 4, rapid.ID[int]).Draw(t, "contacts")
				for _, n := range uris {
					uri := fmt.Sprint("sip:", n)
					seconds := rapid.SampledFrom([]int{-1, 0, 30, 60, 100, 5000}).Draw(t, "expires")
					req.Contacts = append(req.Contacts, contact(uri, seconds))
					old, known := model[d][uri]
					switch {
					case known && old.callID == req.CallID && req.CSeq <= old.cseq, seconds > 0 && seconds < 60:
						refused = true
					case seconds == 0:
						delete(next, uri)
					default:
						granted := map[int]int{-1: 300, 60: 60, 100: 100, 5000: 3600}[seconds]
						next[uri] = modelled{req.CallID, req.CSeq, clock.Now().Add(time.Duration(granted) * time.Second)}
					}
				}
				saves := slices.ContainsFunc(req.Contacts, func(c Contact) bool { return c.Expires != 0 })
				if len(next) > DefaultMaxContacts && saves {
					refused = true
				}
				_, err := register(r, req)
				if (err != nil) != refused {
					t.Fatalf("error %v, model refused %v", err, refused)
				}
				if !refused {
					model[d] = next
				}
			},
			"remove all": func(t *rapid.T) {
				d := devices.Draw(t, "device")
				live(d)
				req := request(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "call"), uint32(rapid.IntRange(1, 20).Draw(t, "cseq")))
				req.DeviceID, req.RemoveAll, req.Expires = d, true, 0
				refused := false
				for _, m := range model[d] {
					refused = refused || m.callID == req.CallID && req.CSeq <= m.cseq
				}
				if _, err := register(r, req); (err != nil) != refused {
					t.Fatalf("error %v, model refused %v", err, refused)
				}
				if !refused {
					model[d] = map[string]modelled{}
				}
			},
			"time passes": func(t *rapid.T) {
				clock.advance(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second)
				// The sweep goes through the log; a query of each device waits behind it.
				clock.advance(0)
			},
			"restart": func(t *rapid.T) {
				r.Close()
				r = New(Options{Clock: clock, Log: log})
				if err := r.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				for d := range model {
					var got []string
					for _, b := range r.Locate(d) {
						got = append(got, b.Contact)
						if m := model[d][b.Contact]; !m.expires.Equal(b.Expires) || m.cseq != b.CSeq {
							t.Fatalf("%s %s: %+v, model %+v", d, b.Contact, b, m)
						}
					}
					slices.Sort(got)
					if want := live(d); !slices.Equal(got, want) {
						t.Fatalf("%s: %v, model %v", d, got, want)
					}
				}
			},
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
