package httpapi

import (
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// replay says what a second call with the same Idempotency-Key gets (design 03, T29).
type replay int

const (
	noKey      replay = iota // the header is not looked at: reads, and login, refresh and device, whose answers are secrets
	sameStatus               // the status of the first call, which has no body; nothing is done again
	again                    // the handler runs again and finds what it made, so that URLs are signed anew
	secretOnce               // 409 secret_already_issued: the answer held a secret, and nobody keeps it
)

// policy is what the server demands of one operation, beside the kinds of callers that the document names. This table says
// which kinds, scopes and tokens may call what, and an operation without a row keeps the server from starting. What belongs to
// whom is decided by the features, which answer not_found for what is not the caller's. So are roles, because no operation is
// for one role alone: they widen what an answer holds (principal.SeesAllJobs, identity.AdmitManager) or what a body may ask
// for (identity.CreateEnrolment: system agents are an admin's).
type policy struct {
	token   principal.Scope // that a personal access token needs; empty: it takes a login of a person
	agent   principal.Scope // that an agent needs; empty: any agent
	cluster bool            // a login that reaches one cluster only (unix identity of a larger account) may call it
	owned   bool            // the path names something of somebody's: for anybody else it is not found
	key     replay
	audit   string // the action of the audit row that httpapi writes; empty: none, or the feature writes it
	presign bool   // counts against the exact limit of presigning
}

// Rows of the table that several operations share.
var (
	open      = policy{}
	login     = policy{} // a login of a person, and nothing less
	jobsRead  = policy{token: principal.ScopeJobsRead, cluster: true}
	jobRead   = policy{token: principal.ScopeJobsRead, cluster: true, owned: true}
	reports   = policy{agent: principal.ScopeJobsLinked}
	uploading = policy{token: principal.ScopeFilesWrite, agent: principal.ScopeJobsLinked, owned: true}
)

func (p policy) with(change func(*policy)) policy {
	change(&p)
	return p
}

// policyOf is the authorisation table.
func policyOf(operationID string) (policy, bool) {
	for _, table := range []func(string) (policy, bool){identityPolicy, filesPolicy, jobsPolicy, agentPolicy, benchwrapPolicy} {
		if p, ok := table(operationID); ok {
			return p, true
		}
	}
	return policy{}, false
}

func identityPolicy(id string) (policy, bool) {
	switch id {
	case "getLivez", "getReadyz", "getVersion", "getJwks", "register", "login", "refresh", "startDevice", "pollDevice", "enrolAgent", "agentToken", "getErasure":
		return open, true
	case "changePassword": // no key: a fingerprint of the body would be a fast hash of two passwords
		return login, true
	case "listSessions", "listTokens", "listAccounts":
		return login, true
	case "exportMe", "deleteMe":
		return policy{key: again}, true
	case "getAccountUsage":
		return policy{owned: true}, true
	case "getExport":
		return policy{owned: true, presign: true, audit: "account.presign_export"}, true
	case "logout", "disconnectOidc":
		return policy{key: sameStatus}, true
	case "revokeSession", "revokeToken", "deleteLink":
		return policy{key: sameStatus, owned: true}, true
	case "createToken", "createLinkChallenge", "createEnrolment":
		return policy{key: secretOnce}, true
	case "getMe", "listLinks", "getQuota":
		return policy{token: principal.ScopeAccountRead, cluster: true}, true
	case "listLooks":
		return policy{token: principal.ScopeAccountRead}, true
	}
	return policy{}, false
}

func filesPolicy(id string) (policy, bool) {
	switch id {
	case "listFiles":
		return policy{token: principal.ScopeFilesRead}, true
	case "getFile":
		return policy{token: principal.ScopeFilesRead, owned: true}, true
	case "presignDownload":
		return policy{token: principal.ScopeFilesRead, owned: true, presign: true, audit: "file.presign_download"}, true
	case "presignUpload":
		return policy{token: principal.ScopeFilesWrite, key: again, presign: true, audit: "file.presign_upload"}, true
	case "getUpload":
		return uploading, true
	case "presignParts":
		return uploading.with(func(p *policy) { p.key, p.presign, p.audit = again, true, "file.presign_parts" }), true
	case "completeUpload":
		return uploading.with(func(p *policy) { p.key = again }), true
	case "abortUpload":
		return uploading.with(func(p *policy) { p.key = sameStatus }), true
	case "deleteFile":
		return policy{token: principal.ScopeFilesWrite, owned: true, key: sameStatus, audit: "file.delete"}, true
	}
	return policy{}, false
}

func jobsPolicy(id string) (policy, bool) {
	switch id {
	case "listJobs", "getJobsSummary", "getFindings", "getUsage", "adviseScript":
		return jobsRead, true
	case "getJob", "listJobEvents", "getJobEfficiency", "getJobSeries", "adviseJob", "getJobArray":
		return jobRead, true
	case "listJobResults":
		return policy{token: principal.ScopeFilesRead, cluster: true, owned: true}, true
	}
	return policy{}, false
}

func agentPolicy(id string) (policy, bool) {
	switch id {
	case "getAgentSelf", "rotateAgentKey":
		return open, true
	case "unlinkUid", "postEvents", "postAccounting", "putNodes":
		return reports, true
	case "presignJobUploads":
		return reports.with(func(p *policy) { p.owned, p.presign, p.audit = true, true, "job.presign_uploads" }), true
	case "confirmLink", "exchangeUnix", "getObjection", "putObjection", "deleteObjection":
		return policy{agent: principal.ScopeIdentityAssert}, true
	case "putCoordinators":
		return policy{agent: principal.ScopeAssocReport}, true
	}
	return policy{}, false
}

// benchwrapPolicy is of the routes of the original client, which are no part of the contract; the audit rows are its own.
func benchwrapPolicy(id string) (policy, bool) {
	switch id {
	case "benchwrap.register", "benchwrap.password", "benchwrap.refresh":
		return open, true
	case "benchwrap.presign_upload":
		return policy{token: principal.ScopeFilesWrite, presign: true}, true
	case "benchwrap.presign_download":
		return policy{token: principal.ScopeFilesRead, presign: true}, true
	case "benchwrap.list":
		return policy{token: principal.ScopeFilesRead}, true
	}
	return policy{}, false
}

// permit holds a caller to the table.
func permit(op *operation, p principal.Principal) error {
	if !op.allows(p.Kind) {
		return apperr.Newf(apperr.Forbidden, "this call is not for a %s", p.Kind)
	}
	if p.Kind == principal.Agent {
		if op.agent != "" && !p.Has(op.agent) {
			return apperr.Newf(apperr.Forbidden, "this agent does not have the scope %s", op.agent).WithHint("`ergon-server admin agent scopes` gives it")
		}
		return nil
	}
	return inScope(op, p)
}

// inScope holds a token of limited rights to its scopes and its cluster.
func inScope(op *operation, p principal.Principal) error {
	if p.Scopes == nil {
		return nil
	}
	if op.token == "" || (p.Cluster != "" && !op.cluster) {
		return apperr.New(apperr.Forbidden, "this call needs a login of your own, not a token of limited rights").WithHint("log in with `ergon login`")
	}
	if !p.May(op.token) {
		return apperr.Newf(apperr.Forbidden, "this token does not have the scope %s", op.token).WithHint("`ergon token create` makes one that has")
	}
	return nil
}

// Access is a row of the authorisation table, for whoever has to know it from outside: tests that walk every route.
type Access struct {
	ID, Method, Path       string
	TokenScope, AgentScope principal.Scope
	Owned                  bool
	Signs                  bool // counts against the exact limit of presigning
}

// AccessOf finds the row of an operation; ok is false when there is none.
func AccessOf(operationID string) (a Access, ok bool) {
	p, ok := policyOf(operationID)
	return Access{ID: operationID, TokenScope: p.token, AgentScope: p.agent, Owned: p.owned, Signs: p.presign}, ok
}
