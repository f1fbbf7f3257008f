module github.com/parley-voice/agents

go 1.26

<<<<<<< HEAD
require github.com/stretchr/testify v1.12.1 // indirect
=======
require (
	github.com/google/jsonschema-go v0.4.3 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
)
>>>>>>> tools
