package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// readYAML turns the file into the names of the environment: nested keys are joined by "_", lists by ",".
func readYAML(path string) (map[string]string, []string) {
	values := map[string]string{}
	if path == "" {
		return values, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return values, []string{fmt.Sprintf("configuration file: %v", err)}
	}
	defer f.Close()
	var doc yaml.Node
	if err := yaml.NewDecoder(f).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return values, []string{fmt.Sprintf("configuration file %s: %v", path, err)}
	}
	if len(doc.Content) == 0 {
		return values, nil
	}
	return values, flatten(values, strings.TrimSuffix(prefix, "_"), doc.Content[0])
}

func flatten(values map[string]string, name string, n *yaml.Node) []string {
	switch n.Kind {
	case yaml.MappingNode:
		var faults []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := strings.ToUpper(strings.ReplaceAll(n.Content[i].Value, "-", "_"))
			faults = append(faults, flatten(values, name+"_"+key, n.Content[i+1])...)
		}
		return faults
	case yaml.SequenceNode:
		return flattenList(values, name, n)
	case yaml.ScalarNode:
		return set(values, name, n, n.Value)
	}
	return []string{fmt.Sprintf("configuration file line %d: %s must be a value, a list or a section", n.Line, name)}
}

func flattenList(values map[string]string, name string, n *yaml.Node) []string {
	var items []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			return []string{fmt.Sprintf("configuration file line %d: %s must be a list of plain values", item.Line, name)}
		}
		items = append(items, item.Value)
	}
	return set(values, name, n, strings.Join(items, ","))
}

func set(values map[string]string, name string, n *yaml.Node, value string) []string {
	if _, twice := values[name]; twice {
		return []string{fmt.Sprintf("configuration file line %d: %s stands there twice", n.Line, name)}
	}
	values[name] = value
	return nil
}
