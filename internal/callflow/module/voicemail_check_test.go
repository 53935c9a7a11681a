package module_test

import (
	"slices"
	"testing"
	"time"

	"bugle"
	"bugle/internal/callflow/callflowtest"
)

// filled puts messages into Ann's box: m1 of yesterday evening from 1001, m2 of this morning from nobody known.
func filled(t *testing.T, change func(b *bugle.Mailbox)) *callflowtest.House {
	t.Helper()
	h := postal(t, change)
	speaks := func(seconds int) []int16 { return slices.Repeat([]int16{700}, seconds*8000) }
	now := h.Now()
	for _, m := range []struct {
		from   string
		before time.Duration
		length int
	}{{"1001", 17*time.Hour + 30*time.Minute, 4}, {"", 2 * time.Hour, 3}} {
		if err := h.Mailboxes.Deposit(t.Context(), callflowtest.AccountID, h.Mailboxes.Box("ann"), bugle.VoicemailMessage{Arrived: now.Add(-m.before),
			FromNumber: m.from, Length: time.Duration(m.length) * time.Second}, speaks(m.length)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

const (
	has     = "hear vm-you_have num.2 vm-new_messages vm-main_menu\n"
	second  = "hear vm-message_number num.1 vm-received date.today date.at num.10 time.am vm.from vm.unknown.caller m2 vm-message_menu\n"
	first   = "hear vm-message_number num.2 vm-received date.yesterday date.at num.6 num.30 time.pm vm.from 1 0 0 1 m1 vm-message_menu\n"
	owner   = "from 1002\ndial *971002\n" + has
	stays   = "hear vm-you_have num.1 vm-new_message gen.and num.1 vm-saved_message vm-main_menu\n"
	goodbye = "hear vm-goodbye after\nends NORMAL_CLEARING\n"
)

var checkDialogues = []struct {
	name   string
	change func(b *bugle.Mailbox)
	script string
	want   []string // folders of m1, m2, ...; nil: both new
}{
	{"the owner needs no PIN", nil, owner + "press #\n" + goodbye, nil},
	{"anybody else does", nil, "dial *971002\nhear vm-enter_pass\npress 1 2 3 4 #\n" + has, nil},
	{"require_pin", func(b *bugle.Mailbox) { b.RequirePIN = true }, "from 1002\ndial *971002\nhear vm-enter_pass\npress 1 2 3 4 #\n" + has, nil},
	{"three wrong PINs", nil, "dial *971002\nhear vm-enter_pass\npress 1 1 1 1 #\nhear vm-fail_auth vm-enter_pass\npress 1 2 #\nhear vm-fail_auth vm-enter_pass\n" +
		"silence 3s\nhear vm-fail_auth vm-abort\nends NORMAL_CLEARING", nil},
	{"the number is asked for", nil, "dial *97\nhear vm-enter_id\npress 1 0 0 2 #\nhear vm-enter_pass\npress 1 2 3 4 #\n" + has, nil},
	{"a number that nobody has", nil, "dial *97\nhear vm-enter_id\npress 9 #\nhear menu-invalid_entry vm-enter_id\npress #\nhear menu-invalid_entry vm-enter_id\n" +
		"press 8 8 #\nhear menu-invalid_entry vm-abort\nends", nil},
	{"single_mailbox_login", nil, "from 1002\ndial *98\n" + has, nil},
	{"single_mailbox_login without a box", nil, "from 1003\ndial *98\nhear vm-enter_id", nil},
	{"callerid_match_login", func(b *bugle.Mailbox) { b.RequirePIN = true }, "from 1002\ndial *99\nhear vm-enter_pass", nil},
	{"callerid_match_login of somebody else", nil, "from 1003\ndial *99\nhear vm-enter_id", nil},
	{"listens and keeps", nil, owner + "press 1\n" + second + "press 1\nhear vm-saved\n" + first + "press 0\n" + stays, []string{"new", "saved"}},
	{"keys cut the message", nil, owner + "press 1\nhear vm-message_number\npress 1\nhear vm-saved vm-message_number\npress 7\nhear vm-deleted vm.nomore vm-you_have num.1 vm-saved_message",
		[]string{"deleted", "saved"}},
	{"oldest_message_first", func(b *bugle.Mailbox) { b.OldestFirst = true }, owner + "press 1\nhear vm-message_number num.1 vm-received date.yesterday", nil},
	{"skip_envelope", func(b *bugle.Mailbox) { b.SkipEnvelope = true }, owner + "press 1\nhear m2 vm-message_menu", nil},
	{"the box's time zone", func(b *bugle.Mailbox) { b.Timezone = "America/New_York" },
		owner + "press 1\nhear vm-message_number num.1 vm-received date.today date.at num.5 time.am", nil},
	{"again", nil, owner + "press 1\n" + second + "press 2\n" + second, nil},
	{"next, and back", nil, owner + "press 1\nhear vm-message_number num.1\npress 6\nhear vm-message_number num.2\npress 4\nhear vm-message_number num.1", nil},
	{"a wrong key", nil, owner + "press 1\nhear vm-message_number\npress *\nhear menu-invalid_entry vm-message_menu\npress 0\n" + has, nil},
	{"says nothing", nil, owner + "press 1\n" + second + "hear vm-message_menu vm-message_menu\n" + has, nil},
	{"no messages", nil, owner + "press 2\nhear vm-no_messages\n" + has, nil},
	{"forwards", nil, owner + "press 1\nhear vm-message_number\npress 3\nhear vm-enter_forward_id\npress 8 0 0 #\nhear vm.forwarded vm-message_menu",
		[]string{"new", "new", "new"}},
	{"forwards to itself", nil, owner + "press 1\nhear vm-message_number\npress 3\nhear vm-enter_forward_id\npress 1 0 0 2 #\nhear menu-invalid_entry vm-enter_forward_id\n" +
		"press 9 #\nhear menu-invalid_entry vm-enter_forward_id\npress #\nhear menu-invalid_entry vm-forward_abort vm-message_menu", nil},
	{"calls back", func(b *bugle.Mailbox) { b.OldestFirst = true }, owner + "press 1\nhear vm-message_number\npress 9\nhear vm.callback\nrings 1001\nhear ringback\nanswers 1001\ntalks 1001\nhangs up 1001\nhear after", nil},
	{"nobody to call back", nil, owner + "press 1\nhear vm-message_number\npress 9\nhear vm.nocallback vm-message_menu", nil},
	{"hangs up in the main menu", nil, "from 1002\ndial *971002\nhear vm-you_have\nhangs up", nil},
	{"hangs up in a message", nil, owner + "press 1\nhear vm-message_number\nhangs up", nil},
	{"hangs up in the login", nil, "dial *971002\nhear vm-enter_pass\npress 1\nhangs up", nil},
	{"hangs up when a number is asked for", nil, "dial *97\nhear vm-enter_id\nhangs up", nil},
	{"hangs up while forwarding", nil, owner + "press 1\nhear vm-message_number\npress 3\nhear vm-enter_forward_id\nhangs up", nil},
	{"hangs up in the settings", nil, owner + "press 5\nhear vm-settings_menu\nhangs up", nil},
	{"silence in the main menu", nil, owner + has + has + goodbye, nil},
	{"a wrong key in the main menu", nil, owner + "press 9\nhear menu-invalid_entry\n" + has, nil},
	{"not_configurable", func(b *bugle.Mailbox) { b.NotConfigurable = true }, owner + "press 5\nhear menu-invalid_entry", nil},
	{"settings and back", nil, owner + "press 5\nhear vm-settings_menu\npress 9\nhear menu-invalid_entry vm-settings_menu\npress 0\n" + has, nil},
	{"no such box", nil, "dial *974711\nhear vm-enter_id", nil},
}

func TestVoicemailCheck(t *testing.T) {
	t.Parallel()
	for _, test := range checkDialogues {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := filled(t, test.change)
			h.Play(test.script)
			if test.want == nil {
				test.want = []string{"new", "new"}
			}
			var got []string
			for _, m := range h.Mailboxes.All() {
				got = append(got, m.Folder)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("folders: %q, want %q", got, test.want)
			}
			if h.Panics() != 0 {
				t.Error("a panic")
			}
		})
	}
}

// TestVoicemailForward: the copy is new in the other box, with the same words from the same caller.
func TestVoicemailForward(t *testing.T) {
	t.Parallel()
	h := filled(t, func(b *bugle.Mailbox) { b.OldestFirst = true })
	h.Play(owner + "press 1\nhear vm-message_number\npress 3\nhear vm-enter_forward_id\npress 8 0 0 #\nhear vm.forwarded\nhangs up")
	all := h.Mailboxes.All()
	if m := all[len(all)-1]; m.BoxID != "shop" || m.FromNumber != "1001" || m.Length != 4*time.Second || m.PCM[9] != 700 {
		t.Errorf("%+v", m.VoicemailMessage)
	}
}

// TestVoicemailWinds: 5 and 8 move in the message.
func TestVoicemailWinds(t *testing.T) {
	t.Parallel()
	h := filled(t, func(b *bugle.Mailbox) { b.Winding, b.OldestFirst = true, true }) // 4 s, in steps of 2 s
	d := h.Play(owner + "press 1\nhear vm-message_number num.1 vm-received date.yesterday date.at num.6 num.30 time.pm vm.from 1 0 0 1 m1\nwait 800ms\npress 8\nhear m1")
	began := h.Now()
	h.GoOn(d, "hear vm-message_menu")
	if left := h.Now().Sub(began); left > 1300*time.Millisecond || left < 900*time.Millisecond {
		t.Errorf("%v of the message are left after 0.8 s and a step of 2 s", left)
	}
	h.GoOn(d, "wait 100ms\npress 5\nhear m1") // from its end
	began = h.Now()
	h.GoOn(d, "hear vm-message_menu")
	if left := h.Now().Sub(began); left > 2*time.Second || left < 1500*time.Millisecond {
		t.Errorf("%v of the message are left after a step back from its end", left)
	}
}

const newPIN = "hear vm-enter_new_pin\npress 4 3 2 1 #\nhear vm-enter_new_pin_confirm\npress 4 3 2 1 #\nhear vm-pin_set\n"

// TestVoicemailSettings: greetings, name and PIN are what was recorded and keyed.
func TestVoicemailSettings(t *testing.T) {
	t.Parallel()
	h := filled(t, nil)
	d := h.Play(owner + "press 5\nhear vm-settings_menu\npress 1\nhear vm-record_greeting tone-beep\nwait 600ms\nsays 1500\nwait 3s\npress #\n" +
		"hear vm-review_recording\npress 1\nhear vm-recording_saved vm-settings_menu\n" +
		"press 2\nhear vm-record_name tone-beep\nwait 600ms\nsays 1600\nwait 2s\npress #\nhear vm-review_recording\npress 3\nhear vm-record_name tone-beep\nwait 600ms\nwait 2s\npress 1\nhear vm-review_recording\npress 1\nhear vm-recording_saved vm-settings_menu\n" +
		"press 4\nhear vm-record_temp_greeting tone-beep\nwait 600ms\nsays 1700\nwait 2s\npress #\nhear vm-review_recording\npress 1\nhear vm-recording_saved vm-settings_menu\n")
	unavailable, temporary := h.Mailboxes.Greetings("ann")
	if name := h.Mailboxes.Names["ann-lee"]; len(unavailable) < 2*8000 || unavailable[8000] != 1500 || len(name) < 8000 || name[8000] != 1600 || len(temporary) < 8000 || temporary[8000] != 1700 {
		t.Errorf("recorded %d, %d and %d samples", len(unavailable), len(name), len(temporary))
	}
	if box := h.Mailboxes.Box("ann"); box.Unavailable != "greeting-ann" || box.Temporary != "temporary-ann" {
		t.Errorf("%+v", box)
	}
	h.GoOn(d, "press 5\nhear vm.temp.off vm-settings_menu\npress 3\n"+newPIN+"hear vm-settings_menu\nhangs up")
	if box := h.Mailboxes.Box("ann"); box.Temporary != "" || h.Mailboxes.PINs["ann"] != "4321" {
		t.Errorf("%+v, PIN %s", box, h.Mailboxes.PINs["ann"])
	}
	h.Play("from 1001\ndial 500\nhear greeting-ann vm-record_message")
	for _, r := range h.Reports() {
		for _, s := range r.Trail {
			if s.Name == "keys" && (s.Detail == "4321#" || s.Detail == "4321") {
				t.Error("the trail tells the PIN")
			}
		}
	}
}

// TestVoicemailSetup: whoever comes first chooses a PIN and records a greeting.
func TestVoicemailSetup(t *testing.T) {
	t.Parallel()
	fresh := func(b *bugle.Mailbox) { b.IsSetup = false }
	const greeting = "hear vm-setup_rec_greeting vm-record_greeting tone-beep\nwait 600ms\n"
	for _, test := range []struct {
		name, script, pin string
		setUp             bool
	}{
		{"to the end", newPIN + greeting + "wait 3s\npress #\nhear vm-review_recording\npress 1\nhear vm-recording_saved vm-setup_complete\n" + has, "4321", true},
		{"PINs that cannot be used", "hear vm-enter_new_pin\npress 1 2 #\nhear vm-pin_invalid vm-enter_new_pin\npress 4 3 2 1 #\nhear vm-enter_new_pin_confirm\npress 9 9 9 9 #\n" +
			"hear vm-pin_invalid vm-enter_new_pin\npress #\nhear vm-pin_invalid vm-goodbye\nends", "1234", false},
		{"hangs up before the PIN", "hear vm-enter_new_pin\nhangs up", "1234", false},
		{"hangs up after the PIN", newPIN + "hangs up", "4321", false},
		{"hangs up while recording", newPIN + greeting + "wait 3s\nhangs up", "4321", false},
		{"hangs up in the review", newPIN + greeting + "wait 3s\npress #\nhear vm-review_recording\nhangs up", "4321", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := filled(t, fresh)
			h.Play("from 1002\ndial *971002\nhear vm-setup_intro\n" + test.script)
			h.Settle()
			if box := h.Mailboxes.Box("ann"); box.IsSetup != test.setUp || h.Mailboxes.PINs["ann"] != test.pin {
				t.Errorf("%+v, PIN %s", box, h.Mailboxes.PINs["ann"])
			}
		})
	}
	h := filled(t, func(b *bugle.Mailbox) { b.IsSetup, b.NotConfigurable = false, true })
	h.Play(owner)
}

