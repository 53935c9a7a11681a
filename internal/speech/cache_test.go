package speech

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bugle"
	"bugle/internal/media"
)

func testCache(e Synthesiser, options CacheOptions) *cache {
	return newCache(e, options, slog.New(slog.DiscardHandler), func(any) {})
}

func TestATextIsSaidOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		speak := make(chan struct{})
		e := &engine{answer: func(ctx context.Context, _ Request) ([]int16, error) {
			select {
			case <-speak:
				return make([]int16, 800), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		c := testCache(e, CacheOptions{})
		leaving, leave := context.WithCancel(t.Context())
		var left error
		var waiting sync.WaitGroup
		waiting.Go(func() { _, left = c.clip(leaving, Request{Text: "Ann"}) })
		synctest.Wait()
		for range 10 {
			waiting.Go(func() {
				if clip, err := c.clip(t.Context(), Request{Text: " Ann\n"}); err != nil || clip.Name() != "Ann" {
					t.Errorf("%v", err)
				}
			})
		}
		synctest.Wait()
		leave() // the first caller hangs up; the others still get their clip
		synctest.Wait()
		close(speak)
		waiting.Wait()
		if left == nil {
			t.Error("who left got a clip")
		}
		for _, r := range []Request{{Text: "Ann"}, {Text: "Ann", Voice: "rms"}, {Text: "Ann", Language: "de"}, {Text: "ann"}} {
			if _, err := c.clip(t.Context(), r); err != nil {
				t.Error(err)
			}
		}
		if got := e.texts(); !slices.Equal(got, []string{"Ann", "Ann", "Ann", "ann"}) {
			t.Errorf("the engine said %v", got)
		}
	})
}

func TestAFailureIsNotKept(t *testing.T) {
	t.Parallel()
	fails := true
	e := &engine{}
	e.answer = func(context.Context, Request) ([]int16, error) {
		if fails {
			return nil, &bugle.Error{Kind: bugle.KindUnavailable}
		}
		return make([]int16, 8), nil
	}
	c := testCache(e, CacheOptions{})
	if _, err := c.clip(t.Context(), Request{Text: "Ann"}); err == nil {
		t.Error("no failure")
	}
	fails = false
	if _, err := c.clip(t.Context(), Request{Text: "Ann"}); err != nil {
		t.Error(err)
	}
}

