package main

import (
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bugle/internal/event/webhook"
	"bugle/internal/ringcentral"
	"bugle/internal/store/pgtest"
)

// beBugle makes the test binary the program itself, so that tests run it as its user does, with arguments, an
// environment, signals and an exit status. With hurried, a number, the times of its deliveries are that much shorter.
const (
	beBugle = "TEST_BE_BUGLE"
	hurried = "TEST_HURRIED"
)

func TestMain(m *testing.M) {
	if os.Getenv(beBugle) != "" {
		if by, err := strconv.Atoi(os.Getenv(hurried)); err == nil && by > 1 {
			beforeDeliveries = func(o *webhook.Options) { hurry(o, time.Duration(by)) }
		}
		os.Exit(run(os.Args[1:]))
	}
	goleak.VerifyTestMain(pgtest.M{M: m})
}

// hurry makes the times between attempts shorter, not what an attempt may take.
func hurry(o *webhook.Options, by time.Duration) {
	o.Spread, o.Beat = 10*time.Second/by, 100*time.Millisecond
	kind := o.Kinds[ringcentral.HookKind]
	p := &kind.Policy
	again := p.Again
	p.Again = func(target webhook.Target, tries int, a webhook.Answer) (time.Duration, bool) {
		pause, more := again(target, tries, a)
		return pause / by, more
	}
	p.GiveUp, p.MaxRetryAfter, p.BlacklistAfter, p.ProbeEvery = p.GiveUp/by, p.MaxRetryAfter/by, p.BlacklistAfter/by, p.ProbeEvery/by
	o.Kinds[ringcentral.HookKind] = kind
}
