package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Source is where settings come from.
type Source struct {
	Environ []string // as os.Environ
	File    string   // YAML; empty: none
}

// maxSecretBytes bounds a secret file.
const maxSecretBytes = 64 << 10

// Load reads and checks everything. The error lists all faults, one a line, and quotes no secret.
func Load(src Source) (Config, error) {
	values, faults := gather(src)
	var cfg Config
	err := env.ParseWithOptions(&cfg, env.Options{Environment: values, Prefix: prefix})
	faults = append(faults, parseFaults(err)...)
	faults = append(faults, cfg.check()...)
	if len(faults) > 0 {
		slices.Sort(faults)
		return Config{}, errors.New("the configuration has faults:\n  " + strings.Join(slices.Compact(faults), "\n  ") +
			"\nSee docs/configuration.md, or `ergon-server config names`.")
	}
	if cfg.DataDir == "" {
		cfg.DataDir = defaultDataDir(src.Environ)
	}
	return cfg, nil
}

// gather lays the environment over the file and opens the _FILE names.
func gather(src Source) (map[string]string, []string) {
	values, faults := readYAML(src.File)
	names := known()
	for _, pair := range src.Environ {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, "ERGON_TEST_") {
			values[name] = value
		}
	}
	for name, value := range values {
		isFile, ok := names[name]
		switch {
		case !ok:
			faults = append(faults, unknown(name))
			delete(values, name)
		case isFile:
			faults = append(faults, openSecret(values, name, value)...)
		}
	}
	return values, faults
}

func unknown(name string) string {
	if near := nearest(name); near != "" {
		return fmt.Sprintf("%s: there is no such setting; did you mean %s?", name, near)
	}
	return name + ": there is no such setting"
}

// openSecret replaces NAME_FILE by NAME with the file's content, without its last line end.
func openSecret(values map[string]string, fileName, path string) []string {
	name := strings.TrimSuffix(fileName, "_FILE")
	delete(values, fileName)
	if path == "" {
		return nil
	}
	if values[name] != "" {
		return []string{fmt.Sprintf("%s and %s are both set; keep one", name, fileName)}
	}
	text, err := readLimited(path)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", fileName, err)}
	}
	if text == "" {
		return []string{fmt.Sprintf("%s: the file is empty", fileName)}
	}
	values[name] = text
	return nil
}

func readLimited(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("opening the secret file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", fmt.Errorf("reading the secret file: %w", err)
	}
	if len(text) > maxSecretBytes {
		return "", fmt.Errorf("the secret file is larger than %d bytes", maxSecretBytes)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// parseFaults lists what the parser could not read. It quotes values, and none of its types is a secret: secrets are text.
func parseFaults(err error) []string {
	if err == nil {
		return nil
	}
	agg, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return []string{err.Error()}
	}
	var list []string
	for _, e := range agg.Errors {
		list = append(list, e.Error())
	}
	return list
}

// defaultDataDir follows systemd and the XDG base directories; otherwise it is below the working directory.
func defaultDataDir(environ []string) string {
	get := func(name string) string {
		for _, pair := range environ {
			if v, ok := strings.CutPrefix(pair, name+"="); ok {
				return v
			}
		}
		return ""
	}
	if dir := get("STATE_DIRECTORY"); dir != "" {
		first, _, _ := strings.Cut(dir, ":")
		return first
	}
	if dir := get("XDG_STATE_HOME"); dir != "" {
		return dir + "/ergon"
	}
	return "ergon-data"
}
