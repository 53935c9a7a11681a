package bugle

// Directory lets a caller reach a person by spelling the name on the keypad.
type Directory struct {
	ID             string
	Name           string
	SearchFields   string // "first_name", "last_name" or "both"
	SortBy         string // "first_name" or "last_name"
	MinDTMF        int    // digits needed before a search
	MaxDTMF        int    // digits that start a search at once; 0: no limit
	ConfirmMatch   bool   // ask before connecting to the only match
	SpeakExtension bool   // say the extension after the name (bugle's own key)
}

// ParseDirectory reads a directory document. An absent confirm_match is true, as the schema promises.
func ParseDirectory(id string, doc []byte) (Directory, error) {
	f, err := parse("bugle.ParseDirectory", id, doc)
	if err != nil {
		return Directory{}, err
	}
	d := Directory{ID: id, Name: f.String("name"), SearchFields: f.String("search_fields"), SortBy: f.String("sort_by"),
		MinDTMF: f.Int("min_dtmf", 3), MaxDTMF: f.Int("max_dtmf", 0), ConfirmMatch: f.Bool("confirm_match", true),
		SpeakExtension: f.Bool("speak_extension", false)}
	if d.SearchFields == "" {
		d.SearchFields = "both"
	}
	if d.SortBy == "" {
		d.SortBy = "last_name"
	}
	return d, nil
}
