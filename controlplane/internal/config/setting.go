package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// prefix of every name.
const prefix = "ERGON_"

// Setting is one name of the configuration.
type Setting struct {
	Name    string // ERGON_HTTP_LISTEN
	Default string
	Doc     string
	Secret  bool   // NAME_FILE works too
	Value   string // of a loaded configuration, secrets redacted
}

// Settings lists every name in the order of the structs, with the values of cfg.
func Settings(cfg Config) []Setting { return walk(reflect.ValueOf(cfg), prefix) }

func walk(v reflect.Value, pre string) []Setting {
	var list []Setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, ok := f.Tag.Lookup("env")
		if !ok {
			list = append(list, walk(v.Field(i), pre+f.Tag.Get("envPrefix"))...)
			continue
		}
		list = append(list, Setting{
			Name: pre + name, Default: f.Tag.Get("envDefault"), Doc: f.Tag.Get("doc"),
			Secret: f.Type == reflect.TypeFor[Secret](), Value: show(v.Field(i).Interface()),
		})
	}
	return list
}

func show(v any) string {
	switch x := v.(type) {
	case []string:
		return strings.Join(x, ",")
	case time.Duration:
		return x.String()
	}
	return fmt.Sprint(v)
}

// known maps every name that may stand in the environment to whether it is the _FILE form.
func known() map[string]bool {
	names := map[string]bool{}
	for _, s := range Settings(Config{}) {
		names[s.Name] = false
		if s.Secret {
			names[s.Name+"_FILE"] = true
		}
	}
	return names
}

// nearest is the known name that shares the longest beginning, as a hint for a typing error.
func nearest(name string) string {
	best, length := "", len(prefix)
	names := known()
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	for _, n := range sorted {
		if l := common(n, name); l > length {
			best, length = n, l
		}
	}
	return best
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
