package callflow

import (
	"cmp"
	"context"

	"bugle"
	"bugle/internal/media"
)

// Audio turns media references into audio; a *speech.Speaker does.
type Audio interface {
	Resolve(ctx context.Context, account, language, reference string) ([]*media.Clip, error)
}

// HoldMusic is call.HoldMusic by documents: the music_on_hold of the device that holds, of its owner, or of the account,
// the first of them that names any. One that cannot be played is an error, and not replaced by the next: it was chosen.
func (e *Engine) HoldMusic(ctx context.Context, accountID, deviceID, userID string) ([]*media.Clip, error) {
	if e.audio == nil {
		return nil, nil
	}
	account, err := e.documents.Account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	var device bugle.Device
	var user bugle.User
	if deviceID != "" {
		device, _ = e.documents.Device(ctx, accountID, deviceID) // deleted during the call: the account's holds
		userID = cmp.Or(userID, device.OwnerID)
	}
	if userID != "" {
		user, _ = e.documents.User(ctx, accountID, userID)
	}
	reference := cmp.Or(device.MusicOnHold, user.MusicOnHold, account.MusicOnHold)
	if reference == "" {
		return nil, nil
	}
	return e.audio.Resolve(ctx, accountID, cmp.Or(device.Language, user.Language, account.Language), reference)
}

// HoldMusic is what somebody hears who waits on behalf of the device that calls, or that transferred the call here: what its
// documents choose, else the tone of calls on hold.
func (s *Session) HoldMusic(ctx context.Context) []*media.Clip {
	clips, err := s.engine.HoldMusic(ctx, s.Account.ID, s.DeviceID, s.UserID)
	if err != nil {
		s.Call.Note("no music on hold", err.Error())
	}
	if len(clips) == 0 {
		return s.engine.calls.HoldTone
	}
	return clips
}
