package storage

import (
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/safename"
)

const (
	maxNameBytes       = 1024
	maxContentType     = 128
	defaultContentType = "application/octet-stream"
	versionHex         = 12
)

// userKey is the key of a user's own file. The name is one segment, slashes escaped.
func userKey(userID string, id uuid.UUID, name string) string {
	lead := id.String() + "_"
	return userID + "/" + lead + safename.Segment(name, safename.MaxSegment-len(lead))
}

// JobPrefix is where the outputs of all attempts of a job lie.
func JobPrefix(userID string, jobID uuid.UUID) string {
	return userID + "/jobs/" + jobID.String() + "/"
}

// jobKeys are the key of a path and the one to use when that was given out before.
func jobKeys(userID string, job JobRef, class Class, path safename.RelPath, id uuid.UUID) (plain, spare string) {
	prefix := JobPrefix(userID, job.ID) + strconv.Itoa(int(job.Attempt)) + "/" + string(class) + "/"
	version := strings.ReplaceAll(id.String(), "-", "")
	return prefix + path.Encode(""), prefix + path.Encode(version[len(version)-versionHex:])
}

// checkName accepts what a user calls a file: any text of 1 to 1024 bytes without NUL.
func checkName(name string) error {
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return invalid("name", "a name is 1 to 1024 bytes of UTF-8 without NUL")
	}
	return nil
}

// checkPath accepts the relative path of a job's output.
func checkPath(path string) (safename.RelPath, error) {
	p, err := safename.Parse(path)
	if err != nil {
		return safename.RelPath{}, invalid("path", err.Error())
	}
	return p, nil
}

// contentType accepts a media type (RFC 9110 §8.3), or chooses the general one.
func contentType(text string) (string, error) {
	if text == "" {
		return defaultContentType, nil
	}
	media, params, err := mime.ParseMediaType(text)
	formatted := mime.FormatMediaType(media, params)
	if err != nil || formatted == "" || len(formatted) > maxContentType || !strings.Contains(media, "/") {
		return "", invalid("content_type", "not a media type such as text/plain")
	}
	return formatted, nil
}

func checkSize(size int64) error {
	if size < 0 || size > MaxObjectBytes {
		e := apperr.New(apperr.TooLarge, "an object has 0 bytes to 5 TiB")
		e.Fields = []apperr.Field{{Name: "size", Message: "must be between 0 and 5497558138880"}}
		return e
	}
	return nil
}

func invalid(field, message string) *apperr.Error {
	e := apperr.Newf(apperr.InvalidRequest, "%s: %s", field, message)
	e.Fields = []apperr.Field{{Name: field, Message: message}}
	return e
}
