package call_test

import (
	"testing"

	"bugle/internal/call"
)

// TestCauses is the table of KAZOO's outcome mapping, both ways.
func TestCauses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cause        call.Cause
		q850, status int
		also         int // another status that means it
	}{
		{call.UnallocatedNumber, 1, 404, 410},
		{call.UserBusy, 17, 486, 600},
		{call.NoUserResponse, 18, 408, 0},
		{call.NoAnswer, 19, 480, 0},
		{call.SubscriberAbsent, 20, 480, 0},
		{call.CallRejected, 21, 603, 403},
		{call.DestinationOutOfOrder, 27, 502, 0},
		{call.InvalidNumberFormat, 28, 484, 0},
		{call.CircuitCongestion, 34, 503, 0},
		{call.NetworkOutOfOrder, 38, 503, 0},
		{call.TemporaryFailure, 41, 503, 500},
		{call.IncompatibleDestination, 88, 488, 606},
		{call.RecoveryOnTimerExpire, 102, 504, 0},
		{call.NormalClearing, 16, 480, 0},
		{call.OriginatorCancel, 31, 487, 0},
		{call.LoseRace, 31, 487, 0},
	}
	first := map[int]call.Cause{}
	for _, test := range tests {
		if got := test.cause.Status(); got != test.status {
			t.Errorf("%s is told as %d, want %d", test.cause, got, test.status)
		}
		if got := test.cause.Q850(); got != test.q850 {
			t.Errorf("%s is Q.850 %d, want %d", test.cause, got, test.q850)
		}
		if first[test.status] == "" && test.cause != call.NormalClearing {
			first[test.status] = test.cause
			if got := call.CauseOf(test.status); got != test.cause {
				t.Errorf("%d is %s, want %s", test.status, got, test.cause)
			}
		}
		if test.also != 0 && call.CauseOf(test.also) != test.cause {
			t.Errorf("%d is %s, want %s", test.also, call.CauseOf(test.also), test.cause)
		}
	}
	for status, want := range map[int]call.Cause{699: call.CallRejected, 599: call.TemporaryFailure,
		415: call.IncompatibleDestination, 302: call.TemporaryFailure, 487: call.OriginatorCancel} {
		if got := call.CauseOf(status); got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}
