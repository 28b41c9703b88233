# syntax=docker/dockerfile:1

# The version of Go is the one in go.mod; all others are pinned there too.
FROM golang:1.26-bookworm AS build
ENV GOCACHE=/go/build-cache
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build-cache \
    ./xcaddy.sh build
# scratch has no mkdir; the directories must belong to the user that writes them.
RUN mkdir -p /rootfs/data /rootfs/config

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /rootfs/ /
COPY --from=build /src/caddy /usr/bin/caddy
COPY Caddyfile.example /etc/caddy/Caddyfile
COPY config/providers /etc/caddy/llm/providers
COPY config/models /etc/caddy/llm/models
ENV XDG_CONFIG_HOME=/config \
    XDG_DATA_HOME=/data \
    LLM_CONFIG=/etc/caddy/llm \
    LLM_DATABASE=/data/llm.db
VOLUME /config /data
EXPOSE 9876
USER 65532:65532
# There is no shell and no curl in the image; the binary asks itself.
HEALTHCHECK --interval=30s --timeout=11s --start-period=10s \
    CMD ["/usr/bin/caddy", "llm-proxy", "health"]
ENTRYPOINT ["/usr/bin/caddy"]
CMD ["run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
