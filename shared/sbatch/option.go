// Package sbatch knows the options of sbatch and reads its arguments as it does.
package sbatch

import (
	"slices"
	"strings"
)

// The long options of sbatch (sbatch(1), 22.05 to 25.05), parted by whether they need a value, so that the script can be
// found and abbreviations resolved as getopt_long(3) does. An option that is missing here can hide the script from us,
// never harm the submission, since the tag is put before all other arguments.
const (
	valueOptions = `account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment constraint
		container container-id core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency
		distribution error exclude export export-file extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node
		gpus-per-socket gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user
		mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile nodelist nodes ntasks ntasks-per-core
		ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output partition power prefer priority profile qos
		reservation segment signal sockets-per-node switches thread-spec threads-per-core time time-min tmp tres-bind
		tres-per-task uid wait-all-nodes wckey workdir wrap`
	plainOptions = `consolidate-segments contiguous exclusive get-user-env help hold ignore-pbs nice no-kill no-requeue
		oom-kill-step overcommit oversubscribe parsable propagate quiet reboot requeue share spread-job stepmgr test-only
		usage use-min-nodes verbose version wait`
	// shortWithValue are the letters that need a value.
	shortWithValue = "aAbBcCdDeFGiJLmMnNopqStwx"
)

// Option is one option of the command line, or the end of them.
type Option struct {
	// Name is the long name, or the letter.
	Name string
	// Value is what follows; Has says whether anything does.
	Value string
	Has   bool
	// First and Last are the positions of the option's words in the arguments.
	First, Last int
}

// Line is what we understand of sbatch's arguments.
type Line struct {
	Options []Option
	// Script is the position of the script in the arguments, −1 when there is none.
	Script int
}

// Parse reads arguments as sbatch does: options end at the first word that is none, or at "--".
func Parse(args []string) Line {
	c := Line{Script: -1}
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			if i+1 < len(args) {
				c.Script = i + 1
			}
			return c
		case word == ":": // parts the components of a heterogeneous job
			continue
		case strings.HasPrefix(word, "--"):
			i = c.long(args, i)
		case len(word) > 1 && word[0] == '-':
			i = c.short(args, i)
		default:
			c.Script = i
			return c
		}
	}
	return c
}

func (c *Line) long(args []string, i int) int {
	name, value, has := strings.Cut(args[i][2:], "=")
	o := Option{Name: resolve(name), Value: value, Has: has, First: i, Last: i}
	if !has && NeedsValue(o.Name) && i+1 < len(args) {
		i++
		o.Value, o.Has, o.Last = args[i], true, i
	}
	c.Options = append(c.Options, o)
	return i
}

// short reads a cluster of letters; the first that needs a value takes the rest, or the next word.
func (c *Line) short(args []string, i int) int {
	word := args[i]
	for k := 1; k < len(word); k++ {
		o := Option{Name: word[k : k+1], First: i, Last: i}
		if strings.IndexByte(shortWithValue, word[k]) < 0 {
			c.Options = append(c.Options, o)
			continue
		}
		o.Has, o.Value = true, word[k+1:]
		if o.Value == "" && i+1 < len(args) {
			i++
			o.Value, o.Last = args[i], i
		}
		c.Options = append(c.Options, o)
		break
	}
	return i
}

// resolve completes a unique abbreviation, as getopt_long does; anything else stays as it is.
func resolve(name string) string {
	found := ""
	for _, list := range []string{valueOptions, plainOptions} {
		for full := range strings.FieldsSeq(list) {
			if full == name {
				return name
			}
			if strings.HasPrefix(full, name) {
				if found != "" {
					return name
				}
				found = full
			}
		}
	}
	if found == "" {
		return name
	}
	return found
}

// NeedsValue says that the long option of this name takes a value that may be the next word.
func NeedsValue(name string) bool {
	for full := range strings.FieldsSeq(valueOptions) {
		if full == name {
			return true
		}
	}
	return false
}

// Last gives the last option of one of the names, which is the one that counts.
func (c Line) Last(names ...string) (Option, bool) {
	for i := len(c.Options) - 1; i >= 0; i-- {
		for _, n := range names {
			if c.Options[i].Name == n {
				return c.Options[i], true
			}
		}
	}
	return Option{}, false
}

// Has says that one of these options is given.
func (c Line) Has(names ...string) bool {
	_, ok := c.Last(names...)
	return ok
}

// Submits says that this call can make a job.
func (c Line) Submits() bool {
	return !c.Has("test-only", "help", "h", "usage", "version", "V")
}

// Plain says that the long option of this name takes no value, or only one behind "=".
func Plain(name string) bool {
	return slices.Contains(strings.Fields(plainOptions), name)
}

// letters are the long names of letters whose option takes a value.
var letters = map[byte]string{
	'A': "account", 'a': "array", 'B': "extra-node-info", 'b': "begin", 'C': "constraint", 'c': "cpus-per-task", 'D': "chdir", 'd': "dependency",
	'e': "error", 'F': "nodefile", 'G': "gpus", 'i': "input", 'J': "job-name", 'L': "licenses", 'M': "clusters", 'm': "distribution", 'N': "nodes",
	'n': "ntasks", 'o': "output", 'p': "partition", 'q': "qos", 'S': "core-spec", 't': "time", 'w': "nodelist", 'x': "exclude",
}

// Long gives the long name of a letter whose option takes a value.
func Long(letter byte) (name string, ok bool) {
	name, ok = letters[letter]
	return name, ok
}
