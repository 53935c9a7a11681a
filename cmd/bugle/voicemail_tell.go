package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/event/kazoo"
	"bugle/internal/mail"
	"bugle/internal/store"
)

// tellWithin bounds the mails of one message.
const tellWithin = 3 * time.Minute

// tell tells webhooks and people of a new message.
func (b *mailboxes) tell(ctx context.Context, box bugle.Mailbox, m store.MessageRow) {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	notice := kazoo.Voicemail{Type: "voicemail_saved", AccountID: m.AccountID, BoxID: m.BoxID, MessageID: m.ID, CallID: m.CallID,
		FromName: m.FromName, FromNumber: m.FromNumber, At: m.Arrived, Length: m.Length}
	notice.FromUser, notice.FromRealm, _ = strings.Cut(m.From, "@")
	notice.ToUser, notice.ToRealm, _ = strings.Cut(m.To, "@")
	b.hooks.Voicemail(notice)
	notice.Type = "voicemail_new"
	b.hooks.Voicemail(notice)
	if !b.mailed(ctx, box, m) {
		return
	}
	folder := ""
	switch {
	case box.DeleteNotified:
		folder = store.FolderDeleted
	case box.SaveNotified:
		folder = store.FolderSaved
	default:
		return
	}
	if err := b.MoveMessage(ctx, m.AccountID, m.ID, folder); err != nil {
		b.log.Warn("a voicemail message that was mailed stays new", "account", m.AccountID, "message", m.ID, "error", err)
	}
}

// mailed sends mails of a message; true when there were any and all have been taken.
func (b *mailboxes) mailed(ctx context.Context, box bugle.Mailbox, m store.MessageRow) bool {
	to := b.readers(ctx, box, m.AccountID)
	if b.mail == nil || len(to) == 0 {
		return false
	}
	file, err := b.attachment(ctx, box, m)
	if err != nil {
		b.log.Warn("a voicemail message is mailed without its audio", "account", m.AccountID, "message", m.ID, "error", err)
	}
	from := strings.TrimSpace(m.FromName + " " + m.FromNumber)
	subject := "Voicemail from " + cmp.Or(from, "an unknown caller")
	zone, err := time.LoadLocation(cmp.Or(box.Timezone, "UTC"))
	if err != nil {
		zone = time.UTC
	}
	text := fmt.Sprintf("There is a new message in mailbox %s (%s).\n\nFrom: %s\nReceived: %s\nLength: %s\n", box.Number, box.Name,
		cmp.Or(from, "unknown"), m.Arrived.In(zone).Format("Monday, 2 January 2006, 15:04 MST"), m.Length.Round(time.Second))
	all := true
	for _, address := range to {
		if err := b.mail.SendFile(ctx, address, subject, text, file); err != nil {
			b.log.Warn("nobody was mailed of a voicemail message", "account", m.AccountID, "mailbox", box.Number, "error", err)
			all = false
		}
	}
	return all && (file.Name != "" || !box.AttachMessage) // a message that nobody has yet is not put away
}

// readers are the addresses that want mail of a box's messages: the owner's, unless the user does not want any, and the box's.
func (b *mailboxes) readers(ctx context.Context, box bugle.Mailbox, accountID string) []string {
	to := slices.Clone(box.Emails)
	if box.OwnerID != "" {
		if doc, err := b.cache.Get(ctx, accountID, crossbar.TypeUser, box.OwnerID); err == nil {
			if user, err := bugle.ParseFields(doc.Body); err == nil && user.Bool("vm_to_email_enabled", true) {
				to = append(to, user.String("email"))
			}
		}
	}
	slices.Sort(to)
	return slices.DeleteFunc(slices.Compact(to), func(address string) bool { return address == "" })
}

// mostAttached is the longest audio that is attached: mail servers take no more.
const mostAttached = 15 << 20

func (b *mailboxes) attachment(ctx context.Context, box bugle.Mailbox, m store.MessageRow) (mail.Attachment, error) {
	if !box.AttachMessage || m.Blob == "" {
		return mail.Attachment{}, nil
	}
	if m.Size > mostAttached {
		return mail.Attachment{}, &bugle.Error{Op: "voicemail.attachment", Kind: bugle.KindTooLarge, Message: "the audio is too long for a mail"}
	}
	file, err := b.blobs.Open(ctx, m.AccountID, m.Blob)
	if err != nil {
		return mail.Attachment{}, err
	}
	defer file.Close()
	audio, err := io.ReadAll(file)
	return mail.Attachment{Name: "voicemail-" + box.Number + "-" + m.Arrived.UTC().Format("20060102-150405") + ".wav", ContentType: "audio/x-wav",
		Content: audio}, err
}
