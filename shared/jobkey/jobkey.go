// Package jobkey computes the identity of a job and the tag that carries a submission's identity inside Slurm.
//
// A job is (cluster, JobIDRaw, first submit time), and Slurm reuses ids after its state is lost, so the platform's own
// job id names the job in the API, in object keys and in comments. Every party computes it alone (design 02, Identity).
package jobkey

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// namespace is the fixed root of all version 5 ids (RFC 9562 §5.5) that this package makes.
var namespace = uuid.MustParse("6f6e2f52-9c0f-5d3e-8a1b-7b1d0d1e6a55")

// tagPrefix begins a tag in a job's comment: ergon1:<submission id>, then, after the separator, the user's own comment.
const (
	tagPrefix    = "ergon1:"
	tagSeparator = "|"
	uuidLength   = 36
)

// ErrNoTag says that a text carries no Ergon tag.
var ErrNoTag = errors.New("no ergon tag")

// NewSubmission returns a fresh submission id, a UUIDv7 (RFC 9562 §5.7): one for each call of sbatch.
func NewSubmission() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("making a submission id: %w", err)
	}
	return id, nil
}

// Tagged is the job id of a job that carries a tag. suffix is what follows the base id in Slurm's JobID without its step:
// "" for a plain job, "_4" for an array task, "+1" for a het component, "_4+1" for both.
func Tagged(submission uuid.UUID, suffix string) uuid.UUID {
	return uuid.NewSHA1(namespace, []byte("tagged/"+submission.String()+"/"+suffix))
}

// Untagged is the job id of a job without a tag: its cluster, JobIDRaw and first known submit time in unix seconds.
func Untagged(cluster, jobIDRaw string, firstSubmitUnix int64) uuid.UUID {
	return uuid.NewSHA1(namespace, fmt.Appendf(nil, "untagged/%d:%s/%s/%d", len(cluster), cluster, jobIDRaw, firstSubmitUnix))
}

// Tag is the comment that carries submission; own is the user's own comment, kept behind a separator.
func Tag(submission uuid.UUID, own string) string {
	if own == "" {
		return tagPrefix + submission.String()
	}
	return tagPrefix + submission.String() + tagSeparator + own
}

// ParseTag reads a comment. It returns ErrNoTag when the comment does not begin with a well-formed tag.
func ParseTag(comment string) (submission uuid.UUID, own string, err error) {
	rest, found := strings.CutPrefix(comment, tagPrefix)
	if !found || len(rest) < uuidLength {
		return uuid.Nil, "", ErrNoTag
	}
	id, err := uuid.Parse(rest[:uuidLength])
	if err != nil || id.String() != rest[:uuidLength] {
		return uuid.Nil, "", ErrNoTag
	}
	rest = rest[uuidLength:]
	if rest == "" {
		return id, "", nil
	}
	own, found = strings.CutPrefix(rest, tagSeparator)
	if !found {
		return uuid.Nil, "", ErrNoTag
	}
	return id, own, nil
}

// FindTag reads a submission id from a job's comment or, where the site stores no comments in accounting, from its
// SubmitLine: sbatch's argv joined by spaces without quoting, so the last tag of a --comment option counts.
func FindTag(comment, submitLine string) (uuid.UUID, error) {
	if id, _, err := ParseTag(comment); err == nil {
		return id, nil
	}
	at := strings.LastIndex(submitLine, "--comment="+tagPrefix)
	if at < 0 {
		return uuid.Nil, ErrNoTag
	}
	rest := submitLine[at+len("--comment=")+len(tagPrefix):]
	if len(rest) < uuidLength {
		return uuid.Nil, ErrNoTag
	}
	id, err := uuid.Parse(rest[:uuidLength])
	if err != nil {
		return uuid.Nil, ErrNoTag
	}
	return id, nil
}
