package call

// Cause says why a call or a leg ended, by KAZOO's names for Q.850 causes.
type Cause string

// The causes that bugle gives. Status and Q850 map them, and CauseOf maps back; nothing else in the program does.
const (
	UnallocatedNumber       Cause = "UNALLOCATED_NUMBER"
	NormalClearing          Cause = "NORMAL_CLEARING"
	UserBusy                Cause = "USER_BUSY"
	NoUserResponse          Cause = "NO_USER_RESPONSE"
	NoAnswer                Cause = "NO_ANSWER"
	SubscriberAbsent        Cause = "SUBSCRIBER_ABSENT"
	CallRejected            Cause = "CALL_REJECTED"
	DestinationOutOfOrder   Cause = "DESTINATION_OUT_OF_ORDER"
	InvalidNumberFormat     Cause = "INVALID_NUMBER_FORMAT"
	CircuitCongestion       Cause = "NORMAL_CIRCUIT_CONGESTION"
	NetworkOutOfOrder       Cause = "NETWORK_OUT_OF_ORDER"
	TemporaryFailure        Cause = "NORMAL_TEMPORARY_FAILURE"
	IncompatibleDestination Cause = "INCOMPATIBLE_DESTINATION"
	BearerNotAvailable      Cause = "BEARERCAPABILITY_NOTAVAIL" // a fax, which nothing here receives
	RecoveryOnTimerExpire   Cause = "RECOVERY_ON_TIMER_EXPIRE"
	OriginatorCancel        Cause = "ORIGINATOR_CANCEL"
	LoseRace                Cause = "LOSE_RACE"        // another leg of the same fork answered first
	MediaTimeout            Cause = "MEDIA_TIMEOUT"    // no RTP on a leg that was not held
	AllottedTimeout         Cause = "ALLOTTED_TIMEOUT" // the longest call that is allowed
)

type causeCode struct {
	cause  Cause
	q850   int
	status int
}

// causeCodes is the table of the design: Q.850, RFC 3398 and KAZOO's names. The first row of a status is the one that
// CauseOf gives for it.
var causeCodes = []causeCode{
	{UnallocatedNumber, 1, 404},
	{UserBusy, 17, 486},
	{UserBusy, 17, 600},
	{NoUserResponse, 18, 408},
	{NoAnswer, 19, 480},
	{SubscriberAbsent, 20, 480},
	{CallRejected, 21, 603},
	{CallRejected, 21, 403},
	{DestinationOutOfOrder, 27, 502},
	{InvalidNumberFormat, 28, 484},
	{CircuitCongestion, 34, 503},
	{NetworkOutOfOrder, 38, 503},
	{TemporaryFailure, 41, 503},
	{IncompatibleDestination, 88, 488},
	{BearerNotAvailable, 58, 488},
	{RecoveryOnTimerExpire, 102, 504},
	{NormalClearing, 16, 200},
	{OriginatorCancel, 487, 487},
	{LoseRace, 502, 487},
	{MediaTimeout, 604, 408},
	{AllottedTimeout, 602, 408},
}

// Status returns the SIP status that tells an unanswered caller of the cause: 486 for UserBusy, 480 for a cause that
// has no status of its own.
func (c Cause) Status() int {
	for _, row := range causeCodes {
		if row.cause == c && row.status >= 300 {
			return row.status
		}
	}
	return 480
}

// Q850 returns the cause's number for a Reason header (RFC 3326), 31 (normal, unspecified) for one without a number.
func (c Cause) Q850() int {
	for _, row := range causeCodes {
		if row.cause == c && row.q850 < 128 {
			return row.q850
		}
	}
	return 31
}

// CauseOf returns the cause of a final SIP status of 300 or above.
func CauseOf(status int) Cause {
	for _, row := range causeCodes {
		if row.status == status {
			return row.cause
		}
	}
	switch {
	case status == 410 || status == 485:
		return UnallocatedNumber
	case status == 415 || status == 606:
		return IncompatibleDestination
	case status >= 600:
		return CallRejected
	}
	return TemporaryFailure
}
