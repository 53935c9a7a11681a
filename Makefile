# bugle's chores. `make help` lists them.
.DEFAULT_GOAL := help
GO ?= go
TOOLS := .tools

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

check: peers format vet staticcheck test ## everything that must pass: format, vet, staticcheck, tests with the race detector

peers: ## install the programs that tests talk to (Debian packages; needs root)
	@./test/install-peers

format: ## fail when gofmt would change a file
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

staticcheck: $(TOOLS)/staticcheck ## staticcheck, pinned in tools/go.mod
	$(TOOLS)/staticcheck ./...

$(TOOLS)/staticcheck: tools/go.mod
	$(GO) -C tools build -o ../$(TOOLS)/staticcheck honnef.co/go/tools/cmd/staticcheck

test: ## tests, shuffled, with the race detector
	$(GO) test -race -shuffle=on -timeout 10m ./...

build: ## the binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bugle ./cmd/bugle

generate: ## prompts and the documentation made from schemas; needs flite
	$(GO) generate ./...
	$(GO) test ./internal/crossbar -run TestDocs -update

bench: ## benchmarks; docs/benchmarks.md says how to read them
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: help check peers format vet staticcheck test build generate bench
