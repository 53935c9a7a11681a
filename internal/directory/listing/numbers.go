package listing

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// number writes a direct number as people of the region do, or in E.164. What is not a telephone number is left as it is.
func (l *Listing) number(text string) string {
	text = clean(text)
	parsed, err := phonenumbers.Parse(text, strings.ToUpper(l.Region))
	if err != nil || !phonenumbers.IsPossibleNumber(parsed) {
		return text
	}
	switch {
	case l.E164:
		return phonenumbers.Format(parsed, phonenumbers.E164)
	case l.Region != "" && int(parsed.GetCountryCode()) == phonenumbers.GetCountryCodeForRegion(strings.ToUpper(l.Region)):
		return phonenumbers.Format(parsed, phonenumbers.NATIONAL)
	}
	return phonenumbers.Format(parsed, phonenumbers.INTERNATIONAL)
}
