package insight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// errTooLarge says that a file is beyond the bounds of an analysis.
var errTooLarge = errors.New("larger than an analysis reads")

// loadProfiles reads the job's profiles within bounds. A file that cannot be used becomes a finding, so that nobody takes
// the rest for all; an error means that trying again may help.
func (s *Service) loadProfiles(ctx context.Context, list []Profile) (files []efficiency.ProfileFile, faults []efficiency.Finding, err error) {
	var total int64
	for _, p := range list {
		if s.profiles == nil {
			faults = append(faults, unread(p, errLeft))
			continue
		}
		if p.SizeBytes > s.cfg.MaxProfileBytes || total+p.SizeBytes > s.cfg.MaxJobBytes {
			faults = append(faults, unread(p, errTooLarge))
			continue
		}
		data, err := s.read(ctx, p)
		if errors.Is(err, ErrGone) {
			faults = append(faults, unread(p, ErrGone))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		total += p.SizeBytes
		file, err := parse(p, data)
		if err != nil {
			faults = append(faults, unread(p, err))
			continue
		}
		files = append(files, file)
	}
	return files, faults, nil
}

func (s *Service) read(ctx context.Context, p Profile) (data []byte, err error) {
	r, err := s.profiles.Open(ctx, p.Key)
	if err != nil {
		return nil, fmt.Errorf("opening profile %s: %w", p.Name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data, err = io.ReadAll(io.LimitReader(r, p.SizeBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading profile %s: %w", p.Name, err)
	}
	if int64(len(data)) != p.SizeBytes {
		return nil, fmt.Errorf("reading profile %s: the store gave %d bytes of %d", p.Name, len(data), p.SizeBytes)
	}
	return data, nil
}

func parse(p Profile, data []byte) (efficiency.ProfileFile, error) {
	name, err := profile.ParseFileName(path.Base(p.Name))
	if err != nil {
		return efficiency.ProfileFile{}, err
	}
	content, err := profile.Open(bytes.NewReader(data), int64(len(data)), profile.Options{})
	if err != nil {
		return efficiency.ProfileFile{}, err
	}
	return efficiency.ProfileFile{Step: name.Step, Node: name.Node, Profile: content}, nil
}

func unread(p Profile, why error) efficiency.Finding {
	return efficiency.Finding{
		Rule: efficiency.RuleUnmeasured, Severity: efficiency.Info,
		Text:     fmt.Sprintf("The profile %s was not used: %v. The numbers come from the rest.", path.Base(p.Name), why),
		Evidence: map[string]any{"file": path.Base(p.Name), "size_bytes": p.SizeBytes},
	}
}
