package media

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spandsp builds the oracle program and returns a way to run it, or skips the test where it cannot be built.
func spandsp(t *testing.T) func(stdin []byte, arguments ...string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oracle")
	if out, err := exec.Command("gcc", "-w", "-O1", "-o", program, "testdata/oracle.c", "-lspandsp", "-lm").CombinedOutput(); err != nil {
		t.Skipf("gcc with libspandsp-dev is not here: %v %s", err, out)
	}
	return func(stdin []byte, arguments ...string) []byte {
		t.Helper()
		command := exec.Command(program, arguments...)
		command.Stdin = bytes.NewReader(stdin)
		out, err := command.Output()
		if err != nil {
			t.Fatalf("oracle %v: %v", arguments, err)
		}
		return out
	}
}

var multimonLine = regexp.MustCompile(`(?m)^DTMF: (.)$`)

// multimon returns the keys that multimon-ng hears in pcm, or skips the test where it is not installed.
func multimon(t *testing.T, pcm []int16) string {
	t.Helper()
	program, err := exec.LookPath("multimon-ng")
	if err != nil {
		t.Skip("multimon-ng is not installed")
	}
	// multimon-ng wants 22,050 Hz. Linear interpolation is good enough for tones far below 4 kHz.
	const rate = 22050
	raw := make([]byte, 0, 2*len(pcm)*rate/SampleRate)
	for i := range (len(pcm) - 1) * rate / SampleRate {
		at := float64(i) * SampleRate / rate
		whole := int(at)
		sample := float64(pcm[whole]) + (at-float64(whole))*float64(pcm[whole+1]-pcm[whole])
		raw = binary.LittleEndian.AppendUint16(raw, uint16(int16(sample)))
	}
	command := exec.Command(program, "-a", "DTMF", "-t", "raw", "-")
	command.Stdin = bytes.NewReader(raw)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("multimon-ng: %v", err)
	}
	var heard strings.Builder
	for _, match := range multimonLine.FindAllStringSubmatch(string(out), -1) {
		heard.WriteString(match[1])
	}
	return heard.String()
}

func pcmBytes(pcm []int16) []byte {
	raw := make([]byte, 0, 2*len(pcm))
	for _, sample := range pcm {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(sample))
	}
	return raw
}

func bytesPCM(raw []byte) []int16 {
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return pcm
}

func milliseconds(n int) string { return strconv.Itoa(n) }
