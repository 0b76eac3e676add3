package submit

import (
	"cmp"
	"os"
	"os/user"
	"strconv"
)

// UserName is for messages and directories only; who somebody is the kernel tells. os/user knows /etc/passwd alone, so
// the environment comes second and the number last.
func UserName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), os.Getenv("LOGNAME"), strconv.Itoa(os.Getuid()))
}
