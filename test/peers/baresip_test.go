package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/media"
)

// baresip is a running, registered baresip that says a tone.
type baresip struct {
	o       *office
	name    string
	dir     string
	control net.Conn
	answers chan bool // whether a command was done

	out bugletest.Output // what it says, with every SIP message

	mu      sync.Mutex
	events  []baresipEvent
	changed chan struct{}
	next    int // events that wait has passed
}

type baresipEvent struct {
	Event    bool   `json:"event"`
	Type     string `json:"type"`
	Param    string `json:"param"`
	Peer     string `json:"peeruri"`
	Response bool   `json:"response"`
	OK       bool   `json:"ok"`
}

// modules is where Debian keeps baresip's.
const modules = "/usr/lib/baresip/modules"

// newBaresip starts baresip as a user's phone that says a tone, with PCMU over UDP, and waits until it has registered.
func (o *office) newBaresip(username string, hertz float64) *baresip {
	return o.newBaresipBy(username, hertz, "PCMU", "udp")
}

// newBaresipBy is newBaresip with a codec and a transport.
func (o *office) newBaresipBy(username string, hertz float64, codec, transport string) *baresip {
	t := o.t
	t.Helper()
	needs(t, "baresip")
	b := &baresip{o: o, name: username, dir: t.TempDir(), changed: make(chan struct{}), answers: make(chan bool, 1)}
	must(t, os.Mkdir(filepath.Join(b.dir, "heard"), 0o700))
	control := "127.0.0.1:" + strconv.Itoa(freePorts(t, 1))
	first := freePorts(t, 20)
	template, err := os.ReadFile("baresip/config")
	must(t, err)
	config := strings.NewReplacer("{{sip}}", "127.0.0.1:"+strconv.Itoa(freePorts(t, 1)), "{{control}}", control,
		"{{say}}", filepath.Join(b.dir, "say.wav"), "{{heard}}", filepath.Join(b.dir, "heard"), "{{modules}}", modules,
		"{{ports}}", fmt.Sprintf("%d-%d", first, first+19)).Replace(string(template))
	b.write("config", config)
	b.write("contacts", "")
	b.write("accounts", fmt.Sprintf("<sip:%[1]s@%[2]s>;auth_user=%[1]s;auth_pass=%[3]s;outbound=\"sip:%[4]s;transport=%[5]s\";regint=120;"+
		"audio_codecs=%[6]s\n", username, o.realm, o.passwords[username], o.server, transport, codec))
	pcm := make([]int16, 60*media.SampleRate)
	for i := range pcm {
		pcm[i] = int16(5000 * math.Sin(2*math.Pi*hertz*float64(i)/media.SampleRate))
	}
	var wav bytes.Buffer
	must(t, media.WriteWAV(&wav, pcm))
	b.write("say.wav", wav.String())
	b.run(control)
	for !strings.Contains(b.out.String(), " binding]") { // it may have registered before it could be told of
		select {
		case <-time.After(20 * time.Millisecond):
		case <-o.ctx.Done():
			t.Fatalf("baresip %s does not register", username)
		}
	}
	return b
}

func (b *baresip) write(name, text string) {
	b.o.t.Helper()
	must(b.o.t, os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600))
}

// run starts the program and follows what it tells.
func (b *baresip) run(control string) {
	t := b.o.t
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "baresip", "-4", "-s", "-f", b.dir)
	cmd.Stdout, cmd.Stderr = &b.out, &b.out
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	var read sync.WaitGroup
	t.Cleanup(func() {
		if b.control != nil {
			_ = b.control.Close()
		}
		stop()
		<-ended
		read.Wait()
		if t.Failed() {
			t.Logf("baresip %s:\n%.6000s", b.name, b.out.String())
		}
	})
	for { // until it listens
		conn, err := net.Dial("tcp", control)
		if err == nil {
			b.control = conn
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ended:
			t.Fatalf("baresip ended: %v", err)
		case <-b.o.ctx.Done():
			t.Fatalf("baresip's control port: %v", err)
		}
	}
	read.Go(func() { b.follow(bufio.NewReader(b.control)) })
}

