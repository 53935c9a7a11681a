package main

import (
	"strings"
	"testing"
)

// TestDemo runs what the README promises first: the demonstration up to the end of its first call.
func TestDemo(t *testing.T) {
	t.Parallel()
	out, err := bugleCommand(t, nil, "demo", "--once").CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, want := range []string{"dialled 411", "heard dir-enter_person_name", "pressed", "heard dir-found",
		"heard tone 440 Hz", "heard tone 700 Hz", "This proved"} {
		if !strings.Contains(text, want) {
			t.Errorf("the demonstration does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "panic") || strings.Contains(text, "level=ERROR") {
		t.Errorf("the demonstration met an error:\n%s", text)
	}
}
