package module

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// menu is the main menu of a box.
func (v *visitor) menu(ctx context.Context) callflow.Next {
	for silent := 0; silent < voicemailTries; silent++ {
		fresh, saved, err := v.Mailboxes.CountMessages(ctx, v.step.Account.ID, v.box.ID)
		if err != nil {
			return v.unavailable(ctx, err)
		}
		key, err := v.ask(ctx, slices.Concat(v.counts(ctx, fresh, saved), v.prompts(ctx, speech.PromptVMMainMenu)))
		if err != nil {
			return callflow.Stop{}
		}
		var next callflow.Next
		switch {
		case key == "1":
			next, err = v.listen(ctx, bugle.VoicemailNew)
		case key == "2":
			next, err = v.listen(ctx, bugle.VoicemailSaved)
		case key == "5" && !v.box.NotConfigurable:
			err = v.settings(ctx)
		case key == "#":
			silent = voicemailTries
			continue
		case key == "":
			continue
		default:
			err = v.play(ctx, v.prompts(ctx, speech.PromptMenuInvalid))
		}
		switch {
		case next != nil:
			return next
		case err != nil && ctx.Err() == nil && bugle.KindOf(err) != bugle.KindNotFound:
			return v.unavailable(ctx, err)
		case ctx.Err() != nil:
			return callflow.Stop{}
		}
		silent = -1
	}
	if v.play(ctx, v.prompts(ctx, speech.PromptGoodbye)) != nil {
		return callflow.Stop{}
	}
	return callflow.Continue("_")
}

// counts says how many messages there are.
func (v *visitor) counts(ctx context.Context, fresh, saved int) []*media.Clip {
	ids := []string{speech.PromptVMYouHave}
	add := func(n int, one, more string) {
		if n == 1 {
			more = one
		}
		ids = append(append(ids, speech.NumberPrompts(int64(n))...), more)
	}
	switch {
	case fresh+saved == 0:
		return v.prompts(ctx, speech.PromptVMNone)
	case fresh > 0 && saved > 0:
		add(fresh, speech.PromptVMNewMessage, speech.PromptVMNewMessages)
		ids = append(ids, speech.PromptAnd)
		add(saved, speech.PromptVMSavedMessage, speech.PromptVMSavedMessages)
	case fresh > 0:
		add(fresh, speech.PromptVMNewMessage, speech.PromptVMNewMessages)
	default:
		add(saved, speech.PromptVMSavedMessage, speech.PromptVMSavedMessages)
	}
	return v.prompts(ctx, ids...)
}

// listen goes through the messages of a folder as they are now. It returns what follows when that is not the main menu.
func (v *visitor) listen(ctx context.Context, folder string) (callflow.Next, error) {
	messages, err := v.Mailboxes.Messages(ctx, v.step.Account.ID, v.box, folder)
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, v.play(ctx, v.prompts(ctx, speech.PromptVMNone))
	}
	for at := 0; at < len(messages); {
		next, move, err := v.message(ctx, &messages[at], at+1)
		switch {
		case bugle.KindOf(err) == bugle.KindNotFound && err != nil: // it was deleted meanwhile
			move = +1
		case err != nil || next != nil || move == leaves:
			return next, err
		}
		at = max(at+move, 0)
	}
	return nil, v.play(ctx, v.prompts(ctx, speech.PromptVMNoMore))
}

const leaves = 0 // for the main menu

// message plays a message and does with it what the caller wants. move is where he goes from it.
func (v *visitor) message(ctx context.Context, m *bugle.VoicemailMessage, number int) (next callflow.Next, move int, err error) {
	audio, err := v.Mailboxes.MessageAudio(ctx, v.step.Account.ID, m.ID)
	if err != nil {
		return nil, 0, err
	}
	before, heard := v.envelope(ctx, m, number), audio
	for silent := 0; silent < voicemailTries; silent++ {
		key, err := v.hear(ctx, before, heard)
		if before, heard = nil, nil; err != nil {
			return nil, 0, err
		}
		switch key {
		case "1":
			return nil, +1, v.file(ctx, m, bugle.VoicemailSaved, speech.PromptVMSaved)
		case "2":
			before, heard = v.envelope(ctx, m, number), audio
		case "3":
			err = v.forward(ctx, m)
		case "4":
			return nil, -1, nil
		case "6":
			return nil, +1, nil
		case "7":
			return nil, +1, v.file(ctx, m, bugle.VoicemailDeleted, speech.PromptVMDeleted)
		case "9":
			next, err = v.callBack(ctx, m)
		case "0":
			return nil, leaves, nil
		case "":
			continue
		default:
			err = v.play(ctx, v.prompts(ctx, speech.PromptMenuInvalid))
		}
		if err != nil || next != nil {
			return next, leaves, err
		}
		silent = -1
	}
	return nil, leaves, nil
}

