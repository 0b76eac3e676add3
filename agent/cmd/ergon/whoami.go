package main

import (
	"fmt"
	"io"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

func printMe(w io.Writer, server string, me *api.Me) {
	fmt.Fprintf(w, "Account  %s (%s) at %s\n", term.Clean(me.User.Username), term.Clean(string(me.User.Role)), server)
	if len(me.Links) == 0 {
		fmt.Fprintln(w, "Links    none; run on a login node: ergon link")
	}
	for _, l := range me.Links {
		note := ""
		if l.SelfAsserted {
			note = ", by your own agent"
		}
		if l.Suspended != nil && *l.Suspended {
			note += ", suspended: the unix account changed; ask your administrators"
		}
		fmt.Fprintf(w, "Link     %s (uid %d) on %s%s\n", term.Clean(l.UnixName), l.Uid, term.Clean(l.Cluster), note)
	}
	q := me.Quota
	fmt.Fprintf(w, "Quota    %s of %s used, %s reserved; %d of %d files\n",
		bytesText(q.UsedBytes), bytesText(q.LimitBytes), bytesText(q.ReservedBytes), q.UsedObjects, q.LimitObjects)
	if q.LimitFrom != nil {
		fmt.Fprintf(w, "         this limit is %s\n", limitFrom(q))
	}
}

// bytesText prints bytes with a binary unit.
func bytesText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// limitFrom says whose limit holds.
func limitFrom(q api.Quota) string {
	name := ""
	if q.LimitName != nil {
		name = " " + term.Clean(*q.LimitName)
	}
	switch *q.LimitFrom {
	case "user":
		return "your own"
	case "role":
		return "of the role" + name
	case "cluster":
		return "of the cluster" + name
	}
	return "the site's default"
}
