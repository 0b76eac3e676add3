package insight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Tariffs tells what was in force on a cluster from from to to; nil is not known.
type Tariffs interface {
	Tariffs(ctx context.Context, cluster string, from, to time.Time) (price, carbon *efficiency.Tariff, err error)
}

// Sites are what sites say of their clusters, by name.
type Sites map[string]*efficiency.Cluster

// maxSiteFile is far above a file that names each node of the largest cluster.
const maxSiteFile = 16 << 20

// ReadSites reads NAME.json of each cluster from a directory. One bad file is an error: it would silently change numbers.
func ReadSites(dir fs.FS) (Sites, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("listing the directory of cluster files: %w", err)
	}
	sites := Sites{}
	var faults []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || e.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		c, err := readSite(dir, e.Name())
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", e.Name(), err))
			continue
		}
		sites[name] = c
	}
	return sites, errors.Join(faults...)
}

func readSite(dir fs.FS, name string) (*efficiency.Cluster, error) {
	st, err := fs.Stat(dir, name)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxSiteFile {
		return nil, fmt.Errorf("larger than %d MiB", maxSiteFile>>20)
	}
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	return efficiency.ParseCluster(text)
}

// energy is what the site says about the energy of a job.
type energy struct {
	price, carbon *efficiency.Tariff
	site          *efficiency.Cluster
	company       company
}

// slack is how far a profile's clock may be off the job's times.
const slack = time.Hour

func (s *Service) energy(ctx context.Context, m Material) (e energy, err error) {
	e.site = s.cfg.Sites[m.ClusterName]
	from, to, ok := m.span()
	if s.cfg.Tariffs == nil || !ok {
		return e, nil
	}
	e.price, e.carbon, err = s.cfg.Tariffs.Tariffs(ctx, m.ClusterName, from.Add(-slack), to.Add(slack))
	return e, err
}

// span is the time from the first start to the last end in the rows, for a job that runs to what it has elapsed.
func (m Material) span() (from, to time.Time, ok bool) {
	for _, r := range m.Rows {
		start, started := r.Record.Time("Start").Value()
		if !started {
			continue
		}
		end, ended := r.Record.Time("End").Value()
		if !ended || end.Before(start) {
			elapsed, _ := r.Record.Elapsed().Seconds()
			end = start.Add(time.Duration(min(elapsed, 1e9) * float64(time.Second)))
		}
		if !ok || start.Before(from) {
			from = start
		}
		if !ok || end.After(to) {
			to = end
		}
		ok = true
	}
	return from, to, ok
}

// digest names what the site says; empty when it says nothing. It is that of the part in force during the job: values for
// other times change nothing.
func (e energy) digest() string {
	if e.price == nil && e.carbon == nil && e.site == nil {
		return ""
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, part := range []any{e.price, e.carbon, e.site} {
		if err := enc.Encode(part); err != nil {
			fmt.Fprintf(h, "%v", err) // numbers were checked when they came in
		}
	}
	fmt.Fprint(h, e.company.digest)
	return hex.EncodeToString(h.Sum(nil)) + "\n"
}
