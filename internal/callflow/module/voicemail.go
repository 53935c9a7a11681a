package module

import (
	"context"
	"slices"
	"strings"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// The bounds of voicemail, as KAZOO's callers know them.
const (
	defaultMessage = 500 // seconds of a message
	mostMessage    = 30 * 60
	mostMessages   = 100                    // in a box
	leastRecording = 500 * time.Millisecond // a shorter one is not kept
	silenceEnds    = 8 * time.Second        // a recording
	voicemailTries = 3                      // of a menu without an answer, a login, a recording that is too short
	menuWait       = 4 * time.Second        // for a key after a menu
)

// beep is KAZOO's tone before a recording.
var beep = media.NewClip("tone-beep", append(media.Tone(500*time.Millisecond, 440), media.Silence(100*time.Millisecond)...))

// voicemail: a caller leaves a message in a mailbox, or its owner listens to those that are in it.
func (m *modules) voicemail(ctx context.Context, step *callflow.Step) callflow.Next {
	data := step.Data()
	v := &visitor{modules: m, step: step, longest: time.Duration(min(max(data.Int("max_message_length", defaultMessage), 1), mostMessage)) * time.Second,
		interdigit: time.Duration(min(max(data.Int("interdigit_timeout", 2000), 1), 60_000)) * time.Millisecond}
	if data.String("action") == "check" {
		return v.check(ctx)
	}
	box, err := v.find(ctx)
	if err != nil {
		return v.unavailable(ctx, err)
	}
	v.box = box
	if box.CheckIfOwner && v.owner() {
		if step.Call.Answer(ctx) != nil {
			return callflow.Stop{}
		}
		return v.open(ctx)
	}
	return v.compose(ctx)
}

// visitor is one caller at a mailbox.
type visitor struct {
	*modules
	step       *callflow.Step
	box        bugle.Mailbox
	longest    time.Duration // recording
	interdigit time.Duration
}

// find is the box that the node names, or the dialled number.
func (v *visitor) find(ctx context.Context) (bugle.Mailbox, error) {
	if id := v.step.Data().String("id"); id != "" {
		return v.Mailboxes.Mailbox(ctx, v.step.Account.ID, id)
	}
	return v.Mailboxes.MailboxByNumber(ctx, v.step.Account.ID, v.step.CaptureGroup)
}

// owner tells whether the caller's phone is one of the box's owner.
func (v *visitor) owner() bool { return v.box.OwnerID != "" && v.box.OwnerID == v.step.UserID }

// unavailable says that there is no such box, or that nobody can tell.
func (v *visitor) unavailable(ctx context.Context, err error) callflow.Next {
	prompt := speech.PromptVMNoMailbox
	if bugle.KindOf(err) != bugle.KindNotFound {
		prompt = speech.PromptVMOut
	}
	v.step.Call.Note("no mailbox", err.Error())
	if v.step.Call.Answer(ctx) != nil || v.play(ctx, v.prompts(ctx, prompt)) != nil {
		return callflow.Stop{}
	}
	return callflow.Continue("_")
}

// compose leads a caller through the greeting to the recording.
func (v *visitor) compose(ctx context.Context) callflow.Next {
	if v.step.Call.Answer(ctx) != nil {
		return callflow.Stop{}
	}
	fresh, saved, err := v.Mailboxes.CountMessages(ctx, v.step.Account.ID, v.box.ID)
	if err != nil {
		return v.unavailable(ctx, err)
	}
	heard, full := v.greeting(ctx), fresh+saved >= mostMessages
	switch {
	case full:
		heard = slices.Concat(heard, v.prompts(ctx, speech.PromptVMFull))
		v.step.Call.Note("mailbox is full", v.box.Number)
	case !v.box.AnnouncementOnly && !v.box.SkipInstructions:
		heard = slices.Concat(heard, v.prompts(ctx, speech.PromptVMInstructions))
	}
	key, err := v.step.Call.Play(ctx, heard, call.PlayOptions{Terminators: call.AnyKey})
	if err != nil {
		return callflow.Stop{}
	}
	switch {
	case key == '*':
		return v.open(ctx)
	case key == '0':
		if next := v.operator(ctx); next != nil {
			return next
		}
	}
	if full || v.box.AnnouncementOnly {
		return callflow.Continue("_")
	}
	return v.leave(ctx)
}

// greeting is what callers hear first.
func (v *visitor) greeting(ctx context.Context) []*media.Clip {
	if v.box.SkipGreeting {
		return nil
	}
	for _, reference := range []string{v.box.Temporary, v.box.Unavailable} {
		if reference == "" {
			continue
		}
		if clips := v.resolve(ctx, v.step, reference); clips != nil {
			return clips
		}
	}
	return slices.Concat(v.prompts(ctx, speech.PromptVMPerson), v.Speech.Digits(ctx, v.step.Account.ID, v.step.Language, v.box.Number),
		v.prompts(ctx, speech.PromptVMNotAvailable))
}

// operator is where 0 leads, nil when it leads nowhere.
func (v *visitor) operator(ctx context.Context) callflow.Next {
	number := v.box.Operator
	if number == "" {
		number = "0"
	}
	route, err := v.step.Lookup(ctx, number)
	if err != nil {
		v.step.Call.Note("no operator", number)
		return nil
	}
	v.step.CaptureGroup, v.step.CaptureGroups = route.Capture, route.Captures
	v.step.Call.Note("operator", number+" "+route.Callflow.ID)
	return callflow.Branch(route.Callflow.Flow)
}

// leave records a message and keeps it, also that of a caller who hangs up.
func (v *visitor) leave(ctx context.Context) callflow.Next {
	recorded, how, err := v.record(ctx, nil, true)
	if recorded.Length() >= leastRecording && how != dropped {
		if kept := v.deposit(ctx, recorded); kept != nil && err == nil {
			return v.unavailable(ctx, kept)
		}
	}
	if err != nil {
		return callflow.Stop{}
	}
	switch how {
	case dropped:
		return callflow.Continue("_")
	case operated:
		if v.play(ctx, v.prompts(ctx, speech.PromptVMSaved)) != nil {
			return callflow.Stop{}
		}
		if next := v.operator(ctx); next != nil {
			return next
		}
	}
	if v.play(ctx, v.prompts(ctx, speech.PromptVMSaved, speech.PromptVMThanks)) != nil {
		return callflow.Stop{}
	}
	return callflow.Continue("_")
}

// depositWithin bounds the keeping of a message; its caller may have hung up.
const depositWithin = time.Minute

func (v *visitor) deposit(ctx context.Context, recorded call.Recorded) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), depositWithin)
	defer cancel()
	m := bugle.VoicemailMessage{Arrived: v.step.Call.Now(), FromName: v.step.Caller.Name, FromNumber: v.step.Caller.Number,
		From: v.at(v.step.Caller.Number), To: v.at(v.step.Dialed), Length: recorded.Length()}
	if legs := v.step.Call.Info().Legs; len(legs) > 0 {
		m.CallID = legs[0].ID
	}
	err := v.Mailboxes.Deposit(ctx, v.step.Account.ID, v.box, m, recorded.PCM)
	if err != nil {
		v.step.Call.Note("message is lost", err.Error())
		return err
	}
	v.step.Call.Note("message", recorded.Length().Round(100*time.Millisecond).String()+" for mailbox "+v.box.Number)
	return nil
}

func (v *visitor) at(user string) string {
	if v.step.Account.Realm == "" || user == "" || strings.Contains(user, "@") {
		return user
	}
	return user + "@" + v.step.Account.Realm
}

// play plays clips; a key cuts them.
func (v *visitor) play(ctx context.Context, clips []*media.Clip) error {
	_, err := v.step.Call.Play(ctx, clips, call.PlayOptions{Terminators: call.AnyKey})
	return err
}

func (v *visitor) prompts(ctx context.Context, ids ...string) []*media.Clip {
	return v.Speech.Prompts(ctx, v.step.Account.ID, v.step.Language, ids...)
}

// ask says clips and waits for one key, "" for none.
func (v *visitor) ask(ctx context.Context, clips []*media.Clip) (key string, err error) {
	got, err := v.step.Call.Collect(ctx, call.CollectOptions{Prompts: clips, Max: 1, First: menuWait, Between: menuWait})
	return got.Digits, err
}
