package module

import (
	"context"
	"errors"
	"slices"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// errRefused is that a visitor may not come in; he was told.
var errRefused = errors.New("not let in")

const (
	mostBoxDigits = 30
	leastPIN      = 4
	mostPIN       = 6
)

// check finds the caller's box and lets him in.
func (v *visitor) check(ctx context.Context) callflow.Next {
	if v.step.Call.Answer(ctx) != nil {
		return callflow.Stop{}
	}
	box, err := v.own(ctx)
	for tries := voicemailTries; err != nil; tries-- {
		if bugle.KindOf(err) != bugle.KindNotFound {
			return v.unavailable(ctx, err)
		}
		if tries == 0 {
			_ = v.play(ctx, v.prompts(ctx, speech.PromptVMLoginAborted)) // he is hung up on anyway
			return callflow.Stop{}
		}
		var got call.Collected
		got, err = v.digits(ctx, speech.PromptVMEnterBox, mostBoxDigits, false)
		if err != nil {
			return callflow.Stop{}
		}
		if box, err = v.Mailboxes.MailboxByNumber(ctx, v.step.Account.ID, got.Digits); err != nil && v.play(ctx, v.prompts(ctx, speech.PromptMenuInvalid)) != nil {
			return callflow.Stop{}
		}
	}
	v.box = box
	return v.open(ctx)
}

// own is the box that the node, the dialled number or the caller says, KindNotFound when he has to be asked.
func (v *visitor) own(ctx context.Context) (bugle.Mailbox, error) {
	data, none := v.step.Data(), &bugle.Error{Op: "voicemail", Kind: bugle.KindNotFound, Message: "no box is named"}
	switch {
	case data.String("id") != "" || v.step.CaptureGroup != "":
		return v.find(ctx)
	case data.Bool("callerid_match_login", false) && v.step.Caller.Number != "":
		if box, err := v.Mailboxes.MailboxByNumber(ctx, v.step.Account.ID, v.step.Caller.Number); err == nil || bugle.KindOf(err) != bugle.KindNotFound {
			return box, err
		}
	}
	if data.Bool("single_mailbox_login", false) && v.step.UserID != "" {
		boxes, err := v.Mailboxes.MailboxesOf(ctx, v.step.Account.ID, v.step.UserID)
		if err != nil {
			return bugle.Mailbox{}, err
		}
		if len(boxes) == 1 {
			return boxes[0], nil
		}
	}
	return bugle.Mailbox{}, none
}

// open lets the caller in who may come in, and leads him through the box.
func (v *visitor) open(ctx context.Context) callflow.Next {
	err := v.login(ctx)
	if err == nil && !v.box.IsSetup && !v.box.NotConfigurable {
		err = v.setUp(ctx)
	}
	if err != nil {
		if bugle.KindOf(err) == bugle.KindUnavailable {
			return v.unavailable(ctx, err)
		}
		return callflow.Stop{}
	}
	return v.menu(ctx)
}

// login asks for the PIN, unless the caller's phone is the owner's and the box lets it in.
func (v *visitor) login(ctx context.Context) error {
	if v.owner() && !v.box.RequirePIN {
		return nil
	}
	for range voicemailTries {
		got, err := v.digits(ctx, speech.PromptVMEnterPIN, mostPIN, true)
		if err != nil {
			return err
		}
		ok, err := v.Mailboxes.CheckPIN(ctx, v.step.Account.ID, v.box, got.Digits)
		switch {
		case bugle.KindOf(err) == bugle.KindLimited && err != nil:
			v.step.Call.Note("mailbox is locked", v.box.Number)
			return errors.Join(errRefused, v.play(ctx, v.prompts(ctx, speech.PromptVMLocked)))
		case err != nil:
			return err
		case ok:
			v.step.Call.Note("logged in", v.box.Number)
			return nil
		}
		v.step.Call.Note("wrong PIN", v.box.Number)
		if err := v.play(ctx, v.prompts(ctx, speech.PromptVMLoginFailed)); err != nil {
			return err
		}
	}
	return errors.Join(errRefused, v.play(ctx, v.prompts(ctx, speech.PromptVMLoginAborted)))
}

// setUp has an owner who has come for the first time choose a PIN and record a greeting.
func (v *visitor) setUp(ctx context.Context) error {
	if err := v.play(ctx, v.prompts(ctx, speech.PromptVMSetupIntro)); err != nil {
		return err
	}
	set, err := v.changePIN(ctx)
	if err != nil {
		return err
	}
	if !set {
		_ = v.play(ctx, v.prompts(ctx, speech.PromptGoodbye))
		return errRefused
	}
	if err := v.recordGreeting(ctx, speech.PromptVMGreeting, false, speech.PromptVMSetupGreet); err != nil {
		return err
	}
	if err := v.Mailboxes.SetUp(ctx, v.step.Account.ID, v.box.ID); err != nil {
		return err
	}
	v.box.IsSetup = true
	return v.play(ctx, v.prompts(ctx, speech.PromptVMSetupDone))
}

// digits asks for a number; the trail does not have one that is secret.
func (v *visitor) digits(ctx context.Context, prompt string, most int, secret bool) (call.Collected, error) {
	return v.step.Call.Collect(ctx, call.CollectOptions{Prompts: v.prompts(ctx, prompt), Max: most, Terminators: "#", First: menuWait,
		Between: v.interdigit, Secret: secret})
}

// settings is the menu of greetings, name and PIN.
func (v *visitor) settings(ctx context.Context) error {
	var notice []*media.Clip
	for silent := 0; silent < voicemailTries; {
		key, err := v.ask(ctx, slices.Concat(notice, v.prompts(ctx, speech.PromptVMSettings)))
		if err != nil {
			return err
		}
		notice = nil
		switch key {
		case "0":
			return nil
		case "1":
			err = v.recordGreeting(ctx, speech.PromptVMGreeting, false)
		case "2":
			err = v.recordName(ctx)
		case "3":
			_, err = v.changePIN(ctx)
		case "4":
			err = v.recordGreeting(ctx, speech.PromptVMTemporary, true)
		case "5":
			if err = v.Mailboxes.SetGreeting(ctx, v.step.Account.ID, v.box, true, nil); err == nil {
				v.box.Temporary = ""
				notice = v.prompts(ctx, speech.PromptVMTemporaryOff)
			}
		case "":
			silent++
		default:
			notice = v.prompts(ctx, speech.PromptMenuInvalid)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recordGreeting records the greeting, or the temporary one.
func (v *visitor) recordGreeting(ctx context.Context, prompt string, temporary bool, before ...string) error {
	return v.keep(ctx, v.prompts(ctx, append(before, prompt)...), func(pcm []int16) error {
		if err := v.Mailboxes.SetGreeting(ctx, v.step.Account.ID, v.box, temporary, pcm); err != nil {
			return err
		}
		box, err := v.Mailboxes.Mailbox(ctx, v.step.Account.ID, v.box.ID)
		if err == nil {
			v.box.Unavailable, v.box.Temporary = box.Unavailable, box.Temporary
		}
		return err
	})
}

// recordName records how the owner says his name, as directories say it.
func (v *visitor) recordName(ctx context.Context) error {
	if v.box.OwnerID == "" {
		return v.play(ctx, v.prompts(ctx, speech.PromptMenuInvalid))
	}
	return v.keep(ctx, v.prompts(ctx, speech.PromptVMName), func(pcm []int16) error {
		return v.Mailboxes.SetName(ctx, v.step.Account.ID, v.box.OwnerID, pcm)
	})
}

// keep records something of the owner's and keeps it.
func (v *visitor) keep(ctx context.Context, instructions []*media.Clip, set func(pcm []int16) error) error {
	recorded, how, err := v.record(ctx, instructions, false)
	if err != nil || how == dropped {
		return err
	}
	if err := set(recorded.PCM); err != nil {
		return err
	}
	return v.play(ctx, v.prompts(ctx, speech.PromptVMRecorded))
}

// changePIN asks for a new PIN twice. It is false when nothing came of it.
func (v *visitor) changePIN(ctx context.Context) (bool, error) {
	for range voicemailTries {
		first, err := v.digits(ctx, speech.PromptVMNewPIN, mostPIN, true)
		if err != nil {
			return false, err
		}
		if pin := first.Digits; len(pin) >= leastPIN && isDigits(pin) {
			again, err := v.digits(ctx, speech.PromptVMNewPINAgain, mostPIN, true)
			if err != nil {
				return false, err
			}
			if again.Digits == pin {
				if err := v.Mailboxes.SetPIN(ctx, v.step.Account.ID, v.box.ID, pin); err != nil {
					return false, err
				}
				return true, v.play(ctx, v.prompts(ctx, speech.PromptVMPINSet))
			}
		}
		if err := v.play(ctx, v.prompts(ctx, speech.PromptVMPINInvalid)); err != nil {
			return false, err
		}
	}
	return false, nil
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}
