package identity

import (
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Names are lower case ASCII, so that no two look the same and none needs quoting anywhere.
var (
	usernameForm = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,62}[a-z0-9]$`)
	clusterForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	unixForm     = regexp.MustCompile(`^[A-Za-z0-9_.@\\+-]{1,64}$`) // shadow-utils, SSSD (user@domain, DOMAIN\user)
)

// Lengths of passwords, in characters.
const (
	minPassword = 12
	maxPassword = 128
)

func checkUsername(name string) error {
	if usernameForm.MatchString(name) {
		return nil
	}
	return invalid("username", "2 to 64 of a-z 0-9 . _ -, beginning with a letter and ending with a letter or digit")
}

// checkPassword holds a new password against the length and, where the site has one, against the list of known ones.
func (s *Service) checkPassword(field, password string) error {
	n := utf8.RuneCountInString(password)
	if n < minPassword || n > maxPassword || !utf8.ValidString(password) {
		return invalid(field, "12 to 128 characters; any characters, a sentence is a good password")
	}
	if s.breached == nil {
		return nil
	}
	known, err := s.breached(password)
	if err != nil {
		return fmt.Errorf("looking in the list of breached passwords: %w", err)
	}
	if known {
		return invalid(field, "this password is in a list of stolen ones; choose another")
	}
	return nil
}

func checkCluster(name string) error {
	if clusterForm.MatchString(name) {
		return nil
	}
	return invalid("cluster", "1 to 64 of a-z 0-9 . _ -, as ClusterName in slurm.conf, in lower case")
}

func checkUnixName(name string) error {
	if unixForm.MatchString(name) {
		return nil
	}
	return invalid("unix_name", "not a login name")
}

func invalid(field, message string) error {
	return &apperr.Error{
		Code: apperr.InvalidRequest, Message: field + ": " + message,
		Fields: []apperr.Field{{Name: field, Message: message}},
	}
}