// follow reads netstrings of JSON.
func (b *baresip) follow(r *bufio.Reader) {
	for {
		length, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
		if err != nil || n > 1<<20 {
			return
		}
		text := make([]byte, n+1) // with the comma
		if _, err := io.ReadFull(r, text); err != nil {
			return
		}
		var event baresipEvent
		if json.Unmarshal(text[:n], &event) != nil {
			continue
		}
		if event.Response {
			b.answers <- event.OK
			continue
		}
		b.mu.Lock()
		b.events = append(b.events, event)
		close(b.changed)
		b.changed = make(chan struct{})
		b.mu.Unlock()
	}
}

// do gives a command and waits until it is done.
func (b *baresip) do(command, parameter string) {
	b.o.t.Helper()
	text, err := json.Marshal(map[string]string{"command": command, "params": parameter})
	must(b.o.t, err)
	_, err = fmt.Fprintf(b.control, "%d:%s,", len(text), text)
	must(b.o.t, err)
	select {
	case ok := <-b.answers:
		if !ok {
			b.o.t.Errorf("baresip refused %s %s", command, parameter)
		}
	case <-b.o.ctx.Done():
		b.o.t.Fatalf("baresip does not answer to %s", command)
	}
}

// wait waits for an event after those that were waited for.
func (b *baresip) wait(kind string) baresipEvent {
	b.o.t.Helper()
	for {
		b.mu.Lock()
		var seen []string
		for i, event := range b.events[b.next:] {
			if event.Type == kind {
				b.next += i + 1
				b.mu.Unlock()
				return event
			}
			seen = append(seen, event.Type)
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-b.o.ctx.Done():
			b.o.t.Fatalf("baresip %s told %q, not %s", b.name, seen, kind)
		}
	}
}

// press presses keys by RFC 4733: a key down, and up again.
func (b *baresip) press(keys string) {
	b.o.t.Helper()
	for _, key := range keys {
		b.do("sndcode", string(key))
		time.Sleep(120 * time.Millisecond) // as long as a finger is on it
		b.do("sndcode", "\x04")
		time.Sleep(120 * time.Millisecond)
	}
}

// hears waits until a prompt (a string) or a tone (hertz, a number) is in what baresip recorded of what it heard.
func (b *baresip) hears(what any) {
	b.o.t.Helper()
	for {
		heard := b.heard()
		for _, h := range heard {
			if name, ok := what.(string); ok && h.Is(name) {
				return
			}
			if hertz, ok := what.(int); ok && h.IsTone(float64(hertz)) {
				return
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-b.o.ctx.Done():
			b.o.t.Fatalf("baresip %s heard %v, not %v", b.name, heard, what)
		}
	}
}

// heard recognises everything in baresip's recordings, which it is still writing.
func (b *baresip) heard() (heard []bugletest.Hearing) {
	files, _ := filepath.Glob(filepath.Join(b.dir, "heard", "*-dec.wav"))
	for _, file := range files {
		wav, err := os.ReadFile(file)
		if err != nil || len(wav) < 44 {
			continue
		}
		pcm := make([]int16, (len(wav)-44)/2)
		for i := range pcm {
			pcm[i] = int16(binary.LittleEndian.Uint16(wav[44+2*i:]))
		}
		listener := prompts().Listen(func(h bugletest.Hearing) { heard = append(heard, h) }, nil)
		listener.Write(pcm)
		listener.Close()
	}
	return heard
}

func TestBaresipDialsTheDirectoryKeysLeeByRFC4733AndTalks(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lee := o.phone(o.lee, bugletest.Answering(200*time.Millisecond, leeTone))
	bob := o.newBaresip(o.bob, bobTone)
	bob.do("dial", "411")
	bob.wait("CALL_ESTABLISHED")
	bob.hears("dir-enter_person_name")
	bob.press("533#")
	bob.hears("dir-found")
	bob.press("1")
	call := o.next(lee)
	if name, number := call.Remote(); name != "Bob Nowak" || number != "1002" {
		t.Errorf("Lee's phone shows %q %q", name, number)
	}
	o.hears(call, bobTone)
	bob.hears(leeTone)
	bob.press("42")
	must(t, call.WaitKeys(o.ctx, "42"))
	bob.do("hangup", "")
	o.ends(call, 200, true)
}

func TestBaresipIsFoundInTheDirectoryHoldsTakesBackAndIsHungUpOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	bob := o.phone(o.bob, bugletest.Behaviour{})
	lee := o.newBaresip(o.lee, leeTone)
	call, err := bob.Dial(o.ctx, "411")
	must(t, err)
	must(t, call.WaitAnswer(o.ctx))
	must(t, call.Press(o.ctx, "533#"))
	_, err = call.WaitHear(o.ctx, "dir-found")
	must(t, err)
	must(t, call.Press(o.ctx, "1"))
	lee.wait("CALL_INCOMING")
	lee.do("accept", "")
	lee.wait("CALL_ESTABLISHED")
	call.SayTone(bobTone)
	o.hears(call, leeTone)
	lee.hears(bobTone)
	must(t, call.Press(o.ctx, "7"))
	if key := lee.wait("CALL_DTMF_START"); key.Param != "7" {
		t.Errorf("baresip heard key %q", key.Param)
	}
	lee.do("hold", "")
	must(t, call.WaitToneOver(o.ctx, leeTone))
	lee.do("resume", "")
	o.hears(call, leeTone) // again
	must(t, call.Hangup(o.ctx))
	lee.wait("CALL_CLOSED")
}

func TestBaresipDeclinesAndIsGivenUpOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	bob := o.phone(o.bob, bugletest.Behaviour{})
	lee := o.newBaresip(o.lee, leeTone)
	call, err := bob.Dial(o.ctx, "1001")
	must(t, err)
	lee.wait("CALL_INCOMING")
	lee.do("hangup", "")
	end, err := call.WaitEnd(o.ctx)
	must(t, err)
	if end.Status != 486 && end.Status != 603 {
		t.Errorf("a declined call ended with %s", end)
	}
	lee.wait("CALL_CLOSED")
	again, err := bob.Dial(o.ctx, "1001")
	must(t, err)
	lee.wait("CALL_INCOMING")
	must(t, again.WaitRinging(o.ctx))
	must(t, again.Hangup(o.ctx))
	o.ends(again, 487, true)
	lee.wait("CALL_CLOSED")
}

func TestTwoBaresipsTalk(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	// One with µ-law over UDP, the other with A-law over TCP.
	bob, lee := o.newBaresip(o.bob, bobTone), o.newBaresipBy(o.lee, leeTone, "PCMA", "tcp")
	bob.do("dial", "1001")
	lee.wait("CALL_INCOMING")
	lee.do("accept", "")
	bob.wait("CALL_ESTABLISHED")
	bob.hears(leeTone)
	lee.hears(bobTone)
	lee.do("hangup", "")
	bob.wait("CALL_CLOSED")
}

func TestBaresipFindsSippInTheDirectory(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	bob := o.newBaresip(o.bob, bobTone)
	s := o.newSipp(o.lee, "nobody")
	s.play("a phone registers")
	done := s.start("a called phone answers and echoes until the caller hangs up", "-rtp_echo")
	bob.do("dial", "411")
	bob.wait("CALL_ESTABLISHED")
	bob.hears("dir-enter_person_name")
	bob.press("533#")
	bob.hears("dir-confirm_menu")
	bob.press("1")
	bob.hears(bobTone) // there and back
	bob.do("hangup", "")
	<-done
}

func TestBaresipTransfersLeeToCleo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lee := o.phone(o.lee, bugletest.Answering(0, leeTone))
	cleo := o.phone(o.cleo, bugletest.Answering(200*time.Millisecond, cleoTone))
	bob := o.newBaresip(o.bob, bobTone)
	bob.do("dial", "1001")
	bob.wait("CALL_ESTABLISHED")
	call := o.next(lee)
	o.hears(call, bobTone)
	bob.do("transfer", "sip:1003@"+o.realm)
	transferred := o.next(cleo)
	o.hears(call, cleoTone)
	o.hears(transferred, leeTone)
	bob.wait("CALL_CLOSED")
	must(t, call.Hangup(o.ctx))
	o.ends(transferred, 200, true)
}
