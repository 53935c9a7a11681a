package speech

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	"golang.org/x/sync/singleflight"

	"bugle"
	"bugle/internal/media"
)

// CacheOptions bound what is kept of synthesised texts.
type CacheOptions struct {
	MemoryBytes int64  // of audio in memory; default 32 MiB, more than an hour
	Directory   string // "" keeps nothing on disk; created when it does not exist
	DiskBytes   int64  // of audio in Directory, the least recently used go; default 256 MiB
}

// cache says texts with an engine, each once: the same text by the same voice is not said again while it is kept, and
// callers who want it at the same time wait for one rendering.
type cache struct {
	engine  Synthesiser
	memory  *lru[*media.Clip]
	disk    *diskCache // nil for none
	flights singleflight.Group
	log     *slog.Logger
	onPanic func(any)
}

func newCache(engine Synthesiser, options CacheOptions, log *slog.Logger, onPanic func(any)) *cache {
	if options.MemoryBytes <= 0 {
		options.MemoryBytes = 32 << 20
	}
	if options.DiskBytes <= 0 {
		options.DiskBytes = 256 << 20
	}
	c := &cache{engine: engine, memory: newLRU[*media.Clip](options.MemoryBytes, nil), log: log, onPanic: onPanic}
	if options.Directory != "" {
		disk, err := openDiskCache(options.Directory, options.DiskBytes)
		if err != nil {
			log.Warn("speech is not kept on disk", "error", err)
		}
		c.disk = disk
	}
	return c
}

// key names the audio of a request, which is µ-law at 8 kHz.
func (c *cache) key(request Request) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q levelled ulaw-8000", c.engine.Name(), request.Voice, request.Language, request.Text))
	return hex.EncodeToString(sum[:])
}

// clip says a text. It stops waiting when ctx ends; the rendering goes on for the others who wait, and for the next.
func (c *cache) clip(ctx context.Context, request Request) (*media.Clip, error) {
	request.Text = sanitise(request.Text)
	key := c.key(request)
	if clip, ok := c.memory.get(key); ok {
		return clip, nil
	}
	flight := c.flights.DoChan(key, func() (any, error) { return c.render(context.WithoutCancel(ctx), key, request) })
	select {
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*media.Clip), nil
	case <-ctx.Done():
		return nil, &bugle.Error{Op: "speech.Say", Kind: bugle.KindUnavailable, Message: "the caller did not wait", Err: ctx.Err()}
	}
}

func (c *cache) render(ctx context.Context, key string, request Request) (*media.Clip, error) {
	if c.disk != nil {
		if ulaw, ok := c.disk.get(key); ok {
			clip := media.NewClipULaw(request.Text, ulaw)
			c.memory.put(key, clip, clipCost(clip))
			return clip, nil
		}
	}
	pcm, err := c.synthesise(ctx, request)
	if err != nil {
		return nil, err
	}
	clip := media.NewClip(request.Text, Level(pcm, request.Text))
	c.memory.put(key, clip, clipCost(clip))
	if c.disk != nil {
		if err := c.disk.put(key, clip.ULaw()); err != nil {
			c.log.Warn("speech cannot be kept on disk", "error", err)
		}
	}
	return clip, nil
}

// synthesise keeps a panic of the engine from ending more than this text.
func (c *cache) synthesise(ctx context.Context, request Request) (pcm []int16, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.onPanic(v)
			pcm, err = nil, &bugle.Error{Op: "speech.Say", Kind: bugle.KindInternal, Err: fmt.Errorf("panic: %v", v)}
		}
	}()
	return c.engine.Synthesise(ctx, request)
}

// clipCost is a clip's size in memory: two encodings, and its name.
func clipCost(clip *media.Clip) int64 { return int64(2*len(clip.ULaw()) + len(clip.Name()) + 200) }
