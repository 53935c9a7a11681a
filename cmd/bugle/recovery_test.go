package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestRecoveryByMail: who forgot the password gets a mail through a real mail server, and its link opens the account.
func TestRecoveryByMail(t *testing.T) {
	t.Parallel()
	maildir, address := filepath.Join(t.TempDir(), "mail"), freeAddress(t)
	peer(t, nil, "aiosmtpd", "-n", "-u", "-c", "aiosmtpd.handlers.Mailbox", "-l", address, maildir)
	p := serve(t, filepath.Join(t.TempDir(), "data"), chosen, "--smtp", address, "--smtp-from", "pbx@example.com", "--ui-urls", "https://ui.example.com/")
	master := p.api(t)
	var users []struct{ ID string }
	if err := master.Do(t.Context(), http.MethodGet, master.Account("users"), nil, &users); err != nil || len(users) != 1 {
		t.Fatal(users, err)
	}
	if err := master.Do(t.Context(), http.MethodPatch, master.Account("users", users[0].ID),
		map[string]any{"email": "root@example.com"}, nil); err != nil {
		t.Fatal(err)
	}
	send := func(ctx context.Context, method string, data map[string]any) (map[string]any, error) {
		body, _ := json.Marshal(map[string]any{"data": data})
		request, err := http.NewRequestWithContext(ctx, method, "http://"+p.HTTP+"/v2/user_auth/recovery", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		var envelope map[string]any
		if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil || answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%d %v %v", answer.StatusCode, envelope, err)
		}
		return envelope, nil
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	eventually(t, 30*time.Second, "aiosmtpd", func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if _, err := send(t.Context(), http.MethodPut, map[string]any{"username": adminUser, "account_name": masterAccount,
		"ui_url": "https://ui.example.com/login"}); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`https://ui\.example\.com/login\?recovery=([0-9a-f]{64})`)
	resetID := ""
	eventually(t, 30*time.Second, "the mail", func(context.Context) error {
		files, _ := filepath.Glob(filepath.Join(maildir, "new", "*"))
		if len(files) != 1 {
			return fmt.Errorf("%d mails; the log:\n%s", len(files), p.Log())
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			return err
		}
		m, err := mail.ReadMessage(bytes.NewReader(text))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if found := link.FindSubmatch(body); found != nil {
			resetID = string(found[1])
			return err
		}
		return fmt.Errorf("no link in\n%s", body)
	})
	envelope, err := send(t.Context(), http.MethodPost, map[string]any{"reset_id": resetID})
	if err != nil || envelope["auth_token"] == nil {
		t.Fatalf("%v %v", envelope, err)
	}
	if _, err := send(t.Context(), http.MethodPost, map[string]any{"reset_id": resetID}); err == nil {
		t.Error("the link opens twice")
	}
}
