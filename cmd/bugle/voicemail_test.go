package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/media"
)

const voicemailTone = 620 // hertz, of messages

// mailbox makes a box without words before the beep, and the callflow that leads to it, and returns its id.
func (o *office) mailbox(t *testing.T, number string, more object) string {
	t.Helper()
	ctx, base := within(t), "/accounts/"+o.company.accountID
	document := object{"name": "Box " + number, "mailbox": number, "skip_greeting": true, "skip_instructions": true, "is_setup": true}
	for key, value := range more {
		document[key] = value
	}
	id, err := o.api.Create(ctx, base+"/vmboxes", document)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.api.Create(ctx, base+"/callflows", object{"numbers": []string{number}, "flow": node("voicemail", object{"id": id}, nil)}); err != nil {
		t.Fatal(err)
	}
	return id
}

// leave leaves a message of a tone in the box that a number leads to.
func (o *office) leave(t *testing.T, phone *bugletest.Phone, number string) {
	t.Helper()
	ctx := within(t)
	call, err := phone.Dial(ctx, number)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.WaitTone(ctx, 440); err != nil {
		t.Fatalf("no beep: %v\n%s", err, o.Log())
	}
	if err := call.WaitToneOver(ctx, 440); err != nil {
		t.Fatal(err)
	}
	call.SayTone(voicemailTone)
	const second = 50 // packets
	before := call.Stats().PacketsSent
	o.until(t, "the message is said", func() bool { return call.Stats().PacketsSent > before+2*second })
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
}

type messageItem struct {
	ID         string `json:"media_id"`
	Folder     string
	Length     int    // milliseconds
	FromNumber string `json:"caller_id_number"`
}

// messages are those in a folder of a box.
func (o *office) messages(t *testing.T, box, folder string) (list []messageItem) {
	t.Helper()
	if err := o.api.Do(within(t), "GET", "/accounts/"+o.company.accountID+"/vmboxes/"+box+"/messages?folder="+folder, nil, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// voiceMail is a mail that tells of a message.
type voiceMail struct {
	subject, text, file string
	audio               []byte
}

// readVoiceMail takes a mail apart; file is "" for one without audio.
func readVoiceMail(path string) (m voiceMail, to string, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return m, "", err
	}
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return m, "", err
	}
	m.subject, to = message.Header.Get("Subject"), message.Header.Get("To")
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		text, _ := io.ReadAll(message.Body)
		m.text = string(text)
		return m, to, err
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	first, err := parts.NextPart() // which undoes quoted-printable
	if err != nil {
		return m, to, err
	}
	text, err := io.ReadAll(first)
	if err != nil {
		return m, to, err
	}
	second, err := parts.NextPart()
	if err != nil {
		return m, to, err
	}
	if kind := second.Header.Get("Content-Type"); kind != "audio/x-wav" {
		return m, to, fmt.Errorf("the file is %q", kind)
	}
	m.text, m.file = string(text), second.FileName()
	m.audio, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, second))
	return m, to, err
}

// says tells whether a WAV file has the tone of a message in it.
func says(t *testing.T, wav []byte) bool {
	t.Helper()
	pcm, err := media.ReadWAV(bytes.NewReader(wav), 10<<20)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	listener := bugletest.NewRecogniser(nil).Listen(func(h bugletest.Hearing) { found = found || h.IsTone(voicemailTone) }, nil)
	listener.Write(pcm)
	listener.Close()
	return found && len(pcm) > media.SampleRate
}

