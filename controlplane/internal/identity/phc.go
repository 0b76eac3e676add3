package identity

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params are the cost of argon2id (RFC 9106).
type Params struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// Caps on what a stored hash may ask for, checked before anything is allocated: a forged row must not take the server down.
const (
	maxMemoryKiB = 256 << 10
	maxTime      = 10
	maxThreads   = 4
	saltBytes    = 16
	keyBytes     = 32
	maxPHC       = 256
)

// phc is a password hash in the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$hash, base64 without padding.
type phc struct {
	params Params
	salt   []byte
	key    []byte
}

var errPHC = errors.New("the stored password hash is not one of ours")

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.params.MemoryKiB, p.params.Time, p.params.Threads, b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

// parsePHC reads exactly the form that String writes and nothing more liberal.
func parsePHC(text string) (phc, error) {
	parts := strings.Split(text, "$")
	if len(text) > maxPHC || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return phc{}, errPHC
	}
	params, err := parseParams(parts[3])
	if err != nil {
		return phc{}, err
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, err1 := b64.DecodeString(parts[4])
	key, err2 := b64.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return phc{}, errPHC
	}
	p := phc{params: params, salt: salt, key: key}
	if p.String() != text { // base64 reads over line breaks
		return phc{}, errPHC
	}
	return p, nil
}

func parseParams(text string) (Params, error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return Params{}, errPHC
	}
	var v [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(parts[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
			return Params{}, errPHC
		}
		v[i] = n
	}
	if v[0] < 8*v[2] || v[0] > maxMemoryKiB || v[1] < 1 || v[1] > maxTime || v[2] < 1 || v[2] > maxThreads {
		return Params{}, errPHC
	}
	return Params{MemoryKiB: uint32(v[0]), Time: uint32(v[1]), Threads: uint8(v[2])}, nil
}

func derive(password string, p Params, salt []byte, size int) []byte {
	return argon2.IDKey([]byte(password), salt, p.Time, p.MemoryKiB, p.Threads, uint32(size))
}

// matches compares in constant time.
func (p phc) matches(password string) bool {
	got := derive(password, p.params, p.salt, len(p.key))
	return subtle.ConstantTimeCompare(got, p.key) == 1
}
