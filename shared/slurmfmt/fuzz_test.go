package slurmfmt

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

type failer interface {
	Fatalf(format string, args ...any)
}

// checkValueParsers holds what must be true of every value parser for any text.
func checkValueParsers(t failer, s string) {
	if id, err := ParseJobID(s); err == nil && id.String() != s {
		t.Fatalf("job id %q printed as %q", s, id)
	}
	for _, d := range []Duration{ParseDuration(s), ParseSeconds(s), ParseMinutes(s)} {
		if d.Sec < 0 || d.Micro < 0 || d.Micro > 999999 || d.Kind != Known && d.Sec != 0 {
			t.Fatalf("duration %q read as %+v", s, d)
		}
	}
	for _, z := range []Size{ParseSize(s), ParseSizeMB(s)} {
		if z.Bytes < 0 || z.Kind != Known && z.Bytes != 0 {
			t.Fatalf("size %q read as %+v", s, z)
		}
	}
	if c := ParseCount(s); c.N < 0 || c.Kind != Known && c.N != 0 {
		t.Fatalf("count %q read as %+v", s, c)
	}
	if n := ParseNumber(s); !(n.V >= 0 && n.V <= 2e19) {
		t.Fatalf("number %q read as %+v", s, n)
	}
	if z, _ := ParseReqMem(s).Total(1<<40, 1<<40); z.Bytes < 0 {
		t.Fatalf("ReqMem %q gives %+v", s, z)
	}
	if tres := ParseTRES(s); tres.GPUs().N < 0 || len(tres.Items()) > maxTRESItems {
		t.Fatalf("TRES %q read as %+v", s, tres)
	}
	if st := ParseState(s); st.Raw != s || st.Known() == (st.API == StateUnknown) {
		t.Fatalf("state %q read as %+v", s, st)
	}
	if m, ok := ParseTime(s, time.UTC).Value(); ok && (m.Year() > 9999 || m.IsZero() && s == "") {
		t.Fatalf("time %q read as %v", s, m)
	}
	ParseExitCode(s)
	ParseVersion(s)
	ClassifyFault(s)
	if p, err := ExpandPath(s, PathValues{JobID: "4", JobName: "n", User: "u", Host: "h"}); err == nil && len(p) > maxPathBytes {
		t.Fatalf("path of %d bytes", len(p))
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{
		"123_[1-10%5]+0.batch", "123_2+1.0+1", "D-HH", "1-02:03:04.005", "UNLIMITED", "2147486648Mn", "9223372036854778808M", "0.59G",
		"1.84467e+19", "16?", "cpu=4,mem=40G,gres/gpu:a100=2", "CANCELLED by 1000", "OUT_OF_ME+", "0:125", "2026-11-23T08:19:34",
		"slurm-%A_%4a-%x.out", "slurm 24.11.5", "Unable to contact slurm controller",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkValueParsers(t, s) })
}

func FuzzHostList(f *testing.F) {
	for _, s := range []string{"n[1-3,5],gpu07", "r[1-2]n[001-010]-ib", "None assigned", "n[", "a[0-999999]b[0-999999]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		hosts, err := ExpandHosts(s, 1000)
		n, countErr := CountHosts(s)
		if err == nil && (countErr != nil || uint64(len(hosts)) != n) {
			t.Fatalf("%q counts %d (%v) and lists %d", s, n, countErr, len(hosts))
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("JobID|JobName|State|Comment\n1|a|b|COMPLETED|x\n\ny\n2|z|FAILED|\n"), false)
	f.Add([]byte("1|1|we|ird\nname|COMPLETED|x\n"), true)
	f.Add([]byte("\x1f\x8b\x08\x00garbage"), false)
	f.Add([]byte("\"JobID\",\"State\"\r\n\"1\",\"a\"\"b\"\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, headless bool) {
		opt := Options{MaxLine: 4096}
		if headless {
			opt.Columns = []string{"JobID", "JobIDRaw", "JobName", "State", "Comment"}
		}
		rd, err := NewReader(bytes.NewReader(data), opt)
		if err != nil {
			return
		}
		rows := 0
		for {
			rec, err := rd.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
					t.Fatalf("plain text gave %v", err)
				}
				return
			}
			if rows++; len(rec.fields) != len(rd.Columns().Names()) || rec.Line < 1 {
				t.Fatalf("record %+v", rec)
			}
			if rows > len(data)+1 && !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
				t.Fatalf("%d rows out of %d bytes", rows, len(data))
			}
		}
	})
}

func FuzzJSONLines(f *testing.F) {
	f.Add(`{"id":"a","rows":[{"JobID":"1","AllocCPUS":8,"x":null,"y":true,"z":[1]}]}`)
	f.Add("{\"rows\":null}\n{\"id\":{},\"rows\":[null]}")
	f.Fuzz(func(t *testing.T, s string) {
		jr, err := NewJSONReader(strings.NewReader(s), Options{MaxLine: 4096})
		for err == nil {
			var c Case
			if c, err = jr.Next(); err == nil {
				for _, r := range c.Records {
					checkValueParsers(t, r.Get("JobID"))
				}
			}
		}
	})
}

func FuzzScontrol(f *testing.F) {
	f.Add("JobId=1 JobName=x y\n   StdOut=/a b\n   Comment=z\nq\n\nNodeName=n1 CPUTot=4\n")
	f.Add("JobId=1 JobName=two UserId=a(1) StdOut=/x StdOut=/y ReqB:S:C:T=0:0:*:*")
	f.Add("SLURM_VERSION = 22.05.8\nPrivateData = none\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, kv := range ParseEntities(s) {
			for _, key := range kv.Keys() {
				if _, ok := kv.Get(key); ok && kv.Ambiguous(key) {
					t.Fatalf("%q: ambiguous %s has a value", s, key)
				}
			}
		}
		ParseConfig(s).Sampling()
	})
}
