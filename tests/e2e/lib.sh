# SPDX-License-Identifier: Apache-2.0
# For the end to end tests and the demo: a sandbox and an agent on free loopback ports below one
# temporary folder, and what is needed to ask them. Sourced; plain sh.

: "${top_srcdir:?}" "${top_builddir:?}"
sandbox_pid= agent_pid= aws_pid= work=
plugin_host=${SSM_HOST:-$top_builddir/ssm-plugin-host} # another build's, to see that it does as well
tap_n=0

# The environment of whoever runs us must not decide anything.
for name in $(env | sed -n 's/^\(AWS_[A-Z0-9_]*\|ECS_[A-Z0-9_]*\|[A-Za-z]*_proxy\|[A-Z]*_PROXY\)=.*/\1/p'); do
	unset "$name"
done
LANG=C.UTF-8 LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LANG LC_ALL PATH

# ------------------------------------------------------------------- TAP

ok()
{
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $*"
}

not_ok()
{
	tap_n=$((tap_n + 1))
	echo "not ok $tap_n - $*"
}

# is GOT WANTED NAME
is()
{
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3"
		printf '%s\n' "got:    $1" "wanted: $2" | sed 's/^/# /'
	fi
}

# has TEXT PATTERN NAME; PATTERN as of case
has()
{
	# shellcheck disable=SC2254
	case $1 in
	$2) ok "$3" ;;
	*)
		not_ok "$3"
		printf '%s\n' "$1" "lacks: $2" | head -40 | sed 's/^/# /'
		;;
	esac
}

# true_that NAME COMMAND...
true_that()
{
	what=$1
	shift
	if "$@"; then ok "$what"; else not_ok "$what"; fi
}

done_testing()
{
	echo "1..$tap_n"
}

bail()
{
	echo "Bail out! $*"
	[ -z "$work" ] || tail -n 20 "$work"/*.log 2>/dev/null | sed 's/^/# /'
	exit 1
}

# tap_program NAME SECONDS : tests/e2e/NAME.py speaks TAP without numbers and a plan.
tap_program()
{
	timeout "$2" /usr/bin/python3 "$top_srcdir/tests/e2e/$1.py" "$work/sandbox/ready.json" \
		"$top_builddir/ssm-sandbox" >"$work/lines" 2>"$work/trace.log"
	status=$?
	while read -r line; do
		tap_n=$((tap_n + 1))
		case $line in
		\#*) tap_n=$((tap_n - 1)) && echo "$line" ;;
		ok*) echo "ok $tap_n${line#ok}" ;;
		*) echo "not ok $tap_n${line#not ok}" ;;
		esac
	done <"$work/lines"
	is "$status" 0 "it came to its end"
	[ $status = 0 ] || sed 's/^/# /' "$work/trace.log"
	[ $status = 0 ] || tail -n 30 "$work/agent.log" | sed 's/^/# /'
}

# ------------------------------------------------------------- processes

cleanup()
{
	[ -z "$agent_pid" ] || kill "$agent_pid" 2>/dev/null
	[ -z "$sandbox_pid" ] || kill "$sandbox_pid" 2>/dev/null
	[ -z "$aws_pid" ] || kill "$aws_pid" 2>/dev/null
	wait 2>/dev/null
	[ -z "$work" ] || { chmod -R u+rwx "$work" 2>/dev/null; rm -rf "$work"; }
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

new_work()
{
	work=$(mktemp -d "${TMPDIR:-/tmp}/ssm-e2e.XXXXXX") || exit 1
	chmod 700 "$work"
	mkdir "$work/plugins" "$work/documents" "$work/root"
	chmod 755 "$work/plugins"
	plugin_from_build runCommand
}

# With its snippet, which says what it may ask for.
plugin_from_build()
{
	mkdir -p "$work/root/etc/ssm/conf.d"
	for snippet in "$top_srcdir/conf.d"/*-"$1".conf; do
		[ ! -e "$snippet" ] || cp "$snippet" "$work/root/etc/ssm/conf.d/"
	done
	case $("$plugin_host" --builtin) in
	*"\"name\":\"$1\""*) return ;;
	esac
	cp "$top_builddir/plugins/.libs/$1.so" "$work/plugins/$1.so" 2>/dev/null ||
		cp "$top_builddir/plugins/$1/.libs/$1.so" "$work/plugins/$1.so" ||
		bail "the plugin $1 is not built"
	chmod 644 "$work/plugins/$1.so"
}

# wait_until SECONDS COMMAND... : polls; true as soon as the command is. The longer it takes, the rarer
# it asks: what waits for a minute leaves the processor to others.
wait_until()
{
	left=$(($1 * 20)) asked=0
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $left -gt 0 ] || return 1
		asked=$((asked + 1))
		case $asked in
		? | ??) left=$((left - 1)) && sleep 0.05 ;;
		*) left=$((left - 10)) && sleep 0.5 ;;
		esac
	done
}

# The aws command line, loaded once.
start_aws()
{
	SSM_SANDBOX_AWS=$top_srcdir/tests/e2e/aws.py SSM_TEST_AWS_SOCKET=$work/aws.sock
	export SSM_SANDBOX_AWS SSM_TEST_AWS_SOCKET
	/usr/bin/python3 "$SSM_SANDBOX_AWS" serve "$SSM_TEST_AWS_SOCKET" &
	aws_pid=$!
}

# start_sandbox [OPTION...]
start_sandbox()
{
	[ -n "$aws_pid" ] || start_aws
	"$top_builddir/ssm-sandbox" --root "$work/sandbox" --documents "$work/documents" \
		--builtin-documents "$top_srcdir/sdk/sandbox/documents" "$@" \
		>"$work/sandbox.out" 2>"$work/sandbox.log" &
	sandbox_pid=$!
	wait_until 20 test -s "$work/sandbox/ready.json" || bail "the sandbox does not start"
	endpoint=$(sed -n 's/.*"endpoint": *"\([^"]*\)".*/\1/p' "$work/sandbox/ready.json")
	instance=$(sed -n 's/.*"instance": *"\([^"]*\)".*/\1/p' "$work/sandbox/ready.json")
	ecs_full_uri=$(sed -n 's/.*"ecs_full_uri": *"\([^"]*\)".*/\1/p' "$work/sandbox/ready.json")
	AWS_EC2_METADATA_SERVICE_ENDPOINT=$endpoint
	export AWS_EC2_METADATA_SERVICE_ENDPOINT
}

