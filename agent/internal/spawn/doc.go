// Package spawn starts helper processes with the identity of the user whose files they touch.
//
// In user mode the daemon is the user and re-executes itself (Self). In system mode there are three processes of one
// binary (design 03, Process model):
//
//	parent  root, with CAP_SETUID, CAP_SETGID, CAP_KILL and no more; no network, no configuration file. RunParent.
//	broker  an account without privileges: journal, network, keys, Slurm polling. It never opens a user's file. FromParent.
//	helper  the job's user, confined by Landlock to the job's directories. HelperMain.
//
// The parent hands the broker a socket to each helper over SCM_RIGHTS. It takes user and groups from getent itself, so
// the broker can name a uid and nothing else. Names come from /usr/bin/getent because os/user without cgo reads
// /etc/passwd alone and knows no LDAP user.
package spawn
