package crossbar

import (
	"context"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"bugle"
	"bugle/internal/directory"
	"bugle/internal/directory/listing"
	"bugle/internal/store"
)

const typePDF = "application/pdf"

// printersAtOnce bounds the listings that are laid out at the same time: one of 5,000 people takes seconds of a core and
// up to 200 MB.
const printersAtOnce = 2

// printer prints directories.
type printer struct {
	fonts *listing.Fonts
	turn  chan struct{}
}

func newPrinter() *printer {
	return &printer{fonts: listing.NewFonts(), turn: make(chan struct{}, printersAtOnce)}
}

// fetchDirectory answers with the document and its members, or with the listing that a company would print.
func (req *request) fetchDirectory(res *resource) (*reply, error) {
	if req.accepts == typeJSON {
		return req.fetch(res)
	}
	id := req.route.arg()
	d, err := req.api.get(req.ctx, req.account.id, TypeDirectory, id)
	if err != nil {
		return nil, req.missing(err, id)
	}
	doc, err := bugle.ParseDirectory(d.ID, d.Body)
	if err != nil {
		return nil, err
	}
	l, err := req.listing(doc)
	if err != nil {
		return nil, err
	}
	name := req.account.view.Name + "-directory"
	if req.accepts == typeCSV {
		if asked := req.csvName(); asked != defaultCSVName {
			name = strings.TrimSuffix(asked, ".csv")
		}
		return &reply{status: http.StatusOK, stream: &stream{typeCSV + "; charset=utf-8; header=present", name + ".csv", l.WriteCSV}}, nil
	}
	return &reply{status: http.StatusOK, stream: &stream{typePDF, name + ".pdf", func(ctx context.Context, w io.Writer) error {
		return req.api.printer.print(ctx, req, l, w)
	}}}, nil
}

func (p *printer) print(ctx context.Context, req *request, l *listing.Listing, w io.Writer) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	done, err := l.WritePDF(ctx, w, p.fonts)
	if len(done.Missing) > 0 {
		req.log().Warn("a printed directory has characters that no font has; install a font package such as fonts-noto",
			"account", req.account.id, "characters", string(done.Missing))
	}
	return err
}

// listing composes the directory as it is printed. number_format=e164 prints +14155550123 instead of (415) 555-0123.
func (req *request) listing(d bugle.Directory) (*listing.Listing, error) {
	format, _ := req.outerParam("number_format")
	if format != "" && format != "e164" && format != "national" {
		return nil, oneError("number_format", "enum", "Value not found in enumerated list of values: national, e164", format)
	}
	account := req.account.view
	date := req.started.UTC()
	if zone, err := time.LoadLocation(account.Timezone); err == nil {
		date = date.In(zone)
	}
	return &listing.Listing{Account: account.Name, Directory: d.Name, Date: date, Language: account.Language,
		Region: regionOf(account.Language), SortBy: d.SortBy, E164: format == "e164", Entries: req.listed(d.ID)}, nil
}

// regionOf is the country of a language such as "en-us", "" when it names none.
func regionOf(language string) string {
	parts := strings.FieldsFunc(language, func(r rune) bool { return r == '-' || r == '_' })
	if len(parts) > 1 && len(parts[len(parts)-1]) == 2 {
		return strings.ToUpper(parts[len(parts)-1])
	}
	return ""
}

// listed are the people of a directory: whom its callers find, without those who are excluded from contact lists.
func (req *request) listed(directoryID string) iter.Seq2[listing.Entry, error] {
	return func(yield func(listing.Entry, error) bool) {
		numbers, err := req.callflowNumbers()
		if err != nil {
			yield(listing.Entry{}, err)
			return
		}
		for d, err := range req.membersOf(directoryID) {
			if err != nil {
				yield(listing.Entry{}, err)
				return
			}
			entry, shown, err := entryOf(d, directoryID, numbers)
			if err != nil {
				req.log().Warn("a member of a directory cannot be read and is not printed", "account", d.AccountID, "id", d.ID, "error", err)
				continue
			}
			if shown && !yield(entry, nil) {
				return
			}
		}
	}
}

func entryOf(d store.Document, directoryID string, numbers map[string][]string) (listing.Entry, bool, error) {
	fields, err := bugle.ParseFields(d.Body)
	if err != nil {
		return listing.Entry{}, false, err
	}
	e := listing.Entry{ID: d.ID, Department: fields.String("department")}
	var person directory.Person
	var shown bool
	if d.Type == TypeDevice {
		device, err := bugle.ParseDevice(d.ID, d.Body)
		if err != nil {
			return e, false, err
		}
		person, shown = directory.OfDevice(device, directoryID, "")
		shown = shown && !fields.Object("contact_list").Bool("exclude", false)
		e.Display = device.Name
	} else {
		user, err := bugle.ParseUser(d.ID, d.Body)
		if err != nil {
			return e, false, err
		}
		person, shown = directory.OfUser(user, directoryID, "")
		shown = shown && !user.Hidden
		e.Given, e.Family, e.Phonetic = user.FirstName, user.LastName, person.Phonetic
		e.Display = user.Username
	}
	for _, number := range numbers[person.CallflowID] {
		switch digits := strings.TrimPrefix(number, "+"); {
		case strings.Trim(digits, "0123456789") != "": // a feature code
		case len(digits) < len(number) || len(digits) > longestExtension:
			e.Direct = append(e.Direct, number)
		default:
			e.Extensions = append(e.Extensions, number)
		}
	}
	return e, shown, nil
}

// longestExtension is the most digits of a number that is dialled inside only.
const longestExtension = 6

// callflowNumbers are the numbers of each of the account's callflows.
func (req *request) callflowNumbers() (map[string][]string, error) {
	out := map[string][]string{}
	for d, err := range req.documents(store.Query{AccountID: req.account.id, Type: TypeCallflow}) {
		if err != nil {
			return nil, err
		}
		if flow, err := bugle.ParseCallflow(d.ID, d.Body); err == nil && len(flow.Numbers) > 0 {
			out[d.ID] = flow.Numbers
		}
	}
	return out, nil
}

// membersOf are the documents that name a directory, users first.
func (req *request) membersOf(directoryID string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		for _, typ := range [...]string{TypeUser, TypeDevice} {
			q := store.Query{AccountID: req.account.id, Type: typ, Index: &store.Index{Name: IndexDirectory, Value: directoryID}}
			for d, err := range req.documents(q) {
				if !yield(d, err) {
					return
				}
			}
		}
	}
}

// documents are all that a query finds, read page by page.
func (req *request) documents(q store.Query) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		q.Limit = storePage
		for {
			docs, next, err := req.api.opts.Store.List(req.ctx, q)
			if err != nil {
				yield(store.Document{}, err)
				return
			}
			for i := range docs {
				if !yield(docs[i], nil) {
					return
				}
			}
			if q.After = next; next == nil {
				return
			}
		}
	}
}
