package slurmfmt

import "strings"

// Fault is why a Slurm command did not answer. The set is closed.
type Fault string

// The faults. FaultOther: there was an error text that no rule knows; the state
// asked for is unknown then, as after every fault.
const (
	FaultNone           Fault = ""
	FaultControllerDown Fault = "controller_down"
	FaultDatabaseDown   Fault = "database_down"
	FaultTimeout        Fault = "timeout"
	FaultInvalidJob     Fault = "invalid_job_id"
	FaultNotRunning     Fault = "no_steps_running"
	FaultDenied         Fault = "denied"
	FaultOther          Fault = "other"
)

type faultRule struct {
	text  string
	fault Fault
}

// faultRules are asked in order: an outage explains what follows it.
var faultRules = [...]faultRule{
	{"unable to contact slurm controller", FaultControllerDown},
	{"slurm_persist_conn_open", FaultDatabaseDown},
	{"problem talking to the database", FaultDatabaseDown},
	{"sending persistinit msg", FaultDatabaseDown},
	{"unable to connect to database", FaultDatabaseDown},
	{"slurm accounting storage is disabled", FaultDatabaseDown},
	{"socket timed out", FaultTimeout},
	{"connection timed out", FaultTimeout},
	{"invalid job id specified", FaultInvalidJob},
	{"invalid job/step id", FaultInvalidJob},
	{"no steps running", FaultNotRunning},
	{"access/permission denied", FaultDenied},
	{"invalid user id", FaultDenied},
	{"permission denied", FaultDenied},
}

// maxFaultText bounds how much error text is looked at.
const maxFaultText = 64 << 10

// ClassifyFault reads the stderr of a Slurm command. It does not look at the exit
// code: sstat denies with rc 0, and rc ≠ 0 with empty stderr is the caller's to
// call unknown. Blank text is FaultNone.
func ClassifyFault(stderr string) Fault {
	if len(stderr) > maxFaultText {
		stderr = stderr[:maxFaultText]
	}
	text := strings.ToLower(strings.TrimSpace(stderr))
	if text == "" {
		return FaultNone
	}
	for _, rule := range faultRules {
		if strings.Contains(text, rule.text) {
			return rule.fault
		}
	}
	return FaultOther
}

// Outage says that Slurm, not the question, was at fault: asking again later may help.
func (f Fault) Outage() bool {
	return f == FaultControllerDown || f == FaultDatabaseDown || f == FaultTimeout
}
