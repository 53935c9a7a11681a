package speech

import (
	"strings"
	"testing"

	"bugle"
	"bugle/internal/media"
)

func TestRecordingsGoBeforePromptsAndLanguagesBeforeEnglish(t *testing.T) {
	t.Parallel()
	own := shelf{}.with("acme/fr-ca/dir-found").with("acme/fr/dir-found").with("acme/fr/vm-goodbye").
		with("acme/en-us/vm-goodbye").with("acme/en/menu-exit").with("acme/en-gb/dir-confirm_menu").with("acme/en-us/acme-own").
		with("other/en-us/dir-found")
	own["acme/en-us/dir-invalid_key"] = Audio{Text: "Wrong key."}
	missing := []string{}
	c := NewCatalogue(Options{Media: own, Synthesiser: &engine{}, OnMissing: func(id string) { missing = append(missing, id) }})
	for _, test := range []struct{ language, id, want string }{
		{"fr-ca", "dir-found", "acme/fr-ca/dir-found"},
		{"FR_ca", "dir-found", "acme/fr-ca/dir-found"},
		{"fr-be", "dir-found", "acme/fr/dir-found"},
		{"fr-ca", "vm-goodbye", "acme/fr/vm-goodbye"},
		{"de-de", "vm-goodbye", "acme/en-us/vm-goodbye"}, // the account's English before the built-in
		{"en-us", "vm-goodbye", "acme/en-us/vm-goodbye"},
		{"", "vm-goodbye", "acme/en-us/vm-goodbye"},
		{"en-us", "menu-exit", "acme/en/menu-exit"},
		{"en-gb", "menu-exit", "acme/en/menu-exit"},
		{"en-us", "dir-confirm_menu", "dir-confirm_menu"}, // not the British one
		{"en-gb", "dir-confirm_menu", "acme/en-gb/dir-confirm_menu"},
		{"en-us", "dir-found", "dir-found"}, // not another account's
		{"en-us", "dir-invalid_key", "Wrong key."},
		{"en-us", "acme-own", "acme/en-us/acme-own"},
		{"en-us", "no-such", "silence"},
	} {
		if got := c.Prompt(t.Context(), "acme", test.language, test.id).Name(); got != test.want {
			t.Errorf("%s in %q is %s, want %s", test.id, test.language, got, test.want)
		}
	}
	if strings.Join(missing, " ") != "no-such" {
		t.Errorf("missing counted: %v", missing)
	}
}

