module github.com/parley-voice/agents

go 1.26
