package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"bugle/internal/bugletest"
)

// TestAPhoneIsAskedToReadItsConfiguration: from the API to a registered phone and its answer.
func TestAPhoneIsAskedToReadItsConfiguration(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	o.phone(t, "1001", bugletest.Behaviour{})
	var status []struct {
		DeviceID string `json:"device_id"`
	}
	devices := o.api.For(o.company.accountID).Account("devices")
	if err := o.api.Do(within(t), "GET", devices+"/status", nil, &status); err != nil || len(status) != 1 {
		t.Fatalf("%+v, %v", status, err)
	}
	if err := o.api.Do(within(t), "POST", devices+"/"+status[0].DeviceID+"/sync", object{}, nil); err != nil {
		t.Fatal(err)
	}
	o.until(t, "the phone's answer", func() bool {
		_, told, _ := strings.Cut(o.Log(), "a phone was asked")
		return strings.Contains(told, "device="+status[0].DeviceID) && strings.Contains(told, "status=200")
	})
	rows, err := o.api.List(within(t), devices)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		var device struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(row, &device); err != nil {
			t.Fatal(err)
		}
		if device.ID == status[0].DeviceID {
			continue
		}
		err := o.api.Do(within(t), "POST", devices+"/"+device.ID+"/sync", object{}, nil)
		var refused *bugletest.APIError
		if !errors.As(err, &refused) || refused.Status != 400 || !strings.Contains(string(refused.Data), "not registered") {
			t.Errorf("a device without a phone: %v", err)
		}
		return
	}
}
