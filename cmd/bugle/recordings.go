package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/media"
	"bugle/internal/speech"
	"bugle/internal/store"
)

// recordings finds the audio that accounts own: speech.Media on media documents and the blob store. Decoded clips are
// kept by the name of their content, so that a greeting is decoded once, whoever hears it.
type recordings struct {
	cache *store.Cache
	blobs *store.Blobs

	mu    sync.Mutex
	clips map[string]*media.Clip
	size  int // samples in clips
}

const (
	maxRecording   = 11 << 20 // bytes of an upload
	maxKeptSamples = 64 << 20 // about two hours of audio
)

func newRecordings(cache *store.Cache, blobs *store.Blobs) *recordings {
	return &recordings{cache: cache, blobs: blobs, clips: map[string]*media.Clip{}}
}

// Prompt returns the account's own recording of a prompt in exactly this language.
func (r *recordings) Prompt(ctx context.Context, account, language, id string) (speech.Audio, error) {
	doc, err := r.cache.GetByKey(ctx, store.Key{Space: crossbar.KeyPrompt, Scope: account, Value: language + "/" + id})
	if err != nil {
		return speech.Audio{}, err
	}
	return r.audio(ctx, doc)
}

// Audio returns what a media document holds. The system itself owns none: its prompts are built in.
func (r *recordings) Audio(ctx context.Context, account, id string) (speech.Audio, error) {
	if account == "" {
		return speech.Audio{}, &bugle.Error{Op: "recordings.Audio", Kind: bugle.KindNotFound}
	}
	doc, err := r.cache.Get(ctx, account, crossbar.TypeMedia, id)
	if err != nil {
		return speech.Audio{}, err
	}
	return r.audio(ctx, doc)
}

func (r *recordings) audio(ctx context.Context, doc store.Document) (speech.Audio, error) {
	m, err := bugle.ParseMedia(doc.ID, doc.Body, strings.Join(blobsOf(doc), ""))
	switch {
	case err != nil:
		return speech.Audio{}, err
	case m.Speech != "":
		return speech.Audio{Text: m.Speech, Voice: m.Voice}, nil
	case m.Blob == "":
		return speech.Audio{}, &bugle.Error{Op: "recordings.audio", Kind: bugle.KindNotFound,
			Message: "nothing was uploaded to media " + doc.ID + " yet"}
	}
	clip, err := r.clip(ctx, doc.AccountID, doc.ID, m.Blob)
	return speech.Audio{Clip: clip}, err
}

func (r *recordings) clip(ctx context.Context, account, name, blob string) (*media.Clip, error) {
	r.mu.Lock()
	clip, ok := r.clips[account+"/"+blob]
	r.mu.Unlock()
	if ok {
		return clip, nil
	}
	file, err := r.blobs.Open(ctx, account, blob)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	pcm, err := media.ReadWAV(file, maxRecording)
	if err != nil {
		return nil, err
	}
	clip = media.NewClip(name, pcm)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size+len(pcm) > maxKeptSamples {
		clear(r.clips)
		r.size = 0
	}
	r.clips[account+"/"+blob] = clip
	r.size += len(pcm)
	return clip, nil
}

const (
	sweepEvery = 6 * time.Hour
	sweepAge   = 24 * time.Hour // an upload's document is written long before

	deletedMessages = 30 * 24 * time.Hour // how long a deleted voicemail message can be brought back
)

// sweepBlobs removes, now and then until ctx ends, old deleted voicemail messages and the audio that nothing names any more.
func sweepBlobs(ctx context.Context, s *store.Store, blobs *store.Blobs, log *slog.Logger) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if _, err := s.SweepMessages(ctx, now.Add(-deletedMessages)); err != nil && ctx.Err() == nil {
				log.Warn("deleted voicemail messages stayed", "error", err)
			}
			removed, err := blobs.Sweep(ctx, now, sweepAge, audioInUse(s))
			if err != nil && ctx.Err() == nil {
				log.Warn("audio that nothing names stayed", "error", err)
			} else if removed > 0 {
				log.Info("audio that nothing named was removed", "files", removed)
			}
		}
	}
}

// audioInUse is what the sweep asks: whether a media document, a person or a voicemail message names a blob.
func audioInUse(s *store.Store) func(ctx context.Context, accountID, sum string) (bool, error) {
	documents := s.References([]string{crossbar.TypeMedia, crossbar.TypeUser, crossbar.TypeListEntry}, blobsOf)
	return func(ctx context.Context, accountID, sum string) (bool, error) {
		if used, err := documents(ctx, accountID, sum); used || err != nil {
			return used, err
		}
		return s.MessageBlob(ctx, accountID, sum)
	}
}

// blobsOf returns the audio or the photo that a document names.
func blobsOf(doc store.Document) []string {
	if doc.Private == nil {
		return nil
	}
	private, err := bugle.ParseFields(doc.Private)
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range [...]string{private.String(crossbar.PrivateBlob), private.Object(crossbar.PrivatePhoto).String(crossbar.PrivateBlob)} {
		if name != "" {
			out = append(out, name)
		}
	}
	return out
}
