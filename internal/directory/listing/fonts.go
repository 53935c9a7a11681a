package listing

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
	"weak"

	"github.com/go-text/typesetting/font"
	ot "github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/fontscan"
)

//go:embed fonts/*.ttf
var builtIn embed.FS

// families are the fonts that are built in, in the order in which they are asked for a character.
var families = []string{"NotoSans", "NotoSansArabic", "NotoSansHebrew", "NotoSansDevanagari", "NotoSansThai"}

// eastAsian are the fonts, by file name without extension, that are taken for Chinese, Japanese and Korean, the best
// first: those of the first line have every character and the shapes of each language.
var eastAsian = []string{
	"notosanscjk-regular", "notosanscjk", "sourcehansans-regular", "sourcehansans", "notosanscjk-vf",
	"notosanscjksc-regular", "notosanscjkjp-regular", "notosanscjktc-regular", "notosanscjkkr-regular",
	"sourcehansanscn-regular", "sourcehansans-vf", "wqy-microhei", "wqy-zenhei", "droidsansfallbackfull",
	"droidsansfallback", "ipagp", "ipag", "takaopgothic", "nanumgothic", "unbatang", "arphic", "uming", "ukai",
	"pingfang", "hiragino sans gb", "msyh", "yugothm", "meiryo", "msgothic", "malgun", "simsun",
}

// general are asked for whatever no font of a script has: symbols above all.
var general = []string{"notosanssymbols2-regular", "notosanssymbols-regular", "dejavusans", "freesans", "unifont"}

var eastAsianScripts = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo}

// Fonts are the fonts that listings are printed in. They are read when a character first needs them, and may be shared by
// any number of listings at the same time.
type Fonts struct {
	directories []string
	builtIn     func() (map[string]*font.Font, error)
	files       func() map[string]string // paths of font files by lower-case name without extension

	mu    sync.Mutex
	named map[string]weak.Pointer[font.Font] // of the machine by name without extension; those of East Asia take 25 MB
	bad   map[string]bool                    // files that cannot be read
}

// NewFonts returns the fonts that are built in and those in directories, searched in that order with everything below
// them. Without directories it searches where the operating system keeps fonts.
func NewFonts(directories ...string) *Fonts {
	f := &Fonts{directories: directories, named: map[string]weak.Pointer[font.Font]{}, bad: map[string]bool{}}
	f.builtIn = sync.OnceValues(readBuiltIn)
	f.files = sync.OnceValue(f.find)
	return f
}

func readBuiltIn() (map[string]*font.Font, error) {
	fonts := map[string]*font.Font{}
	entries, err := builtIn.ReadDir("fonts")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		content, err := builtIn.ReadFile("fonts/" + entry.Name())
		if err != nil {
			return nil, err
		}
		face, err := font.ParseTTF(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("built-in font %s: %w", entry.Name(), err)
		}
		fonts[strings.TrimSuffix(entry.Name(), ".ttf")] = face.Font
	}
	return fonts, nil
}

// quiet is fontscan's logger: that a directory is missing is no news.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

func (f *Fonts) find() map[string]string {
	directories := f.directories
	if len(directories) == 0 {
		directories, _ = fontscan.DefaultFontDirectories(quiet{}) // none is an answer
	}
	files := map[string]string{}
	for _, directory := range directories {
		_ = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil // what cannot be read has no fonts
			}
			name := strings.ToLower(entry.Name())
			extension := filepath.Ext(name)
			name = strings.TrimSuffix(name, extension)
			if files[name] == "" && slices.Contains([]string{".ttf", ".otf", ".ttc", ".otc"}, extension) {
				files[name] = path
			}
			return nil
		})
	}
	return files
}

// open returns a font of the machine, or nil. A font that no listing uses any more is forgotten.
func (f *Fonts) open(name string) *font.Font {
	path := f.files()[name]
	if path == "" {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	opened := f.named[name].Value()
	if opened == nil && !f.bad[name] {
		if opened = readFont(path); opened == nil {
			f.bad[name] = true
			return nil
		}
		f.named[name] = weak.Make(opened)
	}
	return opened
}

// readFont reads the first font of a file. Its outlines must be curves: pictures do not go into the file.
func readFont(path string) *font.Font {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	loaders, err := ot.NewLoaders(file)
	if err != nil || len(loaders) == 0 {
		return nil
	}
	loader := loaders[0]
	if !loader.HasTable(ot.MustNewTag("glyf")) && !loader.HasTable(ot.MustNewTag("CFF ")) && !loader.HasTable(ot.MustNewTag("CFF2")) {
		return nil
	}
	read, err := font.NewFont(loader)
	if err != nil {
		return nil
	}
	return read
}
