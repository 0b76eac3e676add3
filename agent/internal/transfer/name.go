package transfer

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/safename"
)

// LocalName makes a stored name safe as a relative path here: a name that is absolute, climbs, or holds characters that
// a terminal would act on is written with its odd bytes as _HH.
func LocalName(name string) string {
	if p, err := safename.Parse(name); err == nil && term.Clean(name) == name {
		return p.String()
	}
	var parts []string
	for segment := range strings.SplitSeq(name, "/") {
		if segment != "" {
			parts = append(parts, plainSegment(segment))
		}
	}
	if len(parts) > safename.MaxDepth || len(parts) == 0 {
		return plainSegment(name)
	}
	return strings.Join(parts, "/")
}

func plainSegment(segment string) string {
	if segment == "" { // a server should not say so
		return "_"
	}
	if strings.Trim(segment, ".") == "" {
		return strings.Repeat("_2E", min(len(segment), 8))
	}
	return safename.Segment(segment, safename.MaxSegment-64) // room for an id behind it
}

// Item is a stored object and the relative path that it gets here.
type Item struct {
	Object api.FileObject
	Path   string
}

// Layout gives every object a path of its own. A later attempt of a job has a directory of its own; of several objects
// with one name the newest gets the plain name, the others part of their id, and so does a name that would have to be a
// file and a directory.
func Layout(objects []api.FileObject) []Item {
	newest := slices.Clone(objects)
	slices.SortStableFunc(newest, func(a, b api.FileObject) int { return b.CreatedAt.Compare(a.CreatedAt) })
	files, dirs := map[string]bool{}, map[string]bool{}
	items := make([]Item, 0, len(newest))
	for _, o := range newest {
		p := LocalName(o.Name)
		if attempt := value(o.Attempt); attempt > 0 {
			p = path.Join(fmt.Sprintf("attempt-%d", attempt), p)
		}
		if files[p] || dirs[p] || below(files, p) {
			if below(files, p) || len(path.Base(p)) > safename.MaxSegment-64 {
				p = plainSegment(p)
			}
			p += "." + o.Id.String()
		}
		files[p] = true
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
		items = append(items, Item{Object: o, Path: p})
	}
	slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(a.Path, b.Path) })
	return items
}

// below says that one of the files stands where p needs a directory.
func below(files map[string]bool, p string) bool {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if files[dir] {
			return true
		}
	}
	return false
}
