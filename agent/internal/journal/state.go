package journal

import "github.com/ergon-hpc/ergon/agent/internal/outputs"

// SubmissionState is where one call of sbatch is.
type SubmissionState string

// States of a submission.
const (
	SubmissionIntent     SubmissionState = "INTENT"         // the wrapper told us; nothing has happened
	SubmissionSubmitting SubmissionState = "SUBMITTING"     // sbatch may run from now on
	SubmissionTracked    SubmissionState = "TRACKED"        // Slurm's id is known
	SubmissionUnknown    SubmissionState = "SUBMIT_UNKNOWN" // it may have been accepted; the tag will tell
	SubmissionAmbiguous  SubmissionState = "AMBIGUOUS"      // two or more base ids carry the tag; reported, never cancelled
	SubmissionRejected   SubmissionState = "REJECTED"       // sbatch said no
	SubmissionAbsent     SubmissionState = "ABSENT"         // proven absent from squeue and sacct; never run again by us
)

// JobState is where one attempt of a job is.
type JobState string

// States of an attempt. The first three follow Slurm; SETTLING means that accounting shows the end.
const (
	JobPending       JobState = "PENDING"
	JobRunning       JobState = "RUNNING"
	JobSuspended     JobState = "SUSPENDED"
	JobSettling      JobState = "SETTLING" // terminal evidence; not yet gone from squeue for two cycles
	JobRequeued      JobState = "REQUEUED" // superseded by the next attempt
	JobLost          JobState = "LOST"     // no trace for seven days while Slurm answered; files kept
	JobEnded         JobState = "ENDED"
	JobCollecting    JobState = "COLLECTING"
	JobNeedsLogin    JobState = "NEEDS_LOGIN" // the user's home refuses us until the user logs in
	JobUploading     JobState = "UPLOADING"
	JobUploadBlocked JobState = "UPLOAD_BLOCKED" // quota or another refusal; tried again later
	JobVerified      JobState = "VERIFIED"       // every stored entry was verified by the server
	JobKept          JobState = "KEPT"           // nothing is uploaded (switched off, or the user is not linked); files kept
)

// edges lists where each state may go. "" is the state of what does not exist yet.
type edges[S ~string] map[S][]S

var submissionEdges = edges[SubmissionState]{
	"":                   {SubmissionIntent, SubmissionTracked}, // TRACKED: adopted by its tag
	SubmissionIntent:     {SubmissionSubmitting, SubmissionUnknown, SubmissionTracked, SubmissionRejected, SubmissionAmbiguous},
	SubmissionSubmitting: {SubmissionTracked, SubmissionUnknown, SubmissionRejected, SubmissionAmbiguous},
	SubmissionUnknown:    {SubmissionTracked, SubmissionAmbiguous, SubmissionAbsent, SubmissionRejected},
	SubmissionAbsent:     {SubmissionTracked, SubmissionAmbiguous}, // slurmdbd was late
	SubmissionTracked:    {SubmissionAmbiguous},
	SubmissionRejected:   {SubmissionTracked, SubmissionAmbiguous}, // "Socket timed out" although accepted
	SubmissionAmbiguous:  {},
}

var jobEdges = edges[JobState]{
	"":               {JobPending, JobRunning, JobSuspended, JobSettling},
	JobPending:       {JobRunning, JobSuspended, JobSettling, JobRequeued, JobLost},
	JobRunning:       {JobPending, JobSuspended, JobSettling, JobRequeued, JobLost},
	JobSuspended:     {JobPending, JobRunning, JobSettling, JobRequeued, JobLost},
	JobSettling:      {JobEnded, JobRequeued},
	JobLost:          {JobSettling},
	JobEnded:         {JobCollecting, JobKept, JobRequeued},
	JobCollecting:    {JobUploading, JobNeedsLogin, JobKept, JobRequeued},
	JobNeedsLogin:    {JobCollecting, JobKept, JobRequeued},
	JobUploading:     {JobVerified, JobUploadBlocked, JobCollecting, JobKept, JobRequeued},
	JobUploadBlocked: {JobUploading, JobCollecting, JobKept, JobRequeued},
	JobKept:          {JobCollecting, JobRequeued},
	JobVerified:      {JobUploading}, // an object vanished from the store
	JobRequeued:      {},
}

var fileEdges = edges[outputs.FileState]{
	"":                    {outputs.FileHashed, outputs.FileUnstable, outputs.FileBlocked}, // BLOCKED: it cannot be read at all
	outputs.FileHashed:    {outputs.FileReserved, outputs.FileVerified, outputs.FileBlocked, outputs.FileUnstable},
	outputs.FileReserved:  {outputs.FilePut, outputs.FileParts, outputs.FileVerified, outputs.FileHashed, outputs.FileBlocked, outputs.FileUnstable},
	outputs.FilePut:       {outputs.FileCompleted, outputs.FileVerified, outputs.FileHashed, outputs.FileBlocked, outputs.FileUnstable},
	outputs.FileParts:     {outputs.FileCompleted, outputs.FileVerified, outputs.FileHashed, outputs.FileBlocked, outputs.FileUnstable},
	outputs.FileCompleted: {outputs.FileVerified, outputs.FileHashed, outputs.FileBlocked, outputs.FileUnstable},
	outputs.FileBlocked:   {outputs.FileHashed, outputs.FileUnstable},
	outputs.FileUnstable:  {outputs.FileHashed, outputs.FileBlocked},
	outputs.FileVerified:  {},
}

// Active says that Slurm still owns the attempt, so that polling must look for it.
func (s JobState) Active() bool {
	return s == JobPending || s == JobRunning || s == JobSuspended || s == JobSettling
}

// Closed says that nothing more will happen to the attempt by itself.
func (s JobState) Closed() bool {
	return s == JobVerified || s == JobKept || s == JobRequeued || s == JobLost
}

// Open says that it is not yet known what became of the submission.
func (s SubmissionState) Open() bool {
	return s == SubmissionIntent || s == SubmissionSubmitting || s == SubmissionUnknown
}
