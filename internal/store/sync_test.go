package store

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSynced watches a writer's system calls: at the moment when it acknowledges a write, the whole commit that holds
// it must be on the disk, not only in the kernel.
func TestSynced(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: that every acknowledged commit was synced is not checked")
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	const writes = 24
	cmd := writer(filepath.Join(dir, "data"), "run", writes, strace, "-f", "--seccomp-bpf", "-y", "-xx", "-s", "5000",
		"-o", trace, "-e", "trace=write,pwrite64,fsync,fdatasync")
	cmd.Stderr = nil
	if _, err := cmd.Output(); err != nil {
		if exit, ok := err.(*exec.ExitError); ok && bytes.Contains(exit.Stderr, []byte("ptrace")) {
			t.Skipf("strace may not trace here: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := traceCheck{t: t, pending: map[string]func(){}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		c.line(lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if want := writerCount*writes + 3*(writes/4)*2; c.acknowledged != want {
		t.Errorf("%d acknowledgements are in the trace, want %d", c.acknowledged, want)
	}
	t.Logf("%d acknowledgements of %d commits, %d syncs of the log", c.acknowledged, len(c.commits), c.syncs)
}

// logCommit is one commit in the write-ahead log: its pages, and how many writes of the log had been made at its end.
type logCommit struct {
	pages []byte
	end   int
}

type traceCheck struct {
	t             *testing.T
	written       int // writes to the log, one after the other
	synced        int // how many of them are surely on the disk
	syncs         int
	header        []byte // of the frame whose page comes next
	open          []byte // pages of the commit that is being written
	commits       []logCommit
	pending       map[string]func() // syncs that have begun, by thread
	acknowledged  int
	main, mainNow int // writes to the database file, and how many of them are synced
}

// line takes one line of the trace, such as
//
//	123   pwrite64(5</data/bugle.db-wal>, "\x00...", 24, 4152) = 24
//	123   fdatasync(5</data/bugle.db-wal> <unfinished ...>
//	123   <... fdatasync resumed>)          = 0
//
// with every path and buffer in hexadecimal escapes.
func (c *traceCheck) line(line string) {
	thread, event, _ := strings.Cut(line, " ")
	event = strings.TrimLeft(event, " ")
	if strings.HasPrefix(event, "<... fsync resumed") || strings.HasPrefix(event, "<... fdatasync resumed") {
		if done := c.pending[thread]; done != nil && strings.HasSuffix(line, "= 0") {
			done()
		}
		delete(c.pending, thread)
		return
	}
	call, rest, _ := strings.Cut(event, "(")
	descriptor, rest, ok := strings.Cut(rest, "<")
	path, rest, ok2 := strings.Cut(rest, ">")
	if !ok || !ok2 {
		return
	}
	file := string(unhex(path))
	var data []byte
	if buffer, is := strings.CutPrefix(rest, `, "`); is {
		buffer, _, _ = strings.Cut(buffer, `"`)
		data = unhex(buffer)
	}
	switch {
	case strings.HasSuffix(call, "sync"):
		var done func()
		if covers := c.written; strings.HasSuffix(file, "-wal") {
			done = func() { c.synced, c.syncs = max(c.synced, covers), c.syncs+1 }
		} else if covers := c.main; strings.HasSuffix(file, ".db") {
			done = func() { c.mainNow = max(c.mainNow, covers) }
		} else {
			return
		}
		if strings.HasSuffix(line, "<unfinished ...>") {
			c.pending[thread] = done
		} else if strings.HasSuffix(line, "= 0") {
			done()
		}
	case strings.HasSuffix(file, "-wal"):
		c.log(data)
	case strings.HasSuffix(file, ".db"):
		c.main++
	case call == "write" && descriptor == "1":
		c.acknowledgement(string(data))
	}
}

// log takes one write to the log (https://sqlite.org/fileformat2.html#walformat): its header, a frame's header, a page.
func (c *traceCheck) log(data []byte) {
	c.written++
	switch len(data) {
	case 32: // the log begins anew: what it held must be safe in the database file
		if c.main != c.mainNow {
			c.t.Errorf("the log was overwritten with %d writes to the database file, %d synced", c.main, c.mainNow)
		}
	case 24:
		c.header = data
	default:
		c.open = append(c.open, data...)
		if len(c.header) == 24 && !bytes.Equal(c.header[4:8], []byte{0, 0, 0, 0}) { // the last frame of a commit
			c.commits = append(c.commits, logCommit{c.open, c.written})
			c.open = nil
		}
	}
}

func (c *traceCheck) acknowledgement(line string) {
	f := strings.Fields(line)
	if len(f) < 3 || len(f[0]) != 1 {
		return
	}
	c.acknowledged++
	token := fmt.Sprintf("%s-run-%s-%s", f[0], f[1], f[2])
	if f[0] == "d" {
		token = f[3] // the revision stands in the document's row and in its change
	}
	for _, commit := range c.commits {
		if bytes.Contains(commit.pages, []byte(token)) {
			if commit.end > c.synced {
				c.t.Errorf("%q was acknowledged with %d writes of the log synced, its commit ended at %d", line, c.synced, commit.end)
			}
			return
		}
	}
	c.t.Errorf("%q was acknowledged and its commit was never written", line)
}

func unhex(s string) []byte {
	if !strings.HasPrefix(s, `\x`) {
		return []byte(s)
	}
	digits := make([]byte, 0, len(s)/2)
	for i := 2; i+2 <= len(s); i += 4 {
		digits = append(digits, s[i], s[i+1])
	}
	b, _ := hex.DecodeString(string(digits))
	return b
}