func TestAnEngineThatPanicsFailsItsTextOnly(t *testing.T) {
	t.Parallel()
	panics := 0
	e := &engine{answer: func(context.Context, Request) ([]int16, error) { panic("boom") }}
	s := NewSpeaker(NewCatalogue(Options{Synthesiser: e, OnPanic: func(any) { panics++ }}))
	if got := names(s.Say(t.Context(), "acme", "en-us", "", "Al")); got != "let.a let.l" || panics != 1 {
		t.Errorf("heard %q, %d panics", got, panics)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	e := &engine{}
	c := testCache(e, CacheOptions{MemoryBytes: 10_000, Directory: directory, DiskBytes: 8_000})
	for i := range 30 {
		if _, err := c.clip(t.Context(), Request{Text: fmt.Sprint("text ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if c.memory.total > 10_000 || len(c.memory.items) == 0 || len(c.memory.items) != c.memory.order.Len() {
		t.Errorf("%d bytes in memory, %d items", c.memory.total, len(c.memory.items))
	}
	files, _ := os.ReadDir(directory)
	total := int64(0)
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 8_000 || len(files) < 5 || len(files) > 29 {
		t.Errorf("%d files of %d bytes in 8000", len(files), total)
	}
}

func TestSpeechOutlivesTheProgramOnDisk(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "made", "by", "us")
	first := &engine{name: "e", answer: func(context.Context, Request) ([]int16, error) { return []int16{1000, 2000, 3000}, nil }}
	c := testCache(first, CacheOptions{Directory: directory})
	said, err := c.clip(t.Context(), Request{Text: "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "speech-1.part"), []byte("left by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := &engine{name: "e", answer: failing(bugle.KindUnavailable)}
	again := testCache(second, CacheOptions{Directory: directory})
	kept, err := again.clip(t.Context(), Request{Text: "Ann"})
	if err != nil || !slices.Equal(kept.PCM(), said.PCM()) || kept.Name() != "Ann" {
		t.Errorf("%v, %v", kept, err)
	}
	if files, _ := os.ReadDir(directory); len(files) != 1 {
		t.Errorf("%d files", len(files))
	}
	if _, err := testCache(&engine{name: "another", answer: failing(bugle.KindUnavailable)}, CacheOptions{Directory: directory}).
		clip(t.Context(), Request{Text: "Ann"}); err == nil {
		t.Error("another engine's audio was taken")
	}
	// Whatever happens to the files costs a rendering.
	files, _ := filepath.Glob(filepath.Join(directory, "*"+diskSuffix))
	if err := os.Truncate(files[0], 0); err != nil {
		t.Fatal(err)
	}
	third := &engine{name: "e"}
	if _, err := testCache(third, CacheOptions{Directory: directory}).clip(t.Context(), Request{Text: "Ann"}); err != nil || len(third.texts()) != 1 {
		t.Errorf("an empty file: %v, said %v", err, third.texts())
	}
}

func TestADirectoryThatCannotBeIsDoneWithout(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := testCache(&engine{}, CacheOptions{Directory: file + "/below"})
	if _, err := c.clip(t.Context(), Request{Text: "Ann"}); err != nil {
		t.Error(err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	c = testCache(&engine{}, CacheOptions{Directory: gone})
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	if _, err := c.clip(t.Context(), Request{Text: "Ann"}); err != nil {
		t.Error(err)
	}
}

func TestTheNextEngineSpeaksWhenOneCannot(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	down := &engine{name: "far", answer: failing(bugle.KindUnavailable)}
	near := &engine{name: "near"}
	f := NewFallback(func() time.Time { return now }, down, near)
	say := func() {
		t.Helper()
		if _, err := f.Synthesise(t.Context(), Request{Text: "Ann"}); err != nil {
			t.Error(err)
		}
	}
	say()
	say()
	if n := len(down.texts()); n != 1 {
		t.Errorf("an engine that is down was asked %d times", n)
	}
	now = now.Add(engineRest)
	down.answer = nil
	say()
	if n, m := len(down.texts()), len(near.texts()); n != 2 || m != 2 {
		t.Errorf("asked %d and %d times", n, m)
	}
	both := NewFallback(nil, &engine{answer: failing(bugle.KindInvalid)}, &engine{answer: failing(bugle.KindLimited)})
	if _, err := both.Synthesise(t.Context(), Request{Text: "Ann"}); bugle.KindOf(err) != bugle.KindUnavailable {
		t.Error(err)
	}
	if !strings.Contains(f.Name(), "far") || !strings.Contains(f.Name(), "near") {
		t.Error(f.Name())
	}
	if _, err := NewFallback(nil).Synthesise(t.Context(), Request{}); err == nil {
		t.Error("no engine spoke")
	}
}

// A name and the words around it are heard as one sentence: as loud, and without the pauses that engines put around.
func TestSynthesisedSpeechIsLevelled(t *testing.T) {
	t.Parallel()
	for _, loudness := range []int16{600, 30_000} {
		e := &engine{answer: func(context.Context, Request) ([]int16, error) {
			pcm := make([]int16, 3*media.SampleRate)
			for i := media.SampleRate; i < 2*media.SampleRate; i++ {
				pcm[i] = loudness * int16(1-2*(i/8%2)) // a square wave
			}
			return pcm, nil
		}}
		clip := NewSpeaker(NewCatalogue(Options{Synthesiser: e})).Say(t.Context(), "acme", "en-us", "", "Ann")[0]
		if length := clip.Duration(); length < time.Second || length > 1100*time.Millisecond {
			t.Errorf("a second of speech takes %v", length)
		}
		if got := float64(slices.Max(clip.PCM())) / 32768; got < 0.09 || got > 0.11 {
			t.Errorf("speech at %d is heard at %.3f of full scale", loudness, got)
		}
	}
	if got := Level(make([]int16, 8000), "Ann"); len(got) != rest {
		t.Errorf("silence takes %d samples", len(got))
	}
	if got := Level(nil, "Ann."); len(got) != fullStop {
		t.Errorf("nothing takes %d samples", len(got))
	}
}
