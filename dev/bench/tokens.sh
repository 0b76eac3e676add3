#!/usr/bin/env bash
# tokens.sh: what each request pays for its token.
set -euo pipefail
echo '## Access tokens'
echo
echo 'Verifying one EdDSA access token, as every request does.'
echo
dev/bench/lib/gobench.sh controlplane ./internal/identity 'Verify$' -cpu 1
echo
echo '## Logins and refreshes'
echo
echo '500 logins at once over HTTP with argon2id of 19 MiB: hashes a second, how many were told to come back, the heap at most (of'
echo 'server and clients, one process), and the p99 of the server'"'"'s own /livez beside them.'
echo
dev/bench/lib/gobench.sh controlplane ./internal/app 'Login500AtOnce'
echo
echo '64 clients that rotate their refresh tokens (SQLite).'
echo
dev/bench/lib/gobench.sh controlplane ./internal/identity 'Refresh64Clients'
