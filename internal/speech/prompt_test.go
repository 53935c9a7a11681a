package speech

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"bugle/internal/media"
)

func promptTexts(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.Open("prompts/en-us.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	texts := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		id, text, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			t.Errorf("%q has no tab", lines.Text())
		}
		texts[id] = text
	}
	delete(texts, "id")
	return texts
}

func TestEveryTextIsRenderedAndEveryRenderingHasItsText(t *testing.T) {
	t.Parallel()
	texts := promptTexts(t)
	if len(texts) < 450 {
		t.Errorf("only %d texts", len(texts))
	}
	sums := map[string]string{}
	for line := range strings.Lines(enUSIndex) {
		fields := strings.Fields(line)
		sums[fields[0]] = fields[3]
	}
	for id, text := range texts {
		sum := sha256.Sum256([]byte(text))
		if sums[id] != hex.EncodeToString(sum[:4]) {
			t.Errorf("%s was not rendered from %q; run go generate", id, text)
		}
	}
	if len(sums) != len(texts) || len(BuiltinPrompts()) != len(texts) {
		t.Errorf("%d renderings of %d texts", len(sums), len(texts))
	}
}

// The words of the directory's dialogue, which callers of other systems know.
func TestTheDirectorySaysWhatItShould(t *testing.T) {
	t.Parallel()
	texts := promptTexts(t)
	for id, want := range map[string]string{
		PromptDirEnterName:      "Using your keypad, enter the first few letters of the person's first or last name.",
		PromptDirEnterFirstName: "Using your keypad, enter the first few letters of the person's first name.",
		PromptDirEnterLastName:  "Using your keypad, enter the first few letters of the person's last name.",
		PromptDirNoResults:      "No one in the directory matches your entry.",
		PromptDirFound:          "I found one match. To connect to",
		PromptDirConfirmMenu:    "press one. To start over, press three.",
		PromptDirResultNumber:   "To call",
		PromptDirResultMenu:     "press one. For the next name, press two. To start over, press three.",
		PromptDirNoMore:         "There are no more matching names.",
		PromptDirInvalidKey:     "That key is not valid here.",
		promptMinimum:           "Please enter at least",
		promptLetters:           "letters.",
		promptFound:             "I found",
		promptNarrow:            "matches. Keep typing, or press pound to hear them.",
	} {
		if texts[id] != want {
			t.Errorf("%s is %q, want %q", id, texts[id], want)
		}
	}
}

// Every constant with a prompt's id names a prompt, and so does every word of numbers, digits and letters.
func TestEveryIDInTheProgramIsAPrompt(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "prompt.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			id, _ := strconv.Unquote(literal.Value)
			ids = append(ids, id)
		}
		return true
	})
	for n := range int64(1000) {
		ids = append(ids, numberPrompts(n)...)
	}
	ids = append(ids, numberPrompts(-987_654_321_012)...)
	ids = append(ids, digitPrompts("0123456789*#+")...)
	for r := rune(33); r < 127; r++ {
		ids = append(ids, spellPrompts(string(r))...)
	}
	if len(ids) < 3000 {
		t.Fatalf("only %d ids", len(ids))
	}
	for _, id := range ids {
		if english()[id] == nil {
			t.Errorf("no prompt %q", id)
		}
	}
}

