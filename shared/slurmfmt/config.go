package slurmfmt

import (
	"strconv"
	"strings"
)

// Config is scontrol show config.
type Config struct{ values map[string]string }

// ParseConfig reads "Key = value" lines; everything else (titles, the state of the
// controllers) is passed over. Of a key that occurs twice the first counts.
func ParseConfig(text string) Config {
	c := Config{values: map[string]string{}}
	for l := range strings.Lines(text) {
		key, value, ok := strings.Cut(l, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.ContainsAny(key, " \t") {
			continue
		}
		if _, seen := c.values[key]; !seen {
			c.values[key] = strings.TrimSpace(value)
		}
	}
	return c
}

// Get gives a setting; ok is false when it is absent or "(null)".
func (c Config) Get(key string) (value string, ok bool) {
	v, ok := c.values[key]
	return v, ok && v != "(null)" && v != "N/A"
}

// List splits a comma-separated setting; nil when it is absent or "none".
func (c Config) List(key string) []string {
	v, ok := c.Get(key)
	if !ok || v == "" || strings.EqualFold(v, "none") {
		return nil
	}
	return strings.Split(v, ",")
}

// PrivateData lists what Slurm hides from users (jobs, usage, …); empty: nothing.
// known is false when the output has no such line: then nothing may be concluded.
func (c Config) PrivateData() (hidden []string, known bool) {
	_, known = c.values["PrivateData"]
	return c.List("PrivateData"), known
}

// Version gives SLURM_VERSION.
func (c Config) Version() (Version, bool) { return ParseVersion(c.values["SLURM_VERSION"]) }

// Sampling gives the accounting intervals (JobAcctGatherFrequency).
func (c Config) Sampling() Sampling { return ParseSampling(c.values["JobAcctGatherFrequency"]) }

// Sampling is how often Slurm takes samples; Missing: not given; 0 s: never.
type Sampling struct{ Task, Energy, Network, Filesystem Duration }

// ParseSampling reads task=30,energy=10,network=0 or a bare number for tasks.
func ParseSampling(s string) Sampling {
	if s != "" && allDigits(s) {
		return Sampling{Task: ParseSeconds(s)}
	}
	t := ParseTRES(strings.ToLower(s))
	seconds := func(name string) Duration { v, _ := t.Get(name); return ParseSeconds(v) }
	return Sampling{seconds("task"), seconds("energy"), seconds("network"), seconds("filesystem")}
}

// Version is a Slurm release such as 22.05.8.
type Version struct{ Major, Minor, Micro int }

// ParseVersion reads "22.05.8", "slurm 24.11.5", "25.05.0-0rc1" or "slurm-wlm 22.05.8".
func ParseVersion(s string) (v Version, ok bool) {
	s = strings.TrimSpace(s)
	s = s[strings.LastIndexByte(s, ' ')+1:]
	part := strings.SplitN(s, ".", 3)
	if len(part) < 2 {
		return Version{}, false
	}
	var err1, err2, err3 error
	v.Major, err1 = strconv.Atoi(part[0])
	v.Minor, err2 = strconv.Atoi(part[1])
	if len(part) == 3 {
		micro, _, _ := strings.Cut(part[2], "-")
		v.Micro, err3 = strconv.Atoi(micro)
	}
	if err1 != nil || err2 != nil || err3 != nil || v.Major < 0 || v.Minor < 0 || v.Micro < 0 {
		return Version{}, false
	}
	return v, true
}

// AtLeast compares the release series: AtLeast(24, 5) for 24.05 and later.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// String prints 22.05.8.
func (v Version) String() string {
	minor := strconv.Itoa(v.Minor)
	if v.Minor < 10 {
		minor = "0" + minor
	}
	return strconv.Itoa(v.Major) + "." + minor + "." + strconv.Itoa(v.Micro)
}
