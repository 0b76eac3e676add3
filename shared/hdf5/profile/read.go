package profile

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/ergon-hpc/ergon/shared/hdf5"
)

// reader collects one profile. A fault in one object becomes Damage; a fault
// that concerns the whole file (a limit, the root) ends the reading.
type reader struct {
	profile  *Profile
	rowsLeft int64
	fatal    error
}

func read(f *hdf5.File, opt Options) (*Profile, error) {
	r := &reader{profile: &Profile{}, rowsLeft: opt.maxRows(f.Size())}
	root, err := f.Root()
	if err != nil {
		return nil, err
	}
	if _, err := root.Entries(); err != nil {
		return nil, err
	}
	if f.DeclaredSize() > uint64(f.Size()) {
		r.damage("/", 0, &hdf5.FormatError{
			Structure: "file", Offset: f.Size(), Kind: hdf5.ErrTruncated,
			Detail: "the superblock gives " + strconv.FormatUint(f.DeclaredSize(), 10) + " bytes: the file was cut or is being written",
		})
	}
	r.file(root)
	return r.result()
}

func (r *reader) result() (*Profile, error) {
	if r.fatal != nil {
		return nil, r.fatal
	}
	if r.profile.State == Empty && len(r.profile.Damage) > 0 {
		return nil, r.profile.Damage[0].Err
	}
	return r.profile, nil
}

// damage records a fault. The first that says ErrLimit ends the reading.
func (r *reader) damage(path string, rows int, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, hdf5.ErrLimit) {
		r.fatal = err
	}
	r.profile.Damage = append(r.profile.Damage, Damage{Path: path, Rows: rows, Err: err})
}

// file tells a merged file from one of a node and a step.
func (r *reader) file(root *hdf5.Object) {
	if !isMerged(root) {
		r.profile.Steps = []Step{{Nodes: r.nodes(root)}}
		return
	}
	r.profile.Merged = true
	steps, err := root.Child("Steps")
	if err != nil {
		r.damage("/Steps", 0, err)
		return
	}
	r.children(steps, func(name string, step *hdf5.Object) {
		nodes, err := step.Child("Nodes")
		if err != nil {
			r.damage(step.Path()+"/Nodes", 0, err)
			return
		}
		r.profile.Steps = append(r.profile.Steps, Step{Name: name, Nodes: r.nodes(nodes)})
	})
	slices.SortStableFunc(r.profile.Steps, func(a, b Step) int { return numericOrder(a.Name, b.Name) })
}

// isMerged looks for the attribute that sh5util writes, or for a child "Steps"
// that is not a node.
func isMerged(root *hdf5.Object) bool {
	if hasAttribute(root, "Number of Steps") {
		return true
	}
	steps, err := root.Child("Steps")
	return err == nil && !hasAttribute(steps, "Node Name")
}

func hasAttribute(o *hdf5.Object, name string) bool {
	attrs, err := o.Attributes()
	return err == nil && slices.ContainsFunc(attrs, func(a hdf5.Attribute) bool { return a.Name == name })
}

// children visits the children of a group.
func (r *reader) children(o *hdf5.Object, visit func(name string, child *hdf5.Object)) {
	entries, err := o.Entries()
	r.damage(o.Path(), 0, err)
	for _, e := range entries {
		if r.fatal != nil {
			return
		}
		child, err := o.Open(e)
		if err != nil {
			r.damage(o.Path()+"/"+e.Name, 0, err)
			continue
		}
		visit(e.Name, child)
	}
}

func (r *reader) nodes(parent *hdf5.Object) (nodes []Node) {
	r.children(parent, func(name string, o *hdf5.Object) {
		if !o.IsGroup() {
			r.damage(o.Path(), 0, unsupported(o.Path()+" stands where Slurm has a node: this is another kind of HDF5 file"))
			return
		}
		nodes = append(nodes, r.node(name, o))
	})
	return nodes
}