// Speech of flite's takes about 65 ms a character. Each prompt must be as long as its text wants, at one level, and begin
// and end without a hole.
func TestRenderingsAreSpeech(t *testing.T) {
	t.Parallel()
	for id, text := range promptTexts(t) {
		clip := english().get(id)
		if clip == nil || clip.Name() != id {
			t.Fatalf("%s has the clip %v", id, clip)
		}
		length := clip.Duration()
		least, most := time.Duration(len(text))*40*time.Millisecond, time.Duration(len(text))*95*time.Millisecond+800*time.Millisecond
		if len(text) < 12 {
			least = 240 * time.Millisecond
		}
		if length < least || length > most {
			t.Errorf("%s (%q) takes %v, want %v to %v", id, text, length, least, most)
		}
		pcm := clip.PCM()
		loudest, first, last := 0.0, -1, 0
		for i, sample := range pcm {
			level := math.Abs(float64(sample)) / 32768
			loudest = math.Max(loudest, level)
			if level > 0.005 {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		if loudest < 0.15 || loudest > 0.95 {
			t.Errorf("%s peaks at %.2f of full scale", id, loudest)
		}
		if lead := first * 1000 / media.SampleRate; first < 0 || lead > 160 {
			t.Errorf("%s starts after %d ms", id, lead)
		}
		if tail := (len(pcm) - last) * 1000 / media.SampleRate; tail > 480 {
			t.Errorf("%s ends %d ms after its speech", id, tail)
		}
	}
}

var notWords = regexp.MustCompile(`[^a-z' ]+`)

// A recogniser that knows all prompts of the directory must tell each from the others.
func TestARecogniserUnderstandsTheDirectory(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("pocketsphinx_batch"); err != nil {
		t.Skip("pocketsphinx is not installed")
	}
	directory := t.TempDir()
	texts := map[string]string{}
	for id, text := range promptTexts(t) {
		if strings.HasPrefix(id, "dir-") || strings.HasPrefix(id, "menu-") {
			texts[id] = strings.TrimSpace(notWords.ReplaceAllString(strings.ToLower(text), " "))
		}
	}
	grammar := "#JSGF V1.0;\ngrammar prompts;\npublic <prompt> = "
	var alternatives, list []string
	for id, text := range texts {
		alternatives = append(alternatives, text)
		list = append(list, id)
		writeUpsampled(t, filepath.Join(directory, id+".raw"), english().get(id).PCM())
	}
	grammar += strings.Join(alternatives, " | ") + ";\n"
	write := func(name, content string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	heard := filepath.Join(directory, "heard")
	command := exec.CommandContext(t.Context(), "pocketsphinx_batch", "-adcin", "yes", "-cepdir", directory, "-cepext", ".raw",
		"-ctl", write("list", strings.Join(list, "\n")+"\n"), "-jsgf", write("prompts.gram", grammar), "-hyp", heard,
		"-hmm", "/usr/share/pocketsphinx/model/en-us/en-us", "-dict", "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict",
		"-beam", "1e-80", "-wbeam", "1e-60", "-pbeam", "1e-80")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out[max(0, len(out)-2000):])
	}
	result, err := os.ReadFile(heard)
	if err != nil {
		t.Fatal(err)
	}
	recognised := 0
	for line := range strings.Lines(string(result)) {
		open := strings.LastIndex(line, "(")
		id, _, _ := strings.Cut(line[open+1:], " ")
		if got := strings.TrimSpace(line[:open]); got == strings.Join(strings.Fields(texts[id]), " ") {
			recognised++
		} else {
			t.Logf("%s: heard %q, said %q", id, got, texts[id])
		}
	}
	if recognised < len(texts)*9/10 {
		t.Errorf("%d of %d prompts recognised", recognised, len(texts))
	}
}

// writeUpsampled writes 16 kHz samples, which is what the recogniser's model was made for, with quiet around them.
func writeUpsampled(t *testing.T, path string, pcm []int16) {
	t.Helper()
	quiet := make([]int16, 2400)
	pcm = append(append(quiet, pcm...), quiet...)
	var raw []byte
	for i, sample := range pcm {
		next := sample
		if i+1 < len(pcm) {
			next = pcm[i+1]
		}
		middle := int16((int(sample) + int(next)) / 2)
		raw = append(raw, byte(sample), byte(uint16(sample)>>8), byte(middle), byte(uint16(middle)>>8))
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the built-in prompts cost a start, and the first call that hears one.
func BenchmarkReadIndex(b *testing.B) {
	for b.Loop() {
		if _, err := readIndex(enUSIndex, enUSAudio); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFirstClip(b *testing.B) {
	p := english()[PromptDirEnterName]
	for b.Loop() {
		media.NewClipULaw(p.id, p.ulaw)
	}
}

func BenchmarkPrompt(b *testing.B) {
	c := NewCatalogue(Options{})
	b.ReportAllocs()
	for b.Loop() {
		c.Prompt(b.Context(), "acme", "en-us", PromptDirEnterName)
	}
}
