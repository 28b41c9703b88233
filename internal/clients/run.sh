#!/bin/sh
# Drives real agents and SDKs through ./caddy and prints how many scenarios each
# of them finishes. ./xcaddy.sh clients builds ./caddy and calls this.
#
#   run.sh [option ...] [client ...]
#
#   --upstream a,b   upstreams to bring each client together with:
#                      own        speaks the client's protocol (default)
#                      openai     speaks Chat Completions, as OpenAI has it
#                      responses  speaks Responses
#                      anthropic  speaks Messages
#                      all        the last three
#                      compatible, anthropic-budget: another vendor's Chat
#                      Completions, Messages of an older model
#   --scenarios a,b  only these scenarios
#   --jobs N         clients that run at once (default 2)
#   --timeout D      how long a client may take for a scenario (default 2m)
#   --markdown       print the results as README.md beside this file has them
#   --results FILE   a line of JSON per run (default .clients/results.jsonl)
#   --direct         without the gateway: what a client cannot do by itself
#   --keep           keep the logs even if all is well
#   client ...       only these (default: all); --list names them
#
# The clients, the scripted upstream and the judge are the harness in
# ../shared/clients. The first run installs the pinned clients from npm into
# .clients (more than 1 GB for all of them).
set -eu
cd "$(dirname "$0")/../.."

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'clients: %s\n' "$*" >&2; exit 1; }
skip() { say "skipped: $*"; exit 0; }

# What speaks a protocol that the gateway serves, but for
# node-openai-responses-prev: it needs an upstream's memory
# (previous_response_id), which the gateway refuses on purpose.
all="claude-code claude-code-bearer claude-code-old codex codex-gpt codex-code
	opencode-chat opencode-anthropic opencode-responses
	node-openai-chat node-openai-chat-ns node-openai-responses node-openai-responses-ns node-anthropic node-anthropic-ns
	ai-openai-chat ai-openai-chat-ns ai-openai-responses ai-openai-responses-ns ai-anthropic ai-anthropic-ns ai-compat ai-compat-ns
	go-openai-chat go-openai-chat-ns go-openai-responses go-openai-responses-ns
	go-anthropic go-anthropic-ns go-anthropic2 go-anthropic2-ns"

# folder prints the folder of the harness's install.sh that holds a client.
folder() {
	case $1 in
	claude-code | claude-code-bearer) echo claude ;;
	claude-code-old) echo claude-old ;;
	codex*) echo codex ;;
	opencode-*) echo opencode ;;
	node-* | ai-*) echo sdks ;;
	go-*) ;; # built, not installed
	esac
}

options='' clients='' results=.clients/results.jsonl
while [ $# -gt 0 ]; do
	case $1 in
	--upstream | --scenarios | --jobs | --timeout)
		[ $# -ge 2 ] || die "$1 needs a value"
		options="$options $1 $2"
		shift
		;;
	--results)
		[ $# -ge 2 ] || die "$1 needs a value"
		results=$2
		shift
		;;
	--direct | --keep | --markdown) options="$options $1" ;;
	--list)
		printf '%s\n' $all
		exit 0
		;;
	-h | --help | help)
		sed -n '2,28s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	-*) die "unknown option '$1'; try --help" ;;
	*)
		case " $(echo $all) " in
		*" $1 "*) clients="$clients $1" ;;
		*) die "unknown client '$1'; --list names them" ;;
		esac
		;;
	esac
	shift
done
: "${clients:=$all}"

harness=../shared/clients/harness
[ -f "$harness/install.sh" ] || skip "no client harness in $harness"
for program in node npm go; do
	command -v "$program" >/dev/null 2>&1 || skip "$program is not on the PATH"
done
case $options in
*--direct*) ;;
*) [ -x ./caddy ] || die "no ./caddy; run: ./xcaddy.sh clients" ;;
esac

# The harness is copied because its build writes beside itself.
root=$PWD/.clients
mkdir -p "$root/install"
rm -rf "$root/harness"
cp -R "$harness" "$root/harness"
chmod -R u+w "$root/harness"
export HARNESS_INSTALL="$root/install" HARNESS_BIN="$root/bin" HARNESS_RUNS="$root/runs"

# install runs the one line of the harness's install.sh that installs a folder,
# unless the marker says that this very line has run.
install() {
	script=$root/harness/install-$1.sh
	awk -v folder="$1" '/^npmi [^(]/ && $2 != folder { next } /build\.sh"$/ { next } { print }' "$harness/install.sh" >"$script"
	wanted=$(awk -v folder="$1" '/^npmi [^(]/ && $2 == folder' "$harness/install.sh")
	[ -n "$wanted" ] || die "install.sh of the harness has no '$1' any more"
	marker=$root/install/.installed-$1
	[ "$(cat "$marker" 2>/dev/null)" != "$wanted" ] || return 0
	say "installing ($2): ${wanted#npmi * }"
	rm -f "$marker"
	sh "$script" >&2 || die "npm could not install them"
	printf '%s\n' "$wanted" >"$marker"
}

folders=$(for client in $clients; do folder "$client"; done | sort -u)
total=$(echo . $folders | wc -w)
step=0
for folder in . $folders; do
	step=$((step + 1))
	install "$folder" "$step of $((total))"
done

say "building the scripted upstream and the Go clients"
sh "$root/harness/build.sh" >&2
go build -o "$root/bin/clients" ./internal/clients
exec "$root/bin/clients" -harness "$root/harness" -caddy ./caddy -results "$results" $options $clients
