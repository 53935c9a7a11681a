package sipua

import (
	"strconv"
	"strings"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// causes are those that a Reason header may name; call.Cause.Q850 gives their numbers.
var causes = []call.Cause{call.NormalClearing, call.UnallocatedNumber, call.UserBusy, call.NoUserResponse, call.NoAnswer,
	call.SubscriberAbsent, call.CallRejected, call.DestinationOutOfOrder, call.InvalidNumberFormat,
	call.CircuitCongestion, call.NetworkOutOfOrder, call.TemporaryFailure, call.IncompatibleDestination,
	call.RecoveryOnTimerExpire}

// reasonOf is the Reason header value (RFC 3326) that tells the other side why a leg ends.
func reasonOf(cause call.Cause) string {
	if cause == call.LoseRace {
		// Phones do not list such a call as missed.
		return `SIP;cause=200;text="Call completed elsewhere"`
	}
	return "Q.850;cause=" + strconv.Itoa(cause.Q850()) + `;text="` + string(cause) + `"`
}

// causeIn returns the cause that a message's Reason header names with a Q.850 number, otherwise when it names none.
func causeIn(m *sip.Message, otherwise call.Cause) call.Cause {
	for value := range m.Headers("Reason") {
		protocol, params, _ := strings.Cut(value, ";")
		if !strings.EqualFold(strings.TrimSpace(protocol), "Q.850") {
			continue
		}
		number, err := strconv.Atoi(sip.Params(";" + params).Value("cause"))
		if err != nil {
			continue
		}
		for _, c := range causes {
			if c.Q850() == number {
				return c
			}
		}
	}
	return otherwise
}