// TestVoicemailWithoutAStore: nobody is left in silence, and the caller goes on.
func TestVoicemailWithoutAStore(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"500", "**1002", "*971002"} {
		h := filled(t, nil)
		h.Mailboxes.Down = true
		h.Play("dial " + number + "\nanswered\nhear vm.disk after\nends NORMAL_CLEARING")
	}
	h := filled(t, nil)
	h.Mailboxes.Locked = true
	h.Play("dial *971002\nhear vm-enter_pass\npress 1 2 3 4 #\nhear vm.login.locked\nends NORMAL_CLEARING")
	h = filled(t, nil)
	d := h.Play("dial 500\nanswered\n" + greets + "wait 3s")
	h.Mailboxes.Fall()
	h.GoOn(d, "press #\nhear vm-review_recording\npress 1\nhear vm.disk after\nends")
}

// TestVoicemailBoxIsFull: nothing is recorded, and * leads in.
func TestVoicemailBoxIsFull(t *testing.T) {
	t.Parallel()
	h := postal(t, nil)
	for range 100 {
		if err := h.Mailboxes.Deposit(t.Context(), callflowtest.AccountID, h.Mailboxes.Box("ann"), bugle.VoicemailMessage{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	h.Play("dial 500\nhear vm-person 1 0 0 2 vm-not_available vm-mailbox_full after\nends")
	h.Play("dial 500\nhear vm-person 1 0 0 2 vm-not_available vm-mailbox_full\npress *\nhear vm-enter_pass")
	if n := len(h.Mailboxes.All()); n != 100 {
		t.Errorf("%d messages", n)
	}
}
