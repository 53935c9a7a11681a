package main

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/event/kazoo"
	"bugle/internal/mail"
	"bugle/internal/media"
	"bugle/internal/store"
)

// mailboxes is module.Mailboxes on the store: boxes are documents, messages are rows, audio is in the blob store, and the API
// sees all of it.
type mailboxes struct {
	store  *store.Store
	cache  *store.Cache
	blobs  *store.Blobs
	sealer *store.Sealer
	api    func() *crossbar.API // nil until it is open
	mail   *mail.Sender         // nil: no mail is sent
	hooks  *kazoo.Hooks
	log    *slog.Logger
	panics func(any)

	life    context.Context // of the server; ends what is still told
	telling sync.WaitGroup

	mu    sync.Mutex
	wrong map[string]wrongPINs // by box
}

// wrongPINs are those of a while.
type wrongPINs struct {
	count int
	since time.Time
}

const (
	mostWrongPINs = 10 // of a box in an hour; then nobody comes in by PIN
	wrongPINsLast = time.Hour
	mostListed    = 200 // messages of a folder that are gone through
)

// openVoicemail makes the mailboxes that calls reach.
func (v *server) openVoicemail(cache *store.Cache, blobs *store.Blobs, sealer *store.Sealer) (*mailboxes, error) {
	life, end := context.WithCancel(context.Background())
	b := &mailboxes{life: life, store: v.store, cache: cache, blobs: blobs, sealer: sealer, api: v.crossbar.Load, hooks: v.hooks, log: v.log,
		panics: v.meters.onPanic("voicemail"), wrong: map[string]wrongPINs{}}
	mailer, err := v.api.mailer()
	if err != nil {
		end()
		return nil, err
	}
	b.mail, _ = mailer.(*mail.Sender)
	v.closing(func(ctx context.Context) {
		stop := context.AfterFunc(ctx, end)
		b.telling.Wait()
		stop()
		end()
	})
	return b, nil
}

func (b *mailboxes) Mailbox(ctx context.Context, accountID, id string) (bugle.Mailbox, error) {
	doc, err := b.cache.Get(ctx, accountID, crossbar.TypeMailbox, id)
	return view(b.cache, doc, err, bugle.ParseMailbox)
}

func (b *mailboxes) MailboxByNumber(ctx context.Context, accountID, number string) (bugle.Mailbox, error) {
	doc, err := b.cache.GetByKey(ctx, store.Key{Space: crossbar.KeyMailbox, Scope: accountID, Value: number})
	return view(b.cache, doc, err, bugle.ParseMailbox)
}

func (b *mailboxes) MailboxesOf(ctx context.Context, accountID, userID string) ([]bugle.Mailbox, error) {
	docs, err := b.cache.ListByIndex(ctx, accountID, crossbar.TypeMailbox, store.Index{Name: crossbar.IndexOwner, Value: userID})
	return views(b.cache, docs, err, bugle.ParseMailbox)
}

// CheckPIN counts wrong PINs: with four digits and three tries a call somebody who calls all day would find it.
func (b *mailboxes) CheckPIN(_ context.Context, accountID string, box bugle.Mailbox, pin string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	wrong := b.wrong[box.ID]
	if now.Sub(wrong.since) > wrongPINsLast {
		wrong = wrongPINs{since: now}
	}
	if wrong.count >= mostWrongPINs {
		return false, &bugle.Error{Op: "voicemail.CheckPIN", Kind: bugle.KindLimited, Message: "too many wrong PINs"}
	}
	if box.SealedPIN != "" {
		right, err := b.sealer.Open(box.SealedPIN, box.ID, "pin")
		if err != nil {
			return false, err
		}
		if right == pin {
			delete(b.wrong, box.ID)
			return true, nil
		}
	}
	wrong.count++
	b.wrong[box.ID] = wrong
	if wrong.count == mostWrongPINs {
		b.log.Warn("too many wrong PINs, a mailbox is locked", "account", accountID, "mailbox", box.Number, "id", box.ID,
			"until", wrong.since.Add(wrongPINsLast).UTC().Format(time.RFC3339))
	}
	return false, nil
}

func (b *mailboxes) CountMessages(ctx context.Context, accountID, boxID string) (fresh, saved int, err error) {
	counts, err := b.store.CountMessages(ctx, accountID, []string{boxID})
	return counts[boxID][store.FolderNew], counts[boxID][store.FolderSaved], err
}

func (b *mailboxes) Messages(ctx context.Context, accountID string, box bugle.Mailbox, folder string) ([]bugle.VoicemailMessage, error) {
	rows, _, err := b.store.Messages(ctx, store.MessageQuery{AccountID: accountID, BoxID: box.ID, Folders: []string{folder}, Limit: mostListed,
		Ascending: box.OldestFirst})
	out := make([]bugle.VoicemailMessage, len(rows))
	for i, m := range rows {
		out[i] = bugle.VoicemailMessage{ID: m.ID, Folder: m.Folder, Arrived: m.Arrived, CallID: m.CallID, FromName: m.FromName,
			FromNumber: m.FromNumber, From: m.From, To: m.To, Length: m.Length}
	}
	return out, err
}

func (b *mailboxes) MessageAudio(ctx context.Context, accountID, id string) (*media.Clip, error) {
	m, err := b.store.GetMessage(ctx, accountID, id)
	if err != nil {
		return nil, err
	}
	if m.Blob == "" {
		return nil, &bugle.Error{Op: "voicemail.MessageAudio", Kind: bugle.KindNotFound, Message: "the message has no audio"}
	}
	file, err := b.blobs.Open(ctx, accountID, m.Blob)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	pcm, err := media.ReadWAV(file, maxSpoken)
	if err != nil {
		return nil, err
	}
	return media.NewClip(id, pcm), nil
}

