package speech

import (
	"container/list"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// lru keeps values up to a total cost; the least recently used go first.
type lru[V any] struct {
	limit   int64
	dropped func(key string) // called with the lock held, may be nil

	mu    sync.Mutex
	total int64
	order *list.List // of lruItem, the most recently used in front
	items map[string]*list.Element
}

type lruItem[V any] struct {
	key   string
	value V
	cost  int64
}

func newLRU[V any](limit int64, dropped func(key string)) *lru[V] {
	return &lru[V]{limit: limit, dropped: dropped, order: list.New(), items: map[string]*list.Element{}}
}

func (l *lru[V]) get(key string) (value V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.items[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(element)
	return element.Value.(*lruItem[V]).value, true
}

func (l *lru[V]) put(key string, value V, cost int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if element, ok := l.items[key]; ok {
		item := element.Value.(*lruItem[V])
		l.total += cost - item.cost
		item.value, item.cost = value, cost
		l.order.MoveToFront(element)
	} else {
		l.items[key] = l.order.PushFront(&lruItem[V]{key, value, cost})
		l.total += cost
	}
	for l.total > l.limit && l.order.Len() > 0 {
		l.drop(l.order.Back())
	}
}

func (l *lru[V]) remove(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if element, ok := l.items[key]; ok {
		l.drop(element)
	}
}

func (l *lru[V]) drop(element *list.Element) {
	item := l.order.Remove(element).(*lruItem[V])
	delete(l.items, item.key)
	l.total -= item.cost
	if l.dropped != nil {
		l.dropped(item.key)
	}
}

// diskCache keeps µ-law audio in files named by their key. What another process or a person does to the directory costs
// a rendering at worst.
type diskCache struct {
	directory string
	files     *lru[struct{}]
}

const (
	diskSuffix = ".ulaw"
	diskPart   = "speech-*.part" // a file being written
)

func openDiskCache(directory string, limit int64) (*diskCache, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	d := &diskCache{directory: directory}
	d.files = newLRU[struct{}](limit, func(key string) { os.Remove(d.path(key)) })
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	type file struct {
		key  string
		size int64
		used time.Time
	}
	var found []file
	for _, entry := range entries {
		if part, _ := filepath.Match(diskPart, entry.Name()); part {
			os.Remove(filepath.Join(directory, entry.Name())) // left by a crash
		}
		key, ours := strings.CutSuffix(entry.Name(), diskSuffix)
		if info, err := entry.Info(); ours && err == nil && info.Mode().IsRegular() {
			found = append(found, file{key, info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(found, func(a, b file) int { return a.used.Compare(b.used) })
	for _, f := range found {
		d.files.put(f.key, struct{}{}, f.size)
	}
	return d, nil
}

func (d *diskCache) path(key string) string { return filepath.Join(d.directory, key+diskSuffix) }

func (d *diskCache) get(key string) ([]byte, bool) {
	if _, ok := d.files.get(key); !ok {
		return nil, false
	}
	ulaw, err := os.ReadFile(d.path(key))
	if err != nil || len(ulaw) == 0 {
		d.files.remove(key)
		return nil, false
	}
	return ulaw, true
}

// put writes the file whole or not at all.
func (d *diskCache) put(key string, ulaw []byte) error {
	file, err := os.CreateTemp(d.directory, diskPart)
	if err != nil {
		return err
	}
	_, err = file.Write(ulaw)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), d.path(key))
	}
	if err != nil {
		os.Remove(file.Name())
		return err
	}
	d.files.put(key, struct{}{}, int64(len(ulaw)))
	return nil
}
