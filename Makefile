# What the README says, and .ci/run, are these commands.
.PHONY: test run explore flagship bench budgets fuzz lint

test: ## every test, with the race detector and in a random order
	go test -race -shuffle=on ./...
	go test -run '^Test(Clips|Table)$$' ./internal/ambience ./internal/vad  # what only computes is skipped above

run: ## a first conversation, without a key
	go run ./examples/support

explore: ## the search for orderings, and random conversations, in full (with the race detector both are shorter)
	PARLEY_CHAOS=2000 go test -count=1 -run '^Test(Explore|Chaos)' .

flagship: ## the ten-minute conversation: the same log in 1,000 runs on 1, 2 and 8 processors, and nothing lost in 10,000 orderings (hours)
	PARLEY_FLAGSHIP_RUNS=1000 go test -count=1 -cpu 1,2,8 -timeout 3h -v -run '^TestFlagship$$' .
	PARLEY_FLAGSHIP_RUNS=1000 go test -count=1 -cpu 1,2,8 -timeout 6h -v -race -run '^TestFlagship$$' .
	PARLEY_FLAGSHIP=10000 go test -count=1 -timeout 6h -run '^TestExploreFlagship$$' .

bench: ## what a turn, a handoff, a task and a session cost
	go test -run '^$$' -bench . -benchmem .

budgets: ## what voice sessions cost at the pace of calls, against the budgets (minutes, on a quiet machine)
	PARLEY_BUDGETS=1 go test -v -count=1 -timeout 30m -run '^TestBudgets$$' .

fuzz: ## every fuzz target for a while
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-10s} -fuzzminimizetime 10x $$pkg || exit 1; \
		done; \
	done

lint:
	@test -z "$$(gofmt -l .)" || (gofmt -l . && exit 1)
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...
