package peers

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/media"
)

const beepTone = 440 // before a recording

// voicemail gives Cleo a mailbox and the account numbers for it, and returns the box's id.
func (o *office) voicemail(more object) (box string) {
	o.t.Helper()
	var users []struct {
		ID   string `json:"id"`
		Last string `json:"last_name"`
	}
	must(o.t, o.api.Do(o.ctx, "GET", "/accounts/"+o.account+"/users?paginate=false", nil, &users))
	document := object{"name": "Cleo", "mailbox": "1003", "pin": "4711", "is_setup": true}
	for _, user := range users {
		if user.Last == "Park" {
			document["owner_id"] = user.ID
		}
	}
	for key, value := range more {
		document[key] = value
	}
	box = o.create("vmboxes", document)
	o.create("callflows", object{"name": "Leave a message", "numbers": []string{"500"},
		"flow": object{"module": "voicemail", "data": object{"id": box}, "children": object{}}})
	o.create("callflows", object{"name": "Voicemail", "patterns": []string{`^\*97([0-9]*)$`},
		"flow": object{"module": "voicemail", "data": object{"action": "check", "single_mailbox_login": true}, "children": object{}}})
	return box
}

// voicemailRow is a message as the API lists it.
type voicemailRow struct {
	ID     string `json:"media_id"`
	Folder string
	Length int64  // ms
	Name   string `json:"caller_id_name"`
	Number string `json:"caller_id_number"`
}

// messages waits until the API shows as many in a folder.
func (o *office) messages(box, folder string, count int) (rows []voicemailRow) {
	o.t.Helper()
	for {
		must(o.t, o.api.Do(o.ctx, "GET", "/accounts/"+o.account+"/vmboxes/"+box+"/messages?folder="+folder, nil, &rows))
		if len(rows) == count {
			return rows
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-o.ctx.Done():
			o.t.Fatalf("%d messages are %s, not %d\n%.4000s", len(rows), folder, count, o.log())
		}
	}
}

// audio downloads WAV and tells what is in it.
func (o *office) audio(path string) (heard []bugletest.Hearing, length time.Duration) {
	o.t.Helper()
	wav, err := o.api.Download(o.ctx, "/accounts/"+o.account+path)
	must(o.t, err)
	pcm, err := media.ReadWAV(bytes.NewReader(wav), 1<<24)
	if err != nil {
		o.t.Fatalf("%s: %v", path, err)
	}
	listener := prompts().Listen(func(h bugletest.Hearing) { heard = append(heard, h) }, nil)
	listener.Write(pcm)
	listener.Close()
	return heard, time.Duration(len(pcm)) * time.Second / media.SampleRate
}

func (o *office) prompt(call *bugletest.PhoneCall, name string) {
	o.t.Helper()
	if _, err := call.WaitHear(o.ctx, name); err != nil {
		o.t.Fatalf("%s: %v\n%.4000s", name, err, o.log())
	}
}

func (o *office) dial(phone *bugletest.Phone, number string) *bugletest.PhoneCall {
	o.t.Helper()
	call, err := phone.Dial(o.ctx, number)
	must(o.t, err)
	must(o.t, call.WaitAnswer(o.ctx))
	return call
}

// speak says a tone for a while after the beep.
func (o *office) speak(call *bugletest.PhoneCall, hertz float64) {
	o.t.Helper()
	o.hears(call, beepTone)
	must(o.t, call.WaitToneOver(o.ctx, beepTone))
	call.SayTone(hertz)
	time.Sleep(1500 * time.Millisecond) // what is recorded is as long as somebody speaks
	call.Quiet()
}

func isTone(hertz float64) func(bugletest.Hearing) bool {
	return func(h bugletest.Hearing) bool { return h.IsTone(hertz) }
}

// TestAMessageIsLeftListenedToAndDeleted: what is recorded is what was said, for the API and for the owner's phone.
func TestAMessageIsLeftListenedToAndDeleted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	box := o.voicemail(nil)
	bob := o.phone(o.bob, bugletest.Behaviour{})
	cleo := o.phone(o.cleo, bugletest.Behaviour{})
	call := o.dial(bob, "500")
	o.prompt(call, "vm-person")
	o.prompt(call, "vm-record_message")
	o.speak(call, sippTone)
	must(t, call.Press(o.ctx, "#"))
	o.prompt(call, "vm-review_recording")
	must(t, call.Press(o.ctx, "1"))
	o.prompt(call, "vm-saved")
	o.ends(call, 200, true)
	message := o.messages(box, "new", 1)[0]
	heard, length := o.audio("/vmboxes/" + box + "/messages/" + message.ID + "/raw")
	if message.Name != "Bob Nowak" || message.Number != "1002" || message.Length < 1000 || message.Length != length.Milliseconds() ||
		!slices.ContainsFunc(heard, isTone(sippTone)) {
		t.Errorf("%+v, %v of %v", message, length, heard)
	}
	call = o.dial(cleo, "*97")
	o.prompt(call, "vm-you_have")
	o.prompt(call, "vm-main_menu")
	must(t, call.Press(o.ctx, "1"))
	o.prompt(call, "vm-message_number")
	o.hears(call, sippTone)
	must(t, call.Press(o.ctx, "7"))
	o.prompt(call, "vm-deleted")
	must(t, call.Hangup(o.ctx))
	o.messages(box, "deleted", 1)
	o.messages(box, "new", 0)
}

