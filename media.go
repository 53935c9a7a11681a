package bugle

// Media is a piece of audio that an account owns: a greeting, a prompt of its own, music.
type Media struct {
	ID       string
	Name     string
	Language string // lower case, "en-us"
	PromptID string // the prompt that it replaces, "" for none
	Blob     string // where the audio is kept, "" while nothing was uploaded
}

// ParseMedia reads a media document. blob comes from the document's private part.
func ParseMedia(id string, doc []byte, blob string) (Media, error) {
	f, err := parse("bugle.ParseMedia", id, doc)
	if err != nil {
		return Media{}, err
	}
	return Media{ID: id, Name: f.String("name"), Language: f.String("language"), PromptID: f.String("prompt_id"),
		Blob: blob}, nil
}
