package media

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bugle"
)

// defaultEvent is telephone-event's payload type in our offers.
const defaultEvent = 101

// defaultPtime is how many milliseconds our packets hold unless the party asks for another length.
const defaultPtime = 20

// agreement is what an offer and its answer settled, as a loop needs it.
type agreement struct {
	codec   codec // what we send
	payload uint8 // and its payload type
	event   uint8 // telephone-event's payload type as we send it, noPayload for none
	// What we receive: our own numbers for what the party may send.
	receive      [2]format
	receiveCount int
	receiveEvent uint8
	// What the party takes, in its order and with its numbers.
	takes      [2]format
	takesCount int
	remote     netip.AddrPort // invalid while the party gives no address
	remoteRTCP netip.AddrPort
	send       bool // the party wants to hear us
	listen     bool // the party may speak
	samples    int  // in one packet of ours
	away       bool // the party exchanges its audio with another phone
}

// negotiation is the offer/answer state of a session (RFC 3264). It makes no call and keeps no clock.
type negotiation struct {
	codecs  []codec    // allowed, in order of preference
	local   netip.Addr // what c= says
	port    int
	bothIP  bool       // the sockets reach IPv4 and IPv6
	caller  netip.Addr // the party's signalling address, for a c= line with a host name
	id      uint64     // o= session id
	version uint64     // o= version
	last    string     // the last description below its o= line, to see whether the version must change

	lines   []ownLine // as in our last description
	audio   int       // which of lines is ours, -1 before any
	event   uint8     // our number for telephone-event
	numbers [2]uint8  // our payload types by codec
	offered bool      // our last description was an offer; it may be answered
	away    *Endpoint // the phone that the party was sent to, nil for us
	asked   *Endpoint // the one that the last offer named
	said    string    // the party's last description while it is away
	settled bool
	current agreement
}

// ownLine is an m= line of our description.
type ownLine struct {
	kind, protocol string
	formats        string
}

func newNegotiation(allowed []string, id uint64) negotiation {
	n := negotiation{id: id, version: id, audio: -1, event: defaultEvent, numbers: [2]uint8{codecPCMU: 0, codecPCMA: 8}}
	for _, name := range allowed {
		for _, c := range []codec{codecPCMU, codecPCMA} {
			if strings.EqualFold(name, c.String()) && !slices.Contains(n.codecs, c) {
				n.codecs = append(n.codecs, c)
			}
		}
	}
	if len(allowed) == 0 {
		n.codecs = []codec{codecPCMU, codecPCMA}
	}
	return n
}

// offer returns the next offer.
func (n *negotiation) offer() ([]byte, error) {
	if len(n.codecs) == 0 {
		return nil, noCommonCodec
	}
	if n.audio < 0 {
		n.lines, n.audio = []ownLine{{kind: "audio", protocol: "RTP/AVP"}}, 0
	}
	n.offered = true
	if n.asked != nil {
		formats, event := n.asked.formats()
		return n.describe(n.asked, formats, event, sendRecv), nil
	}
	order := n.codecs
	if n.settled && order[0] != n.current.codec {
		order = append([]codec{n.current.codec}, without(order, n.current.codec)...)
	}
	formats := make([]format, 0, len(order))
	taken := map[uint8]bool{} // a party may have given one codec the other's number
	for _, c := range order {
		if number := n.numbers[c]; !taken[number] {
			formats, taken[number] = append(formats, format{number, c}), true
		}
	}
	event := n.event
	if taken[event] {
		event = noPayload
	}
	return n.describe(nil, formats, event, sendRecv), nil
}

