package outbound

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

// Problem is an answer that is no success. Its text is safe for a terminal.
type Problem struct {
	Status     int
	Code       api.ErrorCode
	Title      string
	Detail     string
	RequestID  string
	RetryAfter time.Duration
	Quota      *api.QuotaProblem
	Fields     map[string]string
}

// Error tells what the server said.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if text == "" {
		text = http.StatusText(p.Status)
	}
	for field, message := range p.Fields {
		text += fmt.Sprintf("; %s: %s", field, message)
	}
	if p.RequestID != "" && p.Status >= 500 {
		text += " (request " + p.RequestID + ")"
	}
	return text
}

// Temporary says that the same request may work later: the server is busy, broken or limits the rate.
func (p *Problem) Temporary() bool {
	return p.Status >= 500 || p.Status == http.StatusTooManyRequests || p.Status == http.StatusRequestTimeout
}

// Check returns nil when the answer has the status want, and a *Problem otherwise. problem may be nil: an answer that
// is no problem document is described by its status alone, its body is never quoted (it may hold a token).
func Check(resp *http.Response, problem *api.Problem, want int) error {
	if resp == nil {
		return errors.New("no answer")
	}
	if resp.StatusCode == want {
		return nil
	}
	p := &Problem{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	if problem != nil && isProblem(resp) {
		fill(p, problem)
	}
	if resp.StatusCode < 400 {
		p.Detail = fmt.Sprintf("unexpected answer %d; is this an Ergon server?", resp.StatusCode)
	}
	return p
}

func isProblem(resp *http.Response) bool {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && kind == "application/problem+json"
}

func fill(p *Problem, from *api.Problem) {
	p.Code, p.Title, p.Quota = from.Code, term.Clean(from.Title), from.Quota
	if from.Detail != nil {
		p.Detail = term.Clean(*from.Detail)
	}
	if from.Instance != nil {
		p.RequestID = term.Clean(*from.Instance)
	}
	if from.RetryAfterS != nil && p.RetryAfter == 0 && *from.RetryAfterS > 0 {
		p.RetryAfter = min(time.Duration(*from.RetryAfterS)*time.Second, maxRetryAfter)
	}
	if from.Errors == nil {
		return
	}
	p.Fields = make(map[string]string, len(*from.Errors))
	for _, e := range *from.Errors {
		p.Fields[term.Clean(e.Field)] = term.Clean(e.Message)
	}
}

// maxRetryAfter caps how long a server may make us wait.
const maxRetryAfter = time.Hour

func retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// cause drops the URL that net/http puts into its errors.
func cause(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return withURL.Err
	}
	return err
}
