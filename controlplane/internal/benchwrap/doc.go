// Package benchwrap serves the original client of that name, which existed before Ergon (ERGON_COMPAT_BENCHWRAP).
//
// That client asks for a URL by name alone, sends what it has with a content type of its own guess, and never says that it
// is done. So each upload is remembered here, looked at every few seconds and whenever the user lists, and settled once its
// bytes are there. Slurm's profiles (JOBID_STEP_NODE.h5) then go to the user's own job of that number and make its analysis
// due; when the server hears of the job later, they go then.
//
//	         ┌─ nothing came while the URL lived, or too much ─► lost
//	issued ──┤
//	         └─ settled ─┬─ no profile, or its job is known ───► done
//	                     └─ waiting ─ the job becomes known ───► done (also after 30 days without it)
//
// What was issued is settled whether or not the routes are on, so that switching them off loses nothing.
package benchwrap
