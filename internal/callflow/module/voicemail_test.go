package module_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bugle"
	"bugle/internal/callflow/callflowtest"
)

// postal is a house in which Ann Lee (1002) owns mailbox 1002 and nobody owns 800.
func postal(t *testing.T, change func(b *bugle.Mailbox)) *callflowtest.House {
	t.Helper()
	h := house(t)
	recordings("after", "greeting", "temporary", "greeting-ann", "operator")(h)
	ann := bugle.Mailbox{ID: "ann", Number: "1002", Name: "Ann", OwnerID: "ann-lee", CheckIfOwner: true, IsSetup: true, Seek: 2 * time.Second}
	if change != nil {
		change(&ann)
	}
	h.Mailboxes.Boxes["ann"] = ann
	h.Mailboxes.Boxes["shop"] = bugle.Mailbox{ID: "shop", Number: "800", Name: "Shop", CheckIfOwner: true, IsSetup: true}
	h.Mailboxes.PINs["ann"], h.Mailboxes.PINs["shop"] = "1234", "8888"
	h.Callflow("box", "500", `{"module":"voicemail","data":{"id":"ann","max_message_length":30},"children":{"_":`+after+`}}`)
	h.Callflow("ann", "700", `{"module":"user","data":{"id":"ann-lee","timeout":5},"children":{"_":{"module":"voicemail","data":{"id":"ann"}}}}`)
	h.Callflow("device", "701", `{"module":"device","data":{"id":"1002","timeout":5},"children":{"_":{"module":"voicemail","data":{"id":"ann"}}}}`)
	h.Callflow("group", "702", `{"module":"ring_group","data":{"timeout":5,"endpoints":[{"endpoint_type":"user","id":"ann-lee"}]},
		"children":{"_":{"module":"voicemail","data":{"id":"ann"}}}}`)
	h.Callflow("direct", `^\*\*([0-9]+)$`, `{"module":"voicemail","children":{"_":`+after+`}}`)
	h.Callflow("check", `^\*97([0-9]*)$`, `{"module":"voicemail","data":{"action":"check"},"children":{"_":`+after+`}}`)
	h.Callflow("single", `^\*98([0-9]*)$`, `{"module":"voicemail","data":{"action":"check","single_mailbox_login":true}}`)
	h.Callflow("match", "*99", `{"module":"voicemail","data":{"action":"check","callerid_match_login":true}}`)
	h.Callflow("operator", "0", `{"module":"play","data":{"id":"operator"}}`)
	return h
}

// in says what is in the boxes: "box folder length from".
func in(h *callflowtest.House) (list []string) {
	h.Settle()
	for _, m := range h.Mailboxes.All() {
		length := time.Duration(len(m.PCM)) * time.Second / 8000
		if m.Length != length {
			list = append(list, fmt.Sprintf("length is %v, says %v", length, m.Length))
		}
		list = append(list, fmt.Sprintf("%s %s %v %s", m.BoxID, m.Folder, length, m.FromNumber))
	}
	return list
}

const (
	greets   = "hear vm-person 1 0 0 2 vm-not_available vm-record_message tone-beep\nwait 600ms\n"
	thanks   = "hear vm-saved vm-thank_you after\nends NORMAL_CLEARING\n"
	keptNine = "ann new 9s 1001"
)

