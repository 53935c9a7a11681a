package bugletest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"bugle/internal/media"
)

// phrases are what the test catalogue says: long and short, some with the same first words.
var phrases = map[string]string{
	"enter-name":  "Using your keypad, enter the first few letters of the person's first or last name.",
	"enter-first": "Using your keypad, enter the first few letters of the person's first name.",
	"enter-last":  "Using your keypad, enter the first few letters of the person's last name.",
	"no-results":  "No one in the directory matches your entry.",
	"found":       "I found one match. To connect to",
	"confirm":     "press one. To start over, press three.",
	"number":      "To call",
	"menu":        "press one. For the next name, press two. To start over, press three.",
	"no-more":     "There are no more matching names.",
	"invalid":     "That key is not valid here.",
	"welcome":     "Welcome to the company directory.",
	"goodbye":     "Goodbye.",
	"found-pre":   "I found",
	"found-post":  "matches. Keep typing, or press pound to hear them.",
	"one":         "one", "two": "two", "three": "three", "four": "four", "five": "five", "six": "six",
	"seven": "seven", "eight": "eight", "nine": "nine", "zero": "zero", "letters": "letters.", "letter": "letter.",
}

// outsiders are said by the same voice and are in no catalogue; some begin like phrases.
var outsiders = []string{
	"Ann Lee", "Patrick O'Brien", "Seven Samurai", "Welcome to the company picnic, where nothing is as it seems.",
	"Using your keypad, enter the first few digits of your account number.", "I found one thing that you might like.",
	"No one in the building knows your name.", "There are no more matching socks.", "humm mmm ooo aaa",
	"Press one for sales, press two for support, press three for billing.",
}

// synthesise says a text with flite at 8 kHz.
func synthesise(t testing.TB, text string) []int16 {
	t.Helper()
	if _, err := exec.LookPath("flite"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("flite is missing, and CI is set: ", err)
		}
		t.Skip("flite is missing")
	}
	file := filepath.Join(t.TempDir(), "said.wav")
	if out, err := exec.Command("flite", "-voice", "slt", "-t", text, "-o", file).CombinedOutput(); err != nil {
		t.Fatalf("flite: %v: %s", err, out)
	}
	wav, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// flite writes 44 bytes of header and 16 kHz PCM: every two samples become one.
	pcm := make([]int16, (len(wav)-44)/4)
	for i := range pcm {
		a := int16(binary.LittleEndian.Uint16(wav[44+4*i:]))
		b := int16(binary.LittleEndian.Uint16(wav[46+4*i:]))
		pcm[i] = int16((int(a) + int(b)) / 2)
	}
	return trimmed(pcm)
}

// trimmed leaves at most 50 ms of digital silence at the end, as prompts are cut.
func trimmed(pcm []int16) []int16 {
	end := len(pcm)
	for end > 0 && pcm[end-1] < 40 && pcm[end-1] > -40 {
		end--
	}
	return pcm[:min(end+400, len(pcm))]
}

var catalogue = struct {
	once       sync.Once
	clips      map[string]*media.Clip
	recogniser *Recogniser
}{}

// testCatalogue renders phrases once.
func testCatalogue(t testing.TB) (map[string]*media.Clip, *Recogniser) {
	t.Helper()
	catalogue.once.Do(func() {
		clips := make(map[string]*media.Clip)
		var all []*media.Clip
		for name, text := range phrases {
			clips[name] = media.NewClip(name, synthesise(t, text))
			all = append(all, clips[name])
		}
		catalogue.clips, catalogue.recogniser = clips, NewRecogniser(all)
	})
	if catalogue.recogniser == nil {
		t.Skip("the test catalogue could not be rendered")
	}
	return catalogue.clips, catalogue.recogniser
}

// through sends pcm through G.711: "" for the µ-law that clips are decoded from, "a" for A-law, "ua" for both.
func through(law string, pcm []int16) []int16 {
	pcm = append([]int16(nil), pcm...)
	for i, x := range pcm {
		for _, l := range law {
			if l == 'a' {
				x = media.DecodeALaw(media.EncodeALaw(x))
			} else {
				x = media.DecodeMuLaw(media.EncodeMuLaw(x))
			}
		}
		pcm[i] = x
	}
	return pcm
}
