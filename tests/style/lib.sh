# SPDX-License-Identifier: Apache-2.0
# Shared by the style tests: find sources, drop comments and strings, report one TAP line per rule.
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
cd "$top_srcdir" || exit 1
LC_ALL=C
export LC_ALL

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# sources FOLDER... : the C files there. Generated files live in the build folder and are not ours.
sources()
{
	for dir in "$@"; do
		[ ! -d "$dir" ] || find "$dir" -name '*.[ch]' -type f
	done | sort
}

# code FILE... : "FILE:LINE:text" with comments, strings and character constants blanked.
code()
{
	awk '
	function blank(s,   out, i, c, two) {
		if (state == "" && s !~ /["\047\/]/)
			return s
		out = ""
		for (i = 1; i <= length(s); i++) {
			c = substr(s, i, 1)
			two = substr(s, i, 2)
			if (state == "comment") {
				if (two == "*/") { state = ""; i++ }
			} else if (state != "") {
				if (c == "\\") i++
				else if (c == state) { state = ""; out = out c }
			} else if (two == "/*") {
				state = "comment"; out = out " "; i++
			} else if (two == "//") {
				break
			} else {
				if (c == "\"" || c == "\047") state = c
				out = out c
			}
		}
		if (state != "comment") state = ""
		return out
	}
	FNR == 1 { state = "" }
	{ print FILENAME ":" FNR ":" blank($0) }' "$@" /dev/null
}

# result NAME < offending lines: ok when there are none. It stands at the end of a pipe, in a process of
# its own, so the results go through a file.
result()
{
	bad=$(cat)
	if [ -z "$bad" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1"
		printf '%s\n' "$bad" | sed 's/^/# /'
	fi >>"$work/results"
}

# At the end of each test: the results, the plan, and an exit status for a run by hand.
finish()
{
	cat "$work/results"
	echo "1..$(grep -cE '^(not )?ok ' "$work/results")"
	! grep -q '^not ok ' "$work/results"
	exit
}
