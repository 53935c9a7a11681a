package call

// Do has the call's loop run f.
func (c *Call) Do(f func()) { c.do(f) }

// Drains reports whether the registry refuses calls.
func (r *Registry) Drains() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}
