package contact

import (
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, typ, body string) *Facts {
	t.Helper()
	f, err := Read(typ, "id", []byte(body))
	if err != nil {
		t.Fatal(body, err)
	}
	return f
}

// TestWhereACallflowLeads: to the first module that reaches somebody, or to whose it was written down to be.
func TestWhereACallflowLeads(t *testing.T) {
	t.Parallel()
	for flow, want := range map[string]string{
		`{}`: "", `{"module":"user","data":{"id":"u"}}`: "u", `{"module":"menu","data":{"id":"m"}}`: "m", `{"module":"device","data":{"id":"d"}}`: "",
		`{"module":"answer","data":{},"children":{"_":{"module":"play","data":{},"children":{"_":{"module":"user","data":{"id":"u"}}}}}}`: "u",
		`{"module":"play","data":{},"children":{"1":{"module":"user","data":{"id":"u"}}}}`:                                                "",
		`{"module":"temporal_route","data":{},"children":{"_":{"module":"user","data":{"id":"u"}}}}`:                                      "",
		`{"module":"voicemail","data":{"id":"v"}}`:                                                                                        "v",
		`{"module":"voicemail","data":{"id":"v","action":"check"}}`:                                                                       "",
		`{"module":"faxbox","data":{"faxbox_id":"x"}}`:                                                                                    "fax x",
		`{"module":"receive_fax","data":{"owner_id":"u"}}`:                                                                                "fax u",
		`{"module":"park","data":{"slot":"701"}}`:                                                                                         "slot 701",
		`{"module":"group","data":{"id":"g"}}`:                                                                                            "g",
		`{"module":"ring_group","data":{"endpoints":[{"id":"g","endpoint_type":"group"}]}}`:                                               "g",
		`{"module":"ring_group","data":{"endpoints":[{"id":"u","endpoint_type":"user"}]}}`:                                                "",
		`{"module":"ring_group","data":{"endpoints":[{"id":"g","endpoint_type":"group"},{"id":"h","endpoint_type":"group"}]}}`:            "",
		`{"module":"user","data":{"id":7}}`:                                                                                               "", strings.Repeat(`{"module":"noop","data":{},"children":{"_":`, 99) + `{}` + strings.Repeat(`}}`, 99): "",
	} {
		f := read(t, "callflow", `{"flow":`+flow+`}`)
		got := strings.TrimSpace(f.Target + " " + f.Slot)
		if f.Fax {
			got = "fax " + got
		}
		if f.Slot != "" {
			got = "slot " + got
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", flow, got, want)
		}
	}
	for body, want := range map[string]string{
		`{"owner_id":"o","flow":{"module":"temporal_route","data":{}}}`: "o",
		`{"group_id":"g"}`: "g",
		`{"owner_id":"o","flow":{"module":"menu","data":{"id":"m"}}}`:   "m",
		`{"owner_id":"o","flow":{"module":"park","data":{"slot":"1"}}}`: "",
		`{"owner_id":"o","flow":{"module":"device","data":{"id":"d"}}}`: "o",
	} {
		if f := read(t, "callflow", body); f.Target != want {
			t.Errorf("%s leads to %q, want %q", body, f.Target, want)
		}
	}
	if _, err := Read("callflow", "id", []byte(`{"flow":{"module`)); err == nil {
		t.Error("broken JSON is read")
	}
}

func TestNumbersAreComparedAsSets(t *testing.T) {
	t.Parallel()
	a, b := PhoneNumber{"+1", DirectNumber, VoiceFax}, PhoneNumber{"+1", DirectNumber, FaxOnly}
	for _, c := range []struct {
		x, y []PhoneNumber
		same bool
	}{{nil, []PhoneNumber{}, true}, {[]PhoneNumber{a, b}, []PhoneNumber{b, a}, true}, {[]PhoneNumber{a}, []PhoneNumber{b}, false},
		{[]PhoneNumber{a}, []PhoneNumber{a, b}, false}, {[]PhoneNumber{a}, []PhoneNumber{a, a}, true}} {
		x, y := Contact{PhoneNumbers: c.x}, Contact{PhoneNumbers: c.y}
		if Same(&x, &y) != c.same {
			t.Errorf("%v and %v", c.x, c.y)
		}
	}
	// The number that a user has moves from one use to another: that is a change.
	x, y := Contact{PhoneNumbers: []PhoneNumber{{"+1", MobileNumber, ""}}}, Contact{PhoneNumbers: []PhoneNumber{{"+1", ContactNumber, ""}}}
	if got := Changed(&x, &y); !slices.Equal(got, []string{"phoneNumbers"}) {
		t.Error(got)
	}
}

func TestOrderIsByFamilyName(t *testing.T) {
	t.Parallel()
	s := NewSorter()
	list := []Contact{{FirstName: "Zoë", LastName: "Åkesson"}, {FirstName: "ann", LastName: "albers"}, {Name: "Info"}, {LastName: "Öz"}, {LastName: "Zander"},
		{LastName: strings.Repeat("Ω", 5000)}}
	slices.SortFunc(list, func(x, y Contact) int { return strings.Compare(string(s.Key(&x)), string(s.Key(&y))) })
	var got []string
	for _, c := range list {
		got = append(got, c.LastName+c.Name)
	}
	if want := []string{"Åke", "albe", "Info", "Öz", "Zand", "ΩΩ"}; !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Error(got)
	}
}
