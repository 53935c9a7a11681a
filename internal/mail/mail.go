// Package mail sends mail to people by SMTP.
package mail

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"

	"bugle"
)

// Options say where mail goes. Server and From are required.
type Options struct {
	Server             string // host:port; port 465 begins with TLS, others change to it when the server offers STARTTLS
	From               string // address, or Name <address>
	Username, Password string // of the server, "" for none; sent over TLS only, or to loopback
	// Dial opens connections; nil is net.Dialer. The server's wiring gives egress' dialler.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Roots *x509.CertPool // that the server's certificate is trusted by; nil for the system's
	Now   func() time.Time
}

// Sender sends messages, each over a connection of its own. It is safe for concurrent use.
type Sender struct {
	opts       Options
	host, port string
	from       *mail.Address
}

// maxDelivery bounds one message when its context does not.
const maxDelivery = time.Minute

// New checks the options.
func New(opts Options) (*Sender, error) {
	invalid := func(message string) error {
		return &bugle.Error{Op: "mail.New", Kind: bugle.KindInvalid, Message: message}
	}
	s := &Sender{opts: opts}
	var err error
	if s.host, s.port, err = net.SplitHostPort(opts.Server); err != nil || s.host == "" || s.port == "" {
		return nil, invalid(fmt.Sprintf("%q is not a host and port such as mail.example.com:587", opts.Server))
	}
	if s.from, err = mail.ParseAddress(opts.From); err != nil {
		return nil, invalid(fmt.Sprintf("%q is not a sender's address such as pbx@example.com", opts.From))
	}
	if s.opts.Dial == nil {
		s.opts.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	if s.opts.Now == nil {
		s.opts.Now = time.Now
	}
	return s, nil
}

// SendMail sends a plain text and returns when the server has taken it. to is a bare address.
func (s *Sender) SendMail(ctx context.Context, to, subject, text string) error {
	return s.SendFile(ctx, to, subject, text, Attachment{})
}

// Attachment is a file of a mail; one without a name is none.
type Attachment struct {
	Name, ContentType string
	Content           []byte
}

// SendFile is SendMail with a file.
func (s *Sender) SendFile(ctx context.Context, to, subject, text string, file Attachment) error {
	receiver, err := mail.ParseAddress(to)
	if err != nil {
		return &bugle.Error{Op: "mail.SendMail", Kind: bugle.KindInvalid, Message: "not an e-mail address", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, maxDelivery)
	defer cancel()
	if err := s.deliver(ctx, receiver.Address, s.message(receiver, subject, text, file)); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return &bugle.Error{Op: "mail.SendMail", Kind: bugle.KindUnavailable, Message: "the mail server did not take the message", Err: err}
	}
	return nil
}

func (s *Sender) deliver(ctx context.Context, to string, message []byte) error {
	conn, err := s.opts.Dial(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	secure := &tls.Config{ServerName: s.host, RootCAs: s.opts.Roots, MinVersion: tls.VersionTLS12}
	if s.port == "465" {
		conn = tls.Client(conn, secure)
	}
	client, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(s.from.Address, "@")
	if err := client.Hello(domain); err != nil {
		return err
	}
	if offered, _ := client.Extension("STARTTLS"); offered {
		if err := client.StartTLS(secure); err != nil {
			return err
		}
	}
	if s.opts.Username != "" {
		if err := client.Auth(smtp.PlainAuth("", s.opts.Username, s.opts.Password, s.host)); err != nil {
			return err
		}
	}
	if err := client.Mail(s.from.Address); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(message); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	_ = client.Quit() // the message was taken
	return nil
}

// message is the text, and the file, with their headers. RFC 5322 §3.6, RFC 2046 §5.1
func (s *Sender) message(to *mail.Address, subject, text string, file Attachment) []byte {
	var b bytes.Buffer
	_, domain, _ := strings.Cut(s.from.Address, "@")
	writeHeaders(&b, [2]string{"From", s.from.String()}, [2]string{"To", to.String()},
		[2]string{"Subject", mime.QEncoding.Encode("utf-8", oneLine(subject))}, [2]string{"Date", s.opts.Now().Format(time.RFC1123Z)},
		[2]string{"Message-ID", "<" + randomText() + "@" + domain + ">"}, [2]string{"Auto-Submitted", "auto-generated"},
		[2]string{"MIME-Version", "1.0"})
	if file.Name == "" {
		writeText(&b, text)
		return b.Bytes()
	}
	boundary := randomText()
	writeHeaders(&b, [2]string{"Content-Type", mime.FormatMediaType("multipart/mixed", map[string]string{"boundary": boundary})})
	b.WriteString("\r\n--" + boundary + "\r\n")
	writeText(&b, text)
	b.WriteString("\r\n--" + boundary + "\r\n")
	writeHeaders(&b, [2]string{"Content-Type", file.ContentType}, [2]string{"Content-Transfer-Encoding", "base64"},
		[2]string{"Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": oneLine(file.Name)})})
	b.WriteString("\r\n")
	const line = 57 // bytes of 76 characters, RFC 2045 §6.8
	for rest := file.Content; len(rest) > 0; rest = rest[min(line, len(rest)):] {
		b.WriteString(base64.StdEncoding.EncodeToString(rest[:min(line, len(rest))]) + "\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes()
}

func writeHeaders(b *bytes.Buffer, headers ...[2]string) {
	for _, header := range headers {
		b.WriteString(header[0] + ": " + header[1] + "\r\n")
	}
}

func randomText() string {
	id := make([]byte, 16)
	rand.Read(id)
	return hex.EncodeToString(id)
}

// writeText writes a text with the headers that say how it is written.
func writeText(b *bytes.Buffer, text string) {
	writeHeaders(b, [2]string{"Content-Type", "text/plain; charset=utf-8"}, [2]string{"Content-Transfer-Encoding", "quoted-printable"})
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(b)
	_, _ = w.Write([]byte(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"))) // a bytes.Buffer takes everything
	_ = w.Close()
}

// oneLine keeps what came from a document from becoming a header of its own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
