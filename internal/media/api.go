package media

import (
	"log/slog"
	"net/netip"
	"time"
)

// PortRange is the UDP ports that sessions may use, both ends included. A session takes an even port for RTP and the
// next one for RTCP. The zero value lets the operating system choose.
type PortRange struct{ First, Last int }

// Options configure an Engine. The zero value is a working engine on every IPv4 address with ports of the operating
// system's choice.
type Options struct {
	Ports PortRange
	// LocalIP is the address that sockets are bound to: one IPv4 or IPv6 address, 0.0.0.0 (the default), or :: for both
	// families.
	LocalIP netip.Addr
	// ExternalIP is what session descriptions say in place of the local address, for a server behind NAT.
	ExternalIP netip.Addr
	// Loop is "portable" (a reader per socket, any system), "epoll" (an epoll set for each loop, Linux), or "" for the
	// best there is.
	Loop string
	// Loops is how many loops share the sessions; 0 is one for each core.
	Loops int
	// MediaTimeout is how long a session that is not held may be without RTP; 0 is 60 s.
	MediaTimeout time.Duration
	Log          *slog.Logger
	// OnPanic is told of each panic in a loop step or in Events, which ends that session only.
	OnPanic func(any)
}

// Events is what a session tells its owner. The methods are called off the loops, one at a time and in order, and must
// not block. No event begins after Session.Close returned, except one whose call was already being made. Of more than
// 256 events that wait the newest are dropped.
type Events interface {
	// OnDigit: the party pressed a key (0-9, *, #, A-D), by RFC 4733 or in the audio; once a key.
	OnDigit(key byte)
	// OnPlayEnded: the last of Play's clips has been played.
	OnPlayEnded(token int)
	// OnMediaTimeout: no RTP came for Options.MediaTimeout although the party is to speak and listen; it repeats while that
	// lasts. Or the session failed by a defect of ours and carries no media any more.
	OnMediaTimeout()
}

// SessionOptions describe one party's media.
type SessionOptions struct {
	// Codecs are the allowed codecs, "PCMU" and "PCMA", in order of preference; empty for both. Unknown names are
	// passed over.
	Codecs []string
	// Signalling is the address that the party's SIP comes from. RTP may come from there although its SDP says another
	// address (NAT).
	Signalling netip.Addr
	// Local is the address that the party's SIP arrived at, which the session description gives when neither
	// ExternalIP nor LocalIP says one. Optional.
	Local netip.Addr
	// Events may be nil.
	Events Events
	// Label names the session in logs: the Call-ID.
	Label string
}

// Recorder takes the recording of one session. A worker of that recording calls it, never a loop; a Recorder that
// blocks loses audio of its own recording only.
type Recorder interface {
	// Audio takes the next stretch of time: what the party said and what it heard, 8 kHz mono, equally long, silence
	// where there was nothing. The slices are valid during the call only.
	Audio(said, heard []int16)
	// Ended is called once, after the last Audio.
	Ended()
}

// Stats is what a session has seen so far.
type Stats struct {
	Codec                        string         // the codec that is sent, "" before an answer
	Local, Remote                netip.AddrPort // RTP; Remote is where audio is sent now
	PacketsSent, PacketsReceived uint64         // RTP
	BytesSent, BytesReceived     uint64         // payload
	Lost                         int64          // packets that never arrived, by sequence numbers (RFC 3550 §6.4.1)
	Jitter                       time.Duration  // interarrival jitter (RFC 3550 §6.4.1)
	Refused                      uint64         // packets dropped: wrong source, payload type or format, or too many
	RemoteLost                   int64          // the party's own count of what it lost, from its reports
	RemoteJitter                 time.Duration
	RoundTrip                    time.Duration // from its reports, 0 while unknown
}
