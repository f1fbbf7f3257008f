package agents_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parley-voice/agents"
)

func ExampleToolFunc() {
	orderStatus := func(ctx context.Context, in struct {
		ID     string `json:"order_id" jsonschema:"the order to look up"`
		Detail string `json:"detail" enum:"short,full" default:"short"`
	}) (string, error) {
		if in.ID == "" {
			return "", agents.Errorf("ask the caller for the order number")
		}
		return "shipped", nil
	}
	tool := agents.ToolFunc("order_status", "Look up an order.", orderStatus)
	fmt.Println(string(tool.Schema()))
	// Output:
	// {"type":"object","properties":{"order_id":{"type":"string","description":"the order to look up"},"detail":{"type":"string","default":"short","enum":["short","full"]}},"required":["order_id"],"additionalProperties":false}
}

func ExampleStrictSchema() {
	strict, err := agents.StrictSchema(json.RawMessage(`{
		"type": "object",
		"properties": {"name": {"type": "string"}, "age": {"type": "integer", "default": 0}},
		"required": ["name"]
	}`))
	fmt.Println(string(strict), err)
	// Output:
	// {"type":"object","properties":{"name":{"type":"string"},"age":{"type":["integer","null"]}},"required":["name","age"],"additionalProperties":false} <nil>
}
