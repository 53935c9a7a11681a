package listing

import (
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peakMemory is the most memory the process has had, in MB.
func peakMemory(tb testing.TB) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip("no /proc here")
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kilobytes / 1000
		}
	}
	return 0
}

// cpuTime is the processor time that the process has had.
func cpuTime(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkFiveThousand prints five thousand people, the fonts not yet read: the budget is 3 s, of the processor so that a
// busy machine does not count, and 200 MB for the whole process.
func BenchmarkFiveThousand(b *testing.B) {
	people := company(5000)
	runtime.GC()
	before := cpuTime(b)
	for b.Loop() {
		l := example(people...)
		l.Language = "sv-se"
		summary, err := l.WritePDF(b.Context(), io.Discard, NewFonts())
		if err != nil || summary.People != len(people) {
			b.Fatal(summary, err)
		}
	}
	each, peak := (cpuTime(b)-before)/time.Duration(b.N), peakMemory(b)
	b.ReportMetric(each.Seconds(), "cpu-s/op")
	b.ReportMetric(peak, "MB-peak")
	if each > 3*time.Second || peak > 200 {
		b.Errorf("%v and %.0f MB", each, peak)
	}
}