// accept takes an offer and returns the answer (RFC 3264 §6). It brings a party back that was away, unless it says just what
// it has said before, to refresh its session.
func (n *negotiation) accept(body []byte) ([]byte, error) {
	if n.away != nil && string(body) == n.said {
		formats, event := n.away.formats()
		n.offered, n.asked = false, n.away
		return n.describe(n.away, formats, event, sendRecv), nil
	}
	offer, err := parseDescription(body)
	if err != nil {
		return nil, err
	}
	if n.settled && len(offer.media) < len(n.lines) {
		return nil, sdpError("the offer has fewer m= lines than the session (RFC 3264 §8)")
	}
	audio, agreed, err := n.choose(offer)
	if err != nil {
		return nil, err
	}
	line := &offer.media[audio]
	n.lines = n.lines[:0]
	for _, m := range offer.media {
		n.lines = append(n.lines, ownLine{m.kind, m.protocol, strings.Join(m.formats, " ")})
	}
	n.audio, n.offered, n.settled, n.current = audio, false, true, agreed
	n.away, n.asked, n.said = nil, nil, ""
	n.numbers[agreed.codec] = agreed.payload
	if agreed.event != noPayload {
		n.event = agreed.event
	}
	answered := direction(0) // RFC 3264 §6.1: the mirror of what the party does
	if agreed.send {
		answered |= sendOnly
	}
	if line.direction&sendOnly != 0 {
		answered |= recvOnly
	}
	return n.describe(nil, agreed.receive[:1], agreed.receiveEvent, answered), nil
}

// choose finds the audio line of an offer that we can serve.
func (n *negotiation) choose(offer *description) (audio int, agreed agreement, err error) {
	err = noCommonCodec
	for i := range offer.media {
		line := &offer.media[i]
		if !line.usable() {
			continue
		}
		formats, event := line.audio()
		formats = slices.DeleteFunc(formats, func(f format) bool { return !slices.Contains(n.codecs, f.codec) })
		if len(formats) == 0 {
			continue
		}
		agreed = agreement{codec: formats[0].codec, payload: formats[0].payload, event: event, receiveEvent: event,
			receive: [2]format{formats[0]}, receiveCount: 1}
		agreed.take(formats)
		if err = n.settle(&agreed, line); err == nil {
			return i, agreed, nil
		}
	}
	return -1, agreed, err
}

// setAnswer takes the answer to our offer (RFC 3264 §7).
func (n *negotiation) setAnswer(body []byte) error {
	if !n.offered {
		return sdpError("there is no offer that this would answer")
	}
	answer, err := parseDescription(body)
	if err != nil {
		return err
	}
	if len(answer.media) <= n.audio || answer.media[n.audio].kind != "audio" {
		return sdpError("the answer's m= lines are not those of the offer (RFC 3264 §6)")
	}
	line := &answer.media[n.audio]
	if !line.usable() {
		return &bugle.Error{Op: "media.SetAnswer", Kind: bugle.KindUnsupported,
			Message: "the answer refuses the audio; offered was PCMU or PCMA over RTP/AVP"}
	}
	formats, event := line.audio()
	agreed := agreement{event: event, receiveEvent: noPayload}
	for _, f := range formats {
		if !slices.Contains(n.codecs, f.codec) || agreed.receiveCount == len(agreed.receive) {
			continue
		}
		if agreed.receiveCount == 0 {
			agreed.codec, agreed.payload = f.codec, f.payload
		}
		// The party sends with the numbers of our offer, we send with those of its answer (RFC 3264 §5.1).
		agreed.receive[agreed.receiveCount] = format{n.numbers[f.codec], f.codec}
		agreed.receiveCount++
	}
	if agreed.receiveCount == 0 {
		return noCommonCodec
	}
	agreed.take(slices.DeleteFunc(formats, func(f format) bool { return !slices.Contains(n.codecs, f.codec) }))
	if event != noPayload {
		agreed.receiveEvent = n.event
	}
	if err := n.settle(&agreed, line); err != nil {
		return err
	}
	n.said = ""
	if n.asked != nil {
		if err := n.asked.fits(&agreed); err != nil {
			return err
		}
		agreed.away, n.said = true, string(body)
	}
	n.settled, n.current, n.away = true, agreed, n.asked
	return nil
}

// take notes which formats the party takes, each codec once.
func (a *agreement) take(formats []format) {
	for _, f := range formats {
		if a.takesCount < len(a.takes) && !slices.ContainsFunc(a.takes[:a.takesCount], func(g format) bool { return g.codec == f.codec }) {
			a.takes[a.takesCount] = f
			a.takesCount++
		}
	}
}