// TestTheOwnerRecordsGreetingAndName: what callers hear then, and what the user's document names for directories.
func TestTheOwnerRecordsGreetingAndName(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	box := o.voicemail(object{"skip_instructions": true})
	call := o.dial(o.phone(o.cleo, bugletest.Behaviour{}), "*97")
	o.prompt(call, "vm-no_messages")
	must(t, call.Press(o.ctx, "5"))
	for _, recorded := range []struct {
		key   string
		hertz float64
	}{{"1", 900}, {"2", 1100}} {
		o.prompt(call, "vm-settings_menu")
		must(t, call.Press(o.ctx, recorded.key))
		o.speak(call, recorded.hertz)
		must(t, call.Press(o.ctx, "#"))
		o.prompt(call, "vm-review_recording")
		must(t, call.Press(o.ctx, "1"))
	}
	o.prompt(call, "vm-settings_menu")
	must(t, call.Hangup(o.ctx))
	var document struct {
		Owner string `json:"owner_id"`
	}
	must(t, o.api.Do(o.ctx, "GET", "/accounts/"+o.account+"/vmboxes/"+box, nil, &document))
	var user struct{ Media struct{ Name string } }
	must(t, o.api.Do(o.ctx, "GET", "/accounts/"+o.account+"/users/"+document.Owner, nil, &user))
	if heard, _ := o.audio("/media/" + user.Media.Name + "/raw"); !slices.ContainsFunc(heard, isTone(1100)) {
		t.Errorf("the name is %v", heard)
	}
	o.hears(o.dial(o.phone(o.bob, bugletest.Behaviour{}), "500"), 900) // the greeting
}

// TestTheOwnerChangesThePIN: by telephone, and it lets another phone in; the old one does not.
func TestTheOwnerChangesThePIN(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	box := o.voicemail(nil)
	call := o.dial(o.phone(o.cleo, bugletest.Behaviour{}), "*97")
	o.prompt(call, "vm-no_messages")
	must(t, call.Press(o.ctx, "53"))
	o.prompt(call, "vm-enter_new_pin")
	must(t, call.Press(o.ctx, "2468#"))
	o.prompt(call, "vm-enter_new_pin_confirm")
	must(t, call.Press(o.ctx, "2468#"))
	o.prompt(call, "vm-settings_menu")
	must(t, call.Hangup(o.ctx))
	var document struct{ PIN string }
	must(t, o.api.Do(o.ctx, "GET", "/accounts/"+o.account+"/vmboxes/"+box, nil, &document))
	if document.PIN != "2468" {
		t.Errorf("PIN %q", document.PIN)
	}
	call = o.dial(o.phone(o.bob, bugletest.Behaviour{}), "*971003")
	o.prompt(call, "vm-enter_pass")
	must(t, call.Press(o.ctx, "4711#"))
	o.prompt(call, "vm-enter_pass")
	must(t, call.Press(o.ctx, "2468#"))
	o.prompt(call, "vm-no_messages")
	must(t, call.Hangup(o.ctx))
}

// TestBaresipLeavesAMessageAndHangsUp: what was said until then is there.
func TestBaresipLeavesAMessageAndHangsUp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	box := o.voicemail(object{"skip_instructions": true})
	bob := o.newBaresip(o.bob, bobTone)
	bob.do("dial", "500")
	bob.wait("CALL_ESTABLISHED")
	bob.hears(beepTone)
	time.Sleep(2 * time.Second) // of speaking
	bob.do("hangup", "")
	message := o.messages(box, "new", 1)[0]
	if heard, length := o.audio("/vmboxes/" + box + "/messages/" + message.ID + "/raw"); length < time.Second || !slices.ContainsFunc(heard, isTone(bobTone)) {
		t.Errorf("%v of %v", length, heard)
	}
}
