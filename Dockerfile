# The relay as one static binary and nothing else. Run it with a read-only root:
#   docker run --network host --read-only -v chatrelay:/data --env-file chatrelay.env chatrelay
# README says what to set on a network of its own.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The version comes from git, when .git is part of the context.
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/chatrelay ./cmd/chatrelay \
 && mkdir -p /out/data

FROM scratch
# To verify brokers and chat servers that have a public certificate.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/chatrelay /chatrelay
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# SQLite needs no other place to write than the folder of the journal. A page on the container's own loopback could not
# be published: without a token it shows health and metrics only to who asks from outside.
ENV CHATRELAY_STORE=/data SQLITE_TMPDIR=/data CHATRELAY_HTTP_ADDR=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/chatrelay", "health"]
ENTRYPOINT ["/chatrelay"]
