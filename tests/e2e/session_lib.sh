# SPDX-License-Identifier: Apache-2.0
# What the tests of sessions share: documents, aws ssm start-session with a client of ours in the place
# of its plugin. Sourced after lib.sh, when the sandbox runs.

# Root runs no sessions, and nobody else runs those of others.
session_user=$(id -un) run_as=false
[ "$session_user" != root ] || session_user=nobody run_as=true

# session_document NAME TYPE INPUTS [MORE] : INPUTS and MORE are members of JSON objects.
session_document()
{
	cat >"$work/documents/$1.json" <<END
{"schemaVersion": "1.0", "sessionType": "$2",
 "inputs": {"runAsEnabled": $run_as, "runAsDefaultUser": "$session_user"${3:+, $3}}${4:+, $4}}
END
}

mkdir "$work/client"
cat >"$work/client/session-manager-plugin" <<END
#!/bin/sh
exec /usr/bin/python3 "$(cd "$top_srcdir" && pwd)/tests/e2e/session_client.py" \\
	"$work/sandbox/ready.json" "$top_builddir/ssm-sandbox" "\$@"
END
chmod 755 "$work/client/session-manager-plugin"

# start_session INPUT DOCUMENT [OPTION...] : its output.
start_session()
{
	input=$1 document=$2
	shift 2
	printf '%b' "$input" | PATH=$work/client:$PATH timeout 60 "$work/sandbox/bin/aws" ssm start-session \
		--target "$instance" --document-name "$document" "$@" 2>&1
}

# state MEMBER : of the newest session.
state()
{
	ctl session | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

terminated()
{
	[ "$(state status)" = Terminated ]
}