// Not parallel: it counts allocations.
func TestBuiltInPromptsAreShared(t *testing.T) {
	a, b := NewCatalogue(Options{}), NewCatalogue(Options{})
	one, two := a.Prompt(t.Context(), "x", "en-us", PromptGoodbye), b.Prompt(t.Context(), "y", "", PromptGoodbye)
	if one != two {
		t.Error("two catalogues have two clips of one prompt")
	}
	if n := testing.AllocsPerRun(100, func() { english().get(PromptGoodbye) }); n != 0 {
		t.Errorf("%v allocations for a prompt that is there", n)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 7: "7", 13: "13", 20: "20", 21: "20 1", 99: "90 9", 100: "1 hundred", 101: "1 hundred 1", 110: "1 hundred 10",
		207: "2 hundred 7", 999: "9 hundred 90 9", 1000: "1 thousand", 1002: "1 thousand 2", 20_000: "20 thousand",
		345_678:   "3 hundred 40 5 thousand 6 hundred 70 8",
		1_000_000: "1 million", 2_000_031: "2 million 30 1", 1_000_000_000: "1 billion", -5: "minus 5",
		1_000_000_000_000:    "1 0 0 0 0 0 0 0 0 0 0 0 0",
		-9223372036854775808: "minus 9 2 2 3 3 7 2 0 3 6 8 5 4 7 7 5 8 0 8",
	} {
		if got := strings.ReplaceAll(strings.Join(numberPrompts(n), " "), "num.", ""); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestDigitsAndLetters(t *testing.T) {
	t.Parallel()
	c := NewCatalogue(Options{})
	for text, want := range map[string]string{
		"1002": "num.1 num.0 num.0 num.2", "*41#": "gen.star num.4 num.1 gen.pound", "+1 (415)": "num.plus num.1 num.4 num.1 num.5", "": "",
	} {
		if got := names(c.Digits(t.Context(), "", "", text)); got != want {
			t.Errorf("the digits of %q are %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"Ann Lee": "let.a let.n let.n pause let.l let.e let.e",
		"O'Brien": "let.o let.apostrophe let.b let.r let.i let.e let.n",
		"O’Brien": "let.o let.apostrophe let.b let.r let.i let.e let.n",
		"Łukasz":  "let.l let.u let.k let.a let.s let.z",
		"Ángel":   "let.a let.n let.g let.e let.l",
		"山田":      "let.s let.h let.a let.n pause let.t let.i let.a let.n",
		"ガ":       "let.g let.a", // written as two characters
		"R2-D2":   "let.r num.2 let.dash let.d num.2",
		"a\x00\n": "let.a", "😀": "", "ⵣ": "", " \t ": "", "": "",
	} {
		if got := names(c.Spell(t.Context(), "", "", text)); got != want {
			t.Errorf("%q is spelled %q, want %q", text, got, want)
		}
	}
	if got := len(c.Spell(t.Context(), "", "", strings.Repeat("a", 100_000))); got != maxSpelled {
		t.Errorf("%d letters spelled", got)
	}
}

func TestComposedPrompts(t *testing.T) {
	t.Parallel()
	c := NewCatalogue(Options{})
	for got, want := range map[string]string{
		names(c.SpecifyMinimum(t.Context(), "acme", "en-us", 3)):       "dir.minimum num.3 dir.letters",
		names(c.SpecifyMinimum(t.Context(), "acme", "de", 1)):          "dir.minimum num.1 dir.letter",
		names(c.Found(t.Context(), "acme", "en-us", 12, false, true)):  "dir.found.pre num.12 dir.found.narrow",
		names(c.Found(t.Context(), "acme", "en-us", 2, false, false)):  "dir.found.pre num.2 dir.found.post",
		names(c.Found(t.Context(), "acme", "en-us", 100, true, false)): "dir.found.pre dir.found.more num.1 num.hundred dir.found.post",
	} {
		if got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	own := NewCatalogue(Options{Media: shelf{}.with("acme/en-us/dir-specify_minimum")})
	for account, want := range map[string]string{"acme": "acme/en-us/dir-specify_minimum", "other": "dir.minimum num.3 dir.letters"} {
		if got := names(own.SpecifyMinimum(t.Context(), account, "en-us", 3)); got != want {
			t.Errorf("%s hears %q, want %q", account, got, want)
		}
	}
}

func TestANameIsRecordedThenSaidThenSpelled(t *testing.T) {
	t.Parallel()
	own := shelf{}.with("acme/ann").with("other/theirs")
	own["acme/said"] = Audio{Text: "Ann of Acme", Voice: "male/en-US"}
	own["acme/empty"] = Audio{}
	speaks := &engine{}
	fails := &engine{answer: failing(bugle.KindUnavailable)}
	for _, test := range []struct {
		engine         Synthesiser
		recorded, want string
	}{
		{speaks, "ann", "acme/ann"},
		{fails, "ann", "acme/ann"},
		{speaks, "", "Ann"},
		{speaks, "said", "Ann of Acme"},
		{speaks, "gone", "Ann"},
		{speaks, "empty", "Ann"},
		{speaks, "broken", "Ann"},
		{speaks, "theirs", "Ann"},
		{fails, "", "let.a let.n let.n"},
		{fails, "said", "let.a let.n let.n"},
		{nil, "gone", "let.a let.n let.n"},
		{nil, "", "let.a let.n let.n"},
	} {
		s := NewSpeaker(NewCatalogue(Options{Media: own, Synthesiser: test.engine}))
		if got := names(s.PersonName(t.Context(), "acme", "en-us", test.recorded, "Ann")); got != test.want {
			t.Errorf("recording %q: heard %q, want %q", test.recorded, got, test.want)
		}
	}
	s := NewSpeaker(NewCatalogue(Options{}))
	if got := names(s.PersonName(t.Context(), "acme", "en-us", "ann", "Ann")); got != "let.a let.n let.n" {
		t.Errorf("without media and engine: %q", got)
	}
}

func TestNothingThatCannotBeSaidEndsACall(t *testing.T) {
	t.Parallel()
	missing := 0
	s := NewSpeaker(NewCatalogue(Options{OnMissing: func(string) { missing++ }}))
	for _, text := range []string{"", "ⵣ", strings.Repeat("word ", 100)} {
		clips := s.Say(t.Context(), "acme", "en-us", "", text)
		if len(clips) != 1 || clips[0].Duration() != missingPause {
			t.Errorf("%.10q is %s", text, names(clips))
		}
	}
	if missing != 3 {
		t.Errorf("%d counted", missing)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	own := shelf{}.with("acme/greeting").with("acme/fr/dir-found").with("acme/de/own-prompt").with("other/theirs").with("/music").
		with("other/en-us/dir-found").with("acme/en-us/only-here")
	own["acme/tts"] = Audio{Text: "Hello there", Voice: "female/en-US"}
	own["acme/empty"] = Audio{}
	c := NewCatalogue(Options{Media: own, Synthesiser: &engine{}})
	for reference, want := range map[string]string{
		"greeting":                            "acme/greeting",
		" greeting ":                          "acme/greeting",
		"/acme/greeting":                      "acme/greeting",
		"tts":                                 "Hello there",
		"dir-found":                           "dir-found",
		"only-here":                           "acme/en-us/only-here",
		"ivr.default":                         "ivr.default",
		"/system_media/dir-found":             "dir-found",
		"system_media/en-us%2Fdir-found":      "dir-found",
		"/system_media/en-us/dir-found":       "dir-found",
		"/system_media/music":                 "/music",
		"prompt://dir-found":                  "dir-found",
		"prompt://dir-found/fr":               "acme/fr/dir-found",
		"prompt://acme/dir-found/fr-ca":       "acme/fr/dir-found",
		"prompt://system_media/dir-found/fr":  "dir-found",
		"prompt://system_media/dir-found":     "dir-found",
		"prompt://own-prompt/de":              "acme/de/own-prompt",
		"tts://Good morning.":                 "Good morning.",
		"silence_stream://500":                "silence",
		"silence_stream://2500,1400":          "silence silence silence",
		"tone_stream://%(200,100,440)":        "tone",
		"tone_stream://L=3;%(200,100,440)":    "tone tone tone",
		"tone_stream://v=-7;123;loops=2":      "tone tone",
		"error:greeting missing":              "error KindNotFound",
		"":                                    "error",
		"theirs":                              "error not found",
		"/other/theirs":                       "error not found",
		"prompt://other/dir-found/en-us":      "error not found",
		"prompt://nothing":                    "error not found",
		"prompt://":                           "error invalid",
		"prompt://a/b/c/d":                    "error invalid",
		"/system_media/nothing":               "error not found",
		"/system_media/":                      "error not found",
		"empty":                               "error not found",
		"gone":                                "error not found",
		"broken":                              "error internal",
		"tts://":                              "error invalid",
		"silence_stream://":                   "error invalid",
		"silence_stream://x":                  "error invalid",
		"tone_stream://":                      "error invalid",
		"tone_stream://%(":                    "error invalid",
		"tone_stream://%(1,2)":                "error invalid",
		"tone_stream://%(100,0,4000)":         "error invalid",
		"tone_stream://%(100,0,NaN)":          "error invalid",
		"tone_stream://%(60000,60000,440)":    "error invalid",
		"tone_stream://hello":                 "error invalid",
		"http://example.com/a.wav":            "error unsupported",
		"https://example.com/a.wav":           "error unsupported",
		"file:///etc/passwd":                  "error unsupported",
		"shout://example.com":                 "error unsupported",
		"../../etc/passwd":                    "error not found",
		"/system_media/../../etc/passwd":      "error not found",
		"/system_media/%zz":                   "error not found",
		"prompt://../dir-found/../../etc/pas": "error invalid",
	} {
		clips, err := c.Resolve(t.Context(), "acme", "en-us", reference)
		got := names(clips)
		if err != nil {
			got = "error " + bugle.KindOf(err).String()
		}
		if strings.HasPrefix(want, "error") && !strings.Contains(want, " ") || strings.HasPrefix(reference, "error:") {
			if err == nil {
				t.Errorf("%q is %q, want an error", reference, got)
			}
			continue
		}
		if got != want {
			t.Errorf("%q is %q, want %q", reference, got, want)
		}
	}
}

func TestStreamsWithoutEndHaveOne(t *testing.T) {
	t.Parallel()
	c := NewCatalogue(Options{})
	for _, reference := range []string{"silence_stream://-1", "silence_stream://999999999", "tone_stream://%(1000,1000,440);loops=-1"} {
		clips, err := c.Resolve(t.Context(), "acme", "", reference)
		if err != nil {
			t.Fatal(err)
		}
		total := maxSilence * 0
		for _, clip := range clips {
			total += clip.Duration()
		}
		if total != maxSilence {
			t.Errorf("%s takes %v", reference, total)
		}
	}
}

func TestTonesSoundAsWritten(t *testing.T) {
	t.Parallel()
	c := NewCatalogue(Options{})
	clips, err := c.Resolve(t.Context(), "acme", "", "tone_stream://%(500,250,440,480);v=-20;%(250,0,1000)")
	if err != nil {
		t.Fatal(err)
	}
	pcm := clips[0].PCM()
	if len(pcm) != media.SampleRate {
		t.Fatalf("%d samples, want one second", len(pcm))
	}
	tones := []struct {
		from, to int
		hertz    float64
		heard    bool
	}{{0, 4000, 440, true}, {0, 4000, 480, true}, {0, 4000, 1000, false}, {4100, 5900, 440, false}, {6000, 8000, 1000, true}, {6000, 8000, 440, false}}
	for _, tone := range tones {
		if got := strength(pcm[tone.from:tone.to], tone.hertz) > 500; got != tone.heard {
			t.Errorf("%v Hz in %d-%d: heard %v", tone.hertz, tone.from, tone.to, got)
		}
	}
	if loud, soft := strength(pcm[:4000], 440), strength(pcm[6000:], 1000); soft > loud/2 || soft < loud/3 {
		t.Errorf("7 dB less is %v of %v", soft, loud)
	}
}

func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"tone_stream://%(1,2,3)", "prompt://a/b", "silence_stream://1,2", "/system_media/x", "tts://é"} {
		f.Add(seed)
	}
	c := NewCatalogue(Options{Media: shelf{}})
	f.Fuzz(func(t *testing.T, reference string) {
		clips, err := c.Resolve(t.Context(), "acme", "en-us", reference)
		if (err == nil) != (len(clips) > 0) {
			t.Errorf("%d clips, %v", len(clips), err)
		}
		total := maxSilence * 0
		for _, clip := range clips {
			total += clip.Duration()
		}
		if total > maxSilence+maxTone {
			t.Errorf("%v of audio", total)
		}
	})
}
