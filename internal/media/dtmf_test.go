package media

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const allKeys = "0123456789*#ABCD"

func viaMuLaw(pcm []int16) []int16 { return NewClip("", pcm).PCM() }

func heardBy(pcm []int16) string { return string(new(Detector).Detect(nil, pcm)) }

func TestDTMFAgreesWithSpandsp(t *testing.T) {
	t.Parallel()
	oracle := spandsp(t)
	for _, length := range []int{100, 50, 40} {
		pcm := bytesPCM(oracle(nil, "tx", allKeys, milliseconds(length), milliseconds(max(length, 50))))
		if got := heardBy(viaMuLaw(pcm)); got != allKeys {
			t.Errorf("of spandsp's keys of %d ms we hear %q", length, got)
		}
		ours := append(DTMF(allKeys, time.Duration(length)*time.Millisecond, 60*time.Millisecond), Silence(time.Second)...)
		if got := string(oracle(pcmBytes(viaMuLaw(ours)), "rx")); got != allKeys {
			t.Errorf("of our keys of %d ms spandsp hears %q", length, got)
		}
	}
}

func TestDTMFAgreesWithMultimon(t *testing.T) {
	t.Parallel()
	for _, length := range []int{100, 50} {
		pcm := append(DTMF(allKeys, time.Duration(length)*time.Millisecond, 60*time.Millisecond), Silence(time.Second)...)
		if got := multimon(t, viaMuLaw(pcm)); got != allKeys {
			t.Errorf("of our keys of %d ms multimon-ng hears %q", length, got)
		}
		if got := heardBy(viaMuLaw(pcm)); got != allKeys {
			t.Errorf("of our keys of %d ms we hear %q", length, got)
		}
	}
}

// pair returns a key's two tones with every property of ITU-T Q.24 under control.
func pair(low, high, lowLevel, highLevel float64, duration time.Duration) []int16 {
	pcm := make([]int16, samplesIn(duration))
	for i := range pcm {
		at := 2 * math.Pi * float64(i) / SampleRate
		pcm[i] = int16(amplitude0 * (math.Pow(10, lowLevel/20)*math.Sin(at*low) + math.Pow(10, highLevel/20)*math.Sin(at*high)))
	}
	return pcm
}

func TestDetectorLimits(t *testing.T) {
	t.Parallel()
	const long = 60 * time.Millisecond
	tests := []struct {
		name                                     string
		lowError, highError, lowLevel, highLevel float64
		duration                                 time.Duration
		heard                                    bool
	}{
		{"plain", 0, 0, -10, -10, long, true},
		{"shortest that counts", 0, 0, -10, -10, 40 * time.Millisecond, true},
		{"too short", 0, 0, -10, -10, 12 * time.Millisecond, false},
		{"loudest", 0, 0, -3, -3, long, true},
		{"quietest that counts", 0, 0, -25, -25, long, true},
		{"too quiet", 0, 0, -55, -55, long, false},
		{"frequencies 1.5 % up", 1.5, 1.5, -10, -10, long, true},
		{"frequencies 1.5 % down", -1.5, -1.5, -10, -10, long, true},
		{"row 3.5 % off", 3.5, 0, -10, -10, long, false},
		{"column 3.5 % off", 0, -3.5, -10, -10, long, false},
		{"column 7 dB below the row", 0, 0, -5, -12, long, true},
		{"column 4 dB above the row", 0, 0, -12, -8, long, true},
		{"column 12 dB below the row", 0, 0, -5, -17, long, false},
		{"column 8 dB above the row", 0, 0, -14, -6, long, false},
		{"row only", 0, 0, -10, -90, long, false},
		{"column only", 0, 0, -90, -10, long, false},
	}
	for _, test := range tests {
		for _, key := range []byte(allKeys) {
			low, high, _ := frequenciesOf(key)
			for shift := range 5 { // wherever the blocks begin
				pcm := append(Silence(time.Duration(shift)*3*time.Millisecond), pair(low*(1+test.lowError/100),
					high*(1+test.highError/100), test.lowLevel, test.highLevel, test.duration)...)
				pcm = append(pcm, Silence(100*time.Millisecond)...)
				want := ""
				if test.heard {
					want = string(key)
				}
				if got := heardBy(viaMuLaw(pcm)); got != want {
					t.Errorf("%s: of key %c we hear %q", test.name, key, got)
				}
			}
		}
	}
}

func TestDetectorRefusesSecondHarmonics(t *testing.T) {
	t.Parallel()
	for _, key := range []byte("159D") {
		low, high, _ := frequenciesOf(key)
		pcm := pair(low, high, -12, -12, 100*time.Millisecond)
		for i, sample := range pair(2*high, 2*high, -23, -23, 100*time.Millisecond) {
			pcm[i] += sample
		}
		if got := heardBy(pcm); got != "" {
			t.Errorf("a voice that sounds like key %c is taken for %q", key, got)
		}
	}
}

