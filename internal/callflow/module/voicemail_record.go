package module

import (
	"context"
	"slices"

	"bugle/internal/call"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// outcome is how a recording ended.
type outcome uint8

const (
	kept     outcome = iota
	dropped          // it was too short, again and again
	operated         // kept, and the caller wants the operator
)

// record records after a beep and lets the caller listen and decide, until it is to be kept. After an error, the caller's
// hang-up, there is in the result what is to be kept of a message.
func (v *visitor) record(ctx context.Context, instructions []*media.Clip, message bool) (call.Recorded, outcome, error) {
	for range voicemailTries {
		if _, err := v.step.Call.Play(ctx, append(slices.Clone(instructions), beep), call.PlayOptions{}); err != nil {
			return call.Recorded{}, dropped, err
		}
		v.step.Call.Flush()
		recorded, err := v.step.Call.Record(ctx, call.RecordOptions{Limit: v.longest, Silence: silenceEnds, Terminators: call.AnyKey})
		if err != nil {
			return recorded, kept, err
		}
		if recorded.Length() < leastRecording {
			if err := v.play(ctx, v.prompts(ctx, speech.PromptVMTooShort)); err != nil {
				return call.Recorded{}, dropped, err
			}
			continue
		}
		how, err := v.review(ctx, recorded, message)
		if err != nil || how != dropped {
			return recorded, how, err
		}
	}
	return call.Recorded{}, dropped, nil
}

// review asks what becomes of a recording: dropped is that another one is to take its place. A caller who says nothing wants
// to keep it.
func (v *visitor) review(ctx context.Context, recorded call.Recorded, message bool) (outcome, error) {
	menu := v.prompts(ctx, speech.PromptVMReview)
	heard := menu
	for silent := 0; silent < voicemailTries; {
		key, err := v.ask(ctx, heard)
		if err != nil {
			return kept, err
		}
		switch {
		case key == "1":
			return kept, nil
		case key == "2":
			heard = append([]*media.Clip{media.NewClip("recording", recorded.PCM)}, menu...)
		case key == "3":
			return dropped, nil
		case key == "0" && message:
			return operated, nil
		case key == "":
			silent++
			heard = menu
		default:
			heard = slices.Concat(v.prompts(ctx, speech.PromptMenuInvalid), menu)
		}
	}
	return kept, nil
}
