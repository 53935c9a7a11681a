package bugletest

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"bugle/internal/media"
	"bugle/internal/speech"
)

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

// testCatalogue is the built-in prompts and a recogniser of them, made once.
var testCatalogue = sync.OnceValues(func() (map[string]*media.Clip, *Recogniser) {
	prompts := speech.NewCatalogue(speech.Options{})
	clips := make(map[string]*media.Clip)
	var all []*media.Clip
	for _, id := range speech.BuiltinPrompts() {
		clips[id] = prompts.Prompt(context.Background(), "", "en-us", id)
		all = append(all, clips[id])
	}
	return clips, NewRecogniser(all)
})

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
