package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"bugle/internal/clicktocall"
	"bugle/internal/crossbar"
	"bugle/internal/egress"
	"bugle/internal/mail"
)

// apiFlags are the flags of the API's edge. A number that is 0 stands for the default.
type apiFlags struct {
	APITokens          int      `name:"api-tokens" env:"BUGLE_API_TOKENS" default:"2000" help:"Requests that one account may make at once from one address; one more is answered 429."`
	APITokensPerSecond int      `name:"api-tokens-per-second" env:"BUGLE_API_TOKENS_PER_SECOND" default:"500" help:"Requests a second that such a client may make for long."`
	APIAnonymous       int      `name:"api-anonymous-per-minute" env:"BUGLE_API_ANONYMOUS_PER_MINUTE" default:"60" help:"Requests a minute without a token from one address."`
	APILoginFailures   int      `name:"api-login-failures" env:"BUGLE_API_LOGIN_FAILURES" default:"10" help:"Failed logins a minute of one name from one address."`
	ConnectsAddress    int      `name:"connects-per-address" env:"BUGLE_CONNECTS_PER_ADDRESS" default:"5" help:"Calls a minute that one address may ask public click-to-calls for without a token."`
	ConnectsEndpoint   int      `name:"connects-per-endpoint" env:"BUGLE_CONNECTS_PER_ENDPOINT" default:"30" help:"Calls a minute that all may ask one public click-to-call for without a token."`
	TrustedProxies     []string `env:"BUGLE_TRUSTED_PROXIES" default:"127.0.0.1,::1" help:"Networks of reverse proxies whose X-Forwarded-For tells who the client is; none for none."`
	SMTP               string   `name:"smtp" env:"BUGLE_SMTP" help:"Mail server for password recovery: host:port. One at a private address needs --egress-allow."`
	SMTPFrom           string   `name:"smtp-from" env:"BUGLE_SMTP_FROM" help:"Sender of mails: pbx@example.com."`
	SMTPUser           string   `name:"smtp-user" env:"BUGLE_SMTP_USER" help:"User at the mail server."`
	SMTPPasswordFile   string   `name:"smtp-password-file" env:"BUGLE_SMTP_PASSWORD_FILE" help:"File that holds the password of --smtp-user." type:"path"`
	UIURLs             []string `name:"ui-urls" env:"BUGLE_UI_URLS" help:"Pages that recovery mails may link to, with everything below: https://ui.example.com/."`
}

// apiSettings are apiFlags as the rooms want them.
type apiSettings struct {
	limits   crossbar.Limits
	connects clicktocall.Limits
	proxies  []netip.Prefix
	mail     *mail.Options // nil for no mail
	uiURLs   []string
}

func (f *apiFlags) settings(allowed []netip.Prefix) (apiSettings, error) {
	s := apiSettings{uiURLs: f.UIURLs, limits: crossbar.Limits{Tokens: f.APITokens, TokensPerSecond: f.APITokensPerSecond, Anonymous: f.APIAnonymous,
		LoginFailures: f.APILoginFailures}, connects: clicktocall.Limits{PerAddress: f.ConnectsAddress, PerEndpoint: f.ConnectsEndpoint}}
	for _, flag := range [...]struct {
		name  string
		value int
	}{{"--api-tokens", f.APITokens}, {"--api-tokens-per-second", f.APITokensPerSecond},
		{"--api-anonymous-per-minute", f.APIAnonymous}, {"--api-login-failures", f.APILoginFailures},
		{"--connects-per-address", f.ConnectsAddress}, {"--connects-per-endpoint", f.ConnectsEndpoint}} {
		if flag.value < 0 || flag.value > 1_000_000_000 {
			return s, fmt.Errorf("%s: %d; 1 to 1000000000", flag.name, flag.value)
		}
	}
	if proxies := strings.Join(f.TrustedProxies, ","); proxies != "none" {
		var err error
		if s.proxies, err = egress.ParseNetworks(proxies); err != nil {
			return s, fmt.Errorf("--trusted-proxies: %w", err)
		}
	}
	for _, page := range f.UIURLs {
		if u, err := url.Parse(page); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return s, fmt.Errorf("--ui-urls: %q is not a URL such as https://ui.example.com/", page)
		}
	}
	return s, f.mailSettings(&s, egress.New(allowed))
}

func (f *apiFlags) mailSettings(s *apiSettings, guard *egress.Guard) error {
	if f.SMTP == "" {
		if f.SMTPFrom != "" || f.SMTPUser != "" || f.SMTPPasswordFile != "" {
			return errors.New("--smtp: the mail server is missing, such as mail.example.com:587")
		}
		return nil
	}
	o := mail.Options{Server: f.SMTP, From: f.SMTPFrom, Username: f.SMTPUser, Dial: guard.DialContext}
	if (f.SMTPUser == "") != (f.SMTPPasswordFile == "") {
		return errors.New("--smtp-user and --smtp-password-file go together")
	}
	if f.SMTPPasswordFile != "" {
		text, err := os.ReadFile(f.SMTPPasswordFile)
		if err != nil {
			return fmt.Errorf("--smtp-password-file: %w", err)
		}
		o.Password = strings.TrimRight(string(text), "\r\n")
	}
	if _, err := mail.New(o); err != nil {
		return fmt.Errorf("--smtp, --smtp-from: %w", err)
	}
	host, _, _ := net.SplitHostPort(f.SMTP)
	if addr, err := netip.ParseAddr(host); err == nil && guard.Check(addr) != nil {
		return fmt.Errorf("--smtp: connections to %s go out only when --egress-allow names its network", addr)
	}
	s.mail = &o
	return nil
}

// mailer is what sends the API's mails; nil when it sends none.
func (s *apiSettings) mailer() (crossbar.Mailer, error) {
	if s.mail == nil {
		return nil, nil
	}
	return mail.New(*s.mail)
}
