package crossbar_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bugle/internal/crossbar"
)

// pivots know a module that has a URL in its data.
type pivots struct{ flows }

func (pivots) ModuleSchemas() map[string]json.RawMessage {
	return map[string]json.RawMessage{"callflows.pivot": json.RawMessage(`{"$schema":"http://json-schema.org/draft-04/schema#","type":"object",` +
		`"properties":{"voice_url":{"type":"string","x-address":"web"},"more":{"type":"array","items":{"type":"string","x-address":"media"}}}}`)}
}

func (pivots) CheckFlow(json.RawMessage) []crossbar.FlowProblem { return nil }

// TestAddresses: wherever a document has a URL to which bugle would connect, it is judged when it is saved.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) { o.Flows = pivots{} })
	recording := func(url string) string { return `"call_recording":{"inbound":{"offnet":{"url":"` + url + `"}}}` }
	pivot := func(url string) string {
		return `{"numbers":["2000"],"flow":{"module":"menu","children":{"1.5":{"module":"pivot","data":{"voice_url":"` + url + `"}}}}}`
	}
	for _, test := range []struct{ noun, document, path string }{
		{"users", `{"first_name":"A",` + recording("http://10.0.0.1/r") + `}`, "call_recording.inbound.offnet.url"},
		{"users", `{"first_name":"A",` + recording("ftp://example.com/r") + `}`, "call_recording.inbound.offnet.url"},
		{"users", `{"first_name":"A",` + recording("https://example.com/r") + `}`, ""},
		{"devices", `{"name":"D",` + recording("http://localhost/r") + `}`, "call_recording.inbound.offnet.url"},
		{"devices", `{"name":"D","sip":{"route":"sip:x@192.168.1.1"}}`, "sip.route"},
		{"devices", `{"name":"D","sip":{"proxy":"169.254.169.254"}}`, "sip.proxy"},
		{"devices", `{"name":"D","music_on_hold":{"media_id":"http://169.254.169.254/a.wav"}}`, "music_on_hold.media_id"},
		{"devices", `{"name":"D","music_on_hold":{"media_id":"https://example.com/a.wav"}}`, ""},
		{"devices", `{"name":"D","music_on_hold":{"media_id":"tts://say http://10.0.0.1"}}`, ""},
		{"menus", `{"name":"M","media":{"greeting":"http://127.0.0.1/a.wav","exit_media":true}}`, "media.greeting"},
		{"menus", `{"name":"M","media":{"exit_media":"http://[::1]/a.wav"}}`, "media.exit_media"},
		{"webhooks", `{"name":"W","hook":"channel_create","uri":"http://10.0.0.1/"}`, "uri"},
		{"webhooks", `{"name":"W","hook":"channel_create","uri":"http://2130706433/"}`, "uri"},
		{"webhooks", `{"name":"W","hook":"channel_create","uri":"http://0x7f.1:80/"}`, "uri"},
		{"webhooks", `{"name":"W","hook":"channel_create","uri":"http://127.1./"}`, "uri"},
		{"webhooks", `{"name":"W","hook":"channel_create","uri":"http://7.example.com/"}`, ""},
		{"resources", `{"name":"T","gateways":[{"server":"sip.example.com"},{"server":"10.0.0.1"}]}`, "gateways.1.server"},
		{"callflows", pivot("http://10.0.0.1/p"), "flow.children.1%2E5.data.voice_url"},
		{"callflows", pivot("gopher://example.com/p"), "flow.children.1%2E5.data.voice_url"},
		{"callflows", pivot("https://example.com/p"), ""},
		{"callflows", `{"numbers":["2001"],"ringback":{"early":"http://10.0.0.1/a.wav"},"flow":{"module":"pivot","data":{"more":["x","http://10.0.0.1/"]}}}`,
			"flow.data.more.1"},
		{"callflows", `{"numbers":["2001"],"ringback":{"early":"http://10.0.0.1/a.wav"},"flow":{"module":"hangup"}}`, "ringback.early"},
		{"users", `{"first_name":"A","metaflows":{"numbers":{"7":{"module":"pivot","data":{"voice_url":"http://10.0.0.1"}}}}}`,
			"metaflows.numbers.7.data.voice_url"},
	} {
		a := w.call("PUT", w.own("/"+test.noun), test.document)
		if test.path == "" {
			if a.code != 201 {
				t.Errorf("%s %s: %d %s", test.noun, test.document, a.code, a.text)
			}
			continue
		}
		if a.code != 400 || a.at(test.path, "error", "message") == nil {
			t.Errorf("%s %s: no error of %s: %d %s", test.noun, test.document, test.path, a.code, a.text)
		}
	}
}

// TestAddressesAreMarked: no key of a schema that holds a URL is without the mark that has it judged.
func TestAddressesAreMarked(t *testing.T) {
	t.Parallel()
	called := regexp.MustCompile(`(^|_)(url|uri|server|proxy|media_id)$`)
	free := map[string]string{"ui_url": "only linked to, under the operator's own pages"}
	marked := 0
	var walk func(file string, v any)
	walk = func(file string, v any) {
		switch v := v.(type) {
		case []any:
			for _, member := range v {
				walk(file, member)
			}
		case map[string]any:
			properties, _ := v["properties"].(map[string]any)
			for key, p := range properties {
				p, _ := p.(map[string]any)
				if p["x-address"] != nil {
					marked++
				} else if (p["format"] == "uri" || called.MatchString(key) && p["type"] == "string") && free[key] == "" && !strings.HasPrefix(key, "format_") {
					t.Errorf("%s: %s has no x-address", file, key)
				}
			}
			for _, member := range v {
				walk(file, member)
			}
		}
	}
	for _, dir := range []string{"schemas", "../callflow/module/schemas"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(filepath.Join(dir, path))
			if err != nil {
				return err
			}
			var schema any
			if err := json.Unmarshal(text, &schema); err != nil {
				return err
			}
			walk(path, schema)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if marked < 20 {
		t.Errorf("%d keys are marked", marked)
	}
}