# agent_command [OPTION...] : the agent's options for this work folder, one a line.
agent_options()
{
	printf '%s\n' "--root=$work/root" -o "Mds.Endpoint=$endpoint" -o "Ssm.Endpoint=$endpoint" \
		-o "Paths.Plugins=$work/plugins" -o "Paths.Host=$plugin_host" \
		-o Log.Target=stderr -o Log.Level=debug
}

# start_agent [OPTION...] ; waits until it polls.
start_agent()
{
	spawn_agent "$@"
	ctl wait-node new_polls=1 timeout_ms=30000 >/dev/null || bail "the agent does not poll"
}

spawn_agent()
{
	old_ifs=$IFS
	IFS='
'
	# shellcheck disable=SC2046
	set -- $(agent_options) "$@"
	IFS=$old_ifs
	"$top_builddir/ssm-agent" "$@" >>"$work/agent.log" 2>&1 &
	agent_pid=$!
}

stop_agent()
{
	kill "${1:--TERM}" "$agent_pid" 2>/dev/null
	wait "$agent_pid" 2>/dev/null
	status=$?
	agent_pid=
	return $status
}

# own_end SECONDS : the status with which the agent ends by itself; after that time it is killed.
own_end()
{
	# It may be a zombie, or reaped already by the shell, which keeps its status.
	wait_until "$1" sh -c "! grep -q ') [^Z] ' /proc/$agent_pid/stat"
	stop_agent -KILL
}

ctl()
{
	"$top_builddir/ssm-sandbox" ctl "$work/sandbox" "$@"
}

ssmctl()
{
	SSM_AGENT_PROGRAM="$top_builddir/ssm-agent" "$top_builddir/ssmctl" --root "$work/root" \
		-o "Mds.Endpoint=$endpoint" -o "Ssm.Endpoint=$endpoint" "$@"
}

# -------------------------------------------------------------- operator

aws_ssm()
{
	"$work/sandbox/bin/aws" ssm "$@"
}

# run_script SCRIPT [send-command option...] : sends it, prints the command id.
run_script()
{
	script=$1
	shift
	parameters=$(printf '%s' "$script" | python3 -c '
import json, sys
print(json.dumps({"commands": sys.stdin.read().split("\n")}))')
	aws_ssm send-command --instance-ids "$instance" --document-name AWS-RunShellScript \
		--parameters "$parameters" --query Command.CommandId --output text "$@"
}

# wait_final COMMAND [SECONDS]
wait_final()
{
	ctl wait command="$1" timeout_ms=$((${2:-60} * 1000)) >/dev/null
}

# invocation COMMAND QUERY : of get-command-invocation, as text.
invocation()
{
	aws_ssm get-command-invocation --instance-id "$instance" --command-id "$1" --query "$2" \
		--output text
}

# command_status COMMAND : of the invocation as a whole, whatever its steps.
command_status()
{
	aws_ssm list-command-invocations --command-id "$1" --query 'CommandInvocations[0].Status' --output text
}
