package media

import (
	"net/netip"
	"strconv"
	"strings"

	"bugle"
)

// Limits of a session description; what is over them is refused unread.
const (
	sdpBytes   = 16 << 10
	sdpLines   = 500
	sdpMedia   = 16
	sdpFormats = 64
)

// direction is who sends: bits of the describing party.
type direction uint8

const (
	inactive direction = 0
	sendOnly direction = 1
	recvOnly direction = 2
	sendRecv           = sendOnly | recvOnly
)

var directionNames = [...]string{inactive: "inactive", sendOnly: "sendonly", recvOnly: "recvonly", sendRecv: "sendrecv"}

// description is what a session description (RFC 4566) says that matters here.
type description struct {
	media []mediaLine
}

// mediaLine is one m= line with the attributes under it.
type mediaLine struct {
	kind, protocol string
	port           int
	formats        []string
	address        netip.Addr // its c= line or the session's; invalid for a host name
	connected      bool       // there is a c= line
	direction      direction
	ptime, maximum int // a=ptime, a=maxptime in milliseconds, 0 for none
	rtcpPort       int // a=rtcp (RFC 3605), 0 for none
	maps           []payloadMap
}

// payloadMap is an a=rtpmap line.
type payloadMap struct {
	payload  uint8
	encoding string // "PCMU/8000", upper case
}

// parseDescription reads a session description, tolerating what phones get wrong as long as it has one meaning.
func parseDescription(body []byte) (*description, error) {
	if len(body) > sdpBytes {
		return nil, sdpError("the session description is longer than 16 KiB")
	}
	parser := sdpParser{session: mediaLine{direction: sendRecv}}
	text := string(body)
	for number := 0; text != ""; number++ {
		line := text
		if end := strings.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = ""
		}
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		if number == 0 && line != "v=0" {
			return nil, sdpError("the session description does not begin with v=0")
		}
		if number >= sdpLines {
			return nil, sdpError("the session description has more than 500 lines")
		}
		if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' {
			return nil, sdpError("line " + strconv.Itoa(number+1) + " of the session description is not of the form x=value")
		}
		if err := parser.line(line[0], line[2:]); err != nil {
			return nil, err
		}
	}
	if len(parser.result.media) == 0 {
		return nil, sdpError("the session description has no m= line")
	}
	return &parser.result, nil
}

type sdpParser struct {
	session mediaLine // holds what the lines above the first m= say for all
	result  description
}

// current is the m= line that attributes belong to, or the session.
func (p *sdpParser) current() *mediaLine {
	if n := len(p.result.media); n > 0 {
		return &p.result.media[n-1]
	}
	return &p.session
}

func (p *sdpParser) line(kind byte, value string) error {
	switch kind {
	case 'm':
		return p.medium(value)
	case 'c':
		return p.connection(value)
	case 'a':
		return p.attribute(value)
	}
	return nil
}

// medium reads "audio 49170 RTP/AVP 0 8 101".
func (p *sdpParser) medium(value string) error {
	fields := strings.Fields(value)
	if len(fields) < 4 {
		return sdpError("an m= line has no format")
	}
	if len(p.result.media) == sdpMedia {
		return sdpError("the session description has more than 16 m= lines")
	}
	if len(fields)-3 > sdpFormats {
		return sdpError("an m= line has more than 64 formats")
	}
	number, _, _ := strings.Cut(fields[1], "/") // "49170/2" counts ports of layered streams
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return sdpError("an m= line has no port number")
	}
	line := p.session
	line.kind, line.port, line.protocol, line.formats = strings.ToLower(fields[0]), int(port), fields[2], fields[3:]
	p.result.media = append(p.result.media, line)
	return nil
}

