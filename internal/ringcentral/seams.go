package ringcentral

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"bugle"
	"bugle/internal/contact"
)

// Person is who is logged in: a user, or an account itself.
type Person struct {
	AccountID, Company string
	MainNumber         string // of the company, in E.164; "" when none is known
	UserID             string // "" for the account itself
	Admin              bool
	Stamp              string   // changes when what the person logged in with does
	Credential         string   // id of the JWT credential that the person is here by, "" for none
	Above              []string // the accounts above the person's
}

// App is a registered program.
type App struct {
	ID, AccountID, Name string
	Public              bool
	Permissions         []string
	RedirectURIs        []string
	// HasSecret judges a client secret.
	HasSecret func(secret string) bool
}

// Serves reports whether a person may use the app: those of its own account, and of the accounts below.
func (a *App) Serves(p Person) bool {
	return a.AccountID == p.AccountID || slices.Contains(p.Above, a.AccountID)
}

// ErrDisabled is in the chain of an error of KindUnauthorized when the person is there, but is disabled, or the account is.
var ErrDisabled = &bugle.Error{Op: "ringcentral", Kind: bugle.KindUnauthorized, Message: "the user or the account is disabled"}

// People are who may log in. KindUnauthorized is the answer to what is wrong, gone or disabled.
type People interface {
	// Person returns a user, or an account for userID "".
	Person(ctx context.Context, accountID, userID string) (Person, error)
	// UserOfEmail finds a user by e-mail address; "" when there is none, or more than one.
	UserOfEmail(ctx context.Context, address string) (accountID, userID string, err error)
	// AccountOfNumber finds the account of a telephone number, "" for none.
	AccountOfNumber(ctx context.Context, number string) (accountID string, err error)
	// LogIn judges a password; the same work is done for userID "". KindLimited comes with the time until another try.
	LogIn(ctx context.Context, client netip.Addr, name, accountID, userID, password string) (p Person, retry time.Duration, err error)
	// App returns the app of a client id.
	App(ctx context.Context, clientID string) (App, error)
	// Assertion finds whose a JWT credential, or an API key, is, presented by an app ("" for none).
	Assertion(ctx context.Context, assertion, app string) (Person, error)
	// Credential returns nil while a JWT credential is good.
	Credential(ctx context.Context, accountID, id string) error
	// Photo returns a user's picture, which the caller closes; KindNotFound when there is none.
	Photo(ctx context.Context, accountID, userID string) (content io.ReadCloser, contentType, etag string, err error)
	// Client is who sends a request.
	Client(r *http.Request) netip.Addr
}

// Contacts are the company directories and the log of their changes, as *event.Contacts gives them.
type Contacts interface {
	List(ctx context.Context, q contact.Query) (contact.Page, error)
	Get(ctx context.Context, accountID, id string) (contact.Contact, error)
	State(ctx context.Context, accountID string) (cursor, revision int64, err error)
	Events(ctx context.Context, accountID string, after int64, limit int) ([]contact.Event, error)
	Subscribe() (nudge <-chan struct{}, stop func())
	Numeric(ctx context.Context, accountID, kind, documentID string) (string, error)
	Document(ctx context.Context, kind, numericID string) (accountID, documentID string, err error)
}

// Kinds of numeric ids, as package event names them.
const (
	kindAccount = "account"
	kindContact = "contact"
)

// Sealer keeps recoverable secrets unreadable in the database; a sealed text opens only with the same bound strings.
type Sealer interface {
	Seal(plain string, bound ...string) (string, error)
	Open(sealed string, bound ...string) (string, error)
}

// Reached is what became of a request to a receiver.
type Reached struct {
	Status  int // 0: there was no answer
	Header  http.Header
	Cut     bool   // the answer was too long
	Reason  string // why there was no answer, in words that tell nothing of the network that bugle is in
	Refused bool   // the address may not be connected to
	// Malformed: it answered, but not in HTTP, or with too long a header.
	Malformed bool
	Err       error // the error itself
}

// Post sends an empty POST to a receiver, through the guard of outgoing connections.
type Post func(ctx context.Context, address string, header [][2]string) Reached
