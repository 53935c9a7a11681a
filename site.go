package bugle

// Site is a place of a company's, by which its people are grouped.
type Site struct {
	ID   string
	Name string
	Code string // its own short name, "" for none
}

// ParseSite reads a site document.
func ParseSite(id string, doc []byte) (Site, error) {
	f, err := parse("bugle.ParseSite", id, doc)
	if err != nil {
		return Site{}, err
	}
	return Site{ID: id, Name: f.String("name"), Code: f.String("code")}, nil
}
