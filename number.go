package bugle

import "strings"

// International returns a telephone number in E.164 when it has the form of one (KAZOO's system converters: ten digits are
// North American, 011 and 00 go before a country code, so do eight digits and more that begin with 2 to 9), else as it is:
// extensions, feature codes, names.
func International(number string) string {
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return number
	}
	national := number
	if len(number) == 11 && number[0] == '1' {
		national = number[1:]
	}
	switch {
	case len(national) == 10 && national[0] >= '2' && national[3] >= '2':
		return "+1" + national
	case strings.HasPrefix(number, "011") && len(number) >= 3+5:
		return "+" + number[3:]
	case strings.HasPrefix(number, "00") && len(number) >= 2+5:
		return "+" + number[2:]
	case number[0] >= '2' && len(number) >= 8:
		return "+" + number
	}
	return number
}

// IsE164 reports whether a number is + and up to fifteen digits, the first not 0.
func IsE164(number string) bool {
	return len(number) >= 3 && len(number) <= 16 && number[0] == '+' && number[1] != '0' && strings.Trim(number[1:], "0123456789") == ""
}
