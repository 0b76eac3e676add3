package s3store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
	"github.com/minio/minio-go/v7/pkg/sse"
)

// Attempt is what came of turning something on.
type Attempt struct {
	Name string
	Done bool
	Text string // why not, or what it does
}

// SetUp turns on what design 04 wants of a bucket: versions, encryption at rest and clean-up rules, each as far as the store
// has it and maintenance may. Rules and settings of others stay. It may be repeated. Nothing that fails here is fatal.
func (s *Store) SetUp(ctx context.Context, k Keep) []Attempt {
	list := []Attempt{s.turnOnVersioning(ctx), s.turnOnEncryption(ctx), s.setLifecycle(ctx, k)}
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	s.versions.asked = time.Time{} // ask again
	return list
}

// Keep says how long the store itself keeps what nobody needs any more, in days.
type Keep struct {
	OldVersions int // of overwritten and deleted objects: we remove them at once, this is for what we missed
	Multiparts  int // that were begun and not ended
	Exports     int
}

func outcome(name string, err error, done string) Attempt {
	switch {
	case err == nil:
		return Attempt{Name: name, Done: true, Text: done}
	case unsupported(err):
		return Attempt{Name: name, Text: "the store does not have it"}
	case denied(err):
		return Attempt{Name: name, Text: "maintenance may not change it"}
	}
	return Attempt{Name: name, Text: "the store refuses: " + minio.ToErrorResponse(err).Code}
}

// turnOnVersioning does so only where maintenance can remove old versions again: else nothing would ever be deleted.
func (s *Store) turnOnVersioning(ctx context.Context) Attempt {
	const name = "versioning"
	c, err := s.core.GetBucketVersioning(ctx, s.bucket)
	if err != nil || c.Enabled() {
		return outcome(name, err, "on")
	}
	if _, err := s.entries(ctx, probePrefix, true, func(minio.ObjectInfo) bool { return true }, 1); err != nil {
		return Attempt{Name: name, Text: "left off: maintenance may not list versions, so it could not remove them"}
	}
	return outcome(name, s.core.EnableVersioning(ctx, s.bucket), "turned on")
}

func (s *Store) turnOnEncryption(ctx context.Context) Attempt {
	const name = "encryption"
	_, err := s.core.GetBucketEncryption(ctx, s.bucket)
	if err == nil || unsupported(err) || denied(err) {
		return outcome(name, err, "on")
	}
	return outcome(name, s.core.SetBucketEncryption(ctx, s.bucket, sse.NewConfigurationSSES3()), "turned on")
}

// rulePrefix begins the ids of our rules.
const rulePrefix = "ergon-"

// setLifecycle replaces our own rules and keeps those of others. Stores differ in what they take of them (MinIO refuses to
// end multipart uploads), so each rule that is refused is left out and named.
func (s *Store) setLifecycle(ctx context.Context, k Keep) Attempt {
	const name = "lifecycle"
	c, err := s.core.GetBucketLifecycle(ctx, s.bucket)
	if err != nil && (unsupported(err) || denied(err)) {
		return outcome(name, err, "")
	}
	if err != nil || c == nil { // none was ever set
		c = lifecycle.NewConfiguration()
	}
	foreign := slices.DeleteFunc(c.Rules, func(r lifecycle.Rule) bool { return strings.HasPrefix(r.ID, rulePrefix) })
	taken, refused := foreign, []string{}
	for _, r := range rules(k) {
		next := &lifecycle.Configuration{Rules: append(slices.Clone(taken), r)}
		if err = s.core.SetBucketLifecycle(ctx, s.bucket, next); err != nil {
			refused = append(refused, r.ID)
			continue
		}
		taken = next.Rules
	}
	if len(taken) == len(foreign) {
		return outcome(name, err, "")
	}
	text := fmt.Sprintf("%d rules", len(taken)-len(foreign))
	if len(refused) > 0 {
		text += "; the store does not take " + strings.Join(refused, ", ") + ": the sweeper does that"
	}
	return Attempt{Name: name, Done: true, Text: text}
}

// rules are what a prefix can say: our keys begin with the account, so retention by class stays with the sweeper.
func rules(k Keep) []lifecycle.Rule {
	days := func(n int) lifecycle.ExpirationDays { return lifecycle.ExpirationDays(n) }
	return []lifecycle.Rule{
		{
			ID: rulePrefix + "old-versions", Status: "Enabled",
			NoncurrentVersionExpiration: lifecycle.NoncurrentVersionExpiration{NoncurrentDays: days(k.OldVersions)},
		},
		{
			ID: rulePrefix + "check", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: probePrefix},
			Expiration: lifecycle.Expiration{Days: 1},
		},
		{
			ID: rulePrefix + "exports", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: exportsPrefix},
			Expiration: lifecycle.Expiration{Days: days(k.Exports)},
		},
		{
			ID: rulePrefix + "multiparts", Status: "Enabled",
			AbortIncompleteMultipartUpload: lifecycle.AbortIncompleteMultipartUpload{DaysAfterInitiation: days(k.Multiparts)},
		},
	}
}
