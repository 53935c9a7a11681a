package bugle

import "time"

// Menu is an automated attendant: a greeting, and what the digits after it do.
type Menu struct {
	ID           string
	Name         string
	Retries      int
	Timeout      time.Duration // wait for the first digit after the greeting
	Interdigit   time.Duration
	MaxExtension int // digits collected
	Hunt         bool
	HuntAllow    string // regular expression
	HuntDeny     string
	Greeting     string // media reference, "" for the built-in one
	Exit         MenuMedia
	Invalid      MenuMedia
	Transfer     MenuMedia
	Silent       bool // suppress_media
}

// MenuMedia is a menu's media.exit_media and its like: a reference, the default prompt, or silence.
type MenuMedia struct {
	Reference string // "" means the default prompt
	Silent    bool   // false in the document
}

// ParseMenu reads a menu document.
func ParseMenu(id string, doc []byte) (Menu, error) {
	f, err := parse("bugle.ParseMenu", id, doc)
	if err != nil {
		return Menu{}, err
	}
	media := f.Object("media")
	ms := func(key string, otherwise int) time.Duration {
		return time.Duration(f.Int(key, otherwise)) * time.Millisecond
	}
	choice := func(key string) MenuMedia {
		return MenuMedia{Reference: media.String(key), Silent: !media.Bool(key, true)}
	}
	return Menu{ID: id, Name: f.String("name"), Retries: f.Int("retries", 3), Timeout: ms("timeout", 10000),
		Interdigit: ms("interdigit_timeout", 2000), MaxExtension: f.Int("max_extension_length", 4),
		Hunt: f.Bool("hunt", true), HuntAllow: f.String("hunt_allow"), HuntDeny: f.String("hunt_deny"),
		Greeting: media.String("greeting"), Exit: choice("exit_media"), Invalid: choice("invalid_media"),
		Transfer: choice("transfer_media"), Silent: f.Bool("suppress_media", false)}, nil
}
