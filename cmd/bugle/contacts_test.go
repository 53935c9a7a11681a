package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"bugle/internal/bugletest"
)

// TestMailboxesSlotsAndFaxNumbersAreContacts: through the running program, in both APIs; and a call to the fax number is told why
// nobody takes it.
func TestMailboxesSlotsAndFaxNumbersAreContacts(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	ctx, api := within(t), o.api.For(o.company.accountID)
	create := func(path string, doc object) string {
		id, err := api.Create(ctx, api.Account(path), doc)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	flow := func(number, module string, data object) {
		create("callflows", object{"name": module + " " + number, "numbers": []string{number}, "flow": object{"module": module, "data": data}})
	}
	var users []struct {
		ID   string `json:"id"`
		Last string `json:"last_name"`
	}
	if err := api.Do(ctx, "GET", api.Account("users")+"?paginate=false", nil, &users); err != nil {
		t.Fatal(err)
	}
	owner := users[0]
	flow("7100", "voicemail", object{"id": create("vmboxes", object{"name": "Front desk", "mailbox": "7100"})})
	flow("7200", "voicemail", object{"id": create("vmboxes", object{"name": "Somebody's", "mailbox": "7200", "owner_id": owner.ID})})
	flow("7101", "park", object{"slot": "101", "action": "auto"})
	flow("+14155550177", "faxbox", object{"id": create("faxboxes", object{"name": "Fax", "owner_id": owner.ID})})
	flow("+14155550178", "receive_fax", object{"owner_id": owner.ID})

	type number struct {
		Number string `json:"phoneNumber"`
		Type   string `json:"type"`
	}
	type contact struct {
		Type      string
		Name      string
		LastName  string   `json:"lastName"`
		Extension string   `json:"extensionNumber"`
		Numbers   []number `json:"phoneNumbers"`
	}
	summarise := func(list []contact) (lines []string) {
		for _, c := range list {
			if c.Type == "Voicemail" || c.Type == "ParkLocation" {
				lines = append(lines, fmt.Sprintf("%s %s %s", c.Type, c.Name, c.Extension))
			}
			for _, n := range c.Numbers {
				if n.Type == "FaxOnly" {
					lines = append(lines, "fax "+c.LastName+" "+n.Number)
				}
			}
		}
		slices.Sort(lines)
		return lines
	}
	want := []string{"ParkLocation park 7101 7101", "Voicemail Front desk 7100", "fax " + owner.Last + " +14155550177", "fax " + owner.Last + " +14155550178"}
	var list []contact
	o.until(t, "the contacts are there", func() bool {
		if err := api.Do(ctx, "GET", api.Account("directory", "contacts")+"?paginate=false", nil, &list); err != nil {
			t.Fatalf("%v; the last listing has %q, want %q", err, summarise(list), want)
		}
		return slices.Equal(summarise(list), want)
	})
	rc := bugletest.NewRingCentral("http://"+o.HTTP, nil)
	if err := rc.NewSubscriber(ctx, api, owner.ID); err != nil {
		t.Fatal(err)
	}
	entries, err := rc.Entries(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	var listed []contact
	if err := json.Unmarshal(text, &listed); err != nil {
		t.Fatal(err)
	}
	if got := summarise(listed); !slices.Equal(got, want) {
		t.Errorf("RingCentral's listing has %q, want %q", got, want)
	}
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	if status := o.status(t, ann, "+14155550177"); status != 488 {
		t.Errorf("a call to the fax number: %d", status)
	}
	var records []struct {
		Cause  string `json:"hangup_cause"`
		Dialed string `json:"dialed_number"`
	}
	o.until(t, "the record tells it", func() bool {
		if err := api.Do(ctx, "GET", api.Account("cdrs"), nil, &records); err != nil {
			t.Fatal(err)
		}
		return len(records) == 1 && records[0].Cause == "BEARERCAPABILITY_NOTAVAIL"
	})
}
