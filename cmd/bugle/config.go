package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// configFile resolves flags from the YAML file that --config (or BUGLE_CONFIG) names. The command line wins over the
// environment, the environment over the file, the file over defaults. Keys are flag names; one that no flag has is an
// error, so that a misspelt key cannot go unnoticed.
type configFile struct {
	loaded bool
	values map[string]any
	err    error // of the file as a whole; kong would say it of whichever flag it asks for first
}

// Validate is part of kong.Resolver; unknown keys are refused in Resolve, where the command is known.
func (c *configFile) Validate(*kong.Application) error { return nil }

// Resolve is part of kong.Resolver.
func (c *configFile) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !c.loaded {
		c.loaded = true
		c.err = c.load(ctx)
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	value, ok := c.values[flag.Name]
	if !ok {
		return nil, nil
	}
	if list, ok := value.([]any); ok {
		words := make([]string, len(list))
		for i, v := range list {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, ","), nil
	}
	return fmt.Sprint(value), nil
}

func (c *configFile) load(ctx *kong.Context) error {
	path := ""
	var known []string
	for _, flag := range ctx.Flags() {
		switch flag.Name {
		case "config":
			path, _ = ctx.FlagValue(flag).(string)
		case "help":
		default:
			known = append(known, flag.Name)
		}
	}
	if path == "" {
		return nil
	}
	k := koanf.New("\x00") // no key contains it: keys stay as written
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("--config: %s: %w", path, err)
	}
	c.values = k.Raw()
	for key := range c.values {
		if !slices.Contains(known, key) {
			slices.Sort(known)
			return fmt.Errorf("--config: %s: unknown key %q; known are: %s", path, key, strings.Join(known, ", "))
		}
	}
	return nil
}

// secretVariables are read where they are used and stand behind no flag, so that no secret is an argument.
var secretVariables = []string{"BUGLE_ADMIN_PASSWORD", "BUGLE_API_KEY", "BUGLE_PASSWORD", "BUGLE_SPEECH_KEY"}

// unknownEnvironment refuses BUGLE_ variables that nothing reads: a misspelt one would otherwise go unnoticed.
func unknownEnvironment(app *kong.Application, environment []string) error {
	known := slices.Clone(secretVariables)
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, flag := range n.Flags {
			known = append(known, flag.Envs...)
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(app.Node)
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "BUGLE_") && !slices.Contains(known, name) {
			slices.Sort(known)
			return fmt.Errorf("unknown environment variable %s; known are: %s", name, strings.Join(slices.Compact(known), ", "))
		}
	}
	return nil
}
