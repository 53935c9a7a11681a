package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bugle/internal/call"
	"bugle/internal/egress"
	"bugle/internal/media"
	"bugle/internal/store"
)

// settings are serve's flags as the rooms want them.
type settings struct {
	dataDir     string
	place       placeFlags
	http        string
	admin       string
	publicURL   string
	sip         string
	rtp         media.PortRange
	loop        string
	external    netip.Addr
	egress      []netip.Prefix
	maxCalls    int
	drain       time.Duration
	keepCalls   time.Duration
	outage      time.Duration
	keyFile     string
	digest      string
	flite       string // path or name of the program, "" for none
	speechURL   string
	speechKey   string
	password    string // of the first admin, "" for a random one
	apiKey      string // of the master account, "" for a random one
	log         *slog.Logger
	api         apiSettings
	tls         tlsSettings
	ringCentral ringCentralSettings
	webSocket   webSocketSettings
	// onStep, when set, is told each step of each call as it happens.
	onStep func(callID string, step call.Step)
}

const maxCallDays = 36500

// serveFlags are the flags of serve. Their names are the keys of the configuration file too.
type serveFlags struct {
	placeFlags
	HTTP          string           `name:"http" env:"BUGLE_HTTP" default:"127.0.0.1:8000" help:"Address of the API."`
	Admin         string           `env:"BUGLE_ADMIN" default:"127.0.0.1:9090" help:"Address of /metrics, /readyz and /debug/pprof; empty for none."`
	PublicURL     string           `name:"public-url" env:"BUGLE_PUBLIC_URL" help:"Where clients reach the API, for absolute links: https://pbx.example.com."`
	SIP           string           `name:"sip" env:"BUGLE_SIP" default:"0.0.0.0:5060" help:"Address of SIP, UDP and TCP."`
	RTPPorts      string           `name:"rtp-ports" env:"BUGLE_RTP_PORTS" default:"16384-32767" help:"UDP ports of audio."`
	ExternalIP    string           `name:"external-ip" env:"BUGLE_EXTERNAL_IP" help:"The address that phones see, for a server behind NAT."`
	EgressAllow   []string         `env:"BUGLE_EGRESS_ALLOW" help:"Networks of private addresses that calls and requests may go out to, such as 10.0.0.0/8."`
	MaxCalls      int              `env:"BUGLE_MAX_CALLS" default:"2000" help:"Calls at once; one more is answered 503."`
	Drain         time.Duration    `env:"BUGLE_DRAIN" default:"30s" help:"How long live calls may go on after SIGTERM."`
	CallDays      int              `name:"call-record-days" env:"BUGLE_CALL_RECORD_DAYS" default:"90" help:"Days for which records of calls are kept."`
	Outage        time.Duration    `name:"calls-without-database" env:"BUGLE_CALLS_WITHOUT_DATABASE" default:"10m" help:"How long calls go on with what is in memory while the database does not answer."`
	SecretKeyFile string           `env:"BUGLE_SECRET_KEY_FILE" help:"Key that seals secrets; DATA-DIR/key by default." type:"path"`
	SIPDigest     string           `name:"sip-digest" env:"BUGLE_SIP_DIGEST" default:"md5" enum:"md5,sha-256,both" help:"Digest offered to phones whose device and account say nothing: md5, sha-256 or both."`
	Flite         string           `env:"BUGLE_FLITE" default:"flite" help:"Program that speaks names and texts; empty for none."`
	SpeechURL     string           `name:"speech-url" env:"BUGLE_SPEECH_URL" help:"An OpenAI-style /v1/audio/speech endpoint in place of flite; its key is in BUGLE_SPEECH_KEY. One at a private address needs --egress-allow."`
	MediaLoop     string           `env:"BUGLE_MEDIA_LOOP" default:"auto" enum:"auto,portable,epoll" help:"What moves audio: auto, portable or epoll."`
	API           apiFlags         `embed:""`
	TLS           tlsFlags         `embed:""`
	RingCentral   ringCentralFlags `embed:""`
	WebSockets    webSocketFlags   `embed:""`
	LogLevel      string           `env:"BUGLE_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
	Config        string           `env:"BUGLE_CONFIG" help:"YAML file of these flags." type:"existingfile"`
}

// settings checks the flags; an error says which one and what is allowed.
func (f *serveFlags) settings(stderr io.Writer) (settings, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return settings{}, fmt.Errorf("--log-level: %w", err)
	}
	s := settings{dataDir: f.DataDir, place: f.placeFlags, http: f.HTTP, admin: f.Admin, publicURL: f.PublicURL, sip: f.SIP, maxCalls: f.MaxCalls,
		drain: f.Drain, keepCalls: time.Duration(f.CallDays) * 24 * time.Hour, outage: f.Outage, keyFile: f.SecretKeyFile, digest: f.SIPDigest, flite: f.Flite, speechURL: f.SpeechURL,
		speechKey: os.Getenv("BUGLE_SPEECH_KEY"), password: os.Getenv("BUGLE_ADMIN_PASSWORD"), apiKey: os.Getenv("BUGLE_API_KEY"),
		log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))}
	if f.MediaLoop != "auto" {
		s.loop = f.MediaLoop
	}
	if f.Store != "" && !store.IsPostgres(f.Store) { // not repeated: it may hold a password
		return settings{}, errors.New("--store: not the URL of a PostgreSQL database, such as postgres://bugle@db.example.com/bugle")
	}
	if f.Store != "" && f.BlobDir == "" {
		return settings{}, errors.New("--store: audio is not kept in PostgreSQL; give --blob-dir, a directory that all servers on the database share")
	}
	if s.keyFile == "" {
		s.keyFile = filepath.Join(s.dataDir, "key")
	}
	for _, address := range [][2]string{{"--http", s.http}, {"--sip", s.sip}, {"--admin", s.admin}} {
		if address[1] == "" && address[0] == "--admin" {
			continue
		}
		if _, port, err := net.SplitHostPort(address[1]); err != nil || !isPort(port) {
			return settings{}, fmt.Errorf("%s: %q is not an address and port such as 127.0.0.1:8000", address[0], address[1])
		}
	}
	for _, link := range [][3]string{{"--public-url", s.publicURL, "https://pbx.example.com"},
		{"--speech-url", s.speechURL, "http://127.0.0.1:8880/v1/audio/speech"}} {
		if link[1] == "" {
			continue
		}
		if u, err := url.Parse(link[1]); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return settings{}, fmt.Errorf("%s: %q is not a URL such as %s", link[0], link[1], link[2])
		}
	}
	if s.maxCalls < 1 {
		return settings{}, fmt.Errorf("--max-calls: %d; at least 1", s.maxCalls)
	}
	if s.drain < 0 {
		return settings{}, fmt.Errorf("--drain: %s; at least 0s", s.drain)
	}
	if f.CallDays < 1 || f.CallDays > maxCallDays {
		return settings{}, fmt.Errorf("--call-record-days: %d; 1 to %d", f.CallDays, maxCallDays)
	}
	if s.outage < time.Second {
		return settings{}, fmt.Errorf("--calls-without-database: %s; at least 1s", s.outage)
	}
	var err error
	if s.rtp, err = parsePorts(f.RTPPorts); err != nil {
		return settings{}, fmt.Errorf("--rtp-ports: %w", err)
	}
	if f.ExternalIP != "" {
		if s.external, err = netip.ParseAddr(f.ExternalIP); err != nil {
			return settings{}, fmt.Errorf("--external-ip: %q is not an IP address", f.ExternalIP)
		}
	}
	if s.tls, err = f.TLS.settings(s.http, s.publicURL); err != nil {
		return settings{}, err
	}
	if s.egress, err = egress.ParseNetworks(strings.Join(f.EgressAllow, ",")); err != nil {
		return settings{}, fmt.Errorf("--egress-allow: %w", err)
	}
	if u, err := url.Parse(s.speechURL); err == nil {
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && egress.New(s.egress).Check(addr) != nil {
			return settings{}, fmt.Errorf("--speech-url: connections to %s go out only when --egress-allow names its network", addr)
		}
	}
	if err := f.edges(&s); err != nil {
		return settings{}, err
	}
	return s, nil
}

// edges checks what clients of the APIs are served by.
func (f *serveFlags) edges(s *settings) (err error) {
	if s.ringCentral, err = f.RingCentral.settings(); err != nil {
		return err
	}
	if s.webSocket, err = f.WebSockets.settings(&s.tls, f.TLS.InsecureHTTP); err != nil {
		return err
	}
	s.api, err = f.API.settings(s.egress)
	return err
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n <= 65535
}

// parsePorts reads "16384-32767".
func parsePorts(s string) (media.PortRange, error) {
	first, last, ok := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if !ok || errA != nil || errB != nil || a < 1024 || b < a+3 {
		return media.PortRange{}, fmt.Errorf("%q is not a range of ports such as 16384-32767, at least four of them, from 1024", s)
	}
	return media.PortRange{First: int(a), Last: int(b)}, nil
}
