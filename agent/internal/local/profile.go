package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// named gives a profile the step and node of its file name, and the job's number, "" when the name does not tell.
func named(name string, p *profile.Profile) (file efficiency.ProfileFile, job string) {
	file.Profile = p
	parsed, err := profile.ParseFileName(filepath.Base(name))
	if err != nil {
		return file, ""
	}
	file.Step, file.Node = parsed.Step, parsed.Node
	return file, strconv.FormatUint(uint64(parsed.JobID), 10)
}

// readProfile reads a profile and tells warn of what is damaged in it.
func readProfile(name string, r io.ReaderAt, size int64, warn func(string)) (*profile.Profile, error) {
	p, err := profile.Open(r, size, profile.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s is a damaged or foreign HDF5 file: %w", name, err)
	}
	for _, d := range p.Damage {
		warn(fmt.Sprintf("%s: %s is damaged after %d rows, the rest of it is left out: %v", name, d.Path, d.Rows, d.Err))
	}
	return p, nil
}

// profileIndex knows the profiles in one directory by Slurm's number of the job.
type profileIndex map[string][]string

// indexProfiles lists dir once: arrays of thousands of tasks ask for thousands of jobs.
func indexProfiles(dir string) (profileIndex, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing profiles in %s: %w", dir, err)
	}
	index := profileIndex{}
	for _, e := range entries {
		if parsed, err := profile.ParseFileName(e.Name()); err == nil && e.Type().IsRegular() {
			job := strconv.FormatUint(uint64(parsed.JobID), 10)
			index[job] = append(index[job], filepath.Join(dir, e.Name()))
		}
	}
	return index, nil
}

// of opens every profile of a job. Files that cannot be read are told to warn and left out.
func (x profileIndex) of(job string, warn func(string)) (all []efficiency.ProfileFile) {
	for _, name := range x[job] {
		p, err := openProfile(name, warn)
		if err != nil {
			warn(fmt.Sprintf("profile left out: %v", err))
			continue
		}
		file, _ := named(name, p)
		all = append(all, file)
	}
	return all
}

func openProfile(name string, warn func(string)) (p *profile.Profile, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, openError(name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > maxInput {
		return nil, fmt.Errorf("%s is larger than %d GiB", name, maxInput>>30)
	}
	return readProfile(name, f, st.Size(), warn)
}
