# make demo        shows people chatting across both networks, in a web page
# make demo-check  does the same in headless Chromium and says whether it worked
# make test        everything that has to be right before a change goes in
# make build       the relay, as bin/chatrelay
# make bench       benchmarks
# make chaos       all faults, in full length (make test has a short part of it)
# make lint        the checks of make test that run nothing
# make packages    binaries, Debian packages, image archive and checksums, in dist/
# make packages-check  does the same, tests what it made and deploy/k8s, and installs the package in an empty Debian (as root)
# make docker      the image chatrelay:latest
# make clean       removes what the others made
.PHONY: demo demo-check test build bench chaos lint packages packages-check docker clean deps-build deps-demo deps-check deps-packages deps-packages-check deps-test deps-chaos

# The machine's Go, or, where that is too old, one that it fetches.
GO ?= $(CURDIR)/scripts/go

build: deps-build
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/chatrelay ./cmd/chatrelay

# The demo brings its own broker and chat server, on free loopback ports.
demo: deps-demo demo/node_modules/.package-lock.json
	$(GO) run ./demo

demo-check: deps-check demo/node_modules/.package-lock.json
	$(GO) run ./demo -check

# npm writes this file last.
demo/node_modules/.package-lock.json: demo/package-lock.json
	cd demo && npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@

test/console/node_modules/.package-lock.json: test/console/package-lock.json
	cd test/console && npm ci --no-audit --no-fund --silent
	touch $@

test: deps-test demo/node_modules/.package-lock.json test/console/node_modules/.package-lock.json
	GO=$(GO) scripts/test

lint: deps-build
	GO=$(GO) scripts/lint

# The parts in themselves, then the relay beside the servers alone and a naive relay.
bench: deps-test
	$(GO) test -run '^$$' -bench . -benchmem $$($(GO) list ./... | grep -v -e /test/ -e /bench)
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./bench

chaos: deps-chaos
	CHATRELAY_CHAOS=full $(GO) test -count=1 -timeout 6h -v ./test/chaos

packages: deps-packages
	GO=$(GO) $(GO) run -C tools ./packages -root .. -out ../dist

packages-check: packages deps-packages-check
	GO=$(GO) scripts/lint tools
	CHATRELAY_PACKAGES=full GO=$(GO) $(GO) test -C tools -count=1 -v ./...

docker:
	docker build -t chatrelay:latest .

clean:
	rm -rf bin dist demo/node_modules demo/out test/console/node_modules

# Each installs only what is missing, and says nothing when nothing is.
deps-build:
	scripts/deps build

deps-demo:
	scripts/deps build demo

deps-check:
	scripts/deps build demo check

deps-packages:
	scripts/deps build packages

deps-packages-check:
	scripts/deps build packages packages-check

deps-test:
	scripts/deps build demo check test

deps-chaos:
	scripts/deps build demo check test chaos