// settle fills in what the party's line says about addresses, direction and packet length.
func (n *negotiation) settle(agreed *agreement, line *mediaLine) error {
	address := line.address
	if !line.connected {
		return sdpError("the session description has no c= line for its audio")
	}
	if !address.IsValid() { // a host name; the party's signalling shows where it is
		address = n.caller
	}
	if address.IsValid() && address.Is4() != n.local.Is4() && !n.bothIP {
		return &bugle.Error{Op: "media.SDP", Kind: bugle.KindUnsupported,
			Message: "the session description's address family is not the one spoken here"}
	}
	// RFC 3264 §8.4: an address of zero is how RFC 2543 put a call on hold.
	hold := address.IsUnspecified()
	agreed.send = line.direction&recvOnly != 0 && !hold
	agreed.listen = line.direction&sendOnly != 0
	if address.IsValid() && !hold {
		agreed.remote = netip.AddrPortFrom(address, uint16(line.port))
		rtcp := line.rtcpPort
		if rtcp == 0 {
			rtcp = min(line.port+1, 65535) // RFC 3550 §11
		}
		agreed.remoteRTCP = netip.AddrPortFrom(address, uint16(rtcp))
	}
	agreed.samples = packetLength(line) * SampleRate / 1000
	return nil
}

// packetLength returns the milliseconds of audio that a packet to the party should hold.
func packetLength(line *mediaLine) int {
	length := line.ptime
	if length == 0 {
		length = defaultPtime
	}
	if line.maximum != 0 {
		length = min(length, line.maximum)
	}
	return max(10, min(length-length%10, 60))
}

// describe writes our description: the audio line with formats, every other line refused. With away the audio is that of
// another phone, while the origin is ours all the same: RFC 3264 §8 lets only its version change.
func (n *negotiation) describe(away *Endpoint, formats []format, event uint8, way direction) []byte {
	address, port, ptime := n.local, n.port, defaultPtime
	if away != nil {
		address, port, ptime = away.RTP.Addr(), int(away.RTP.Port()), away.Ptime
	}
	var body strings.Builder
	body.WriteString("s=-\r\nc=" + connection(address) + "t=0 0\r\n")
	for i, line := range n.lines {
		if i != n.audio {
			// RFC 3264 §6: a refused stream keeps its place, with port 0.
			body.WriteString("m=" + line.kind + " 0 " + line.protocol + " " + line.formats + "\r\n")
			continue
		}
		body.WriteString("m=audio " + strconv.Itoa(port) + " " + line.protocol)
		for _, f := range formats {
			body.WriteString(" " + strconv.Itoa(int(f.payload)))
		}
		if event != noPayload {
			body.WriteString(" " + strconv.Itoa(int(event)))
		}
		body.WriteString("\r\n")
		for _, f := range formats {
			body.WriteString("a=rtpmap:" + strconv.Itoa(int(f.payload)) + " " + f.codec.String() + "/8000\r\n")
		}
		if event != noPayload {
			number := strconv.Itoa(int(event))
			body.WriteString("a=rtpmap:" + number + " telephone-event/8000\r\na=fmtp:" + number + " 0-15\r\n")
		}
		if away != nil && away.RTCP.IsValid() && int(away.RTCP.Port()) != port+1 {
			body.WriteString("a=rtcp:" + strconv.Itoa(int(away.RTCP.Port())) + "\r\n") // RFC 3605
		}
		body.WriteString("a=ptime:" + strconv.Itoa(ptime) + "\r\na=" + directionNames[way] + "\r\n")
	}
	// RFC 3264 §8: the version tells whether anything below it changed.
	if n.last != body.String() {
		if n.last != "" {
			n.version++
		}
		n.last = body.String()
	}
	return []byte("v=0\r\no=- " + strconv.FormatUint(n.id, 10) + " " + strconv.FormatUint(n.version, 10) + " " +
		connection(n.local) + n.last)
}

// connection is an address as c= and o= lines end with it.
func connection(address netip.Addr) string {
	family := "IP4"
	if address.Is6() {
		family = "IP6"
	}
	return "IN " + family + " " + address.String() + "\r\n"
}

var noCommonCodec error = &bugle.Error{Op: "media.SDP", Kind: bugle.KindUnsupported,
	Message: "no common codec; spoken here are PCMU and PCMA over RTP/AVP"}

func without(codecs []codec, one codec) []codec {
	return slices.DeleteFunc(slices.Clone(codecs), func(c codec) bool { return c == one })
}
