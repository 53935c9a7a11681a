package sip

import (
	"bytes"
	"strings"
)

// framer cuts a byte stream into messages: RFC 3261 §18.3. It holds at most one message and a read's worth of bytes.
type framer struct {
	buf    []byte
	start  int // of the bytes not yet handed out
	scan   int // header lines up to here hold no end of the header part
	end    int // total length of the message at start, 0 while it is not known
	breaks int // line ends since the last message, to tell a ping
}

// frameError says why a stream cannot go on: nothing tells where the next message starts.
type frameError struct {
	head []byte // the header part, for an answer; nil when there is none
	ParseError
}

// take appends what was read.
func (f *framer) take(b []byte) {
	if f.start > 0 {
		n := copy(f.buf, f.buf[f.start:])
		f.buf, f.scan, f.start = f.buf[:n], f.scan-f.start, 0
	}
	f.buf = append(f.buf, b...)
}

// empty says whether no byte of a message is waiting.
func (f *framer) empty() bool { return f.start == len(f.buf) }

// next returns the next whole message, nil when more bytes are needed. ping is set when the peer sent a keep-alive
// (RFC 5626 §3.5.1) before it.
func (f *framer) next() (message []byte, ping bool, err *frameError) {
	for f.start < len(f.buf) && f.end == 0 && (f.buf[f.start] == '\r' || f.buf[f.start] == '\n') {
		if f.buf[f.start] == '\n' {
			if f.breaks++; f.breaks == 2 {
				ping, f.breaks = true, 0
			}
		}
		f.start++
		f.scan = f.start
	}
	if f.empty() {
		f.buf, f.start, f.scan = f.buf[:0], 0, 0
		if cap(f.buf) > 16<<10 {
			f.buf = nil
		}
		return nil, ping, nil
	}
	f.breaks = 0
	if f.end == 0 {
		if err = f.findEnd(); err != nil {
			return nil, ping, err
		}
	}
	if f.end == 0 || len(f.buf)-f.start < f.end {
		return nil, ping, nil
	}
	message = f.buf[f.start : f.start+f.end]
	f.start += f.end
	f.scan, f.end = f.start, 0
	return message, ping, nil
}

// findEnd looks for the end of the header part and computes the message's length.
func (f *framer) findEnd() *frameError {
	if i := bytes.Index(f.buf[f.scan:], endOfHead); i >= 0 {
		return f.measure(f.buf[f.start : f.scan+i+len(endOfHead)])
	}
	f.scan = max(f.start, len(f.buf)-len(endOfHead)+1)
	if len(f.buf)-f.start > MaxStreamMessage {
		return &frameError{ParseError: ParseError{Reason: "header part too long"}}
	}
	return nil
}

var endOfHead = []byte("\r\n\r\n")

func (f *framer) measure(head []byte) *frameError {
	length, problem := contentLength(head)
	switch {
	case problem != "":
		return &frameError{head: head, ParseError: ParseError{Status: 400, Reason: problem}}
	case len(head)+length > MaxStreamMessage:
		return &frameError{head: head, ParseError: ParseError{Status: 513, Reason: "Message Too Large"}}
	}
	f.end = len(head) + length
	return nil
}

// contentLength finds the one Content-Length of a header part. RFC 3261 §20.14: on a stream it must be there.
func contentLength(head []byte) (length int, problem string) {
	found := false
	for at := 0; at < len(head); {
		line, next, ok := nextLine(head, at)
		if !ok {
			break
		}
		at = next
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || isSpace(line[0]) {
			continue
		}
		if headerIDOf(strings.TrimRight(view(line[:colon]), " \t")) != hContentLength {
			continue
		}
		if found {
			return 0, "Repeated Content-Length"
		}
		n, ok := number(trimSpace(view(line[colon+1:])), 1<<31-1)
		if !ok {
			return 0, "Malformed Content-Length"
		}
		length, found = int(n), true
	}
	if !found {
		return 0, "Missing Content-Length"
	}
	return length, ""
}
