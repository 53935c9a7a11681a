package crossbar_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/media"
)

func TestPromptsAndLanguages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/media/languages", "/media/prompts", "/media/languages/en-us", "/media/prompts/dir-intro"} {
		sameJSON(t, w.must("GET", w.own(path), "").data(), `[]`)
	}
	put := func(data string) string { return w.must("PUT", w.own("/media"), data).str("id") }
	english := put(`{"name":"Intro","prompt_id":"Dir-Intro"}`)
	polish := put(`{"name":"Intro pl","prompt_id":"dir-intro","language":"pl-PL"}`)
	music := put(`{"name":"Music","language":"pl-pl"}`)
	put(`{"name":"Found","prompt_id":"dir-found","language":"pl-pl"}`)
	rival := w.newAccount("Rival")
	w.must("PUT", "/v2/accounts/"+rival+"/media", `{"name":"Theirs","prompt_id":"dir-theirs","language":"de-de"}`)

	sameJSON(t, w.must("GET", w.own("/media/languages"), "").data(), `[{"en-us":1,"pl-pl":3}]`)
	sameJSON(t, w.must("GET", w.own("/media/languages/en-us"), "").data(), `["`+english+`"]`)
	if ids := w.must("GET", w.own("/media/languages/PL-pl"), "").at().([]any); len(ids) != 3 || !slices.Contains(ids, any(music)) {
		t.Errorf("%v", ids)
	}
	sameJSON(t, w.must("GET", w.own("/media/languages/missing"), "").data(), `[]`)
	sameJSON(t, w.must("GET", w.own("/media/prompts"), "").data(), `[{"dir-intro":2,"dir-found":1}]`)
	sameJSON(t, w.must("GET", w.own("/media/prompts/dir-intro"), "").data(), `["en-us%2Fdir-intro","pl-pl%2Fdir-intro"]`)
	if a := w.call("GET", w.own("/media/prompts"), "", "Accept: text/csv"); a.code != 200 || !strings.Contains(string(a.text), "1,2") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", w.own("/media/prompts/dir-intro"), "", "Accept: text/csv"); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PUT", w.own("/media/prompts"), `{"name":"x"}`); a.code != 405 {
		t.Errorf("%d %s", a.code, a.text)
	}

	// What KAZOO's clients take for the id is one, escaped once or twice, in every place of an id.
	for _, name := range []string{"en-us%2Fdir-intro", "en-us%252Fdir-intro", "EN-US%2FDir-Intro"} {
		if a := w.must("GET", w.own("/media/"+name), ""); a.str("id") != english {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	if a := w.raw("POST", w.own("/media/pl-pl%2Fdir-intro/raw"), wav(800), "X-Auth-Token: "+w.token, "Content-Type: audio/x-wav"); a.code != 200 || a.str("id") != polish {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.raw("GET", w.own("/media/"+polish+"/raw"), "", "X-Auth-Token: "+w.token); string(a.text) != wav(800) {
		t.Errorf("%d", a.code)
	}
	if a := w.must("PATCH", w.own("/media/pl-pl%2Fdir-intro"), `{"description":"nowe"}`); a.str("id") != polish || a.str("description") != "nowe" {
		t.Errorf("%s", a.text)
	}
	w.must("GET", w.own("/media/pl-pl%2Fdir-intro/history"), "")
	w.must("DELETE", w.own("/media/pl-pl%2Fdir-intro"), "")
	for _, name := range []string{"pl-pl%2Fdir-intro", "de-de%2Fdir-theirs", "en-us%2F", "%2F", "en-us%2Fa%2Fb", "x%00%2Fy"} {
		if a := w.call("GET", w.own("/media/"+name), ""); a.code != 404 {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
}

func TestSpokenMedia(t *testing.T) {
	t.Parallel()
	var failure error
	var heard string
	w := newWorld(t, func(o *crossbar.Options) {
		o.Say = func(_ context.Context, language, voice, text string) ([]int16, error) {
			heard = language + " " + voice + " " + text
			return []int16{1, -2, 3}, failure
		}
	})
	for _, data := range []string{`{"name":"T","media_source":"tts"}`, `{"name":"T","media_source":"tts","tts":{"voice":"male/en-US"}}`,
		`{"name":"T","media_source":"tts","tts":{"text":" \n"}}`} {
		if a := w.call("PUT", w.own("/media"), data); a.code != 400 || a.at("tts.text", "required") == nil {
			t.Errorf("%s: %d %s", data, a.code, a.text)
		}
	}
	id := w.must("PUT", w.own("/media"), `{"name":"T","media_source":"tts","language":"en-gb","tts":{"text":"Good day","voice":"male/en-US"}}`).str("id")
	raw := func(more ...string) answer {
		return w.raw("GET", w.own("/media/"+id+"/raw"), "", append([]string{"X-Auth-Token: " + w.token}, more...)...)
	}
	a := raw()
	pcm, err := media.ReadWAV(bytes.NewReader(a.text), 1000)
	if a.code != 200 || err != nil || !slices.Equal(pcm, []int16{1, -2, 3}) || a.header.Get("Content-Type") != "audio/x-wav" ||
		heard != "en-gb male/en-US Good day" {
		t.Errorf("%d %v %v %q", a.code, pcm, err, heard)
	}
	if same := raw("If-None-Match: " + a.header.Get("Etag")); same.code != 304 {
		t.Errorf("%d", same.code)
	}
	if a := w.raw("GET", w.own("/media/"+id), "", "X-Auth-Token: "+w.token, "Accept: audio/x-wav"); a.code != 200 || !bytes.HasPrefix(a.text, []byte("RIFF")) {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PATCH", w.own("/media/"+id), `{"tts":{"text":null}}`); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
	for _, failure = range []error{&bugle.Error{Kind: bugle.KindUnavailable, Message: "the engine is away"}, errors.New("the engine is away")} {
		if a := raw(); a.code != 503 || !strings.Contains(a.str("message"), "the engine is away") {
			t.Errorf("%d %s", a.code, a.text)
		}
	}
	// An upload takes the place of the text.
	if a := w.raw("POST", w.own("/media/"+id+"/raw"), wav(8), "X-Auth-Token: "+w.token, "Content-Type: audio/x-wav"); a.code != 200 || a.str("media_source") != "upload" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := raw(); string(a.text) != wav(8) {
		t.Errorf("%d %s", a.code, a.text)
	}

	silent := newWorld(t)
	id = silent.must("PUT", silent.own("/media"), `{"name":"T","media_source":"tts","tts":{"text":"Good day"}}`).str("id")
	if a := silent.raw("GET", silent.own("/media/"+id+"/raw"), "", "X-Auth-Token: "+silent.token); a.code != 503 ||
		!strings.Contains(a.str("message"), "no speech synthesiser") {
		t.Errorf("%d %s", a.code, a.text)
	}
}