const maxSpoken = 64 << 20 // bytes of WAV: half an hour is 29 MB

// keepAudio writes a recording as WAV.
func (b *mailboxes) keepAudio(ctx context.Context, accountID string, pcm []int16) (store.Blob, int64, error) {
	var wav bytes.Buffer
	if err := media.WriteWAV(&wav, pcm); err != nil {
		return store.Blob{}, 0, err
	}
	size := int64(wav.Len())
	blob, err := b.blobs.Put(ctx, accountID, &wav, maxSpoken)
	return blob, size, err
}

// Deposit keeps a message before it tells anybody.
func (b *mailboxes) Deposit(ctx context.Context, accountID string, box bugle.Mailbox, m bugle.VoicemailMessage, pcm []int16) error {
	blob, size, err := b.keepAudio(ctx, accountID, pcm)
	if err != nil {
		return err
	}
	row := store.MessageRow{ID: crossbar.NewMessageID(m.Arrived), AccountID: accountID, BoxID: box.ID, Folder: store.FolderNew, Arrived: m.Arrived,
		CallID: m.CallID, FromName: m.FromName, FromNumber: m.FromNumber, From: m.From, To: m.To, Blob: blob.SHA256,
		ContentType: "audio/x-wav", Size: size, Length: m.Length}
	return b.put(ctx, box, row)
}

// put writes a new message into a box that is there, again while the database does not answer, and tells of it.
func (b *mailboxes) put(ctx context.Context, box bugle.Mailbox, row store.MessageRow) error {
	for attempt := 1; ; attempt++ {
		err := b.store.Write(ctx, func(tx *store.Tx) error {
			if _, err := tx.Get(row.AccountID, crossbar.TypeMailbox, row.BoxID); err != nil {
				return err
			}
			return tx.PutMessages(row)
		})
		if err == nil {
			break
		}
		if attempt == 5 || bugle.KindOf(err) != bugle.KindUnavailable {
			return err
		}
		select {
		case <-time.After(time.Duration(attempt) * time.Second):
		case <-ctx.Done():
			return err
		}
	}
	b.telling.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				b.panics(v)
			}
		}()
		b.tell(b.life, box, row)
	})
	return nil
}

func (b *mailboxes) MoveMessage(ctx context.Context, accountID, id, folder string) error {
	return b.store.Write(ctx, func(tx *store.Tx) error {
		m, err := tx.GetMessage(accountID, id)
		if err != nil {
			return err
		}
		m.Folder = folder
		return tx.PutMessages(m)
	})
}

func (b *mailboxes) ForwardMessage(ctx context.Context, accountID, id string, to bugle.Mailbox) error {
	m, err := b.store.GetMessage(ctx, accountID, id)
	if err != nil {
		return err
	}
	m.ID, m.BoxID, m.Folder = crossbar.NewMessageID(m.Arrived), to.ID, store.FolderNew
	return b.put(ctx, to, m)
}

// set merges keys into a document.
func (b *mailboxes) set(ctx context.Context, accountID, noun, id string, keys object) error {
	api := b.api()
	if api == nil {
		return &bugle.Error{Op: "voicemail.set", Kind: bugle.KindUnavailable, Message: "the API is not open yet"}
	}
	return api.SetByTelephone(ctx, accountID, noun, id, keys)
}

// record keeps a recording as a media document, in place of an earlier one, and returns its id.
func (b *mailboxes) record(ctx context.Context, accountID, mediaID, name string, pcm []int16) (string, error) {
	api := b.api()
	if api == nil {
		return "", &bugle.Error{Op: "voicemail.record", Kind: bugle.KindUnavailable, Message: "the API is not open yet"}
	}
	blob, size, err := b.keepAudio(ctx, accountID, pcm)
	if err != nil {
		return "", err
	}
	return api.KeepRecording(ctx, accountID, mediaID, name, blob, size, int64(len(pcm))*1000/media.SampleRate)
}

func (b *mailboxes) SetPIN(ctx context.Context, accountID, boxID, pin string) error {
	return b.set(ctx, accountID, "vmboxes", boxID, object{"pin": pin})
}

func (b *mailboxes) SetGreeting(ctx context.Context, accountID string, box bugle.Mailbox, temporary bool, pcm []int16) error {
	key, old, what := "unavailable", box.Unavailable, "greeting"
	if temporary {
		key, old, what = "temporary_unavailable", box.Temporary, "temporary greeting"
	}
	if pcm == nil {
		return b.set(ctx, accountID, "vmboxes", box.ID, object{"media": object{key: nil}})
	}
	id, err := b.record(ctx, accountID, old, cmp.Or(box.Name, box.Number)+" "+what, pcm)
	if err != nil || id == old {
		return err
	}
	return b.set(ctx, accountID, "vmboxes", box.ID, object{"media": object{key: id}})
}

func (b *mailboxes) SetName(ctx context.Context, accountID, userID string, pcm []int16) error {
	doc, err := b.cache.Get(ctx, accountID, crossbar.TypeUser, userID)
	user, err := view(b.cache, doc, err, bugle.ParseUser)
	if err != nil {
		return err
	}
	id, err := b.record(ctx, accountID, user.NameMedia, user.DisplayName()+" (name)", pcm)
	if err != nil || id == user.NameMedia {
		return err
	}
	return b.set(ctx, accountID, "users", userID, object{"media": object{"name": id}})
}

func (b *mailboxes) SetUp(ctx context.Context, accountID, boxID string) error {
	return b.set(ctx, accountID, "vmboxes", boxID, object{"is_setup": true})
}
