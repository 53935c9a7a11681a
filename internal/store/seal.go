package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bugle"
)

// sealedPrefix begins every sealed value; the number is the version of what follows: base64url of a 12-byte nonce, the
// AES-256-GCM ciphertext and its tag.
const sealedPrefix = "sealed:1:"

const keySize = 32

// Sealer encrypts the secrets that must be recoverable before they reach a document, the log or a history. It is safe
// for concurrent use.
type Sealer struct{ aead cipher.AEAD }

// NewSealer takes a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != keySize {
		return nil, &bugle.Error{Op: "store.NewSealer", Kind: bugle.KindInvalid,
			Message: "a secret key has 32 bytes, this one " + strconv.Itoa(len(key))}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead}, nil
}

// LoadKey reads the key file at path: 64 hexadecimal digits. When it does not exist it is created with a random key and
// mode 0600, once: of two processes that try, both get the key of the first. A key that others may read is refused.
func LoadKey(path string) ([]byte, error) {
	key, err := readKey(path)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, keyError(path, "cannot be created", err)
	}
	fresh := make([]byte, keySize)
	rand.Read(fresh) // never fails
	// Written beside and linked: whoever reads the name finds a whole key, also after a power cut.
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, keyError(path, "cannot be created", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(fresh) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, keyError(path, "cannot be written", err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, keyError(path, "cannot be created", err)
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return nil, keyError(path, "cannot be written", err)
	}
	return readKey(path)
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		return nil, keyError(path, "cannot be read", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, keyError(path, fmt.Sprintf("can be read by others (mode %04o); it must be 0600", info.Mode().Perm()), nil)
	}
	line, err := os.ReadFile(path)
	if err != nil {
		return nil, keyError(path, "cannot be read", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(line)))
	if err != nil || len(key) != keySize {
		return nil, keyError(path, "does not hold a key: 64 hexadecimal digits", nil)
	}
	return key, nil
}

func keyError(path, what string, err error) error {
	return &bugle.Error{Op: "store.LoadKey", Kind: bugle.KindInvalid, Message: "the secret key file " + path + " " + what,
		Err: err}
}

// Seal encrypts plain. What it is bound to (by custom the id of its document and the field's path) must be given to Open
// again, so that a sealed value that was copied into another document or field does not open there. The same plain text
// seals differently each time.
func (s *Sealer) Seal(plain string, bound ...string) (string, error) {
	return sealedPrefix + base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, []byte(plain), binding(bound))), nil
}

// Open decrypts what Seal made with the same key and the same bound strings. Anything else is KindInvalid.
func (s *Sealer) Open(sealed string, bound ...string) (string, error) {
	bad := &bugle.Error{Op: "store.Open", Kind: bugle.KindInvalid,
		Message: "a sealed secret does not open: it was sealed with another key, for another document, or is damaged"}
	body, ok := strings.CutPrefix(sealed, sealedPrefix)
	if !ok {
		return "", bad
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return "", bad
	}
	plain, err := s.aead.Open(nil, nil, raw, binding(bound))
	if err != nil {
		return "", bad
	}
	return string(plain), nil
}

// IsSealed reports whether value has the form of a sealed one. It does not prove that it opens: what a client sends may
// look like it, so an API seals whatever it is sent.
func IsSealed(value string) bool { return strings.HasPrefix(value, sealedPrefix) }

func binding(bound []string) []byte {
	var b []byte
	for _, s := range bound {
		b = appendString(b, s)
	}
	return b
}

const canary = "the key that this database was sealed with"

// checkSealer seals a canary when the database has none, else opens it: a wrong key file must be noticed at start, not
// when the first phone cannot register.
func (s *Store) checkSealer(ctx context.Context, sealer *Sealer) error {
	var sealed string
	err := s.read.row(ctx, `SELECT value FROM settings WHERE name = ?`, "canary").Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		if sealed, err = sealer.Seal(canary, "canary"); err != nil {
			return err
		}
		var t *transaction
		if t, err = s.begin(ctx); err == nil {
			if _, err = t.exec(ctx, `INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, "canary",
				sealed); err != nil {
				t.rollback()
			} else if err = s.commit(t); err == nil { // whoever was first
				err = s.read.row(ctx, `SELECT value FROM settings WHERE name = ?`, "canary").Scan(&sealed)
			}
		}
	}
	if err != nil {
		return s.fail("store.checkSealer", err)
	}
	if plain, err := sealer.Open(sealed, "canary"); err != nil || plain != canary {
		return &bugle.Error{Op: "store.Open", Kind: bugle.KindInvalid,
			Message: "the secret key is not the one that this database was sealed with; give the right --secret-key-file"}
	}
	return nil
}