var composeDialogues = []struct {
	name   string
	change func(b *bugle.Mailbox)
	script string
	want   []string
}{
	{"hangs up after speaking", nil, "dial 500\nanswered\n" + greets + "wait 9s\nhangs up", []string{keptNine}},
	{"hangs up at once", nil, "dial 500\n" + greets + "wait 300ms\nhangs up", nil},
	{"hangs up in the greeting", nil, "dial 500\nhear vm-person\nhangs up", nil},
	{"hangs up in the beep", nil, "dial 500\nhear vm-person 1 0 0 2 vm-not_available vm-record_message tone-beep\nhangs up", nil},
	{"a key ends it, 1 saves", nil, "dial 500\n" + greets + "wait 9s\npress #\nhear vm-review_recording\npress 1\n" + thanks, []string{keptNine}},
	{"hangs up in the review", nil, "dial 500\n" + greets + "wait 9s\npress 5\nhear vm-review_recording\nhangs up", []string{keptNine}},
	{"says nothing in the review", nil, "dial 500\n" + greets + `wait 9s
		press #
		hear vm-review_recording vm-review_recording vm-review_recording
		` + thanks, []string{keptNine}},
	{"listens", nil, "dial 500\n" + greets + "wait 9s\npress #\nhear vm-review_recording\npress 2\nhear recording\nwait 9s\nhear vm-review_recording\npress 1\n" + thanks,
		[]string{keptNine}},
	{"records again", nil, "dial 500\n" + greets + `wait 20s
		press #
		hear vm-review_recording
		press 3
		hear tone-beep
		wait 600ms
		wait 8800ms
		press #
		hear vm-review_recording
		press 1
		` + thanks, []string{"ann new 9s 1001"}},
	{"a wrong key in the review", nil, "dial 500\n" + greets + "wait 9s\npress #\nhear vm-review_recording\npress 9\nhear menu-invalid_entry vm-review_recording\npress 1\n" + thanks,
		[]string{keptNine}},
	{"the operator after it", nil, "dial 500\n" + greets + "wait 9s\npress #\nhear vm-review_recording\npress 0\nhear vm-saved operator after\nends", []string{keptNine}},
	{"max_message_length", nil, "dial 500\n" + greets + "wait 31s\nhear vm-review_recording\nhangs up", []string{"ann new 30s 1001"}},
	{"silence ends it", nil, "dial 500\n" + greets + "wait 1s\nsays 0\nhear vm-review_recording\nhangs up", []string{"ann new 9s 1001"}},
	{"too short", nil, "dial 500\n" + greets + "press #\nhear vm-recording_to_short tone-beep\nwait 600ms\nwait 9s\nhangs up", []string{keptNine}},
	{"too short again and again", nil, "dial 500\n" + greets + `press #
		hear vm-recording_to_short tone-beep
		wait 600ms
		press #
		hear vm-recording_to_short tone-beep
		wait 600ms
		press #
		hear vm-recording_to_short after
		ends`, nil},
	{"another key skips the greeting", nil, "dial 500\nhear vm-person\npress 5\nhear tone-beep\nwait 600ms\nwait 8800ms\nhangs up", []string{keptNine}},
	{"0 leads to the operator", nil, "dial 500\nhear vm-person\npress 0\nhear operator after\nends", nil},
	{"0 leads nowhere", func(b *bugle.Mailbox) { b.Operator = "4711" }, "dial 500\nhear vm-person\npress 0\nhear tone-beep", nil},
	{"0 leads to a number of its own", func(b *bugle.Mailbox) { b.Operator = "1003" }, "dial 500\nhear vm-person\npress 0\nrings 1003", nil},
	{"* asks for the PIN", nil, "dial 500\nhear vm-person\npress *\nhear vm-enter_pass", nil},
	{"a greeting of its own", func(b *bugle.Mailbox) { b.Unavailable = "greeting" }, "dial 500\nhear greeting vm-record_message tone-beep", nil},
	{"the temporary greeting goes before it", func(b *bugle.Mailbox) { b.Unavailable, b.Temporary = "greeting", "temporary" },
		"dial 500\nhear temporary vm-record_message", nil},
	{"a greeting that was deleted", func(b *bugle.Mailbox) { b.Unavailable = "gone" }, "dial 500\nhear vm-person", nil},
	{"skip_greeting", func(b *bugle.Mailbox) { b.SkipGreeting = true }, "dial 500\nhear vm-record_message tone-beep", nil},
	{"skip_instructions", func(b *bugle.Mailbox) { b.SkipInstructions = true }, "dial 500\nhear vm-person 1 0 0 2 vm-not_available tone-beep", nil},
	{"skip both", func(b *bugle.Mailbox) { b.SkipGreeting, b.SkipInstructions = true, true }, "dial 500\nhear tone-beep", nil},
	{"announcement_only", func(b *bugle.Mailbox) { b.AnnouncementOnly = true }, "dial 500\nhear vm-person 1 0 0 2 vm-not_available after\nends", nil},
	{"a user who does not answer", nil, "dial 700\nrings 1002\nreleased 1002 NO_ANSWER\nanswered\n" + greets + "wait 9s\nhangs up", []string{keptNine}},
	{"a user who is busy", nil, "dial 700\nrings 1002\nrefuses 1002 486\nhear vm-person", nil},
	{"a device that does not answer", nil, "dial 701\nrings 1002\nreleased 1002\nhear vm-person", nil},
	{"a ring group that nobody answers", nil, "dial 702\nrings 1002\nreleased 1002\nhear vm-person", nil},
	{"by the box's number", nil, "dial **1002\nhear vm-person 1 0 0 2", nil},
	{"no such box", nil, "dial **4711\nanswered\nhear vm-not_available_no_voicemail after\nends", nil},
	{"the owner comes to the messages", nil, "from 1002\ndial 500\nhear vm-no_messages vm-main_menu", nil},
	{"the owner leaves a message all the same", func(b *bugle.Mailbox) { b.CheckIfOwner = false }, "from 1002\ndial 500\nhear vm-person", nil},
}

func TestVoicemailCompose(t *testing.T) {
	t.Parallel()
	for _, test := range composeDialogues {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := postal(t, test.change)
			h.Play(test.script)
			got := in(h)
			for i := range got { // how long a key and a pause take is not the point
				got[i] = strings.NewReplacer(" 9.4s", " 9s", " 9.2s", " 9s", " 8.8s", " 9s", " 9.6s", " 9s", " 9.9s", " 9s").Replace(got[i])
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("messages: %q, want %q", got, test.want)
			}
			if h.Panics() != 0 {
				t.Error("a panic")
			}
		})
	}
}
