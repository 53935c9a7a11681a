package sip

// Rejection is the answer to a request that breaks the protocol.
type Rejection struct {
	Status      int    // 0: say nothing, drop the message (an ACK or a response, which are never answered)
	Reason      string // reason phrase that says what is wrong
	Unsupported string // with 420: the option tags of the Unsupported header
}

// Rules are the expectations of Validate that depend on what the TU can do.
type Rules struct {
	Supported []string // option tags that may stand in Require
}

// Validate checks a parsed message by the default Rules: no extension may be required.
func Validate(m *Message) *Rejection { return (&Rules{}).Validate(m) }
