package peers

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bugle/internal/bugletest"
)

// newLinphone starts linphonec as a user's phone, which nobody touches, and waits until it has registered.
func (o *office) newLinphone(username string) *bugletest.Output {
	t := o.t
	t.Helper()
	needs(t, "linphonec")
	dir, out := t.TempDir(), &bugletest.Output{}
	config := fmt.Sprintf(`[sip]
sip_port=%d
sip_tcp_port=0
sip_tls_port=0
guess_hostname=0
contact="linphone" <sip:%[2]s@127.0.0.1>
inc_timeout=30
default_proxy=0
use_ipv6=0
[net]
firewall_policy=0
bind_address=127.0.0.1
[rtp]
audio_rtp_port=%[6]d
[video]
enabled=0
[proxy_0]
reg_proxy=<sip:%[5]s>
reg_identity=sip:%[2]s@%[3]s
reg_expires=120
reg_sendregister=1
publish=0
[auth_info_0]
username=%[2]s
passwd=%[4]s
realm="%[3]s"
domain=%[3]s
`, freePorts(t, 1), username, o.realm, o.passwords[username], o.server, freePorts(t, 4))
	must(t, os.MkdirAll(filepath.Join(dir, ".local/share/linphone"), 0o700)) // where it keeps a database
	must(t, os.WriteFile(filepath.Join(dir, "rc"), []byte(config), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "linphonec", "-d", "6", "--pipe", "-c", filepath.Join(dir, "rc"))
	cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=dumb")
	cmd.Stdout, cmd.Stderr = out, out
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		stop()
		<-ended
		if t.Failed() {
			said := out.String()
			t.Logf("linphonec:\n%s", said[max(0, len(said)-20000):])
		}
	})
	_, err = io.WriteString(stdin, "soundcard use files\n")
	must(t, err)
	o.until("linphonec registers", func() bool { return strings.Contains(out.String(), "to [LinphoneRegistrationOk]") })
	return out
}

// TestLinphoneIsAskedToAnswerByItself: a phone's own stack reads out of the INVITE that it is to answer without being touched,
// and does not for whom nobody has asked that. linphonec leaves the answering to its user all the same.
func TestLinphoneIsAskedToAnswerByItself(t *testing.T) {
	t.Parallel()
	for name, auto := range map[string]bool{"asked": true, "not asked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			out := x.newLinphone(x.lee)
			order := button("auto")
			order.AutoAnswer = auto
			c := x.originate(order)
			c.wait("first_ringing")
			if said := strings.Contains(out.String(), "The caller asked to automatically answer the call"); said != auto {
				t.Errorf("linphone is asked: %v", said)
			}
			c.Hangup()
			c.ends("first_ringing", "ended ORIGINATOR_CANCEL")
		})
	}
}
