package submit

import "strings"

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

// option is one option of the command line, or the end of them.
type option struct {
	// name is the long name, or the letter.
	name string
	// value is what follows; has says whether anything does.
	value string
	has   bool
	// first and last are the positions of the option's words in the arguments.
	first, last int
}

// commandLine is what we understand of sbatch's arguments.
type commandLine struct {
	options []option
	// script is the position of the script in the arguments, −1 when there is none.
	script int
}

// parse reads arguments as sbatch does: options end at the first word that is none, or at "--".
func parse(args []string) commandLine {
	c := commandLine{script: -1}
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			if i+1 < len(args) {
				c.script = i + 1
			}
			return c
		case word == ":": // parts the components of a heterogeneous job
			continue
		case strings.HasPrefix(word, "--"):
			i = c.long(args, i)
		case len(word) > 1 && word[0] == '-':
			i = c.short(args, i)
		default:
			c.script = i
			return c
		}
	}
	return c
}

func (c *commandLine) long(args []string, i int) int {
	name, value, has := strings.Cut(args[i][2:], "=")
	o := option{name: resolve(name), value: value, has: has, first: i, last: i}
	if !has && needsValue(o.name) && i+1 < len(args) {
		i++
		o.value, o.has, o.last = args[i], true, i
	}
	c.options = append(c.options, o)
	return i
}

// short reads a cluster of letters; the first that needs a value takes the rest, or the next word.
func (c *commandLine) short(args []string, i int) int {
	word := args[i]
	for k := 1; k < len(word); k++ {
		o := option{name: word[k : k+1], first: i, last: i}
		if strings.IndexByte(shortWithValue, word[k]) < 0 {
			c.options = append(c.options, o)
			continue
		}
		o.has, o.value = true, word[k+1:]
		if o.value == "" && i+1 < len(args) {
			i++
			o.value, o.last = args[i], i
		}
		c.options = append(c.options, o)
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

func needsValue(name string) bool {
	for full := range strings.FieldsSeq(valueOptions) {
		if full == name {
			return true
		}
	}
	return false
}

// last gives the last option of one of the names, which is the one that counts.
func (c commandLine) last(names ...string) (option, bool) {
	for i := len(c.options) - 1; i >= 0; i-- {
		for _, n := range names {
			if c.options[i].name == n {
				return c.options[i], true
			}
		}
	}
	return option{}, false
}

func (c commandLine) has(names ...string) bool {
	_, ok := c.last(names...)
	return ok
}

// submits says that this call can make a job.
func (c commandLine) submits() bool {
	return !c.has("test-only", "help", "h", "usage", "version", "V")
}