// hear plays what is said before a message, the message, and the menu after it, until a key. Where the box says so, 5 and 8
// wind the message.
func (v *visitor) hear(ctx context.Context, before []*media.Clip, audio *media.Clip) (string, error) {
	menu := v.prompts(ctx, speech.PromptVMMessageMenu)
	if audio == nil {
		return v.ask(ctx, menu)
	}
	if !v.box.Winding {
		return v.ask(ctx, slices.Concat(before, []*media.Clip{audio}, menu))
	}
	if len(before) > 0 {
		key, err := v.step.Call.Play(ctx, before, call.PlayOptions{Terminators: call.AnyKey})
		if err != nil || key != 0 {
			return string(keyText(key)), err
		}
	}
	pcm, at := audio.PCM(), 0
	for {
		began := v.step.Call.Now()
		key, err := v.ask(ctx, append([]*media.Clip{media.NewClip(audio.Name(), pcm[at:])}, menu...))
		if err != nil || key != "5" && key != "8" {
			return key, err
		}
		step := samplesOf(v.box.Seek)
		if key == "5" {
			step = -step
		}
		at = min(max(at+samplesOf(v.step.Call.Now().Sub(began))+step, 0), len(pcm))
	}
}

func samplesOf(d time.Duration) int { return int(d * media.SampleRate / time.Second) }

func keyText(key byte) []byte {
	if key == 0 {
		return nil
	}
	return []byte{key}
}

// file puts a message into a folder and says so.
func (v *visitor) file(ctx context.Context, m *bugle.VoicemailMessage, folder, prompt string) error {
	if err := v.Mailboxes.MoveMessage(ctx, v.step.Account.ID, m.ID, folder); err != nil {
		return err
	}
	m.Folder = folder
	return v.play(ctx, v.prompts(ctx, prompt))
}

// forward copies a message into another box.
func (v *visitor) forward(ctx context.Context, m *bugle.VoicemailMessage) error {
	for range voicemailTries {
		got, err := v.digits(ctx, speech.PromptVMForwardTo, mostBoxDigits, false)
		if err != nil {
			return err
		}
		to, err := v.Mailboxes.MailboxByNumber(ctx, v.step.Account.ID, got.Digits)
		switch {
		case bugle.KindOf(err) == bugle.KindNotFound && err != nil, err == nil && to.ID == v.box.ID:
			if err := v.play(ctx, v.prompts(ctx, speech.PromptMenuInvalid)); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if err := v.Mailboxes.ForwardMessage(ctx, v.step.Account.ID, m.ID, to); err != nil {
			return err
		}
		v.step.Call.Note("forwarded", "a message to mailbox "+to.Number)
		return v.play(ctx, v.prompts(ctx, speech.PromptVMForwarded))
	}
	return v.play(ctx, v.prompts(ctx, speech.PromptVMNotForwarded))
}

// callBack calls who has left a message, as the caller's phone would; nil when it cannot be done, and he was told.
func (v *visitor) callBack(ctx context.Context, m *bugle.VoicemailMessage) (callflow.Next, error) {
	if m.FromNumber != "" {
		if flow, ok := v.step.Reach(ctx, m.FromNumber); ok {
			if err := v.play(ctx, v.prompts(ctx, speech.PromptVMCallBack)); err != nil {
				return nil, err
			}
			return callflow.Branch(flow), nil
		}
	}
	return nil, v.play(ctx, v.prompts(ctx, speech.PromptVMNoCallBack))
}

// envelope says which message it is, when it came and from whom.
func (v *visitor) envelope(ctx context.Context, m *bugle.VoicemailMessage, number int) []*media.Clip {
	if v.box.SkipEnvelope {
		return nil
	}
	ids := append([]string{speech.PromptVMMessageNumber}, speech.NumberPrompts(int64(number))...)
	ids = append(append(ids, speech.PromptVMReceived), v.when(m.Arrived)...)
	ids = append(ids, speech.PromptVMFrom)
	if m.FromNumber == "" {
		return v.prompts(ctx, append(ids, speech.PromptVMUnknown)...)
	}
	return slices.Concat(v.prompts(ctx, ids...), v.Speech.Digits(ctx, v.step.Account.ID, v.step.Language, m.FromNumber))
}

// when says a time on the owner's clock: "today at three forty five p m", "March second at noon".
func (v *visitor) when(t time.Time) []string {
	zone, err := time.LoadLocation(cmp.Or(v.box.Timezone, v.step.Account.Timezone, "UTC"))
	if err != nil {
		zone = time.UTC
	}
	t = t.In(zone)
	now := v.step.Call.Now().In(zone)
	var ids []string
	switch day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone); {
	case day.Equal(time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)):
		ids = []string{speech.PromptToday}
	case day.Equal(time.Date(now.Year(), now.Month(), now.Day()-1, 0, 0, 0, 0, zone)):
		ids = []string{speech.PromptYesterday}
	default:
		ids = []string{"month." + strconv.Itoa(int(t.Month())), "ord." + strconv.Itoa(t.Day())}
	}
	return append(append(ids, speech.PromptAt), speech.TimePrompts(t.Hour(), t.Minute())...)
}
