package clicktocall

import (
	"context"
	"net/netip"
	"regexp"
	"strings"

	"bugle"
	"bugle/internal/callflow"
)

// DialPlan tells where a number leads; *callflow.Engine is one.
type DialPlan interface {
	Judge(ctx context.Context, account bugle.Account, dialed string) (callflow.Judgement, error)
}

// Egress says which addresses may be connected to; *egress.Guard is one.
type Egress interface{ Check(addr netip.Addr) error }

// classReasons are the classes of numbers that cost money or a life, and are called only when they are listed.
var classReasons = map[string]Reason{"emergency": ReasonEmergency, "toll_us": ReasonPremium, "international": ReasonAbroad, "caribbean": ReasonAbroad}

var reasonWords = map[Reason]string{ReasonEmergency: "emergency numbers", ReasonPremium: "premium numbers", ReasonAbroad: "numbers abroad"}

// permit judges whom an attempt may reach and returns the contact in the form in which it was judged: the normalised number,
// or the URI. stranger says that nobody vouches for who asks, by a token of the API or by one for this attempt. The error is a
// *Refusal, or says that nobody can tell.
func (s *Service) permit(ctx context.Context, account *bugle.Account, endpoint *bugle.ClickToCall, c *Contact, stranger bool) (string, error) {
	if c.URI != "" {
		if _, whole := listed(endpoint.Whitelist, c.URI); !whole {
			r := refuse(ReasonWhitelist, "a SIP URI of another host than the account's needs a whitelist entry that matches all of it")
			r.Contact = c.URI
			return c.URI, r
		}
		if addr := c.address(); addr.IsValid() && s.o.Egress != nil {
			if s.o.Egress.Check(addr) != nil {
				return c.URI, refuse(ReasonAddress, "the server does not connect to this host")
			}
		}
		return c.URI, nil
	}
	j, err := s.o.DialPlan.Judge(ctx, *account, c.Number)
	if err != nil {
		return c.Number, err
	}
	r := permitNumber(endpoint, c, &j, stranger)
	if r != nil {
		r.Contact = j.Number
		return j.Number, r
	}
	return j.Number, nil
}

func permitNumber(endpoint *bugle.ClickToCall, c *Contact, j *callflow.Judgement, stranger bool) *Refusal {
	public := !endpoint.AuthRequired
	part, whole := listed(endpoint.Whitelist, j.Number)
	if len(endpoint.Whitelist) > 0 && !whole && (public || !part) {
		return refuse(ReasonWhitelist, "Contact doesn't match whitelist")
	}
	// The account's own numbers cost nothing, whatever they look like; that an emergency number is one is a mistake.
	if reason, ok := classReasons[j.Class]; ok && !whole && (!j.Own || reason == ReasonEmergency) {
		return refuse(reason, "%s are called only when a whitelist entry matches the whole number", reasonWords[reason])
	}
	if len(endpoint.Whitelist) == 0 && stranger && (!j.Own || strings.ContainsAny(c.Number+j.Number, "*#")) {
		return refuse(ReasonExtension, "without a whitelist and a token only the account's own extensions are reached")
	}
	return nil
}

// listed reports whether an entry of a whitelist matches some part of text, and whether one matches all of it. An entry
// that does not compile matches nothing. Matching takes linear time, whatever the expression.
func listed(whitelist []string, text string) (part, whole bool) {
	for _, entry := range whitelist {
		re, err := regexp.Compile(entry)
		if err != nil {
			continue
		}
		re.Longest() // so that a match of the whole is found when there is one
		if m := re.FindStringIndex(text); m != nil {
			part, whole = true, whole || m[0] == 0 && m[1] == len(text)
		}
	}
	return part, whole
}
