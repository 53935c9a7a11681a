package bugle

// Media is a piece of audio that an account owns: a greeting, a prompt of its own, music.
type Media struct {
	ID       string
	Name     string
	Language string // lower case, "en-us"
	PromptID string // the prompt that it replaces, "" for none
	Blob     string // where the audio is kept, "" while nothing was uploaded
	Speech   string // the text that is said in place of an upload, when media_source is "tts"
	Voice    string // tts.voice, KAZOO's name of a voice
}

// ParseMedia reads a media document. blob comes from the document's private part.
func ParseMedia(id string, doc []byte, blob string) (Media, error) {
	f, err := parse("bugle.ParseMedia", id, doc)
	if err != nil {
		return Media{}, err
	}
	m := Media{ID: id, Name: f.String("name"), Language: f.String("language"), PromptID: f.String("prompt_id"), Blob: blob}
	if f.String("media_source") == "tts" {
		m.Speech, m.Voice = f.Object("tts").String("text"), f.Object("tts").String("voice")
	}
	return m, nil
}
