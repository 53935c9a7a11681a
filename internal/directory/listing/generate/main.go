// Command generate makes the fonts that are built into listings: the glyphs of the scripts they are for, out of Debian's
// fonts-noto-core (20201225-1), with the layout rules that shaping needs and without hints for screens. It runs
// pyftsubset of Debian's fonttools (4.38.0-1). What it writes is committed, so that building bugle needs neither. With
// -check it only compares.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
)

// scripts are the fonts and the characters wanted of each; "*" is all it has.
var scripts = []struct{ font, unicodes string }{
	{"NotoSans", "U+0020-024F,U+0259,U+02B0-036F,U+0370-03FF,U+0400-052F,U+1E00-1FFF,U+2000-209F,U+20A0-20BF," +
		"U+2100-214F,U+25CC,U+FB00-FB06,U+FFFD"},
	{"NotoSansArabic", "*"},
	{"NotoSansHebrew", "*"},
	{"NotoSansDevanagari", "*"},
	{"NotoSansThai", "*"},
}

func main() {
	log.SetFlags(0)
	source := flag.String("source", "/usr/share/fonts/truetype/noto", "directory of the fonts of fonts-noto-core")
	target := flag.String("dir", "fonts", "directory of the fonts made of them")
	check := flag.Bool("check", false, "write nothing, fail when a font would change")
	flag.Parse()
	if err := generate(*source, *target, *check); err != nil {
		log.Fatal(err)
	}
}

func generate(source, target string, check bool) error {
	scratch, err := os.MkdirTemp("", "fonts")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	for _, script := range scripts {
		for _, weight := range []string{"Regular", "Bold"} {
			name := script.font + "-" + weight + ".ttf"
			made, err := subset(filepath.Join(source, name), filepath.Join(scratch, name), script.unicodes)
			if err != nil {
				return err
			}
			kept := filepath.Join(target, name)
			if !check {
				if err := os.WriteFile(kept, made, 0o644); err != nil {
					return err
				}
				continue
			}
			if old, err := os.ReadFile(kept); err != nil || !bytes.Equal(old, made) {
				return fmt.Errorf("%s is not what pyftsubset makes of %s: run go generate in the directory above", kept, source)
			}
		}
	}
	return nil
}

func subset(source, target, unicodes string) ([]byte, error) {
	command := exec.Command("pyftsubset", source, "--output-file="+target, "--unicodes="+unicodes, "--layout-features=*",
		"--no-hinting", "--notdef-outline", "--name-IDs=*", "--no-recalc-timestamp")
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pyftsubset %s: %w\n%s", source, err, output)
	}
	return os.ReadFile(target)
}