func TestDetectorBridgesGapsAndSeparatesPresses(t *testing.T) {
	t.Parallel()
	low, high, _ := frequenciesOf('5')
	tone := pair(low, high, -10, -10, 45*time.Millisecond)
	join := func(gap time.Duration) []int16 {
		pcm := append(append(append([]int16(nil), tone...), Silence(gap)...), tone...)
		return append(pcm, Silence(50*time.Millisecond)...)
	}
	if got := heardBy(join(8 * time.Millisecond)); got != "5" {
		t.Errorf("a press with a gap of 8 ms is heard as %q", got)
	}
	if got := heardBy(join(40 * time.Millisecond)); got != "55" {
		t.Errorf("two presses 40 ms apart are heard as %q", got)
	}
}

func TestDetectorInNoise(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pcm := append(DTMF(allKeys, 80*time.Millisecond, 60*time.Millisecond), Silence(time.Second)...)
	// 18 dB below the tones (ITU-T Q.24 §2.9 asks for 15 in Denmark, 24 in Japan).
	deviation := amplitude0 * math.Pow(10, (dtmfLevel-18.0)/20) / math.Sqrt2
	for i := range pcm {
		pcm[i] += int16(random.NormFloat64() * deviation)
	}
	if got := heardBy(pcm); got != allKeys {
		t.Errorf("in noise we hear %q", got)
	}
	noise := make([]int16, 60*SampleRate)
	for i := range noise {
		noise[i] = int16(random.NormFloat64() * 3000)
	}
	if got := heardBy(noise); got != "" {
		t.Errorf("in noise alone we hear %q", got)
	}
}

// TestDetectorTalkOff speaks to the detector: no key may be found in speech.
func TestDetectorTalkOff(t *testing.T) {
	t.Parallel()
	flite, err := exec.LookPath("flite")
	if err != nil {
		t.Skip("flite is not installed")
	}
	text := "To reach a person by name, press the first three letters of the last name. Press one for yes, two for no. " +
		"Six five four three two one zero. Ooh, ee, ah. We are away; who knew you would owe? " +
		"A loyal employee in Illinois will allow only early alumni on Ohio's eerie aisle. "
	for _, voice := range []string{"slt", "kal", "rms", "awb"} {
		file := filepath.Join(t.TempDir(), voice+".wav")
		for rate := range 3 {
			command := exec.Command(flite, "-voice", voice, "--setf", fmt.Sprintf("duration_stretch=%.1f", 0.8+0.4*float64(rate)), "-t", text, "-o", file)
			if out, err := command.CombinedOutput(); err != nil {
				t.Skipf("flite: %v %s", err, out)
			}
			wav, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			pcm, err := ReadWAV(wav, 1<<24)
			wav.Close()
			if err != nil {
				t.Fatal(err)
			}
			if len(pcm) < 5*SampleRate {
				t.Fatalf("voice %s said only %d samples", voice, len(pcm))
			}
			if got := heardBy(viaMuLaw(pcm)); got != "" {
				t.Errorf("in the speech of voice %s we hear %q", voice, got)
			}
		}
	}
}

func TestDetectAllocatesNothing(t *testing.T) {
	var detector Detector
	pcm, room := DTMF("5", 100*time.Millisecond, 60*time.Millisecond), make([]byte, 0, 8)
	if n := testing.AllocsPerRun(100, func() { detector.Detect(room, pcm) }); n != 0 {
		t.Errorf("Detect allocates %v times", n)
	}
}

func TestTonesHoldTheirFrequencies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		clip        *Clip
		frequencies []float64
		on, period  time.Duration
	}{
		{Ringback(), []float64{440, 480}, 2 * time.Second, 6 * time.Second},
		{Busy(), []float64{480, 620}, time.Second / 2, time.Second},
		{Beep(), []float64{1000}, time.Second / 2, time.Second / 2},
	}
	for _, test := range tests {
		pcm := test.clip.PCM()
		for _, frequency := range test.frequencies {
			if level := toneLevelOf(pcm[:samplesIn(test.on)], frequency); math.Abs(level-toneLevel) > 0.5 {
				t.Errorf("%s: %v Hz is at %.1f dBm0", test.clip.Name(), frequency, level)
			}
		}
		if level := toneLevelOf(pcm[:samplesIn(test.on)], 1500); level > -50 {
			t.Errorf("%s: 1500 Hz is at %.1f dBm0", test.clip.Name(), level)
		}
		for _, sample := range pcm[samplesIn(test.on):] {
			if sample != 0 {
				t.Errorf("%s: no silence after the tone", test.clip.Name())
				break
			}
		}
		if test.clip.Duration() != test.period {
			t.Errorf("%s lasts %v", test.clip.Name(), test.clip.Duration())
		}
	}
}
