package ringcentral

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bugle"
)

const handshakeTime = 3 * time.Second

// handshake asks a receiver whether it wants what it is about to be sent: it has to answer 200 with the token that it is given.
func (s *Server) handshake(ctx context.Context, address, verification string) error {
	token := bugle.NewID()
	header := [][2]string{{"Validation-Token", token}, {"User-Agent", userAgent}, {"Accept", "application/json"}}
	if verification != "" {
		header = append(header, [2]string{"Verification-Token", verification})
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	got := s.opts.Post(ctx, address, header)
	bad := func(code, message string) error {
		return &fault{status: http.StatusBadRequest, code: code, message: message, err: got.Err, extra: map[string]any{"parameterName": "deliveryMode.address"}}
	}
	var certificate *tls.CertificateVerificationError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case got.Status == 0 && got.Refused && strings.HasPrefix(address, "http:"):
		return bad("SUB-523", "HTTPS is required: "+got.Reason)
	case got.Status == 0 && (errors.As(got.Err, &certificate) || errors.As(got.Err, &host) || errors.As(got.Err, &unknown) || errors.As(got.Err, &invalid)):
		return bad("SUB-524", "The certificate of the webhook is not valid: "+got.Reason)
	case got.Status == 0 && got.Malformed:
		return bad("SUB-525", "The webhook's answer is not valid: "+got.Reason)
	case got.Status == 0:
		return bad("SUB-521", "The webhook is not reachable within three seconds: "+got.Reason)
	case got.Status != http.StatusOK:
		return bad("SUB-525", "The webhook's answer is not valid: it must be 200, not "+strings.TrimSpace(strconv.Itoa(got.Status)+" "+http.StatusText(got.Status)))
	case got.Cut:
		return bad("SUB-525", "The webhook's answer is not valid: it is too long")
	case got.Header.Get("Validation-Token") == "":
		return bad("SUB-520", "The webhook did not return the header Validation-Token")
	case got.Header.Get("Validation-Token") != token:
		return bad("SUB-520", "The webhook returned another Validation-Token than it was sent")
	}
	return nil
}

// checkAddress judges where notifications shall go.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if address == "" || err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(address) > 2048 {
		return badParameter("deliveryMode.address", nil, "it must be a URL of https, without a name and password, of at most 2048 characters")
	}
	return nil
}
