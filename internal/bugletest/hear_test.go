package bugletest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bugle/internal/media"
)

func listen(r *Recogniser, pcm []int16) (heard, ended []Hearing) {
	l := r.Listen(func(h Hearing) { heard = append(heard, h) }, func(h Hearing) { ended = append(ended, h) })
	for len(pcm) > 0 { // as packets come, not aligned with anything
		n := min(len(pcm), 113)
		l.Write(pcm[:n])
		pcm = pcm[n:]
	}
	l.Close()
	return heard, ended
}

func names(heard []Hearing) []string {
	var out []string
	for _, h := range heard {
		out = append(out, h.String())
	}
	return out
}

// are tells whether the clips named so were heard in this order and nothing else.
func are(heard []Hearing, want ...string) bool {
	return slices.EqualFunc(heard, want, func(h Hearing, name string) bool { return h.Is(name) })
}

func sine(hertz float64, amplitude float64, length time.Duration) []int16 {
	pcm := make([]int16, length*media.SampleRate/time.Second)
	for i := range pcm {
		pcm[i] = int16(amplitude * math.Sin(2*math.Pi*hertz*float64(i)/media.SampleRate))
	}
	return pcm
}

func TestClipsPlayedOneAfterTheOtherAreNamedInOrder(t *testing.T) {
	t.Parallel()
	clips, r := testCatalogue()
	var all []string
	for name := range clips {
		all = append(all, name)
	}
	slices.Sort(all)
	every := all
	for gap, law := range []string{"", "a", "aua"} {
		// A third of the prompts each way.
		all = nil
		for i := gap; i < len(every); i += 3 {
			all = append(all, every[i])
		}
		random := rand.New(rand.NewPCG(uint64(gap), 7))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var pcm []int16
		var starts []time.Duration
		for _, name := range all {
			if gap > 0 {
				pcm = append(pcm, make([]int16, random.IntN(700))...)
			}
			starts = append(starts, span(int64(len(pcm))))
			pcm = append(pcm, clips[name].PCM()...)
		}
		heard, ended := listen(r, through(law, pcm))
		for i := range min(len(heard), len(all)) {
			if !heard[i].Is(all[i]) || heard[i].Start != starts[i] {
				t.Fatalf("through %q, gaps %d: the %dth was %s at %v, heard %s at %v", law, gap, i, all[i], starts[i],
					heard[i], heard[i].Start)
			}
		}
		if len(heard) != len(all) || len(ended) != len(all) {
			t.Errorf("through %q, gaps %d: %d played, %d heard, %d ended", law, gap, len(all), len(heard), len(ended))
		}
		for _, h := range ended {
			if !h.Whole {
				t.Errorf("through %q, gaps %d: %s at %v was not heard to its end", law, gap, h, h.Start)
			}
		}
	}
}

func TestLostAndLatePacketsDoNotHideAClip(t *testing.T) {
	t.Parallel()
	clips, r := testCatalogue()
	random := rand.New(rand.NewPCG(3, 5))
	for _, name := range []string{"dir-enter_person_name", "dir-no_results_found", "dir-found", "dir-result_menu", "dir.welcome", "dir-confirm_menu"} {
		for _, kind := range []string{"silent", "cut", "late", "burst"} {
			pcm := append(make([]int16, 333), clips[name].PCM()...)
			var out []int16
			for i := 0; i < len(pcm); i += 160 {
				packet := pcm[i:min(i+160, len(pcm))]
				lost := i > 480 && random.IntN(40) == 0
				switch {
				case lost && kind == "silent", kind == "burst" && i/160 >= 40 && i/160 < 45:
					out = append(out, make([]int16, len(packet))...)
				case lost && kind == "cut":
				case lost && kind == "late":
					out = append(append(out, make([]int16, 160)...), packet...)
				default:
					out = append(out, packet...)
				}
			}
			heard, _ := listen(r, append(out, make([]int16, 8000)...))
			if !are(heard, name) {
				t.Errorf("%s with %s packets: heard %q", name, kind, names(heard))
			}
		}
	}
}

func TestSpeechOutsideTheCatalogueIsNotNamed(t *testing.T) {
	t.Parallel()
	clips, r := testCatalogue()
	for _, text := range outsiders {
		// Between two prompts, as a synthesised name stands.
		said := synthesise(t, text)
		pcm := slices.Concat(clips["dir-result_number"].PCM(), said, clips["dir-result_menu"].PCM())
		heard, _ := listen(r, through("ua", pcm))
		if !are(heard, "dir-result_number", "dir-result_menu") {
			t.Errorf("%q between number and menu: heard %q", text, names(heard))
		}
	}
}

func TestAClipThatIsCutShortIsNamedOnlyWhenItWasCertain(t *testing.T) {
	t.Parallel()
	clips, r := testCatalogue()
	long := clips["dir-enter_person_name"].PCM()
	// The three enter prompts are the same for their first seconds.
	for _, cut := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
		if heard, _ := listen(r, append(slices.Clone(long[:cut*8/time.Millisecond]), make([]int16, 8000)...)); len(heard) > 0 {
			t.Errorf("dir-enter_person_name cut after %v: heard %q", cut, names(heard))
		}
	}
	menu := clips["dir-result_menu"].PCM()
	heard, ended := listen(r, append(slices.Clone(menu[:28000]), make([]int16, 8000)...))
	if !are(heard, "dir-result_menu") || len(ended) != 1 || ended[0].Whole {
		t.Errorf("menu cut after 3.5 s: heard %q, ended %+v", names(heard), ended)
	}
}

