package mail_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"testing"

	bmail "bugle/internal/mail"
)

// TestAFileIsAttached: what a mail reader takes out of the mail is the text and the very bytes of the file.
func TestAFileIsAttached(t *testing.T) {
	t.Parallel()
	address, maildir := sink(t)
	s, err := bmail.New(bmail.Options{Server: address, From: "pbx@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("RIFF\x00\xff\r\n."), 1000)
	if err := s.SendFile(t.Context(), "ada@example.com", "Voicemail", "Zażółć.\n", bmail.Attachment{Name: "voice\r\nmail.wav", ContentType: "audio/x-wav", Content: content}); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(maildir, "new", "*"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatal(kind, err)
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	text, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if said, _ := io.ReadAll(text); string(bytes.TrimSpace(said)) != "Zażółć." { // multipart undoes quoted-printable
		t.Errorf("text %q", said)
	}
	file, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, file))
	if err != nil || !bytes.Equal(got, content) || file.FileName() != "voice  mail.wav" || file.Header.Get("Content-Type") != "audio/x-wav" {
		t.Errorf("%d bytes, %q, %v, %v", len(got), file.FileName(), file.Header, err)
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the file: %v", err)
	}
}
