package call

import (
	"time"

	"bugle/internal/media"
)

// CollectOptions say which keys to wait for.
type CollectOptions struct {
	// Prompts are played first. The first key cuts them, and a key that was typed ahead keeps them from being played.
	Prompts     []*media.Clip
	Max         int           // keys after which it ends at once; 0: no limit
	Terminators string        // keys that end it and are not among the digits; "": none
	First       time.Duration // wait for the first key after the prompts
	Between     time.Duration // wait for each further key
}

// Collected is what Collect heard.
type Collected struct {
	Digits     string
	Terminator byte // the terminator that ended it, 0 when it was silence or Max
	Full       bool // Max ended it
}
