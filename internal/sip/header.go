package sip

import "strings"

// headerID names a header field that the stack or its users look at; unknownHeader stands for all others.
type headerID uint8

const (
	unknownHeader headerID = iota
	hVia
	hFrom
	hTo
	hCallID
	hCSeq
	hContact
	hMaxForwards
	hContentLength
	hContentType
	hRoute
	hRecordRoute
	hRequire
	hProxyRequire
	hSupported
	hUnsupported
	hAllow
	hExpires
	hMinExpires
	hAuthorization
	hProxyAuthorization
	hWWWAuthenticate
	hProxyAuthenticate
	hAuthenticationInfo
	hUserAgent
	hServer
	hAccept
	hAcceptEncoding
	hAcceptLanguage
	hContentEncoding
	hContentLanguage
	hContentDisposition
	hSubject
	hDate
	hTimestamp
	hRetryAfter
	hWarning
	hReason
	hEvent
	hAllowEvents
	hSubscriptionState
	hReferTo
	hReferredBy
	hReplaces
	hSessionExpires
	hMinSE
	hRSeq
	hRAck
	hPath
	hServiceRoute
	hPAssertedIdentity
	hPPreferredIdentity
	hPrivacy
	hDiversion
	hHistoryInfo
	hAlertInfo
	hCallInfo
	hErrorInfo
	hInReplyTo
	hTargetDialog
	hRequestDisposition
	hAcceptContact
	hRejectContact
	hIdentity
	headerCount
)

// headerNames has the name, the compact form and whether the grammar makes the value a comma-separated list.
var headerNames = [headerCount]struct {
	name    string
	compact byte
	list    bool
}{
	hVia: {"Via", 'v', true}, hFrom: {"From", 'f', false}, hTo: {"To", 't', false}, hCallID: {"Call-ID", 'i', false},
	hCSeq: {"CSeq", 0, false}, hContact: {"Contact", 'm', true}, hMaxForwards: {"Max-Forwards", 0, false},
	hContentLength: {"Content-Length", 'l', false}, hContentType: {"Content-Type", 'c', false},
	hRoute: {"Route", 0, true}, hRecordRoute: {"Record-Route", 0, true}, hRequire: {"Require", 0, true},
	hProxyRequire: {"Proxy-Require", 0, true}, hSupported: {"Supported", 'k', true},
	hUnsupported: {"Unsupported", 0, true}, hAllow: {"Allow", 0, true}, hExpires: {"Expires", 0, false},
	hMinExpires: {"Min-Expires", 0, false}, hAuthorization: {"Authorization", 0, false},
	hProxyAuthorization: {"Proxy-Authorization", 0, false}, hWWWAuthenticate: {"WWW-Authenticate", 0, false},
	hProxyAuthenticate: {"Proxy-Authenticate", 0, false}, hAuthenticationInfo: {"Authentication-Info", 0, false},
	hUserAgent: {"User-Agent", 0, false}, hServer: {"Server", 0, false}, hAccept: {"Accept", 0, true},
	hAcceptEncoding: {"Accept-Encoding", 0, true}, hAcceptLanguage: {"Accept-Language", 0, true},
	hContentEncoding: {"Content-Encoding", 'e', true}, hContentLanguage: {"Content-Language", 0, true},
	hContentDisposition: {"Content-Disposition", 0, false}, hSubject: {"Subject", 's', false},
	hDate: {"Date", 0, false}, hTimestamp: {"Timestamp", 0, false}, hRetryAfter: {"Retry-After", 0, false},
	hWarning: {"Warning", 0, true}, hReason: {"Reason", 0, true}, hEvent: {"Event", 'o', false},
	hAllowEvents: {"Allow-Events", 'u', true}, hSubscriptionState: {"Subscription-State", 0, false},
	hReferTo: {"Refer-To", 'r', false}, hReferredBy: {"Referred-By", 'b', false}, hReplaces: {"Replaces", 0, false},
	hSessionExpires: {"Session-Expires", 'x', false}, hMinSE: {"Min-SE", 0, false}, hRSeq: {"RSeq", 0, false},
	hRAck: {"RAck", 0, false}, hPath: {"Path", 0, true}, hServiceRoute: {"Service-Route", 0, true},
	hPAssertedIdentity: {"P-Asserted-Identity", 0, true}, hPPreferredIdentity: {"P-Preferred-Identity", 0, true},
	hPrivacy: {"Privacy", 0, false}, hDiversion: {"Diversion", 0, true}, hHistoryInfo: {"History-Info", 0, true},
	hAlertInfo: {"Alert-Info", 0, true}, hCallInfo: {"Call-Info", 0, true}, hErrorInfo: {"Error-Info", 0, true},
	hInReplyTo: {"In-Reply-To", 0, true}, hTargetDialog: {"Target-Dialog", 0, false},
	hRequestDisposition: {"Request-Disposition", 'd', true}, hAcceptContact: {"Accept-Contact", 'a', true},
	hRejectContact: {"Reject-Contact", 'j', true}, hIdentity: {"Identity", 'y', false},
}

// headerTable finds the ids whose names have a given hash; compactTable those of a one-letter name.
var headerTable, compactTable = func() (table [256][]headerID, compact [128]headerID) {
	for id := unknownHeader + 1; id < headerCount; id++ {
		h := hashName(headerNames[id].name)
		table[h] = append(table[h], id)
		if c := headerNames[id].compact; c != 0 {
			compact[c] = id
		}
	}
	return table, compact
}()

func hashName(s string) uint8 {
	n := len(s)
	return uint8(n*37) + lower(s[0])*5 + lower(s[n-1])*11 + lower(s[n/2])*3
}

// headerIDOf returns the id of a header name in its long or compact form, whatever its case.
func headerIDOf(name string) headerID {
	switch len(name) {
	case 0:
		return unknownHeader
	case 1:
		if c := lower(name[0]); c < 128 {
			return compactTable[c]
		}
		return unknownHeader
	}
	for _, id := range headerTable[hashName(name)] {
		if equalFold(headerNames[id].name, name) {
			return id
		}
	}
	return unknownHeader
}

// cutList takes the first element of a comma-separated list. Commas in quoted strings and angle brackets do not count.
func cutList(list string) (one, rest string) {
	if strings.IndexByte(list, ',') < 0 {
		return trimSpace(list), ""
	}
	quoted, bracket := false, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"' && !bracket:
			quoted = !quoted
		case c == '<' && !quoted:
			bracket = true
		case c == '>' && !quoted:
			bracket = false
		case c == ',' && !quoted && !bracket:
			return trimSpace(list[:i]), list[i+1:]
		}
	}
	return trimSpace(list), ""
}
