package module

import (
	"context"

	"bugle"
	"bugle/internal/media"
)

// Mailboxes has the voicemail boxes of accounts and what is in them, and keeps what callers and owners record. What does not
// exist is a *bugle.Error of KindNotFound. Recordings are 8 kHz mono.
type Mailboxes interface {
	Mailbox(ctx context.Context, accountID, id string) (bugle.Mailbox, error)
	MailboxByNumber(ctx context.Context, accountID, number string) (bugle.Mailbox, error)
	// MailboxesOf returns the boxes that a user owns.
	MailboxesOf(ctx context.Context, accountID, userID string) ([]bugle.Mailbox, error)
	// CheckPIN reports whether pin is the box's. A box without one has none that fits. It is KindLimited when too many were
	// wrong of late.
	CheckPIN(ctx context.Context, accountID string, box bugle.Mailbox, pin string) (bool, error)

	// CountMessages returns how many messages are new and saved.
	CountMessages(ctx context.Context, accountID, boxID string) (fresh, saved int, err error)
	// Messages returns those of a folder, the latest first unless the box says otherwise.
	Messages(ctx context.Context, accountID string, box bugle.Mailbox, folder string) ([]bugle.VoicemailMessage, error)
	MessageAudio(ctx context.Context, accountID, id string) (*media.Clip, error)
	// Deposit puts a new message into a box and tells those who want to know.
	Deposit(ctx context.Context, accountID string, box bugle.Mailbox, m bugle.VoicemailMessage, pcm []int16) error
	MoveMessage(ctx context.Context, accountID, id, folder string) error
	// ForwardMessage puts a copy of a message into another box, where it is new, and tells those who want to know.
	ForwardMessage(ctx context.Context, accountID, id string, to bugle.Mailbox) error

	SetPIN(ctx context.Context, accountID, boxID, pin string) error
	// SetGreeting replaces the greeting, or the temporary one; without a recording it removes it.
	SetGreeting(ctx context.Context, accountID string, box bugle.Mailbox, temporary bool, pcm []int16) error
	// SetName replaces the recorded name of a user.
	SetName(ctx context.Context, accountID, userID string, pcm []int16) error
	// SetUp notes that the owner has set the box up.
	SetUp(ctx context.Context, accountID, boxID string) error
}