// TestVoicemailIsMailed: who has a message gets it by a real mail server, and only then it is deleted or saved where the box
// wants that. Webhooks are told of each message, whatever comes of its mail.
func TestVoicemailIsMailed(t *testing.T) {
	t.Parallel()
	receiver := receiveHooks(t)
	maildir, address := filepath.Join(t.TempDir(), "mail"), freeAddress(t)
	o := openOffice(t, filepath.Join(t.TempDir(), "data"), "--egress-allow=127.0.0.0/8", "--smtp", address, "--smtp-from", "pbx@example.com")
	ctx, api := within(t), o.api.For(o.company.accountID)
	owner := func(email string, wants bool) string {
		t.Helper()
		id, err := api.Create(ctx, api.Account("users"), object{"first_name": "Olga", "last_name": "Owner", "email": email, "vm_to_email_enabled": wants})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	olga := owner("olga@example.com", true)
	boxes := map[string]string{}
	for number, more := range map[string]object{
		"7001": {"owner_id": olga, "include_message_on_notify": true},
		"7002": {"owner_id": olga, "delete_after_notify": true, "save_after_notify": true},
		"7003": {"notify_email_addresses": []string{"team@example.com"}, "save_after_notify": true, "include_message_on_notify": false},
		"7004": {"owner_id": owner("silent@example.com", false), "delete_after_notify": true},
	} {
		boxes[number] = o.mailbox(t, number, more)
	}
	for _, kind := range []string{"voicemail_new", "voicemail_saved"} {
		if _, err := api.Create(ctx, api.Account("webhooks"), object{"name": kind, "hook": "notifications", "uri": receiver.URL + "/" + kind,
			"format": "json", "http_verb": "post", "custom_data": object{"type": kind}}); err != nil {
			t.Fatal(err)
		}
	}
	ann := o.phone(t, "1001", bugletest.Behaviour{})

	// Nobody takes mail: the message stays.
	o.leave(t, ann, "7002")
	o.until(t, "the mail was not taken", func() bool { return strings.Contains(o.Log(), "nobody was mailed of a voicemail message") })
	if list := o.messages(t, boxes["7002"], "new"); len(list) != 1 || len(o.messages(t, boxes["7002"], "deleted")) != 0 {
		t.Errorf("without a mail there are %v new", list)
	}

	peer(t, nil, "aiosmtpd", "-n", "-u", "-c", "aiosmtpd.handlers.Mailbox", "-l", address, maildir)
	eventually(t, 30*time.Second, "aiosmtpd", func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	in := func(number, folder string, want int) []messageItem {
		t.Helper()
		o.until(t, number+" "+folder, func() bool { return len(o.messages(t, boxes[number], folder)) == want })
		return o.messages(t, boxes[number], folder)
	}
	o.leave(t, ann, "7004")
	o.leave(t, ann, "7002")
	in("7002", "deleted", 1)
	in("7002", "new", 1) // the one that nobody was mailed of
	o.leave(t, ann, "7003")
	in("7003", "saved", 1)
	in("7003", "new", 0)
	o.leave(t, ann, "7001")
	in("7001", "new", 1)
	mails := map[string]voiceMail{}
	eventually(t, 30*time.Second, "the mails", func(context.Context) error {
		files, _ := filepath.Glob(filepath.Join(maildir, "new", "*"))
		clear(mails)
		for _, file := range files {
			m, to, err := readVoiceMail(file)
			if err != nil {
				return err
			}
			for number := range boxes {
				if strings.Contains(m.text, "mailbox "+number+" ") {
					mails[number+" "+to] = m
				}
			}
		}
		if len(mails) != 3 || len(files) != 3 {
			return fmt.Errorf("%d mails of %d files; the log:\n%s", len(mails), len(files), o.Log())
		}
		return nil
	})
	for _, to := range []string{"7001 <olga@example.com>", "7002 <olga@example.com>"} {
		m := mails[to]
		if !strings.HasPrefix(m.file, "voicemail-"+to[:4]+"-") || !says(t, m.audio) || m.subject != "Voicemail from Ann Lee 1001" || !strings.Contains(m.text, "From: Ann Lee 1001") {
			t.Errorf("%s: %q %q %q", to, m.subject, m.text, m.file)
		}
	}
	if m, sent := mails["7003 <team@example.com>"]; !sent || m.file != "" {
		t.Errorf("a mail without audio: %v %q %q", sent, m.text, m.file)
	}
	in("7004", "new", 1) // nobody was mailed, so nothing is deleted
	in("7004", "deleted", 0)
	o.toldOfMessages(t, receiver, boxes)
}

// toldOfMessages checks what webhooks were told of the messages that are in boxes.
func (o *office) toldOfMessages(t *testing.T, receiver *hookReceiver, boxes map[string]string) {
	t.Helper()
	var want []string
	for _, box := range boxes {
		for _, folder := range []string{"new", "saved", "deleted"} {
			for _, m := range o.messages(t, box, folder) {
				want = append(want, fmt.Sprint(o.company.accountID, " ", box, " ", m.ID, " ", m.Length, " 1001 notifications notification"))
			}
		}
	}
	slices.Sort(want)
	for _, kind := range []string{"voicemail_new", "voicemail_saved"} {
		o.until(t, "webhooks of "+kind, func() bool { return len(receiver.told("/"+kind)) >= len(want) })
		var got []string
		for _, e := range receiver.told("/" + kind) {
			got = append(got, fmt.Sprint(e["account_id"], " ", e["voicemail_box"], " ", e["voicemail_id"], " ", e["voicemail_length"], " ", e["caller_id_number"],
				" ", e["hook_event"], " ", e["event_category"]))
			if e["type"] != kind || e["event_name"] != kind || e["caller_id_name"] != "Ann Lee" || e["from_user"] != "1001" || e["call_id"] == "" {
				t.Errorf("%v", e)
			}
		}
		if slices.Sort(got); len(want) != 5 || !slices.Equal(got, want) {
			t.Errorf("%s: told %q, want %q", kind, got, want)
		}
	}
}

// TestWrongPINsLockABox: whoever tries PINs in several calls at once has ten tries, and then the right one is refused too, which
// the log says. A start of the server lets the owner in again.
func TestWrongPINsLockABox(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	o := openOffice(t, data)
	base := "/accounts/" + o.company.accountID
	box := o.mailbox(t, "7001", object{"pin": "4711"})
	other := o.mailbox(t, "7002", object{"pin": "4711"})
	if _, err := o.api.Create(within(t), base+"/callflows", object{"name": "Check", "patterns": []string{`^\*97([0-9]*)$`},
		"flow": node("voicemail", object{"action": "check"}, nil)}); err != nil {
		t.Fatal(err)
	}
	phone := o.register(t, o.company.realm, "1001", bugletest.Behaviour{}, promptRecogniser())
	tries := func(number string, keys ...string) error { // keys and the prompt after them, by turns
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		call, err := phone.Dial(ctx, "*97"+number)
		if err != nil {
			return err
		}
		defer call.Hangup(context.WithoutCancel(ctx))
		for pair := range slices.Chunk(keys, 2) {
			if _, err := call.WaitHear(ctx, "vm-enter_pass"); err != nil {
				return err
			}
			if err := call.Press(ctx, pair[0]); err != nil {
				return err
			}
			if _, err := call.WaitHear(ctx, pair[1]); err != nil {
				return fmt.Errorf("after %s: %w", pair[0], err)
			}
		}
		return nil
	}
	results := make(chan error)
	for range 3 {
		go func() {
			results <- tries("7001", "0815#", "vm-fail_auth", "999999", "vm-fail_auth", "#", "vm-fail_auth")
		}()
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(o.Log(), "too many wrong PINs") {
		t.Error("nine wrong PINs lock the box")
	}
	if err := tries("7001", "123#", "vm-fail_auth", "4711#", "vm.login.locked"); err != nil {
		t.Errorf("%v\n%s", err, o.Log())
	}
	if err := tries("7001", "4711#", "vm.login.locked"); err != nil {
		t.Error(err)
	}
	if err := tries("7002", "4711#", "vm-no_messages"); err != nil {
		t.Errorf("another box: %v", err)
	}
	log := o.Log()
	if strings.Count(log, "too many wrong PINs") != 1 || !strings.Contains(log, box) || strings.Contains(log, other) || strings.Contains(log, "4711") || strings.Contains(log, "0815") {
		t.Errorf("the log says:\n%s", log)
	}
	o.end(t, os.Interrupt)
	o.program = serve(t, data, chosen, "--sip", o.SIP.String())
	if err := tries("7001", "4711#", "vm-no_messages"); err != nil {
		t.Errorf("after a restart: %v\n%s", err, o.Log())
	}
}
