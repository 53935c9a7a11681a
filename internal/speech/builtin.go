package speech

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"bugle/internal/media"
)

//go:generate go run ./generate -dir prompts -language en-us

// builtinLanguage is the language of the built-in prompts.
const builtinLanguage = "en-us"

//go:embed prompts/en-us.ulaw
var enUSAudio []byte

//go:embed prompts/en-us.index
var enUSIndex string

// builtin are the prompts of one language inside the program. Their audio is used where it lies; a clip is made when it is
// first asked for, and then shared by all.
type builtin map[string]*builtinPrompt

type builtinPrompt struct {
	id   string
	ulaw []byte
	clip atomic.Pointer[media.Clip]
}

var english = sync.OnceValue(func() builtin {
	prompts, err := readIndex(enUSIndex, enUSAudio)
	if err != nil {
		panic("speech: the built-in prompts are broken: " + err.Error()) // a defect of the build, found by every test
	}
	return prompts
})

// readIndex reads lines of id, offset, length and a checksum of the text, parted by tabs.
func readIndex(index string, audio []byte) (builtin, error) {
	prompts := builtin{}
	for line := range strings.Lines(index) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("%q has %d fields", line, len(fields))
		}
		offset, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, err
		}
		length, err := strconv.Atoi(fields[2])
		if err != nil {
			return nil, err
		}
		if offset < 0 || length <= 0 || offset+length > len(audio) {
			return nil, fmt.Errorf("%s lies outside the audio", fields[0])
		}
		prompts[fields[0]] = &builtinPrompt{id: fields[0], ulaw: audio[offset : offset+length : offset+length]}
	}
	return prompts, nil
}

// get returns nil when there is no such prompt.
func (b builtin) get(id string) *media.Clip {
	p := b[id]
	if p == nil {
		return nil
	}
	if clip := p.clip.Load(); clip != nil {
		return clip
	}
	p.clip.CompareAndSwap(nil, media.NewClipULaw(p.id, p.ulaw))
	return p.clip.Load()
}

// BuiltinPrompts returns the ids of the prompts that are built into the program, in no order.
func BuiltinPrompts() []string {
	ids := make([]string, 0, len(english()))
	for id := range english() {
		ids = append(ids, id)
	}
	return ids
}
