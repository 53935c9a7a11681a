package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"bugle"
)

// ErrOutdated is in the chain of the error of what was asked under a premise that does not hold.
var ErrOutdated = errors.New("a document is no longer what was assumed")

// Premises are revisions of documents in memory that a caller goes by before it asks the database: accounts and users, to
// judge who may ask. The context's next Get, List or transaction proves them in the same statement, so that they cost no
// journey of their own; without such a one Prove does.
type Premises struct {
	mu       sync.Mutex
	open     []premise // not proven yet
	closed   bool
	outdated bool
}

type premise struct{ id, rev string }

type premisesKey struct{}

// WithPremises returns a context whose premises p keeps.
func WithPremises(ctx context.Context, p *Premises) context.Context {
	return context.WithValue(ctx, premisesKey{}, p)
}

// Assume notes that a living document is thought to have a revision. False: the context takes no premises, or no more of
// them; the document has to be read.
func Assume(ctx context.Context, id, rev string) bool {
	p, ok := ctx.Value(premisesKey{}).(*Premises)
	if !ok {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if a := (premise{id, rev}); !slices.Contains(p.open, a) {
		p.open = append(p.open, a)
	}
	return true
}

// Close takes no more premises. Those that are open are still proven.
func (p *Premises) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// Prove asks for the context's premises that nothing has proven yet. ErrOutdated says that one of them, or one before, does
// not hold.
func (s *Store) Prove(ctx context.Context) error {
	return s.fail("store.Prove", prove(ctx, s.readable()))
}

func prove(ctx context.Context, r querier) error {
	p, open, err := openPremises(ctx)
	if err != nil || len(open) == 0 {
		return err
	}
	for part := range slices.Chunk(open, premiseSlots) {
		query, args := premiseQuery, premiseArgs(part)
		if err := p.judge(ctx, r, allColumns, query, args, part, nil); err != nil {
			return err
		}
	}
	return nil
}

// openPremises are those that nothing has proven; none with p nil for a context without them.
func openPremises(ctx context.Context) (p *Premises, open []premise, err error) {
	p, ok := ctx.Value(premisesKey{}).(*Premises)
	if !ok {
		return nil, nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outdated {
		return p, nil, outdated()
	}
	return p, slices.Clone(p.open), nil
}

func outdated() error {
	return &bugle.Error{Op: "store.Prove", Message: ErrOutdated.Error(), Err: ErrOutdated}
}

// premiseSlots are the premises of one statement: those of a token, of its user, of the account in the path, and one more.
const premiseSlots = 4

// premiseQuery and plainPremises have the columns of documents; their rows have no body, which every document has.
const (
	premiseQuery  = `SELECT '', '', d.id, d.rev, 0, 0, 0, '', '', NULL, NULL` + premiseRows
	plainPremises = `SELECT d.id, d.rev, 0, 0, '', NULL` + premiseRows
	premiseRows   = ` FROM documents d WHERE d.id IN (?, ?, ?, ?) AND d.deleted = 0`
)

func premiseArgs(open []premise) []any {
	args := make([]any, premiseSlots, premiseSlots+8)
	for i := range args {
		args[i] = open[min(i, len(open)-1)].id
	}
	return args
}

// under runs a query of documents and proves the context's premises in the same statement. It returns false, and does
// nothing, when there are none.
func under(ctx context.Context, r querier, has columns, query string, args []any, found func(d Document)) (bool, error) {
	p, open, err := openPremises(ctx)
	if err != nil || len(open) == 0 {
		return err != nil, err
	}
	if len(open) > premiseSlots {
		if err := prove(ctx, r); err != nil {
			return true, err
		}
		return false, nil
	}
	return true, p.judge(ctx, r, has, has.premises+` UNION ALL SELECT * FROM (`+query+`) AS found`,
		append(premiseArgs(open), args...), open, found)
}

// judge runs a query that has the rows of some premises in it, and gives found the others.
func (p *Premises) judge(ctx context.Context, r querier, has columns, query string, args []any, open []premise, found func(d Document)) error {
	rows, err := r.rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	proven := make([]premise, 0, premiseSlots)
	for rows.Next() {
		d, err := has.scan(rows)
		if err != nil {
			return err
		}
		if d.Body == nil {
			proven = append(proven, premise{d.ID, d.Rev})
		} else {
			found(d)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range open {
		if !slices.Contains(proven, o) {
			p.outdated = true
			return outdated()
		}
	}
	p.open = slices.DeleteFunc(p.open, func(o premise) bool { return slices.Contains(open, o) })
	return nil
}

// inOrder puts a list's documents in order. A statement of several parts promises none, though its database keeps it.
func inOrder(docs []Document, descending bool) {
	slices.SortFunc(docs, func(x, y Document) int {
		n := bytes.Compare(x.SortKey, y.SortKey)
		if n == 0 {
			n = strings.Compare(x.ID, y.ID)
		}
		if descending {
			return -n
		}
		return n
	})
}
