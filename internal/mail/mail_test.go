package mail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bugle"
	bmail "bugle/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is aiosmtpd, which keeps what it takes in a maildir.
func sink(t *testing.T) (address, maildir string) {
	t.Helper()
	if _, err := exec.LookPath("aiosmtpd"); err != nil {
		t.Skip("aiosmtpd is not installed (make peers)")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, maildir = listener.Addr().String(), filepath.Join(t.TempDir(), "mail")
	listener.Close()
	cmd := exec.CommandContext(t.Context(), "aiosmtpd", "-n", "-u", "-c", "aiosmtpd.handlers.Mailbox", "-l", address, maildir)
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			tick.Stop()
			return address, maildir
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("aiosmtpd does not listen")
		}
	}
}

func TestMailReachesAServer(t *testing.T) {
	t.Parallel()
	address, maildir := sink(t)
	s, err := bmail.New(bmail.Options{Server: address, From: "Büro <pbx@example.com>"})
	if err != nil {
		t.Fatal(err)
	}
	text := "Zażółć gęślą jaźń.\n.\nA line " + strings.Repeat("long ", 300) + "\nend"
	if err := s.SendMail(t.Context(), "ada@example.com", "Hasło\r\nBcc: evil@example.com", text); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(maildir, "new", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Hasło  Bcc: evil@example.com" || m.Header.Get("Bcc") != "" {
		t.Errorf("%q %v %q", subject, err, m.Header)
	}
	from, err := m.Header.AddressList("From")
	if err != nil || from[0].Name != "Büro" || from[0].Address != "pbx@example.com" || m.Header.Get("To") != "<ada@example.com>" {
		t.Errorf("%v %v %q", from, err, m.Header.Get("To"))
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if got := strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")); err != nil || got != text {
		t.Errorf("%q %v", got, err)
	}
	if date, err := m.Header.Date(); err != nil || time.Since(date) > time.Hour {
		t.Errorf("%v %v", date, err)
	}
}

func TestPasswordsAreNotSentInTheClear(t *testing.T) {
	t.Parallel()
	address, maildir := sink(t)
	_, port, _ := net.SplitHostPort(address)
	dialed := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	s, err := bmail.New(bmail.Options{Server: "mail.example.com:" + port, From: "pbx@example.com", Username: "u", Password: "p", Dial: dialed})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SendMail(t.Context(), "ada@example.com", "x", "x"); bugle.KindOf(err) != bugle.KindUnavailable || err == nil {
		t.Errorf("%v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(maildir, "new", "*")); len(files) != 0 {
		t.Error(files)
	}
}

// TestServerThatSaysNothing: the context's end is the end.
func TestServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s, err := bmail.New(bmail.Options{Server: listener.Addr().String(), From: "pbx@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.SendMail(ctx, "ada@example.com", "x", "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, o := range []bmail.Options{{}, {Server: "mail.example.com", From: "a@b.example"}, {Server: ":25", From: "a@b.example"},
		{Server: "mail.example.com:25", From: "nobody"}} {
		if _, err := bmail.New(o); bugle.KindOf(err) != bugle.KindInvalid || err == nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	s, err := bmail.New(bmail.Options{Server: "mail.example.com:25", From: "a@b.example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SendMail(t.Context(), "x\r\nRCPT TO:<y@z.example>", "x", "x"); bugle.KindOf(err) != bugle.KindInvalid {
		t.Errorf("%v", err)
	}
}
