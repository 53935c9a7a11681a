package crossbar

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"bugle/internal/media"
	"bugle/internal/store"
)

// This file has what media are beside files: prompts in languages, and texts that are said.

// noLanguage stands in paths for the media that name no language, as in KAZOO.
const noLanguage = "missing"

// mediaListings are the paths that count media by a key of theirs and list those of one value.
func mediaListings() []endpoint {
	get := func(run func(req *request) (*reply, error)) map[string]operation {
		return map[string]operation{http.MethodGet: {run: run}}
	}
	language := func(doc map[string]any) string {
		if l := stringAt(doc, "language"); l != "" {
			return strings.ToLower(l)
		}
		return noLanguage
	}
	prompt := func(doc map[string]any) string { return strings.ToLower(stringAt(doc, "prompt_id")) }
	return []endpoint{
		{path: "languages", ops: get(func(req *request) (*reply, error) { return req.countMedia(language) })},
		{path: "languages/{language}", ops: get(func(req *request) (*reply, error) {
			return req.namesOfMedia(language, func(d *store.Document, _ map[string]any) string { return d.ID })
		})},
		{path: "prompts", ops: get(func(req *request) (*reply, error) { return req.countMedia(prompt) })},
		{path: "prompts/{prompt}", ops: get(func(req *request) (*reply, error) {
			return req.namesOfMedia(prompt, func(_ *store.Document, doc map[string]any) string {
				return stringAt(doc, "language") + "%2F" + prompt(doc)
			})
		})},
	}
}

func mediaShapes() map[string]shape {
	counts := objectOf(nil)
	counts["additionalProperties"] = typed("integer")
	return map[string]shape{
		"GET languages":            {summary: "How many media each language has", gives: listOf(counts)},
		"GET languages/{language}": {summary: "The ids of the media of a language", gives: listOf(typed("string"))},
		"GET prompts":              {summary: "How many languages each prompt is replaced in", gives: listOf(counts)},
		"GET prompts/{prompt}":     {summary: "The media that replace a prompt, by language%2Fprompt", gives: listOf(typed("string"))},
	}
}

// eachMedia calls f with the media of the account.
func (req *request) eachMedia(f func(d *store.Document, doc map[string]any)) error {
	for d, err := range req.documents(store.Query{AccountID: req.account.id, Type: TypeMedia}) {
		if err != nil {
			return err
		}
		doc, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		f(&d, doc)
	}
	return nil
}

// countMedia answers with how many media have each value, in KAZOO's form: one object in a list.
func (req *request) countMedia(value func(doc map[string]any) string) (*reply, error) {
	counts := map[string]any{}
	err := req.eachMedia(func(_ *store.Document, doc map[string]any) {
		if v := value(doc); v != "" {
			n, _ := counts[v].(int)
			counts[v] = n + 1
		}
	})
	if err != nil {
		return nil, err
	}
	rows := []any{}
	if len(counts) > 0 {
		rows = append(rows, counts)
	}
	return req.listReply(appendTree(nil, rows), &page{whole: true}), nil
}

// namesOfMedia answers with the names of the media whose value is the path's.
func (req *request) namesOfMedia(value func(doc map[string]any) string, name func(d *store.Document, doc map[string]any) string) (*reply, error) {
	wanted := strings.ToLower(req.route.arg())
	var names []string
	err := req.eachMedia(func(d *store.Document, doc map[string]any) {
		if value(doc) == wanted && wanted != "" {
			names = append(names, name(d, doc))
		}
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	rows := make([]any, len(names))
	for i := range names {
		rows[i] = names[i]
	}
	return req.listReply(appendTree(nil, rows), &page{whole: true}), nil
}

// promptAlias finds the media that replaces a prompt by the id that it has in KAZOO: language%2Fprompt, which clients send
// escaped once or twice.
func (req *request) promptAlias(name string) (string, error) {
	if strings.Contains(name, "%") {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	if !strings.Contains(name, "/") {
		return "", nil
	}
	d, err := req.api.opts.Store.GetByKey(req.ctx, store.Key{Space: KeyPrompt, Scope: req.account.id, Value: strings.ToLower(name)})
	if err != nil {
		return "", req.missing(err, name)
	}
	return d.ID, nil
}

func isSpeech(doc map[string]any) bool { return stringAt(doc, "media_source") == "tts" }

// spoken is the audio of a media that is a text, as a caller would hear it.
func (req *request) spoken(id string, doc map[string]any) (*reply, error) {
	if req.api.opts.Say == nil {
		return nil, mute("there is no speech synthesiser", nil)
	}
	pcm, err := req.api.opts.Say(req.ctx, stringAt(doc, "language"), stringAt(doc, "tts.voice"), stringAt(doc, "tts.text"))
	if err != nil {
		return nil, mute(errorText(err), err)
	}
	var wav bytes.Buffer
	if err := media.WriteWAV(&wav, pcm); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(wav.Bytes())
	return &reply{status: http.StatusOK, revision: hex.EncodeToString(sum[:]), file: &file{contentType: "audio/x-wav", name: id + ".wav",
		content: inMemory{bytes.NewReader(wav.Bytes())}}}, nil
}

// mute says that a text cannot be said now.
func mute(why string, err error) *fault {
	return &fault{status: http.StatusServiceUnavailable, message: "tts_provider_failure", data: say("the text cannot be said: " + why), err: err}
}

// inMemory is a file that needs no closing.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
