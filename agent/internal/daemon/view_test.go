package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/track"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

func TestEveryUserGetsATurnAndTheBusyOnesMore(t *testing.T) {
	t.Parallel()
	var all []track.View
	for uid := range uint32(5) {
		all = append(all, track.View{User: string(rune('a' + uid)), UID: uid})
	}
	turns := map[uint32]int{}
	for turn := range uint64(20) {
		got := pick(turn, []track.View{all[1], all[3]}, append([]track.View{}, all...))
		if len(got) != usersPerCycle || got[0] == got[1] {
			t.Fatalf("turn %d: %+v", turn, got)
		}
		for _, v := range got {
			turns[v.UID]++
		}
	}
	for uid := range uint32(5) {
		if turns[uid] == 0 {
			t.Errorf("uid %d never got a turn", uid)
		}
	}
	if turns[1] < 2*turns[0] || turns[3] < 2*turns[0] {
		t.Errorf("turns %v", turns)
	}
	if got := pick(3, nil, nil); len(got) != 0 {
		t.Errorf("of nobody: %+v", got)
	}
	if got := pick(3, all[:1], all[:1]); len(got) != 1 {
		t.Errorf("of one: %+v", got)
	}
}

// Recorded with PrivateData=jobs,usage,users on Slurm 22.05.8: both commands answer a plain user.
const (
	ctldOpen  = "PrivateData             = none\n"
	ctldHides = "PrivateData             = jobs,usage,users\n"
	dbdOpen   = "Configuration data as of 2026-11-24T02:47:27\nPrivateData            = none\n\nSlurmDBD configuration:\nPrivateData            = none\n"
	dbdHides  = "Configuration data as of 2026-11-24T02:47:27\nPrivateData            = none\n\nSlurmDBD configuration:\nPrivateData            = jobs,usage,users\n"
)

func TestWhatSlurmHidesIsFoundOut(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		ctld, dbd, level string
		want             sight
	}{
		"nothing":              {ctldOpen, dbdOpen, "me|None\n", sight{}},
		"slurmctld hides":      {ctldHides, dbdOpen, "me|None\n", sight{hidden: true}},
		"slurmdbd hides":       {ctldOpen, dbdHides, "me|None\n", sight{hidden: true}},
		"both, an operator":    {ctldHides, dbdHides, "me|Operator\n", sight{}},
		"no user in slurmdbd":  {ctldHides, dbdHides, "\n", sight{hidden: true}},
		"slurmdbd is silent":   {ctldOpen, "", "", sight{doubtful: true}},
		"hidden, and no level": {ctldHides, "", "", sight{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := slurmtest.New(t)
			fake.Replace("sacctmgr", "#!/bin/sh\ncase \"$*\" in *configuration*) out='"+c.dbd+"';; *) out='"+c.level+"';; esac\n[ -n \"$out\" ] || { echo 'sacctmgr: error: Problem talking to the database: Connection refused' >&2; exit 1; }\nprintf '%s' \"$out\"\n")
			runner, err := slurm.NewRunner(slurm.Options{BinDir: fake.Dir, Timeout: 20 * time.Second, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			d := &Daemon{opt: Options{System: true, Self: cloud.Peer{Name: "me"}}, slurm: runner}
			got := d.look(t.Context(), slurmfmt.ParseConfig(c.ctld))
			if got.hidden != c.want.hidden || got.doubtful != c.want.doubtful {
				t.Errorf("got %+v", got)
			}
			if said := got.limited != ""; said != (name != "nothing" && name != "both, an operator") {
				t.Errorf("said %q", got.limited)
			}
			if strings.Contains(got.limited, "in turn") {
				t.Errorf("nobody can ask as a user here, and it said %q", got.limited)
			}
			d.opt.Helpers = helpers{}
			if got := d.look(t.Context(), slurmfmt.ParseConfig(c.ctld)); strings.Contains(got.limited, "in turn") != c.want.hidden {
				t.Errorf("with helpers it said %q", got.limited)
			}
		})
	}
}

// helpers is never asked in these tests; that it is there counts.
type helpers struct{ Helpers }

func TestWhomSlurmIsAskedAs(t *testing.T) {
	t.Parallel()
	d := &Daemon{opt: Options{System: true, Self: cloud.Peer{Name: "me", UID: 9}, Helpers: helpers{}, Log: slog.New(slog.DiscardHandler)}}
	var err error
	d.journal, err = journal.Open(t.Context(), journal.Options{Dir: filepath.Join(t.TempDir(), "state"), Now: time.Now, Log: d.opt.Log, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.journal.Close() })
	suspended := true
	d.links.Store(&map[uint32]api.Link{7: {Uid: 7, UnixName: "alice"}, 8: {Uid: 8, UnixName: "bob"}, 9: {Uid: 9, UnixName: "eve", Suspended: &suspended}})
	for _, uid := range []uint32{8, 9} {
		_, err := d.journal.PutJob(t.Context(), journal.Change{Key: journal.JobKey{JobID: uuid.New()}, To: journal.JobRunning, Apply: func(j *journal.Job) { j.UID = uid }})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want ...track.View) {
		t.Helper()
		got := d.views(context.Background())
		if len(got) != len(want) {
			t.Fatalf("%s: %+v", what, got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %+v", what, got)
			}
		}
	}
	expect("before the facts are known", track.View{})
	d.facts.Store(&clusterFacts{})
	expect("all is shown", track.View{All: true})
	d.facts.Store(&clusterFacts{sight: sight{doubtful: true, limited: "x"}})
	expect("slurmdbd is silent", track.View{All: true, Doubtful: true})
	d.facts.Store(&clusterFacts{sight: sight{hidden: true, limited: "x"}})
	expect("hidden", track.View{User: "bob", UID: 8}, track.View{User: "alice", UID: 7})
	d.opt.Helpers = nil
	expect("hidden, and nobody to ask", track.View{})
	d.opt.System = false
	expect("a user's own agent", track.View{User: "me", UID: 9, All: true})
}

func TestWhomSstatIsAskedAs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt  Options
		want string
	}{
		"a user's own agent":   {Options{Self: cloud.Peer{UID: 1000}}, ""},
		"root":                 {Options{System: true, Helpers: helpers{}}, ""},
		"an agent of the site": {Options{System: true, Helpers: helpers{}, Self: cloud.Peer{UID: 9}}, "alice"},
		"one without helpers":  {Options{System: true, Self: cloud.Peer{UID: 9}}, ""},
	} {
		if got := (&Daemon{opt: c.opt}).sampleAs("alice"); got != c.want {
			t.Errorf("%s asks as %q", name, got)
		}
	}
}
