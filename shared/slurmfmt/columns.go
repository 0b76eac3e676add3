package slurmfmt

import "strings"

func newColumns(names []string) *Columns {
	c := &Columns{names: make([]string, len(names)), index: make(map[string]int, 2*len(names))}
	for i, name := range names {
		name = strings.TrimSpace(name)
		c.names[i] = name
		c.add(name, i)
		c.add(strings.ToLower(name), i)
	}
	return c
}

func (c *Columns) add(key string, i int) {
	if _, taken := c.index[key]; !taken {
		c.index[key] = i
	}
}

// find looks a name up as written first, so that the usual spelling costs no
// lower-casing; nor does the rest, ASCII as all of Slurm's names, allocate.
func (c *Columns) find(name string) int {
	if i, ok := c.index[name]; ok {
		return i
	}
	var buf [maxColumnName]byte
	if len(name) > len(buf) {
		return c.position(strings.ToLower(name))
	}
	for i := range len(name) {
		b := name[i]
		if b >= 0x80 {
			return c.position(strings.ToLower(name))
		}
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		buf[i] = b
	}
	if i, ok := c.index[string(buf[:len(name)])]; ok {
		return i
	}
	return -1
}

// maxColumnName is longer than any column of Slurm's.
const maxColumnName = 48

func (c *Columns) position(name string) int {
	if i, ok := c.index[name]; ok {
		return i
	}
	return -1
}

func (r *Record) neverStarted() bool {
	if r.Get("NodeList") == "None assigned" || r.State().Word == "PENDING" {
		return true
	}
	start := r.Time("Start").Kind
	return start == NotYet || start == Never
}
