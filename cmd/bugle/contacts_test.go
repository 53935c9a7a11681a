package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"testing"

	"bugle/internal/bugletest"
)

// summarise says what a listing of either API has of the contacts that are no people, and of fax numbers.
func summarise(list []map[string]any) (lines []string) {
	text := func(m map[string]any, keys ...string) (out string) {
		for _, key := range keys {
			value, _ := m[key].(string)
			out = cmp.Or(out, value)
		}
		return out
	}
	for _, c := range list {
		if kind := text(c, "type"); kind == "Voicemail" || kind == "ParkLocation" {
			lines = append(lines, kind+" "+text(c, "name")+" "+text(c, "extensionNumber", "extension_number"))
		}
		numbers, _ := c["phoneNumbers"].([]any)
		if numbers == nil {
			numbers, _ = c["phone_numbers"].([]any)
		}
		for _, n := range numbers {
			if n, _ := n.(map[string]any); text(n, "type") == "FaxOnly" {
				lines = append(lines, "fax "+text(c, "lastName", "last_name")+" "+text(n, "phoneNumber", "phone_number", "number"))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

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
	owner := users[slices.IndexFunc(users, func(u struct {
		ID   string `json:"id"`
		Last string `json:"last_name"`
	}) bool {
		return u.Last != ""
	})]
	flow("7100", "voicemail", object{"id": create("vmboxes", object{"name": "Front desk", "mailbox": "7100"})})
	flow("7200", "voicemail", object{"id": create("vmboxes", object{"name": "Somebody's", "mailbox": "7200", "owner_id": owner.ID})})
	flow("7101", "park", object{"slot": "101", "action": "auto"})
	flow("+14155550177", "faxbox", object{"id": create("faxboxes", object{"name": "Fax", "owner_id": owner.ID})})
	flow("+14155550178", "receive_fax", object{"owner_id": owner.ID})

	want := []string{"ParkLocation park 7101 7101", "Voicemail Front desk 7100", "fax " + owner.Last + " +14155550177", "fax " + owner.Last + " +14155550178"}
	var list []map[string]any
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
	if got := summarise(entries); !slices.Equal(got, want) {
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
