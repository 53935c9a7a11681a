package callflow_test

import (
	"testing"

	"bugle"
	"bugle/internal/callflow"
)

// TestClassify has numbers as they are dialled: what is classified is their normalised form.
func TestClassify(t *testing.T) {
	t.Parallel()
	for class, numbers := range map[string][]string{
		"tollfree_us": {"8005550100", "18005550100", "+18005550100", "8225550100", "8335550100", "8445550100", "8555550100",
			"8665550100", "8775550100", "8885550100", "8815550100", "18001550100", "+180055501009", "1-800-555-0100",
			"+1 (800) 555.0100"},
		"toll_us":   {"9005550100", "+19005550100", "+190055501001"},
		"emergency": {"911", "922", "933", "811", "711", "999", "112", "+911", "+112", "9-1-1"},
		"caribbean": {"2425550100", "12425550100", "+12425550100", "12421550100", "8765550100", "6585550100", "8095550100",
			"7875550100", "3405550100", "9395550100", "8695550100", "+124255501009"},
		"did_us": {"2125550100", "12125550100", "+12125550100", "+12120550100", "+121255501009", "4168675309", "011" + "12125550100",
			"212-555-0100 ", "121255501009"},
		"international": {"+442079460000", "011442079460000", "00442079460000", "+44-20-7946-0000", "+493012345", "01144123",
			"+2125550100", "442079460000", "+88213123456", "+29012345", "+442079460000#"},
		"unknown": {"", "1001", "0", "9110", "1911", "0911", "*72", "*721002", "*67911", "bob", "no_match", "anonymous", "5551234",
			"12345678", "+", "+1", "+1212", "+12125", "+02125550100", "0049", "+4412", "11 2 3"},
	} {
		for _, number := range numbers {
			normalised := callflow.NormaliseNumber(bugle.Account{}, number)
			if got := callflow.Classify(normalised); got != class {
				t.Errorf("%q, normalised %q, is %q, want %q", number, normalised, got, class)
			}
		}
	}
}

// TestEveryNumberHasOneClass is that the classes' order settles which one it is.
func TestEveryNumberHasOneClass(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+18765550100": "caribbean",   // a North American number as well
		"+19005550100": "toll_us",     // likewise
		"+18005550100": "tollfree_us", // likewise
		"+911":         "emergency",
		"911":          "emergency", // matches unknown, as every number
	} {
		if got := callflow.Classify(number); got != want {
			t.Errorf("%s is %q, want %q", number, got, want)
		}
	}
}
