package main

import (
	"context"

	"bugle/internal/event"
)

// openContacts projects the company directories beside everything else: nothing waits for it but those who read them.
func (v *server) openContacts() *event.Contacts {
	projector := event.Project(event.ProjectorOptions{Store: v.store, Logger: v.log, OnPanic: v.meters.onPanic("contacts")})
	v.closing(func(context.Context) { projector.Close() })
	return event.NewContacts(v.store)
}
