package listing

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// company makes the people of a large firm: mostly Latin names, a few of every script.
func company(n int) []Entry {
	given := strings.Fields("Eva José Łukasz Zoë Mehmet Nguyễn Иван Γιώργος محمد שרון नीतिका สุภาพร 太郎 小龙 철수 Anna Pedro Olga Bjørn Siân")
	family := strings.Fields("Andersson Álvarez Wójcik Müller Yılmaz Trần Щербаков Παπαδόπουλος العربي כהן शर्मा เจริญสุข 山田 李 김 O'Brien García Kuznetsova Åkesson Ní")
	departments := []string{"Försäljning", "Research and Development", "", "Kundtjänst Norr", "Ekonomi"}
	people := make([]Entry, n)
	for i := range people {
		people[i] = Entry{ID: strconv.Itoa(i), Given: given[i%len(given)], Family: fmt.Sprintf("%s %c%c", family[(i/7)%len(family)], 'A'+i%26, 'a'+i/26%26),
			Department: departments[i%len(departments)], Extensions: []string{strconv.Itoa(1000 + i)}, Direct: []string{fmt.Sprintf("+468%07d", 1000000+i)}}
	}
	return people
}

// peakMemory is the most memory the process has had, in MB; "" resets it where the kernel allows.
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

// BenchmarkFiveThousand prints five thousand people, the fonts not yet read: the budget is 3 s and 200 MB.
func BenchmarkFiveThousand(b *testing.B) {
	people := company(5000)
	runtime.GC()
	for b.Loop() {
		l := &Listing{Account: "Nordwind Trading AB", Directory: "Everybody", Date: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
			Language: "sv-se", Region: "SE", Entries: From(people...)}
		summary, err := l.WritePDF(b.Context(), io.Discard, NewFonts())
		if err != nil || summary.People != len(people) {
			b.Fatal(summary, err)
		}
	}
	b.ReportMetric(peakMemory(b), "MB-peak")
}
