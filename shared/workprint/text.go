package workprint

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"

	"github.com/ergon-hpc/ergon/shared/mask"
)

// Text is what is kept of a script, or of arguments.
type Text struct {
	// Digest is 32 hexadecimal digits, of the text without secrets, Numbers and what looks like a hash.
	Digest string `json:"digest"`
	// Numbers are those that stood alone (not inside a word such as x86_64), in order, at most MaxNumbers.
	Numbers []float64 `json:"numbers,omitempty"`
}

// MaxNumbers is how many numbers of a text are kept: the first ones. The others stay in the text of the digest, so that they
// part works: nothing else would see that one of them is another.
const MaxNumbers = 64

// MaxScript is the largest script that has a print, in bytes.
const MaxScript = 256 << 10

// digestLength is that of Digest, in bytes before encoding.
const digestLength = 16

// Valid says that a text that somebody else sent could have come from this package.
func (t Text) Valid() bool {
	if len(t.Digest) != 2*digestLength || strings.Trim(t.Digest, "0123456789abcdef") != "" || len(t.Numbers) > MaxNumbers {
		return false
	}
	for _, n := range t.Numbers {
		if math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
			return false
		}
	}
	return true
}

// nothing is the digest of no arguments.
const nothing = "e3b0c44298fc1c149afbf4c8996fb924"

// Empty says that it is the print of no arguments.
func (t Text) Empty() bool { return t.Digest == nothing }

// Script is the print of a batch script; nil of one that is empty or too large. What it asks of Slurm and of Ergon, comments,
// empty lines and white space around lines do not belong to the work.
func Script(text string) *Text {
	if len(text) > MaxScript {
		return nil
	}
	var p printer
	var secrets mask.Lines
	for line := range logical(text, secrets.Open) {
		p.add(secrets.Line(line))
		p.out.WriteByte('\n')
	}
	if p.out.Len() == 0 {
		return nil
	}
	return p.text()
}

// Arguments is the print of a script's arguments, given as words joined by blanks. No arguments have one too.
func Arguments(text string) *Text {
	var p printer
	p.add(mask.Text(strings.Join(strings.Fields(text), " ")))
	return p.text()
}

// printer collects a text without its numbers.
type printer struct {
	out     strings.Builder
	numbers []float64
}

func (p *printer) text() *Text {
	sum := sha256.Sum256([]byte(p.out.String()))
	return &Text{Digest: hex.EncodeToString(sum[:digestLength]), Numbers: p.numbers}
}

// add writes a line with "#" for each hash and each number, but for numbers beyond MaxNumbers.
func (p *printer) add(line string) {
	for i := 0; i < len(line); {
		n, value, isNumber := at(line, i)
		switch {
		case n == 0:
			n = 1
			p.out.WriteByte(line[i])
		case isNumber && len(p.numbers) == MaxNumbers:
			p.out.WriteString(line[i : i+n])
		case isNumber:
			p.numbers = append(p.numbers, value)
			fallthrough
		default:
			p.out.WriteByte('#')
		}
		i += n
	}
}