// connection reads "IN IP4 192.0.2.1", with "/ttl" for multicast.
func (p *sdpParser) connection(value string) error {
	fields := strings.Fields(value)
	if len(fields) != 3 || fields[0] != "IN" || fields[1] != "IP4" && fields[1] != "IP6" {
		return sdpError("a c= line is not of the form IN IP4 address or IN IP6 address")
	}
	line := p.current()
	host, _, _ := strings.Cut(fields[2], "/")
	line.connected = true
	line.address = netip.Addr{}
	if address, err := netip.ParseAddr(host); err == nil {
		line.address = address.WithZone("").Unmap()
	} else if strings.ContainsAny(host, ":[]") || host == "" {
		return sdpError("a c= line has no valid address")
	}
	if line.address.IsMulticast() || line.address == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return sdpError("a c= line names a group of receivers; allowed is one address")
	}
	return nil
}

func (p *sdpParser) attribute(value string) error {
	line := p.current()
	name, value, _ := strings.Cut(value, ":")
	switch name {
	case "sendrecv":
		line.direction = sendRecv
	case "sendonly":
		line.direction = sendOnly
	case "recvonly":
		line.direction = recvOnly
	case "inactive":
		line.direction = inactive
	case "ptime":
		line.ptime = sdpMilliseconds(value)
	case "maxptime":
		line.maximum = sdpMilliseconds(value)
	case "rtcp":
		number, _, _ := strings.Cut(value, " ")
		if port, err := strconv.ParseUint(number, 10, 16); err == nil {
			line.rtcpPort = int(port)
		}
	case "rtpmap":
		fields := strings.Fields(value)
		if len(fields) < 2 {
			return sdpError("an a=rtpmap line has no encoding")
		}
		payload, err := strconv.ParseUint(fields[0], 10, 7)
		if err != nil {
			return sdpError("an a=rtpmap line has no payload type between 0 and 127")
		}
		if len(line.maps) < sdpFormats {
			line.maps = append(line.maps[:len(line.maps):len(line.maps)],
				payloadMap{uint8(payload), strings.ToUpper(fields[1])})
		}
	}
	return nil
}

func sdpMilliseconds(value string) int {
	value, _, _ = strings.Cut(strings.TrimSpace(value), ".")
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 1000 {
		return 0
	}
	return n
}

// encoding returns the upper-case encoding name, clock rate and channels of a format, "" when it has none.
func (l *mediaLine) encoding(payload uint8) string {
	for _, m := range l.maps {
		if m.payload == payload {
			return strings.TrimSuffix(m.encoding, "/1")
		}
	}
	switch payload { // RFC 3551 §6: static payload types need no rtpmap
	case 0:
		return "PCMU/8000"
	case 8:
		return "PCMA/8000"
	}
	return ""
}

// format is a payload type with the codec that it stands for.
type format struct {
	payload uint8
	codec   codec
}

// noPayload stands where there is no payload type.
const noPayload = 0xFF

// audio returns the formats of codecs we speak, in the line's order, and telephone-event's payload type or noPayload.
func (l *mediaLine) audio() (formats []format, event uint8) {
	event = noPayload
	for _, name := range l.formats {
		number, err := strconv.ParseUint(name, 10, 7)
		if err != nil {
			continue
		}
		payload := uint8(number)
		switch l.encoding(payload) {
		case "PCMU/8000":
			formats = append(formats, format{payload, codecPCMU})
		case "PCMA/8000":
			formats = append(formats, format{payload, codecPCMA})
		case "TELEPHONE-EVENT/8000": // another clock rate belongs to another codec's clock (RFC 4733 §2.1)
			if event == noPayload {
				event = payload
			}
		}
	}
	return formats, event
}

// usable tells whether the line is audio over plain RTP that is not switched off.
func (l *mediaLine) usable() bool {
	return l.kind == "audio" && l.port != 0 && (l.protocol == "RTP/AVP" || l.protocol == "RTP/AVPF")
}

func sdpError(message string) error {
	return &bugle.Error{Op: "media.SDP", Kind: bugle.KindInvalid, Message: message}
}
