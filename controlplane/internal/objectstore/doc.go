// Package objectstore is the embedded S3 store: versitygw's S3 API on a directory, in a child process.
//
// The child is a re-exec of our own binary (`ergon-server objectstore`), because versitygw's posix backend changes the
// working directory of its whole process. The parent supervises it: it restarts it with growing pauses, asks for its
// health, and holds the lock of the data directory together with it. Credentials reach the child through an inherited pipe,
// never through arguments or the environment. The child dies with its parent in any case: the kernel kills it
// (PR_SET_PDEATHSIG, prctl(2)), and it ends by itself when the pipe closes.
//
// The store knows three identities and nothing else: the put signer may only write objects, the get signer may only read
// objects, maintenance may do both, list, delete and run multiparts, and signs nothing for clients (design 03). The root
// account that versitygw wants is made anew at each start and never leaves the child.
//
// Layout of the directory: lock, keys.json (0600), settings.json (port and metadata mode, kept stable), data (the bucket),
// sidecar (only where the file system has no extended attributes). versitygw does not fsync objects: a power cut may lose
// the last seconds; use an external store where that matters.
package objectstore
