package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

const submission = "0190b0d0-0000-7000-8000-00000000000a"

var intakeColumns = slurmfmt.NewColumns(strings.Split("JobID|JobName|UID|User|State|Submit|Start|End|NodeList|Comment|SubmitLine|WorkDir|Environment|AdminComment", "|")...)

func intakeRows(uid int, user string) []*slurmfmt.Record {
	row := fmt.Sprintf("%d|run token=hunter2|%d|%s|COMPLETED|1704067200|1704067200|1704067300|n1|api_key: hunter2|sbatch -n 4 --exclusive --comment=ergon1:%s --export=A=hunter2 x.sh|/home/%s/pw=1/secret=hunter2|PW=hunter2|JS1:token=aGk=", uid, uid, user, submission, user)
	step := fmt.Sprintf("%d.0|python|||COMPLETED||1704067200|1704067300|n1||srun --token hunter2 a.out|||", uid)
	return []*slurmfmt.Record{
		slurmfmt.NewRecord(intakeColumns, strings.Split(row, "|"), nil), slurmfmt.NewRecord(intakeColumns, strings.Split(step, "|"), nil),
	}
}

// taken stores rows under an intake and gives all text of accounting that the database holds then.
func taken(t *testing.T, s *gormstore.Store, in jobs.Intake, rows []*slurmfmt.Record) (text string, res jobs.Result) {
	t.Helper()
	g := gormstore.NewJobs(s)
	c, _, err := g.ClusterByName(context.Background(), "c", true)
	if err != nil {
		t.Fatal(err)
	}
	svc := jobs.New(g, g, time.Now, nil)
	svc.Intake(in)
	if res, err = svc.Accounting(context.Background(), jobs.Reporter{ClusterID: c.ID, Everyone: true}, jobs.Batch{Cluster: c, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	found, err := s.SQL().QueryContext(context.Background(), "SELECT r.fields, j.name, COALESCE(j.submission_id, '') FROM accounting_rows r JOIN jobs j ON j.id = r.job_id")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var fields, name, tag string
		if err := found.Scan(&fields, &name, &tag); err != nil {
			t.Fatal(err)
		}
		text += fields + " name=" + name + " tag=" + tag + "\n"
	}
	return text, res
}

func TestSecretsAreMaskedBeforeTheyAreStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		text, res := taken(t, s, jobs.Intake{}, intakeRows(7, "alice"))
		if strings.Contains(text, "hunter2") || strings.Contains(text, "Environment") || res.Rows != 2 {
			t.Errorf("%+v: %s", res, text)
		}
		for _, want := range []string{"tag=" + submission, "JS1:token=aGk=", "/home/alice", `"SubmitLine":"sbatch -n 4 --exclusive`, "name=run token=***", "srun --token *** a.out"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in %s", want, text)
			}
		}
	})
}

func TestSwitchesLeaveColumnsOutAndKeepWhatTheAnalysisNeeds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		text, _ := taken(t, s, jobs.Intake{NoSubmitLine: true, NoWorkDir: true, NoJobName: true}, intakeRows(7, "alice"))
		for _, not := range []string{"hunter2", "WorkDir", "JobName", "x.sh", "a.out", "home", "name=run"} {
			if strings.Contains(text, not) {
				t.Errorf("%q is in %s", not, text)
			}
		}
		if !strings.Contains(text, `"SubmitLine":"-n --exclusive --comment=ergon1:`+submission+`"`) || !strings.Contains(text, "tag="+submission) {
			t.Errorf("the tag or the options are lost: %s", text)
		}
	})
}

func TestAgentsNamesAndMessagesAreMaskedToo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := gormstore.NewJobs(s)
		c, _, err := g.ClusterByName(context.Background(), "c", true)
		if err != nil {
			t.Fatal(err)
		}
		tag := uuid.MustParse(submission)
		report := jobs.Report{EventID: uuid.New(), JobID: jobkey.Tagged(tag, ""), Type: "state", At: time.Unix(1704067200, 0), Message: "failed: password=hunter2", Job: jobs.Snapshot{
			SlurmJobID: "9", JobIDRaw: "9", SubmissionID: &tag, UID: 7, UnixUser: "alice", Name: "n token=hunter2", State: "pending", SlurmState: "PENDING", Submit: 1704067200,
		}}
		svc := jobs.New(g, g, time.Now, nil)
		svc.Intake(jobs.Intake{NoStrangers: true})
		send := func() jobs.Outcome {
			out, err := svc.Events(context.Background(), jobs.Reporter{ClusterID: c.ID, Everyone: true}, c, []jobs.Report{report})
			if err != nil {
				t.Fatal(err)
			}
			return out[0]
		}
		if out := send(); out.Status != jobs.Refused || !strings.Contains(out.Detail, "with an account only") {
			t.Errorf("%+v", out)
		}
		svc.Intake(jobs.Intake{})
		if out := send(); out.Status != jobs.Accepted {
			t.Fatalf("%+v", out)
		}
		var snapshot, message string
		err = s.SQL().QueryRowContext(context.Background(), "SELECT s.snapshot, e.message FROM job_snapshots s JOIN job_events e ON e.job_id = s.job_id").Scan(&snapshot, &message)
		if err != nil || strings.Contains(snapshot+message, "hunter2") || !strings.Contains(snapshot, "n token=***") || message != "failed: password=***" {
			t.Errorf("%s, %s, %v", snapshot, message, err)
		}
	})
}

func TestStrangersAreLeftOutWhereTheSiteTakesNone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		if text, res := taken(t, s, jobs.Intake{NoStrangers: true}, intakeRows(7, "alice")); text != "" || res.Strangers != 2 || res.Rows != 0 {
			t.Errorf("%+v: %s", res, text)
		}
		for _, statement := range []string{
			"INSERT INTO users (id, username, pw_hash, role, created_at) SELECT '" + uuid.NewString() + "', 'a', '', 'user', created_at FROM clusters",
			"INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at) SELECT 'l', c.id, 7, 7, 'alice', u.id, c.created_at FROM clusters c, users u",
		} {
			if _, err := s.SQL().ExecContext(context.Background(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if _, res := taken(t, s, jobs.Intake{NoStrangers: true}, append(intakeRows(7, "alice"), intakeRows(8, "bob")...)); res.Rows != 2 || res.Strangers != 2 {
			t.Errorf("%+v", res)
		}
		if _, res := taken(t, s, jobs.Intake{NoStrangers: true}, intakeRows(7, "carol")); res.Rows != 0 { // who had the uid before
			t.Errorf("%+v", res)
		}
	})
}
