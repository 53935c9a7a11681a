package main

import (
	"context"
	"path/filepath"

	"bugle/internal/egress"
	"bugle/internal/speech"
	"bugle/internal/store"
)

func (v *server) openSpeech(cache *store.Cache, blobs *store.Blobs, guard *egress.Guard) {
	v.speaker = speech.NewSpeaker(speech.NewCatalogue(speech.Options{Media: newRecordings(cache, blobs),
		Fetcher:     speech.NewHTTPFetcher(speech.HTTPFetcherOptions{Client: guard.Client(0), Limit: maxRecording, Log: v.log}),
		Synthesiser: v.synthesiser(guard), Cache: speech.CacheOptions{Directory: filepath.Join(v.dataDir, "speech")},
		Log: v.log, OnMissing: func(string) { v.meters.missing.Inc() }, OnPanic: v.meters.onPanic("speech")}))
}

// say is crossbar's Options.Say.
func (v *server) say(ctx context.Context, language, voice, text string) ([]int16, error) {
	clip, err := v.speaker.Synthesise(ctx, language, voice, text)
	if err != nil {
		return nil, err
	}
	return clip.PCM(), nil
}

// synthesiser returns what speaks names and texts: the endpoint, then flite, whichever there are; nil when there is
// neither, and names are spelled.
func (v *server) synthesiser(guard *egress.Guard) speech.Synthesiser {
	var engines []speech.Synthesiser
	if v.speechURL != "" {
		engines = append(engines, speech.NewHTTP(speech.HTTPOptions{Client: guard.Client(0), URL: v.speechURL, Key: v.speechKey}))
	}
	if v.flite != "" {
		flite, err := speech.NewFlite(speech.FliteOptions{Path: v.flite})
		if err != nil {
			v.log.Info("names are not spoken by flite", "why", err)
		} else {
			engines = append(engines, flite)
		}
	}
	switch len(engines) {
	case 0:
		return nil
	case 1:
		return engines[0]
	}
	return speech.NewFallback(nil, engines...)
}
