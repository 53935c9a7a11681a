package clicktocall

import (
	"fmt"
	"time"
)

// Reason says in a word why an attempt was refused. It stands in the history.
type Reason string

// The reasons, in the order in which they are found.
const (
	ContactRequired  Reason = "contact_required"
	ContactInvalid   Reason = "contact_invalid"
	ReasonVariables  Reason = "variables_invalid"
	ReasonParameters Reason = "parameters_invalid" // of the others, one that the API could not read
	ReasonMethod     Reason = "method"             // an anonymous GET
	ReasonOrigin     Reason = "origin"             // of a page that may not connect
	ReasonDisabled   Reason = "account_disabled"   // or the account has gone
	ReasonToken      Reason = "token"              // it is for another contact, was used, or is no good
	ReasonWhitelist  Reason = "whitelist"
	ReasonExtension  Reason = "not_an_extension" // a public endpoint without a whitelist reaches only the account's own
	ReasonEmergency  Reason = "emergency"
	ReasonPremium    Reason = "premium"
	ReasonAbroad     Reason = "international"
	ReasonAddress    Reason = "address" // a host that the server does not connect to
	ReasonSchedule   Reason = "at_invalid"
	ReasonQuiet      Reason = "quiet_hours"
	ReasonRate       Reason = "rate" // of anonymous callers
	ReasonKey        Reason = "idempotency_key"
	ReasonKeyReused  Reason = "idempotency_key_reused" // for another contact
	ReasonFull       Reason = "schedule_full"
	ReasonThrottle   Reason = "throttle"
	ReasonCapacity   Reason = "no_resources"
)

// Refusal is the error for an attempt that the policy does not allow.
type Refusal struct {
	Reason  Reason
	Message string        // for the person who asked
	Contact string        // in the form in which it was judged
	Retry   time.Duration // when to try again, 0 when that would not help
	Until   time.Time     // ReasonQuiet: the end of the quiet hours
}

// Error is the refusal for the log.
func (r *Refusal) Error() string {
	return "clicktocall: refused: " + string(r.Reason) + ": " + r.Message
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
