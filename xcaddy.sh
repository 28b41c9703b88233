#!/bin/sh
# Builds, runs and checks caddy-llm-proxy. Needs only Go (the version in go.mod).
#
#   ./xcaddy.sh [build] [xcaddy flags]   build ./caddy with this module and caddy-ratelimit
#   ./xcaddy.sh run [caddy run flags]    build, then serve Caddyfile.example on :9876
#   ./xcaddy.sh test [go test flags]     all tests with the race detector
#   ./xcaddy.sh storm [duration]         failing upstreams against an oracle, for 2m by default
#   ./xcaddy.sh proofs                   a day's ledgers, trouble of the request log, and cut streams, at full length
#   ./xcaddy.sh lint                     gofumpt, go vet, staticcheck, shell syntax
#   ./xcaddy.sh bench [bench flags]      CPU, latency and memory against Caddy's reverse_proxy
#   ./xcaddy.sh clients [client ...]     real agents and SDKs through the gateway (needs npm and ../shared)
#
# Every version (Caddy, xcaddy, plugins, tools) is pinned in go.mod and go.sum.
set -eu
cd "$(dirname "$0")"

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'xcaddy.sh: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null 2>&1 || die "Go is not on the PATH; install the version that go.mod names"

version() { go list -m -f '{{.Version}}' "$1"; }

build() {
	module=$(go list -m)
	caddy=$(version github.com/caddyserver/caddy/v2)
	say "building ./caddy: Caddy $caddy with $module and caddy-ratelimit (the first build takes minutes, later ones seconds)"

	# xcaddy itself is built for this machine even when GOOS or GOARCH ask for another target.
	xcaddy=$(env -u GOOS -u GOARCH -u GOARM go tool -n xcaddy)

	# With any GONOPROXY set, the go command tries the local replacement before
	# it asks a module proxy about a module that may not be published.
	export GONOPROXY="${GONOPROXY:-none}"

	# This variable replaces xcaddy's default flags, so they are repeated here.
	# The tags leave out storage drivers that Caddy itself advises to drop.
	stamp=$(git describe --tags --always --dirty 2>/dev/null || echo dev)
	export XCADDY_GO_BUILD_FLAGS="${XCADDY_GO_BUILD_FLAGS:--trimpath -tags nobadger,nomysql,nopgx -ldflags '-w -s -X $module/caddymodule.version=$stamp'}"

	"$xcaddy" build "$caddy" \
		--output ./caddy \
		--replace "$module=." \
		--with "$module/caddymodule" \
		--with "github.com/mholt/caddy-ratelimit@$(version github.com/mholt/caddy-ratelimit)" \
		"$@" >&2
	say "built ./caddy ($(du -h caddy | cut -f1))"
}

run() {
	build
	if [ -z "${CLIENT_API_KEY:-}" ] && ! grep -qs '^CLIENT_API_KEY=.' .env; then
		CLIENT_API_KEY="llm-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
		export CLIENT_API_KEY
		say "no CLIENT_API_KEY is set: made one for this run"
		say "  export CLIENT_API_KEY=$CLIENT_API_KEY"
	fi
	url="http://localhost:${LLM_PORT:-9876}"
	say "serving on $url (stop with Ctrl+C); try:"
	say "  curl $url/v1/chat/completions -H \"Authorization: Bearer \$CLIENT_API_KEY\" -H 'Content-Type: application/json' -d '{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}'"
	if [ -f .env ]; then
		set -- --envfile .env "$@"
	fi
	exec ./caddy run --config Caddyfile.example --adapter caddyfile "$@"
}

test_all() {
	say "go test -race ./... (the first run compiles Caddy with the race detector: minutes)"
	go test -race -timeout 40m "$@" ./...
	say "tests passed"
}

storm() {
	say "fault storm for ${1:-2m}: 300 requests/s, 3 failing providers"
	go test -count=1 -v -timeout 0 -run '^TestFaultStorm$' ./caddymodule -storm "${1:-2m}"
	say "every request ended as it had to"
}

proofs() {
	say "10,000 requests against three ledgers, 20 times kill -9, a locked database, a full disk and a PostgreSQL that is gone, for 30 s each; streams cut at every place"
	go test -count=1 -v -timeout 0 -run '^(TestADayInTheLife|TestB6Kill9UnderLoadTakesNoStoredRow|TestTroubleOf(TheDatabase|Postgres)HarmsNoRequest|TestAStreamCutAnywhereIsNeverTakenForWholeOnAnyPair)$' ./caddymodule \
		-day 10000 -kills 20 -logfault 30s
	say "every request is accounted for"
}

lint() {
	say "gofumpt"
	# Not '.': what the clients' run has installed is not ours to format.
	unformatted=$(go list -f '{{.Dir}}' ./... | xargs go tool gofumpt -l)
	[ -z "$unformatted" ] || die "not gofumpt-clean (run: go tool gofumpt -w .): $unformatted"
	say "go vet"
	go vet ./...
	say "staticcheck"
	go tool staticcheck ./...
	say "shell syntax"
	for script in xcaddy.sh internal/clients/run.sh; do sh -n "$script"; done
	bash -n .ci/run .ci/readme .ci/sessions
	say "lint passed"
}

bench() {
	build
	say "benchmark: llm_proxy against reverse_proxy, same upstream, same run"
	go run ./internal/bench/cmd/bench -caddy ./caddy "$@"
}

clients() {
	build
	say "real clients through the gateway"
	exec sh ./internal/clients/run.sh "$@"
}

command=${1:-build}
case $command in
build | run | storm | proofs | lint | bench | clients)
	[ $# -eq 0 ] || shift
	"$command" "$@"
	;;
test)
	shift
	test_all "$@"
	;;
help | -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0" ;;
-*) build "$@" ;;
*) die "unknown command '$command'; try: ./xcaddy.sh help" ;;
esac
