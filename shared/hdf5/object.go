package hdf5

import (
	"slices"
	"strings"
)

// Object is a group or a dataset.
type Object struct {
	file     *File
	path     string
	addr     uint64
	messages []message
}

func (f *File) object(path string, addr uint64) (*Object, error) {
	messages, err := f.src.readHeader(addr)
	if err != nil {
		return nil, err
	}
	return &Object{file: f, path: path, addr: addr, messages: messages}, nil
}

// Path is the absolute path by which the object was opened.
func (o *Object) Path() string { return o.path }

// IsGroup says whether the object has children and no rows.
func (o *Object) IsGroup() bool {
	return o.has(msgSymbolTable) || o.has(msgLinkInfo) || o.has(msgLink)
}

// IsDataset says whether the object can have rows.
func (o *Object) IsDataset() bool { return o.has(msgLayout) }

func (o *Object) find(kind messageType) (message, bool) {
	i := slices.IndexFunc(o.messages, func(m message) bool { return m.kind == kind })
	if i < 0 {
		return message{}, false
	}
	return o.messages[i], true
}

func (o *Object) has(kind messageType) bool {
	_, ok := o.find(kind)
	return ok
}

// need returns a message that a dataset must have.
func (o *Object) need(kind messageType, what string) (*cursor, error) {
	m, ok := o.find(kind)
	if !ok {
		return nil, fail(ErrCorrupt, what, o.file.src.offset(o.addr), "%s has none", o.path)
	}
	if m.shared() {
		return nil, fail(ErrUnsupported, what, m.off, "shared message in %s", o.path)
	}
	return m.cursor(what), nil
}

// Entries lists the children of a group in the order of the file, which is that
// of their names. A dataset has none.
func (o *Object) Entries() ([]Entry, error) {
	m, ok := o.find(msgSymbolTable)
	if !ok {
		if o.IsGroup() {
			return nil, fail(ErrUnsupported, "group", o.file.src.offset(o.addr), "%s keeps links in the new style, not in a symbol table", o.path)
		}
		return nil, nil
	}
	if entries, ok := o.file.groups[o.addr]; ok {
		return entries, nil
	}
	c := m.cursor("symbol table message")
	tree, heap := c.u64(), c.u64()
	if c.err != nil {
		return nil, c.err
	}
	entries, err := o.file.src.readGroup(tree, heap)
	if err != nil {
		return nil, err
	}
	o.file.groups[o.addr] = entries
	return entries, nil
}

// Open opens a child that Entries returned.
func (o *Object) Open(e Entry) (*Object, error) {
	path := strings.TrimSuffix(o.path, "/") + "/" + e.Name
	if e.isSoft {
		return nil, fail(ErrUnsupported, "symbol table entry", -1, "%s is a soft link", path)
	}
	return o.file.object(path, e.addr)
}

// Child opens a child by name; ErrNotFound when there is none.
func (o *Object) Child(name string) (*Object, error) {
	entries, err := o.Entries()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return nil, fail(ErrNotFound, "group", o.file.src.offset(o.addr), "%s has no child %q", o.path, name)
	}
	return o.Open(entries[i])
}

// Lookup opens an object by its absolute path.
func (f *File) Lookup(path string) (*Object, error) {
	o, err := f.Root()
	for _, name := range strings.Split(path, "/") {
		if err != nil {
			return nil, err
		}
		if name != "" {
			o, err = o.Child(name)
		}
	}
	return o, err
}

// maxDepth bounds the nesting that Walk follows. Merged profiles have six levels.
const maxDepth = 32

// Walk visits the root and everything below it, parents first. An object that
// is linked twice is visited once. An error of visit ends the walk.
func (f *File) Walk(visit func(*Object) error) error {
	root, err := f.Root()
	if err != nil {
		return err
	}
	return walk(root, map[uint64]bool{}, 0, visit)
}

func walk(o *Object, seen map[uint64]bool, depth int, visit func(*Object) error) error {
	if seen[o.addr] {
		return nil
	}
	seen[o.addr] = true
	if depth > maxDepth {
		return fail(ErrLimit, "group", o.file.src.offset(o.addr), "nested deeper than %d", maxDepth)
	}
	if err := visit(o); err != nil {
		return err
	}
	entries, err := o.Entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		child, err := o.Open(e)
		if err != nil {
			return err
		}
		if err := walk(child, seen, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}
