package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"bugle/internal/crossbar"
)

// ensureMaster makes the master account on the first start. The credentials are told before the account exists: when that
// fails there is no account whose password nobody knows, and the next start begins anew.
func (v *server) ensureMaster(ctx context.Context, api *crossbar.API) error {
	path := filepath.Join(v.dataDir, "first-credentials")
	written := false
	_, made, err := api.EnsureMaster(ctx, v.password, v.apiKey, func(c crossbar.Credentials) error {
		if v.password != "" && v.apiKey != "" {
			return nil // the operator chose them
		}
		text := fmt.Sprintf("account:  %s\nuser:     %s\npassword: %s\nAPI key:  %s\n", masterAccount, adminUser, c.Password, c.APIKey)
		if term.IsTerminal(int(os.Stderr.Fd())) {
			_, err := fmt.Fprintf(os.Stderr, "\nThe first start made these credentials. They are shown this once:\n\n%s\n", text)
			return err
		}
		if err := writeSynced(path, text); err != nil {
			return fmt.Errorf("the first start's credentials could not be written, and no account was made: %w", err)
		}
		written = true
		return nil
	})
	if err != nil {
		return err // what was written stays: should the account have been made all the same, it is the only copy
	}
	if written && !made { // another process was first
		return os.Remove(path)
	}
	if written {
		v.log.Info("the first start made credentials", "file", path)
	}
	return nil
}

// writeSynced puts text into a file that only the owner reads. The file is whole or not there, also after a power cut.
func writeSynced(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".first-credentials-*") // mode 0600
	if err != nil {
		return err
	}
	name := file.Name()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		if err = os.Rename(name, path); err == nil {
			name, err = path, syncDirectory(filepath.Dir(path))
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
