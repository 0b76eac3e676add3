package app

// hostile are names that would do harm where text is pasted into SQL, into a log or onto a terminal.
var hostile = []string{
	"'; DROP TABLE users; --", `" OR 1=1 --`, "x'); DELETE FROM audit; --", "%27%20OR%201=1", "a\nlevel=ERROR msg=forged", "\x1b[2J\x1b]0;owned\x07", "$1 ? {0}", "\\",
}
