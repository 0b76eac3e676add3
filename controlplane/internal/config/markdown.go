package config

import (
	"fmt"
	"strings"
)

// Markdown is docs/configuration.md; a test holds the file to it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Configuration of ergon-server\n\n" +
		"Nothing has to be set: `ergon-server serve` starts with SQLite and an embedded object store in its data directory.\n" +
		"Settings come from the environment, or from a YAML file given by `--config` (`http: {listen: …}` is `ERGON_HTTP_LISTEN`);\n" +
		"the environment goes over the file. A secret also comes from the file that `NAME_FILE` names. Unknown names stop the start.\n" +
		"`ergon-server config print` shows what is in force, with secrets redacted.\n\n" +
		"This table is written from the code (`ERGON_TEST_UPDATE=1 go test ./internal/config` in `controlplane/`).\n\n" +
		"| name | default | what |\n|---|---|---|\n")
	for _, s := range Settings(Config{}) {
		name := "`" + s.Name + "`"
		if s.Secret {
			name += "<br>`" + s.Name + "_FILE`"
		}
		def := ""
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, def, strings.ReplaceAll(s.Doc, "|", `\|`))
	}
	return b.String()
}
