package crossbar

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bugle"
	"bugle/internal/clicktocall"
)

// connectTokenLife is how long a token for one attempt is good.
const connectTokenLife = 5 * time.Minute

// connectClaims are what a token for one attempt says. Its id is spent with the attempt.
type connectClaims struct {
	Contact string `json:"contact"`
	jwt.RegisteredClaims
}

// connectKey signs the tokens of an endpoint. It follows from the secret that signs the account's own tokens, so that both
// end together, and is another one, so that neither is taken for the other.
func (req *request) connectKey(endpointID string) ([]byte, error) {
	_, secret, err := req.api.signer(req.ctx, req.account.id, "")
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("clicktocall " + endpointID))
	return mac.Sum(nil), nil
}

// createConnectToken answers POST on token.
func (req *request) createConnectToken() (*reply, error) {
	service := req.api.opts.ClickToCall
	if service == nil {
		return nil, &fault{status: http.StatusNotImplemented, message: "not_implemented", data: say("this server starts no calls")}
	}
	endpoint, err := req.clickToCall()
	if err != nil {
		return nil, err
	}
	text, _ := req.param("contact")
	contact, err := service.Permit(req.ctx, &req.account.view, &endpoint, text)
	if err != nil {
		return nil, req.refusedConnect(err, &clicktocall.Request{Contact: text, Endpoint: endpoint})
	}
	key, err := req.connectKey(endpoint.ID)
	if err != nil {
		return nil, err
	}
	now := req.api.opts.Now()
	expires := now.Add(connectTokenLife)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, connectClaims{Contact: contact, RegisteredClaims: jwt.RegisteredClaims{ID: bugle.NewID(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires)}}).SignedString(key)
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusCreated, data: appendTree(nil, map[string]any{"token": token, "contact": contact,
		"expires": expires.UTC().Format(time.RFC3339)})}, nil
}

// connectToken is a token for one attempt through an endpoint, nil for one that is not good.
func (req *request) connectToken(endpointID, text string) *clicktocall.Token {
	if len(text) > 2048 {
		return nil
	}
	var claims connectClaims
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(req.api.opts.Now)).ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) {
		return req.connectKey(endpointID)
	})
	if err != nil || claims.ID == "" || claims.Contact == "" {
		return nil
	}
	return &clicktocall.Token{ID: claims.ID, Contact: claims.Contact, Expires: claims.ExpiresAt.Time}
}
