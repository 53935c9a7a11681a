package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SecretPrefix begins a signing secret in the form that is shown; base64 follows.
const SecretPrefix = "whsec_"

// ParseSecret reads a signing secret, "whsec_" and base64 of 24 to 64 bytes; ok is false for anything else.
func ParseSecret(text string) (secret []byte, ok bool) {
	encoded, ok := strings.CutPrefix(text, SecretPrefix)
	if !ok {
		return nil, false
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(secret) < 24 || len(secret) > 64 {
		return nil, false
	}
	return secret, true
}

// FormatSecret is ParseSecret's counterpart.
func FormatSecret(secret []byte) string {
	return SecretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// Sign returns the headers of Standard Webhooks 1.0.0 for a body that is sent at a time: one signature for each secret.
func Sign(id string, at time.Time, body []byte, secrets ...[]byte) [][2]string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	header := [][2]string{{"webhook-id", id}, {"webhook-timestamp", stamp}}
	var signatures []string
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(signatures) > 0 {
		header = append(header, [2]string{"webhook-signature", strings.Join(signatures, " ")})
	}
	return header
}

// ErrUnsigned is Verify's answer to a request without the headers of Standard Webhooks.
var ErrUnsigned = errors.New("it is not signed")

// signatureAge is how far a request's time may be from the receiver's.
const signatureAge = 5 * time.Minute

// Verify judges a request by the headers of Standard Webhooks 1.0.0, as a receiver does: nil when one of its signatures is by
// one of the secrets, and its time is not far from now.
func Verify(header http.Header, body []byte, now time.Time, secrets ...[]byte) error {
	id, stamp, given := header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature")
	if given == "" {
		return ErrUnsigned
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || err != nil {
		return errors.New("webhook-id or webhook-timestamp is missing or wrong")
	}
	at := time.Unix(seconds, 0)
	if apart := now.Sub(at).Abs(); apart > signatureAge {
		return fmt.Errorf("it was signed %v away from this clock", apart.Round(time.Second))
	}
	for _, secret := range secrets {
		want := Sign(id, at, body, secret)[2][1]
		for signature := range strings.FieldsSeq(given) {
			if hmac.Equal([]byte(signature), []byte(want)) {
				return nil
			}
		}
	}
	return errors.New("no signature is by the secret")
}
