package tariff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Feed is where a tariff is fetched from. Its URL may hold a key, so it is never shown as it is.
type Feed struct {
	Key
	Unit string
	URL  string
}

// State is what became of fetching a feed.
type State struct {
	Key
	URL                string // without what may be secret
	ETag, LastModified string
	Tried              time.Time
	Answered           *time.Time // the last time that an answer could be used, or said that nothing changed
	Failures           int64      // since then
	Error              string     // of the last try; empty when it went well
}

// States keeps them.
type States interface {
	FetchState(ctx context.Context, key Key) (State, bool, error)
	SaveFetch(ctx context.Context, s State) error
}

// Doer sends a request: *http.Client.
type Doer interface {
	Do(r *http.Request) (*http.Response, error)
}

// Fetcher fetches tariffs and imports them. What was fetched stays: a source that is away changes nothing.
type Fetcher struct {
	tariffs *Service
	store   Store
	states  States
	client  Doer
	now     func() time.Time
	log     *slog.Logger
	feeds   []Feed
	// changed is told of the time for which there are new values.
	changed func(ctx context.Context, from, to time.Time) error
}

// FetchDeps is what a fetcher works with. A nil Client is an HTTP client with the bounds of this package.
type FetchDeps struct {
	Store   Store
	States  States
	Client  Doer
	Now     func() time.Time
	Log     *slog.Logger
	Changed func(ctx context.Context, from, to time.Time) error
}

// NewFetcher checks the feeds: https, or http on this machine.
func NewFetcher(tariffs *Service, feeds []Feed, d FetchDeps) (*Fetcher, error) {
	for _, f := range feeds {
		if err := checkURL(f.URL); err != nil {
			return nil, fmt.Errorf("the address of the %s feed %w", f.Kind, err)
		}
		if err := CheckUnit(f.Kind, f.Unit); err != nil {
			return nil, err
		}
	}
	if d.Client == nil {
		d.Client = &http.Client{Timeout: fetchTimeout, CheckRedirect: redirect}
	}
	return &Fetcher{tariffs, d.Store, d.States, d.Client, d.Now, d.Log, feeds, d.Changed}, nil
}

const (
	fetchTimeout = time.Minute
	maxFetch     = 64 << 20 // of one answer
	maxRedirects = 3
	maxFaultText = 300
)

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return errors.New("is no URL") // the parser's error would quote it
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("must begin with https://")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func redirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects || checkURL(r.URL.String()) != nil {
		return errors.New("redirected too often, or away from https")
	}
	return nil
}

// shown is a URL without user, password, query and fragment.
func shown(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Run fetches every feed once. A feed that fails is noted and does not stop the others; the error is for the log.
func (f *Fetcher) Run(ctx context.Context) error {
	var faults []error
	for _, feed := range f.feeds {
		if err := f.fetch(ctx, feed); err != nil {
			faults = append(faults, fmt.Errorf("fetching %s from %s: %w", feed.Kind, shown(feed.URL), err))
		}
	}
	return errors.Join(faults...)
}

func (f *Fetcher) fetch(ctx context.Context, feed Feed) error {
	s, known, err := f.states.FetchState(ctx, feed.Key)
	if err != nil {
		return fmt.Errorf("reading its state: %w", err)
	}
	if !known || s.URL != shown(feed.URL) {
		s = State{Key: feed.Key, URL: shown(feed.URL)}
	}
	s.Tried = f.now().UTC()
	next := s // s keeps the tags of the last answer that was used: after a fault the whole answer is asked for again
	if err = f.load(ctx, feed, &next); err != nil {
		s.Failures++
		s.Error = faultText(err, feed.URL)
		return errors.Join(errors.New(s.Error), f.states.SaveFetch(ctx, s))
	}
	next.Failures, next.Error, next.Answered = 0, "", &next.Tried
	return f.states.SaveFetch(ctx, next)
}

// faultText is what may be kept of an error: no URL with its key.
func faultText(err error, secret string) string {
	text := strings.ReplaceAll(err.Error(), secret, shown(secret))
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		text = wrapped.Err.Error()
	}
	return strings.ToValidUTF8(text[:min(len(text), maxFaultText)], "?")
}

func (f *Fetcher) load(ctx context.Context, feed Feed, s *State) error {
	if isSMARD(feed.URL) {
		return f.loadSMARD(ctx, feed)
	}
	body, unchanged, err := f.get(ctx, feed.URL, s)
	if err != nil || unchanged {
		return err
	}
	return f.take(ctx, feed, body)
}

// get asks for a URL, with s only for what is new.
func (f *Fetcher) get(ctx context.Context, address string, s *State) (body []byte, unchanged bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, false, errors.New("the address cannot be used")
	}
	r.Header.Set("User-Agent", "ergon-server")
	if s != nil && s.ETag != "" {
		r.Header.Set("If-None-Match", s.ETag)
	} else if s != nil && s.LastModified != "" {
		r.Header.Set("If-Modified-Since", s.LastModified)
	}
	res, err := f.client.Do(r)
	if err != nil {
		return nil, false, err
	}
	defer res.Body.Close()
	switch {
	case s != nil && res.StatusCode == http.StatusNotModified:
		return nil, true, nil
	case res.StatusCode != http.StatusOK:
		return nil, false, fmt.Errorf("the server answers %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	}
	if body, err = io.ReadAll(io.LimitReader(res.Body, maxFetch+1)); err != nil {
		return nil, false, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxFetch {
		return nil, false, fmt.Errorf("the answer is larger than %d MiB", maxFetch>>20)
	}
	if s != nil {
		s.ETag, s.LastModified = header(res, "ETag"), header(res, "Last-Modified")
	}
	return body, false, nil
}

// header gives a header of a length that is worth keeping.
func header(res *http.Response, name string) string {
	const most = 256
	if v := res.Header.Get(name); len(v) <= most {
		return v
	}
	return ""
}

// take imports an answer.
func (f *Fetcher) take(ctx context.Context, feed Feed, body []byte) error {
	file, err := Read(bytes.NewReader(body), Options{Kind: feed.Kind})
	switch {
	case err != nil:
		return err
	case len(file.Intervals) == 0 && file.Lines > 0:
		return fmt.Errorf("no value of the answer can be used; line %d: %s", file.Faults[0].Line, file.Faults[0].Reason)
	case len(file.Intervals) == 0:
		return nil // SMARD's last file holds nothing but holes at first
	case len(file.Faults) > 0:
		f.log.WarnContext(ctx, "a fetched tariff has lines that cannot be used", "kind", feed.Kind, "lines", len(file.Faults), "first", file.Faults[0].Reason)
	}
	add := Series{Head: Head{Key: feed.Key, Unit: feed.Unit}, Intervals: file.Intervals}
	done, err := f.tariffs.Import(ctx, add)
	if apperr.Is(err, apperr.Conflict) {
		return errors.New("the stored tariff is in another currency")
	}
	if err != nil || done.Added == 0 {
		return err
	}
	last := file.Intervals[len(file.Intervals)-1]
	return f.changed(ctx, time.Unix(file.Intervals[0].From, 0), time.Unix(last.To, 0))
}

// isSMARD: the address of a series of SMARD's chart_data, …/chart_data/FILTER/REGION.
func isSMARD(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	return len(parts) >= 3 && parts[len(parts)-3] == "chart_data" && path.Ext(parts[len(parts)-1]) == ""
}