func TestAClipThatIsPlayedAgainIsHeardAgain(t *testing.T) {
	t.Parallel()
	clips, r := testCatalogue()
	pcm := slices.Concat(clips["num.2"].PCM(), clips["num.2"].PCM(), clips["dir-result_menu"].PCM()[:30000], clips["dir-result_menu"].PCM())
	heard, _ := listen(r, pcm)
	if !are(heard, "num.2", "num.2", "dir-result_menu", "dir-result_menu") {
		t.Errorf("heard %q", names(heard))
	}
}

func TestAListenerWhoComesLateNamesTheRest(t *testing.T) {
	t.Parallel()
	clips, r := testCatalogue()
	heard, _ := listen(r, clips["dir-enter_person_name"].PCM()[16001:])
	if !are(heard, "dir-enter_person_name") || heard[0].Start > 300*time.Millisecond {
		t.Errorf("heard %q", names(heard))
	}
}

func TestTwinsAreOneClipWithTwoNames(t *testing.T) {
	t.Parallel()
	clips, _ := testCatalogue()
	pcm := clips["dir-no_results_found"].PCM()
	dithered := slices.Clone(pcm)
	for i := range dithered {
		dithered[i] += int16(i % 7)
	}
	r := NewRecogniser([]*media.Clip{media.NewClip("a", pcm), media.NewClip("b", pcm), media.NewClip("c", dithered), clips["dir-result_menu"]})
	heard, _ := listen(r, pcm)
	if len(heard) != 1 || !heard[0].Is("a") || !heard[0].Is("b") || !heard[0].Is("c") || heard[0].Is("menu") {
		t.Errorf("heard %q", names(heard))
	}
	if !r.Knows("b") || r.Knows("d") || (*Recogniser)(nil).Knows("a") {
		t.Error("Knows is wrong")
	}
}

func TestTonesAreToldApart(t *testing.T) {
	t.Parallel()
	_, r := testCatalogue()
	for _, hertz := range []float64{120, 200, 300, 425, 440, 523.25, 697, 1000, 1209, 1900, 2600, 3300} {
		for _, law := range []string{"u", "a", "ua"} {
			pcm := through(law, slices.Concat(make([]int16, 1234), sine(hertz, 3000, time.Second), make([]int16, 2000)))
			heard, ended := listen(r, pcm)
			if len(heard) != 1 || !heard[0].IsTone(hertz) || heard[0].IsTone(hertz*1.05) || heard[0].IsTone(hertz*0.95) {
				t.Fatalf("%v Hz through %q: heard %q", hertz, law, names(heard))
			}
			if len(ended) != 1 || ended[0].Length < 940*time.Millisecond || ended[0].Length > time.Second ||
				ended[0].Start < 150*time.Millisecond || ended[0].Start > 200*time.Millisecond {
				t.Errorf("%v Hz through %q: from %v for %v, want from 154 ms for 1 s", hertz, law, ended[0].Start, ended[0].Length)
			}
		}
	}
}

func TestWhatIsNotOneSteadyToneIsNone(t *testing.T) {
	t.Parallel()
	clips, _ := testCatalogue()
	mix := func(a, b []int16) []int16 {
		out := slices.Clone(a)
		for i := range out {
			out[i] += b[i]
		}
		return out
	}
	noise := make([]int16, 16000)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = int16(random.IntN(8000) - 4000)
	}
	var speech []int16
	for _, clip := range clips {
		speech = append(speech, clip.PCM()...)
	}
	sweep := make([]int16, 16000)
	for i := range sweep {
		x := float64(i) / media.SampleRate
		sweep[i] = int16(4000 * math.Sin(2*math.Pi*(300*x+500*x*x)))
	}
	for name, pcm := range map[string][]int16{
		"ringback": mix(sine(440, 3000, 2*time.Second), sine(480, 3000, 2*time.Second)),
		"a key":    mix(sine(697, 3000, time.Second), sine(1209, 3000, time.Second)),
		"noise":    noise, "speech": speech, "sweep": sweep, "silence": make([]int16, 16000),
		"a short beep": sine(1000, 4000, 100*time.Millisecond),
	} {
		if heard, _ := listen(nil, through("u", pcm)); len(heard) > 0 {
			t.Errorf("%s: heard %q", name, names(heard))
		}
	}
}

func TestOneToneAfterTheOtherAndOneWithAHole(t *testing.T) {
	t.Parallel()
	holed := sine(500, 3000, time.Second)
	clear(holed[4000:4320])
	pcm := slices.Concat(sine(440, 3000, 300*time.Millisecond), sine(660, 3000, 300*time.Millisecond),
		make([]int16, 4000), holed)
	heard, _ := listen(nil, through("u", pcm))
	if len(heard) != 3 || !heard[0].IsTone(440) || !heard[1].IsTone(660) || !heard[2].IsTone(500) {
		t.Errorf("heard %q", names(heard))
	}
}

func BenchmarkListenSpeech(b *testing.B) {
	clips, r := testCatalogue()
	pcm := clips["dir-enter_person_name"].PCM()
	l := r.Listen(nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		l.Write(pcm)
	}
	b.ReportMetric(span(int64(len(pcm))).Seconds()*float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
}

func TestAClipThatGoesOnAsAnotherIsNotNamed(t *testing.T) {
	t.Parallel()
	clips, r := testCatalogue()
	other := synthesise(t, outsiders[4])
	said := 0
	for name, clip := range clips {
		pcm := clip.PCM()
		if len(pcm) > 2*media.SampleRate || len(pcm) < media.SampleRate {
			continue
		}
		// The rest is as loud as the clip, and something else.
		pcm = slices.Concat(pcm[:len(pcm)*6/10], other)
		if heard, _ := listen(r, through("a", pcm)); len(heard) > 0 && heard[0].Is(name) {
			t.Errorf("%s, whose end was something else: heard %q", name, names(heard))
		}
		if said++; said == 40 {
			break
		}
	}
}
