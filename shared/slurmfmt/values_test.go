package slurmfmt

import (
	"math"
	"testing"
	"time"
)

func known(sec int64, micro int32) Duration { return Duration{Kind: Known, Sec: sec, Micro: micro} }

func TestParseDurationReadsEveryForm(t *testing.T) {
	for in, want := range map[string]Duration{
		"06:57.815":                 known(417, 815000),
		"00:00:00":                  known(0, 0),
		"00:36":                     known(36, 0),
		"90:00":                     known(5400, 0),
		"00:05.1234567":             known(5, 123456),
		"123:00:01":                 known(442801, 0),
		"1-02:03:04":                known(93784, 0),
		"1-02:03:04.005":            known(93784, 5000),
		"2-12":                      known(216000, 0),
		"2-12:30":                   known(217800, 0),
		"365000000-00:00:00":        known(365000000*86400, 0),
		"UNLIMITED":                 {Kind: Unlimited},
		"Partition_Limit":           {Kind: PartitionLimit},
		"INVALID":                   {Kind: Invalid},
		"":                          {Kind: Missing},
		"Unknown":                   {Kind: NotYet},
		"None":                      {Kind: Never},
		"49710-06:28:14":            {Kind: Missing}, // NO_VAL seconds
		"-00:00:01":                 {Kind: Invalid},
		"00:60":                     {Kind: Invalid},
		"1-24:00:00":                {Kind: Invalid},
		"12":                        {Kind: Invalid},
		"00:00.":                    {Kind: Invalid},
		"1:2:3:4":                   {Kind: Invalid},
		"99999999999999999-00":      {Kind: Invalid},
		"9223372036854775807:59:59": {Kind: Invalid},
	} {
		if got := ParseDuration(in); got != want {
			t.Errorf("ParseDuration(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestRawColumnsCountTheirOwnUnit(t *testing.T) {
	for _, tc := range []struct {
		in            string
		seconds, mins Duration
	}{
		{"38", known(38, 0), known(2280, 0)},
		{"38.5", known(38, 500000), Duration{Kind: Invalid}},
		{"0", known(0, 0), known(0, 0)},
		{"4294967294", Duration{}, Duration{}},
		{"4294967295", Duration{Kind: Unlimited}, Duration{Kind: Unlimited}},
		{"18446744073709551614", Duration{}, Duration{}},
		{"18446744073709551616", Duration{Kind: Invalid}, Duration{Kind: Invalid}},
		{"9223372036854775807", known(math.MaxInt64, 0), Duration{Kind: Invalid}},
		{"Partition_Limit", Duration{Kind: PartitionLimit}, Duration{Kind: PartitionLimit}},
		{"-1", Duration{Kind: Invalid}, Duration{Kind: Invalid}},
	} {
		if got := ParseSeconds(tc.in); got != tc.seconds {
			t.Errorf("ParseSeconds(%q) = %+v, want %+v", tc.in, got, tc.seconds)
		}
		if got := ParseMinutes(tc.in); got != tc.mins {
			t.Errorf("ParseMinutes(%q) = %+v, want %+v", tc.in, got, tc.mins)
		}
	}
}

func TestDurationConvertsOnlyWhatFits(t *testing.T) {
	if std, ok := known(93784, 5000).Std(); !ok || std != 93784005*time.Millisecond {
		t.Errorf("Std = %v %v", std, ok)
	}
	if _, ok := known(math.MaxInt64, 0).Std(); ok {
		t.Error("292 billion years passed as a time.Duration")
	}
	if _, ok := (Duration{}).Seconds(); ok {
		t.Error("a missing duration has seconds")
	}
}

func TestParseSizeReadsEveryForm(t *testing.T) {
	for in, want := range map[string]Size{
		"20264K":               {Kind: Known, Bytes: 20264 << 10},
		"0.59G":                {Kind: Known, Bytes: 633507676},
		"1.5M":                 {Kind: Known, Bytes: 3 << 19},
		"12431360":             {Kind: Known, Bytes: 12431360},
		"0":                    {Kind: Known},
		"16?":                  {Kind: Known, Bytes: 16, Uncertain: true},
		"2T":                   {Kind: Known, Bytes: 2 << 40},
		"3P":                   {Kind: Known, Bytes: 3 << 50},
		"7E":                   {Kind: Known, Bytes: 7 << 60},
		"8E":                   {Kind: Invalid},
		"":                     {Kind: Missing},
		"18446744073709551614": {Kind: Missing},
		"18446744073709551615": {Kind: Missing},
		"1.84467e+19":          {Kind: Missing},
		"17592186044415M":      {Kind: Missing},
		"16777216T":            {Kind: Missing},
		"16384.00P":            {Kind: Missing},
		"16E":                  {Kind: Missing},
		"-5K":                  {Kind: Invalid},
		"5KB":                  {Kind: Invalid},
		"K":                    {Kind: Invalid},
		"1.K":                  {Kind: Invalid},
		"1e3":                  {Kind: Known, Bytes: 1000},
		"UNLIMITED":            {Kind: Unlimited},
	} {
		if got := ParseSize(in); got != want {
			t.Errorf("ParseSize(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestParseSizeMBCountsBareNumbersAsMiB(t *testing.T) {
	for in, want := range map[string]Size{
		"4096":           {Kind: Known, Bytes: 4 << 30},
		"4096K":          {Kind: Known, Bytes: 4 << 20},
		"17592186044415": {Kind: Missing},
		"4294967294":     {Kind: Missing},
	} {
		if got := ParseSizeMB(in); got != want {
			t.Errorf("ParseSizeMB(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestParseCount(t *testing.T) {
	for in, want := range map[string]Count{
		"128":                  {Kind: Known, N: 128},
		"2K":                   {Kind: Known, N: 2048},
		"1.46K":                {Kind: Known, N: 1495, Rounded: true},
		"38.0":                 {Kind: Known, N: 38},
		"38.5":                 {Kind: Invalid},
		"0":                    {Kind: Known},
		"":                     {Kind: Missing},
		"N/A":                  {Kind: Missing},
		"4294967294":           {Kind: Missing},
		"18446744073709551614": {Kind: Missing},
		"UNLIMITED":            {Kind: Unlimited},
		"4294967295":           {Kind: Unlimited},
		"99999999999999999999": {Kind: Invalid},
		"x":                    {Kind: Invalid},
	} {
		if got := ParseCount(in); got != want {
			t.Errorf("ParseCount(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestParseNumberKeepsSmallValues(t *testing.T) {
	for in, want := range map[string]Number{
		"0.04":        {Kind: Known, V: 0.04},
		"0":           {Kind: Known},
		"1.84467e+19": {Kind: Missing},
		"":            {Kind: Missing},
		"NaN":         {Kind: Invalid},
		"-1":          {Kind: Invalid},
		"0x10":        {Kind: Invalid},
		"1e300":       {Kind: Invalid},
	} {
		if got := ParseNumber(in); got != want {
			t.Errorf("ParseNumber(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestReqMemTotals(t *testing.T) {
	const mb = 1 << 20
	for _, tc := range []struct {
		in          string
		cpus, nodes int64
		want        Size
		scope       ReqMemScope
		leaked      bool
	}{
		{"600M", 2, 2, Size{Kind: Known, Bytes: 600 * mb}, ScopeJob, false},
		{"2Gn", 8, 3, Size{Kind: Known, Bytes: 6144 * mb}, ScopeNode, false},
		{"4Gc", 8, 1, Size{Kind: Known, Bytes: 32768 * mb}, ScopeCPU, false},
		{"2147486648Mn", 8, 1, Size{Kind: Known, Bytes: 24000 * mb}, ScopeCPU, true},
		{"9223372036854778808M", 8, 1, Size{Kind: Known, Bytes: 24000 * mb}, ScopeCPU, true},
		{"2147486648M", 1, 1, Size{Kind: Known, Bytes: 2147486648 * mb}, ScopeJob, false},
		{"16000", 8, 1, Size{Kind: Known, Bytes: 16000 * mb}, ScopeJob, false},
		{"0", 64, 1, Size{}, ScopeWholeNode, false},
		{"0n", 64, 1, Size{}, ScopeWholeNode, false},
		{"2147483648Mn", 64, 1, Size{}, ScopeWholeNode, true},
		{"4Gc", 0, 1, Size{}, ScopeCPU, false},
		{"7En", 1, 2, Size{Kind: Invalid}, ScopeNode, false},
		{"16?", 1, 1, Size{}, 0, false},
		{"", 1, 1, Size{}, 0, false},
		{"n", 1, 1, Size{Kind: Missing}, 0, false},
		{"xc", 1, 1, Size{Kind: Invalid}, 0, false},
	} {
		m := ParseReqMem(tc.in)
		total, scope := m.Total(tc.cpus, tc.nodes)
		if total != tc.want || scope != tc.scope || m.LeakedFlag != tc.leaked {
			t.Errorf("ReqMem %q for %d cpus, %d nodes = %+v %v (leaked %v), want %+v %v (%v)",
				tc.in, tc.cpus, tc.nodes, total, scope, m.LeakedFlag, tc.want, tc.scope, tc.leaked)
		}
	}
}

func TestParseStateFollowsTheTableOfTheDesign(t *testing.T) {
	for in, want := range map[string]State{
		"PENDING":           {Word: "PENDING", API: StatePending},
		"PD":                {Word: "PENDING", API: StatePending},
		"REQUEUED":          {Word: "REQUEUED", API: StatePending},
		"CONFIGURING":       {Word: "CONFIGURING", API: StatePending},
		"INTENT":            {Word: "INTENT", API: StatePending},
		"RUNNING":           {Word: "RUNNING", API: StateRunning},
		"SUSPENDED":         {Word: "SUSPENDED", API: StateRunning},
		"COMPLETING":        {Word: "COMPLETING", API: StateRunning},
		"STOPPED":           {Word: "STOPPED", API: StateRunning},
		"COMPLETED":         {Word: "COMPLETED", API: StateDone},
		"NODE_FAIL":         {Word: "NODE_FAIL", API: StateFailed},
		"OUT_OF_ME+":        {Word: "OUT_OF_MEMORY", API: StateFailed, Truncated: true},
		"CANCELLED+":        {Word: "CANCELLED", API: StateFailed, Truncated: true},
		"CANCELLED by 1000": {Word: "CANCELLED", API: StateFailed, CancelledBy: 1000, HasUID: true},
		"CANCELLED by 0":    {Word: "CANCELLED", API: StateFailed, HasUID: true},
		"CANCELLED by bob":  {Word: "CANCELLED", API: StateFailed},
		"REJECTED":          {Word: "REJECTED", API: StateFailed},
		"LOST":              {Word: "LOST", API: StateFailed},
		"REQUEUE_+":         {Truncated: true}, // REQUEUE_FED or REQUEUE_HOLD
		"COMP+":             {Truncated: true}, // COMPLETED or COMPLETING
		"TELEPORTED":        {},
		"completed":         {},
		"":                  {},
	} {
		want.Raw = in
		if got := ParseState(in); got != want {
			t.Errorf("ParseState(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestUnknownStateIsNeverTerminal(t *testing.T) {
	if s := ParseState("TELEPORTED"); s.Known() || s.Terminal() || s.Raw != "TELEPORTED" {
		t.Errorf("got %+v", s)
	}
	if ParseState("REQUEUED").Terminal() {
		t.Error("a requeued job counts as ended")
	}
	if !ParseState("CANCELLED by 7").Terminal() {
		t.Error("a cancelled job does not count as ended")
	}
}

func TestParseExitCode(t *testing.T) {
	for in, want := range map[string]ExitCode{
		"3:0":   {Kind: Known, Code: 3},
		"0:11":  {Kind: Known, Signal: 11},
		"0:125": {Kind: Known, Signal: 125},
		"":      {Kind: Missing},
		"3":     {Kind: Invalid},
		"a:0":   {Kind: Invalid},
		"0:-1":  {Kind: Invalid},
	} {
		got := ParseExitCode(in)
		if got != want {
			t.Errorf("ParseExitCode(%q) = %+v, want %+v", in, got, want)
		}
		if got.Kind == Known && got.String() != in {
			t.Errorf("%q printed as %q", in, got)
		}
		if got.OOM() != (in == "0:125") {
			t.Errorf("OOM of %q = %v", in, got.OOM())
		}
	}
	if ParseExitCode("").Success() {
		t.Error("a missing exit code counts as success")
	}
}

func TestParseTimeKeepsWordsApart(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for _, tc := range []struct {
		in   string
		kind Kind
		unix int64
	}{
		{"1795422000", Known, 1795422000},
		{"2026-11-23T08:20:00", Known, 1795422000 - 3600},
		{"2026-11-23T08:20:00Z", Known, 1795422000},
		{"2026-11-23T08:20:00+02:00", Known, 1795422000 - 7200},
		{"Unknown", NotYet, 0},
		{"None", Never, 0},
		{"", Missing, 0},
		{"0", Missing, 0},
		{"N/A", Missing, 0},
		{"4294967294", Missing, 0},
		{"2026-13-01T00:00:00", Invalid, 0},
		{"99999999999999", Invalid, 0},
		{"UNLIMITED", Invalid, 0},
		{"-1", Invalid, 0},
	} {
		got := ParseTime(tc.in, berlin)
		moment, ok := got.Value()
		if got.Kind != tc.kind || ok != (tc.kind == Known) || (ok && moment.Unix() != tc.unix) {
			t.Errorf("ParseTime(%q) = %v %v, want %v %d", tc.in, got.Kind, moment.Unix(), tc.kind, tc.unix)
		}
	}
	if m, _ := ParseTime("1970-01-02T00:00:00", nil).Value(); m.Unix() != 86400 {
		t.Errorf("no zone given must mean UTC, got %v", m)
	}
}
