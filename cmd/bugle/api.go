package main

import (
	"fmt"
	"net/netip"
	"strings"

	"bugle/internal/crossbar"
	"bugle/internal/egress"
)

// apiFlags are the flags of the API's edge. A number that is 0 stands for the default.
type apiFlags struct {
	APITokens          int      `name:"api-tokens" env:"BUGLE_API_TOKENS" default:"2000" help:"Requests that one account may make at once from one address; one more is answered 429."`
	APITokensPerSecond int      `name:"api-tokens-per-second" env:"BUGLE_API_TOKENS_PER_SECOND" default:"500" help:"Requests a second that such a client may make for long."`
	APIAnonymous       int      `name:"api-anonymous-per-minute" env:"BUGLE_API_ANONYMOUS_PER_MINUTE" default:"60" help:"Requests a minute without a token from one address."`
	APILoginFailures   int      `name:"api-login-failures" env:"BUGLE_API_LOGIN_FAILURES" default:"10" help:"Failed logins a minute of one name from one address."`
	TrustedProxies     []string `env:"BUGLE_TRUSTED_PROXIES" default:"127.0.0.1,::1" help:"Networks of reverse proxies whose X-Forwarded-For tells who the client is; none for none."`
}

// apiSettings are apiFlags as the rooms want them.
type apiSettings struct {
	limits  crossbar.Limits
	proxies []netip.Prefix
}

func (f *apiFlags) settings() (apiSettings, error) {
	s := apiSettings{limits: crossbar.Limits{Tokens: f.APITokens, TokensPerSecond: f.APITokensPerSecond, Anonymous: f.APIAnonymous,
		LoginFailures: f.APILoginFailures}}
	for _, flag := range [...]struct {
		name  string
		value int
	}{{"--api-tokens", f.APITokens}, {"--api-tokens-per-second", f.APITokensPerSecond},
		{"--api-anonymous-per-minute", f.APIAnonymous}, {"--api-login-failures", f.APILoginFailures}} {
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
	return s, nil
}
