// Package breach looks for a password in a list of stolen ones that the site keeps as a file.
package breach

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the public lists are of SHA-1; it protects nothing here
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a list.
const (
	// maxPlain is the largest list of plain passwords, in bytes: it is kept in memory, 20 bytes a password.
	maxPlain = 64 << 20
	maxLine  = 1024
	// hashText is the length of a SHA-1 in hex.
	hashText = 2 * sha1.Size
)

var hashLine = regexp.MustCompile(`^[0-9A-Fa-f]{40}(:[0-9]+)?\r?$`)

// List is safe for concurrent use.
type List struct {
	path   string            // of sorted hashes, opened for each search; empty: plain
	hashes [][sha1.Size]byte // of a plain list, sorted
}

// sorted is an open file of sorted hashes.
type sorted struct {
	file io.ReaderAt
	size int64
}

// Open reads a list in one of two forms, told by its first line. Lines of SHA-1 in hex, with or without `:COUNT` behind, sorted
// (as Have I Been Pwned gives them): the file is searched where it is, whatever its size, and may be replaced by a newer one. Or one password a
// line: it is read whole, at most 64 MiB.
func Open(path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the list of breached passwords: %w", err)
	}
	defer f.Close()
	l, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("reading the list of breached passwords: %w", err)
	}
	return l, nil
}

func read(f *os.File) (*List, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, errors.New("it is empty or no file")
	}
	first, err := bufio.NewReaderSize(io.NewSectionReader(f, 0, maxLine), maxLine).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !hashLine.MatchString(strings.TrimSuffix(first, "\n")) {
		return readPlain(f, info.Size())
	}
	return &List{path: f.Name()}, sorted{f, info.Size()}.check()
}

func readPlain(f *os.File, size int64) (*List, error) {
	if size > maxPlain {
		return nil, fmt.Errorf("a list of plain passwords may have %d MiB; give sorted lines of SHA-1 instead, which have no limit", maxPlain>>20)
	}
	l := &List{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if text := bytes.TrimSuffix(lines.Bytes(), []byte("\r")); len(text) > 0 {
			l.hashes = append(l.hashes, sha1.Sum(text)) //nolint:gosec // see the import
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("a line is longer than %d bytes, or cannot be read: %w", maxLine, err)
	}
	slices.SortFunc(l.hashes, func(a, b [sha1.Size]byte) int { return bytes.Compare(a[:], b[:]) })
	l.hashes = slices.Compact(l.hashes)
	return l, nil
}

// samples is how many places of a file are compared to see that it is sorted.
const samples = 1000

// check reads lines here and there: a list that is sorted by count would hide most of its passwords.
func (l sorted) check() error {
	before := ""
	for i := range int64(samples) {
		line, _, err := l.lineAt(l.size * i / samples)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line < before {
			return errors.New("its hashes are not sorted; sort it with `LC_ALL=C sort`")
		}
		before = line
	}
	return nil
}

// Contains reports whether the list has the password.
func (l *List) Contains(password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see the import
	if l.path == "" {
		_, found := slices.BinarySearchFunc(l.hashes, sum, func(a, b [sha1.Size]byte) int { return bytes.Compare(a[:], b[:]) })
		return found, nil
	}
	f, err := os.Open(l.path)
	if err != nil {
		return false, fmt.Errorf("opening the list of breached passwords: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("opening the list of breached passwords: %w", err)
	}
	return sorted{f, info.Size()}.search(strings.ToUpper(hex.EncodeToString(sum[:])))
}

// search halves the range of bytes in which the line can begin. lo is always the beginning of a line.
func (l sorted) search(want string) (bool, error) {
	lo, hi := int64(0), l.size
	for lo < hi {
		line, next, err := l.lineFrom(lo + (hi-lo)/2)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		switch {
		case err != nil || next > hi && line > want: // no line begins in the upper half, or only later ones
			hi = lo + (hi-lo)/2
		case line == want:
			return true, nil
		case line < want:
			lo = next
		default:
			hi = lo + (hi-lo)/2
		}
	}
	return false, nil
}

// lineFrom reads the first line that begins at or after off.
func (l sorted) lineFrom(off int64) (hash string, next int64, err error) {
	if off == 0 {
		return l.lineAt(0)
	}
	return l.lineAt(off - 1)
}

// lineAt reads the first line that begins after off, or at 0 the first one; next is where the line after it begins.
func (l sorted) lineAt(off int64) (hash string, next int64, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(l.file, off, 4*maxLine), maxLine)
	if off > 0 {
		rest, err := r.ReadString('\n')
		if err != nil {
			return "", 0, err
		}
		off += int64(len(rest))
	}
	line, err := r.ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", 0, err
	}
	text := strings.TrimSuffix(line, "\n")
	if !hashLine.MatchString(text) {
		return "", 0, fmt.Errorf("the line at byte %d is no SHA-1 in hex", off)
	}
	return strings.ToUpper(text[:hashText]), off + int64(len(line)), nil
}
