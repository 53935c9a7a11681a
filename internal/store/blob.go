package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bugle"
)

// Blobs keeps audio in files: <directory>/<account>/<sha256>. A blob never changes, so a reader needs no lock and a
// second Put of the same bytes is the same blob. It is safe for concurrent use.
type Blobs struct{ dir string }

// Blob names a stored blob.
type Blob struct {
	AccountID string
	SHA256    string // 64 lower-case hexadecimal digits
	Size      int64
}

const temporary = ".tmp-"

// NewBlobs creates the directory (0700) when it does not exist.
func NewBlobs(dir string) (*Blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, blobError("store.NewBlobs", err)
	}
	return &Blobs{dir}, nil
}

// Put stores what r gives, up to limit bytes: more is KindTooLarge and nothing is kept. When Put returns nil the blob
// survives a power cut. An error of r comes back as it is. The caller writes the document that names the blob afterwards, within the time that Sweep
// grants to unreferenced ones.
func (b *Blobs) Put(ctx context.Context, accountID string, r io.Reader, limit int64) (blob Blob, err error) {
	dir, err := b.accountDir(accountID)
	if err != nil {
		return Blob{}, err
	}
	if err := os.Mkdir(dir, 0o700); err == nil {
		err = syncDirectory(b.dir)
		if err != nil {
			return Blob{}, blobError("store.Put", err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return Blob{}, blobError("store.Put", err)
	}
	f, err := os.CreateTemp(dir, temporary+"*") // mode 0600
	if err != nil {
		return Blob{}, blobError("store.Put", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(readerWith{ctx, r}, limit+1))
	var theirs *sourceError
	if errors.As(err, &theirs) {
		return Blob{}, theirs.err
	}
	if err != nil {
		return Blob{}, blobError("store.Put", err)
	}
	if size > limit {
		return Blob{}, &bugle.Error{Op: "store.Put", Kind: bugle.KindTooLarge,
			Message: "more than " + strconv.FormatInt(limit, 10) + " bytes"}
	}
	blob = Blob{AccountID: accountID, SHA256: hex.EncodeToString(h.Sum(nil)), Size: size}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return Blob{}, blobError("store.Put", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, blob.SHA256)); err != nil {
		return Blob{}, blobError("store.Put", err)
	}
	if err := syncDirectory(dir); err != nil {
		return Blob{}, blobError("store.Put", err)
	}
	return blob, nil
}

// Open returns the blob for reading and seeking; the caller closes it. Errors: KindNotFound.
func (b *Blobs) Open(_ context.Context, accountID, sum string) (*os.File, error) {
	path, err := b.path(accountID, sum)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound("store.Open", "blob")
	}
	if err != nil {
		return nil, blobError("store.Open", err)
	}
	return f, nil
}

// Sweep removes blobs, and what broken uploads left, that are older than age and that referenced does not know; it
// returns how many. age must be longer than the time between Put and the write of the document.
func (b *Blobs) Sweep(ctx context.Context, now time.Time, age time.Duration,
	referenced func(ctx context.Context, accountID, sum string) (bool, error)) (removed int, err error) {
	accounts, err := os.ReadDir(b.dir)
	if err != nil {
		return 0, blobError("store.Sweep", err)
	}
	for _, account := range accounts {
		files, err := os.ReadDir(filepath.Join(b.dir, account.Name()))
		if err != nil {
			continue // not a directory of ours
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return removed, blobError("store.Sweep", err)
			}
			info, err := file.Info()
			if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) < age {
				continue
			}
			if !strings.HasPrefix(file.Name(), temporary) {
				if !isSum(file.Name()) {
					continue
				}
				if used, err := referenced(ctx, account.Name(), file.Name()); err != nil {
					return removed, err
				} else if used {
					continue
				}
			}
			err = os.Remove(filepath.Join(b.dir, account.Name(), file.Name()))
			if errors.Is(err, fs.ErrNotExist) {
				continue // another server that has the directory too was faster
			}
			if err != nil {
				return removed, blobError("store.Sweep", err)
			}
			removed++
		}
	}
	return removed, nil
}

// References returns what Sweep asks: whether a document of one of the types names a blob of its account. names finds the
// sums in a document. Soft-deleted documents count, since they may come back. It reads an account's documents when the
// sweep comes to it and remembers them, so each Sweep needs a fresh one.
func (s *Store) References(types []string, names func(Document) []string) func(ctx context.Context, accountID, sum string) (bool, error) {
	account, known := "", map[string]bool{}
	return func(ctx context.Context, accountID, sum string) (bool, error) {
		if accountID == account {
			return known[sum], nil
		}
		account = "" // until all is read
		clear(known)
		for _, typ := range types {
			for _, deleted := range []bool{false, true} {
				q := Query{AccountID: accountID, Type: typ, Deleted: deleted, Limit: maxLimit}
				for more := true; more; more = q.After != nil {
					docs, next, err := s.List(ctx, q)
					if err != nil {
						return false, err
					}
					for _, d := range docs {
						for _, name := range names(d) {
							known[name] = true
						}
					}
					q.After = next
				}
			}
		}
		account = accountID
		return known[sum], nil
	}
}

func (b *Blobs) accountDir(accountID string) (string, error) {
	ok := accountID != "" && len(accountID) <= maxName
	for i := range len(accountID) {
		c := accountID[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return "", &bugle.Error{Op: "store.Blobs", Kind: bugle.KindInvalid, Message: "not an account id"}
	}
	return filepath.Join(b.dir, accountID), nil
}

func (b *Blobs) path(accountID, sum string) (string, error) {
	dir, err := b.accountDir(accountID)
	if err != nil {
		return "", err
	}
	if !isSum(sum) {
		return "", notFound("store.Open", "blob")
	}
	return filepath.Join(dir, sum), nil
}

func isSum(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && strings.ToLower(s) == s
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// blobError tells a failing disk from a defect.
func blobError(op string, err error) error {
	var known *bugle.Error
	if errors.As(err, &known) {
		return err
	}
	kind, message := bugle.KindInternal, ""
	for _, e := range []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, fs.ErrNotExist, fs.ErrPermission,
		context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			kind, message = bugle.KindUnavailable, "the blob store is not available, try again later"
		}
	}
	return &bugle.Error{Op: op, Kind: kind, Message: message, Err: err}
}

// readerWith stops reading when its context ends.
type readerWith struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWith) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

// sourceError tells a failing source, whose error Put returns as it is, from a failing disk.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
