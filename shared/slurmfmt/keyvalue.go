package slurmfmt

import "strings"

// KeyValues is one entity of scontrol show job, node or partition.
//
// scontrol escapes nothing, so a job's name or comment can hold text that looks
// like another key ("StdOut=/etc/passwd"). A key that occurs more than once is
// therefore Ambiguous, and Get refuses it.
type KeyValues struct {
	keys   []string
	values map[string][]string
}

// Get gives a key's value; ok is false when the key is absent, ambiguous, or its
// value is "(null)", "N/A" or "n/s".
func (kv KeyValues) Get(key string) (value string, ok bool) {
	v := kv.values[key]
	if len(v) != 1 || v[0] == "(null)" || v[0] == "N/A" || v[0] == "n/s" {
		return "", false
	}
	return v[0], true
}

// Ambiguous says that the key occurs more than once.
func (kv KeyValues) Ambiguous(key string) bool { return len(kv.values[key]) > 1 }

// Keys lists the distinct keys in the order seen.
func (kv KeyValues) Keys() []string { return kv.keys }

// Count reads a whole number (CPUTot, ThreadsPerCore, NumNodes).
func (kv KeyValues) Count(key string) Count { v, _ := kv.Get(key); return ParseCount(v) }

// SizeMB reads a size whose bare number is MiB (RealMemory, DefMemPerCPU).
func (kv KeyValues) SizeMB(key string) Size { v, _ := kv.Get(key); return ParseSizeMB(v) }

// Duration reads a time span (RunTime, TimeLimit, MaxTime).
func (kv KeyValues) Duration(key string) Duration { v, _ := kv.Get(key); return ParseDuration(v) }

// TRES reads a TRES list (TRES, CfgTRES, AllocTRES).
func (kv KeyValues) TRES(key string) TRES { v, _ := kv.Get(key); return ParseTRES(v) }

func (kv *KeyValues) add(key, value string) {
	if kv.values == nil {
		kv.values = map[string][]string{}
	}
	if _, seen := kv.values[key]; !seen {
		kv.keys = append(kv.keys, key)
	}
	kv.values[key] = append(kv.values[key], value)
}

// ParseEntities reads the output of scontrol show job|node|partition, in the form
// of several lines (entities parted by an empty line; prefer it: paths stand on
// lines of their own there) or with -o (one entity a line). A line that starts
// with JobId=, NodeName= or PartitionName= begins an entity.
func ParseEntities(text string) []KeyValues {
	var out []KeyValues
	var current *KeyValues
	lastKey := ""
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		switch {
		case startsEntity(l):
			out = append(out, KeyValues{})
			current = &out[len(out)-1]
			lastKey = current.addLine(l, isOneLine(l))
		case current == nil || strings.TrimSpace(l) == "":
		case strings.HasPrefix(l, "   "):
			lastKey = current.addLine(strings.TrimLeft(l, " "), false)
		case lastKey != "":
			current.extend(lastKey, l)
		}
	}
	return out
}

// startsEntity needs the key at the very start: indented lines are attributes.
func startsEntity(l string) bool {
	return strings.HasPrefix(l, "JobId=") || strings.HasPrefix(l, "NodeName=") || strings.HasPrefix(l, "PartitionName=")
}

// isOneLine tells -o output by keys that otherwise stand on later lines.
func isOneLine(l string) bool {
	return strings.Contains(l, " UserId=") || strings.Contains(l, " CPUAlloc=") || strings.Contains(l, " AllowGroups=")
}

// extend adds a line that a newline inside a value made.
func (kv *KeyValues) extend(key, l string) {
	v := kv.values[key]
	v[len(v)-1] += "\n" + l
}

// addLine takes the key=value pairs of a line and gives the last key. Outside -o
// output a free-text key takes the rest of its line.
func (kv *KeyValues) addLine(l string, oneLine bool) (lastKey string) {
	key, rest, ok := cutKey(l)
	for ok {
		lastKey = key
		if !oneLine && takesLine(key) {
			kv.add(key, strings.TrimRight(rest, " "))
			return lastKey
		}
		i := nextKey(rest)
		kv.add(key, strings.TrimRight(rest[:i], " "))
		key, rest, ok = cutKey(strings.TrimLeft(rest[i:], " "))
	}
	return lastKey
}

// takesLine lists the keys whose value is free text and which come last on their
// line in the form of several lines.
func takesLine(key string) bool {
	switch key {
	case "JobName", "Command", "WorkDir", "Comment", "AdminComment", "SystemComment", "StdErr", "StdIn", "StdOut",
		"OS", "Extra", "SubmitLine", "Container":
		return true
	}
	return false
}

// cutKey splits Key=rest. Keys look like CPUs/Task, ReqB:S:C:T, JOB_GRES.
func cutKey(s string) (key, rest string, ok bool) {
	i := strings.IndexByte(s, '=')
	if i <= 0 || !isKey(s[:i]) {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

func isKey(s string) bool {
	if s[0] < 'A' || s[0] > 'Z' && s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return only(s, &keyBytes)
}

var keyBytes = setOf(alnumChars + "_/:")

// nextKey gives the position of the blank before the next Key= in s, or len(s).
// All of scontrol's keys begin with a capital: "a=1" in a job's name is none.
func nextKey(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == ' ' && beginsKey(s[i+1:]) {
			return i
		}
	}
	return len(s)
}

func beginsKey(s string) bool {
	const longestKey = 64
	for i := range min(len(s), longestKey) {
		if s[i] == '=' {
			return i > 0 && s[0] >= 'A' && s[0] <= 'Z'
		}
		if !keyBytes.has(s[i]) {
			return false
		}
	}
	return false
}