func (r *reader) node(name string, o *hdf5.Object) Node {
	n := Node{Name: name}
	r.attributes(&n, o)
	r.children(o, func(name string, child *hdf5.Object) {
		switch name {
		case "Tasks":
			r.tasks(&n, child)
		case "Energy":
			n.Energy = r.energy(child)
		case "Network":
			n.Network = r.network(child)
		case "Filesystem":
			n.Filesystem = r.filesystem(child)
		default:
			n.Unread = append(n.Unread, name)
		}
	})
	if n.StartTime == "" && len(n.Tasks) == 0 && n.Energy == nil && n.Network == nil && n.Filesystem == nil {
		r.damage(o.Path(), 0, unsupported(o.Path()+" has neither the attributes nor the series of a node of a Slurm profile"))
	}
	return n
}

func unsupported(detail string) error {
	return &hdf5.FormatError{Structure: "profile", Offset: -1, Kind: hdf5.ErrUnsupported, Detail: detail}
}

func (r *reader) attributes(n *Node, o *hdf5.Object) {
	attrs, err := o.Attributes()
	r.damage(o.Path(), 0, err)
	for _, a := range attrs {
		switch a.Name {
		case "Node Name":
			if text, ok := a.Text(); ok && text != "" {
				n.Name = text
			}
		case "Start Time":
			n.StartTime, _ = a.Text()
		case "Node Index":
			n.Index = number(a)
		case "CPUs per Task":
			n.CPUsPerTask = number(a)
		case "Number of Tasks":
			n.TaskCount = number(a)
		}
	}
}

func number(a hdf5.Attribute) *int64 {
	if v, ok := a.Int(); ok {
		return &v
	}
	return nil
}

func (r *reader) tasks(n *Node, group *hdf5.Object) {
	r.children(group, func(id string, o *hdf5.Object) {
		s := TaskSeries{ID: id}
		if r.series(o, s.wanted()) {
			n.Tasks = append(n.Tasks, s)
		}
	})
	slices.SortStableFunc(n.Tasks, func(a, b TaskSeries) int { return numericOrder(a.ID, b.ID) })
}

func (r *reader) energy(o *hdf5.Object) *EnergySeries {
	var s EnergySeries
	if !r.series(o, s.wanted()) {
		return nil
	}
	return &s
}

func (r *reader) network(o *hdf5.Object) *NetworkSeries {
	var s NetworkSeries
	if !r.series(o, s.wanted()) {
		return nil
	}
	s.SuspectSwapped = s.suspectSwapped()
	return &s
}

func (r *reader) filesystem(o *hdf5.Object) *FilesystemSeries {
	var s FilesystemSeries
	if !r.series(o, s.wanted()) {
		return nil
	}
	s.SuspectCumulative = s.suspectCumulative()
	return &s
}

// series fills the wanted columns; false means that there is nothing to keep.
func (r *reader) series(o *hdf5.Object, wanted []want) bool {
	if r.fatal != nil {
		return false
	}
	d, err := o.Dataset()
	if err != nil {
		r.damage(o.Path(), 0, err)
		return false
	}
	if r.rowsLeft -= int64(min(d.Len(), 1<<62)); r.rowsLeft < 0 {
		r.fatal = &hdf5.FormatError{Structure: "profile", Offset: -1, Kind: hdf5.ErrLimit, Detail: "more rows than Options.MaxRows allows, at " + o.Path()}
		return false
	}
	rows, err := fill(d, wanted)
	r.damage(o.Path(), rows, err)
	if rows > 0 {
		r.profile.State = HasData
	}
	return err == nil || rows > 0
}

// fill reads the whole dataset, or the rows before a fault.
func fill(d *hdf5.Dataset, wanted []want) (rows int, err error) {
	cells := bind(d, wanted)
	if len(cells) == 0 {
		return 0, unsupported(d.Path() + " has no member of a Slurm profile")
	}
	reader, err := d.Read()
	if err != nil {
		return 0, err
	}
	for {
		batch, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		for _, c := range cells {
			c.add(batch)
		}
		rows += batch.N
	}
}

// numericOrder sorts numbers by value and before words.
func numericOrder(a, b string) int {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	switch {
	case errX == nil && errY == nil && x != y:
		return cmp.Compare(x, y)
	case errX == nil && errY != nil:
		return -1
	case errX != nil && errY == nil:
		return 1
	}
	return cmp.Compare(a, b)
}
