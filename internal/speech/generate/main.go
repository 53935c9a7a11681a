// Command generate renders the built-in prompts: every text of a TSV file once, with flite, into one file of µ-law audio
// and an index of it. It is run by go generate in the directory above, and only when texts change; what it writes is
// committed, so that building bugle needs no flite.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"bugle/internal/media"
	"bugle/internal/speech"
)

func main() {
	log.SetFlags(0)
	directory := flag.String("dir", "prompts", "directory of the texts and of what is made of them")
	language := flag.String("language", "en-us", "name of the files without extension")
	voice := flag.String("voice", "slt", "flite voice")
	flag.Parse()
	if err := generate(*directory+"/"+*language, *voice); err != nil {
		log.Fatal(err)
	}
}

func generate(path, voice string) error {
	texts, err := readTexts(path + ".tsv")
	if err != nil {
		return err
	}
	rendered, err := render(texts, voice)
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(texts))
	for id := range texts {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	var audio, index bytes.Buffer
	offsets := map[string]int{} // by text: the same words are kept once
	for _, id := range ids {
		text := texts[id]
		offset, kept := offsets[text]
		if !kept {
			offset = audio.Len()
			offsets[text] = offset
			audio.Write(rendered[text])
		}
		sum := sha256.Sum256([]byte(text))
		fmt.Fprintf(&index, "%s\t%d\t%d\t%s\n", id, offset, len(rendered[text]), hex.EncodeToString(sum[:4]))
	}
	if err := os.WriteFile(path+".ulaw", audio.Bytes(), 0o644); err != nil {
		return err
	}
	log.Printf("%d prompts, %d different texts, %.0f s of audio", len(ids), len(offsets), float64(audio.Len())/media.SampleRate)
	return os.WriteFile(path+".index", index.Bytes(), 0o644)
}

// readTexts reads lines of id, tab, text under a heading.
func readTexts(path string) (map[string]string, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for number, line := range strings.Split(strings.TrimSpace(string(file)), "\n") {
		id, text, ok := strings.Cut(line, "\t")
		if _, repeated := texts[id]; !ok || repeated || id == "" || text == "" {
			return nil, fmt.Errorf("%s:%d: want an id of its own, a tab and a text", path, number+1)
		}
		if number > 0 {
			texts[id] = text
		}
	}
	return texts, nil
}

// render returns the µ-law audio of each different text.
func render(texts map[string]string, voice string) (map[string][]byte, error) {
	flite, err := speech.NewFlite(speech.FliteOptions{Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var work sync.WaitGroup
	rendered, failed := map[string][]byte{}, error(nil)
	limit := make(chan struct{}, 4)
	different := map[string]bool{}
	for _, text := range texts {
		different[text] = true
	}
	for text := range different {
		limit <- struct{}{}
		work.Go(func() {
			defer func() { <-limit }()
			pcm, err := flite.Synthesise(context.Background(), speech.Request{Text: text, Voice: voice})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = fmt.Errorf("%q: %w", text, err)
				return
			}
			pcm = speech.Level(pcm, text)
			rendered[text] = media.NewClip(text, pcm).ULaw()
		})
	}
	work.Wait()
	return rendered, failed
}
