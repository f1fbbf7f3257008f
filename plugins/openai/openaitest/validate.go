package openaitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A ChatRequest is the part of a chat request that tests look at. The rest is in Request.Body.
type ChatRequest struct {
	Model             string
	Messages          []Message
	Tools             []Tool
	ToolChoice        string // "auto", "required", "none", a function's name, or empty
	ParallelToolCalls *bool
	Temperature       *float64
	Stream            bool
	IncludeUsage      bool
	ResponseSchema    json.RawMessage // of the response_format, or nil
}

// A Message is a message of a request.
type Message struct {
	Role       string
	Text       string // the text parts, joined by newlines
	Images     []string
	ToolCalls  []Call
	ToolCallID string
}

// A Tool is a function on offer.
type Tool struct {
	Name, Description string
	Strict            bool
	Parameters        json.RawMessage
}

type wireRequest struct {
	Model         string          `json:"model"`
	Messages      []wireMessage   `json:"messages"`
	Tools         []wireTool      `json:"tools"`
	ToolChoice    json.RawMessage `json:"tool_choice"`
	Parallel      *bool           `json:"parallel_tool_calls"`
	Temperature   *float64        `json:"temperature"`
	Stream        bool            `json:"stream"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	ResponseFormat *struct {
		Type       string `json:"type"`
		JSONSchema *struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"schema"`
			Strict bool            `json:"strict"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

type wireMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
		ExtraContent map[string]any `json:"extra_content"`
	} `json:"tool_calls"`
}

type wireTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Strict      bool            `json:"strict"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func invalid(param, code, format string, args ...any) *APIError {
	e := &APIError{Message: fmt.Sprintf(format, args...), Type: "invalid_request_error"}
	if param != "" {
		e.Param = &param
	}
	if code != "" {
		e.Code = code
	}
	return e
}

// parseChat checks a request as the service does.
func parseChat(body []byte) (*ChatRequest, *APIError) {
	var w wireRequest
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, invalid("", "", "We could not parse the JSON body of your request. (%v)", err)
	}
	if w.Model == "" {
		return nil, invalid("", "", "you must provide a model parameter")
	}
	if len(w.Messages) == 0 {
		return nil, invalid("messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	c := &ChatRequest{
		Model: w.Model, ParallelToolCalls: w.Parallel, Temperature: w.Temperature, Stream: w.Stream,
		IncludeUsage: w.StreamOptions != nil && w.StreamOptions.IncludeUsage,
	}
	if w.StreamOptions != nil && !w.Stream {
		return nil, invalid("stream_options", "", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	for _, check := range []func(*wireRequest, *ChatRequest) *APIError{parseMessages, parseTools, parseToolChoice, parseSampling, parseFormat} {
		if err := check(&w, c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// parseMessages wants each call to be followed by its results, and results nowhere else.
func parseMessages(w *wireRequest, c *ChatRequest) *APIError {
	var pending []string // calls without a result
	unanswered := func() *APIError {
		return invalid("messages", "", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", strings.Join(pending, ", "))
	}
	for i, m := range w.Messages {
		msg := Message{Role: m.Role, ToolCallID: m.ToolCallID}
		var err *APIError
		if msg.Text, msg.Images, err = parseContent(i, m.Content); err != nil {
			return err
		}
		if m.Role == "tool" {
			j := slices.Index(pending, m.ToolCallID)
			if j < 0 {
				return invalid(fmt.Sprintf("messages.[%d].role", i), "", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")
			}
			pending = slices.Delete(pending, j, j+1)
		} else if len(pending) > 0 {
			return unanswered()
		}
		switch m.Role {
		case "developer", "system", "user", "tool":
			if len(m.ToolCalls) > 0 {
				return invalid(fmt.Sprintf("messages[%d].tool_calls", i), "", "Invalid parameter: only messages of role 'assistant' can have 'tool_calls'.")
			}
			if isNull(m.Content) {
				return invalid(fmt.Sprintf("messages.[%d].content", i), "", "Invalid value for 'content': expected a string, got null.")
			}
		case "assistant":
			if len(m.ToolCalls) == 0 && isNull(m.Content) {
				return invalid(fmt.Sprintf("messages.[%d].content", i), "", "Invalid value for 'content': expected a string, got null.")
			}
		default:
			return invalid(fmt.Sprintf("messages[%d].role", i), "invalid_value", "Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", m.Role)
		}
		for j, call := range m.ToolCalls {
			at := fmt.Sprintf("messages[%d].tool_calls[%d]", i, j)
			if call.ID == "" || call.Type != "function" {
				return invalid(at, "missing_required_parameter", "Missing required parameter: '%s.id' or '%s.type'.", at, at)
			}
			if !functionName.MatchString(call.Function.Name) {
				return badName(at+".function.name", call.Function.Name)
			}
			pending = append(pending, call.ID)
			msg.ToolCalls = append(msg.ToolCalls, Call{ID: call.ID, Name: call.Function.Name, Arguments: call.Function.Arguments, Extra: call.ExtraContent})
		}
		c.Messages = append(c.Messages, msg)
	}
	if len(pending) > 0 {
		return unanswered()
	}
	return nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func parseContent(i int, raw json.RawMessage) (text string, images []string, err *APIError) {
	if isNull(raw) || json.Unmarshal(raw, &text) == nil {
		return text, nil, nil
	}
	var parts []struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		ImageURL struct {
			URL string `json:"url"`
		} `json:"image_url"`
	}
	at := fmt.Sprintf("messages[%d].content", i)
	if json.Unmarshal(raw, &parts) != nil || len(parts) == 0 {
		return "", nil, invalid(at, "invalid_type", "Invalid type for '%s': expected one of a string or array of objects.", at)
	}
	var texts []string
	for j, p := range parts {
		switch p.Type {
		case "text":
			texts = append(texts, p.Text)
		case "image_url":
			if !strings.HasPrefix(p.ImageURL.URL, "https://") && !strings.HasPrefix(p.ImageURL.URL, "data:image/") {
				return "", nil, invalid(at, "invalid_image_url", "Invalid 'messages[%d].content[%d].image_url'. Expected a valid URL or a data URL of an image.", i, j)
			}
			images = append(images, p.ImageURL.URL)
		default:
			return "", nil, invalid(at, "invalid_value", "Invalid value: '%s'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'.", p.Type)
		}
	}
	return strings.Join(texts, "\n"), images, nil
}

func badName(param, name string) *APIError {
	if name == "" {
		return invalid(param, "empty_string", "Invalid '%s': empty string. Expected a string with minimum length 1, but got an empty string instead.", param)
	}
	return invalid(param, "invalid_value", "Invalid '%s': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", param)
}

func parseTools(w *wireRequest, c *ChatRequest) *APIError {
	if w.Tools != nil && len(w.Tools) == 0 {
		return invalid("tools", "empty_array", "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	for i, t := range w.Tools {
		at := fmt.Sprintf("tools[%d]", i)
		f := t.Function
		if t.Type != "function" {
			return invalid(at+".type", "invalid_value", "Invalid value: '%s'. Supported values are: 'function' and 'custom'.", t.Type)
		}
		if !functionName.MatchString(f.Name) {
			return badName(at+".function.name", f.Name)
		}
		if problem := checkSchema(f.Parameters, f.Strict); problem != "" {
			return invalid(at+".function.parameters", "invalid_function_parameters", "Invalid schema for function '%s': %s", f.Name, problem)
		}
		c.Tools = append(c.Tools, Tool{Name: f.Name, Description: f.Description, Strict: f.Strict, Parameters: f.Parameters})
	}
	return nil
}

func parseToolChoice(w *wireRequest, c *ChatRequest) *APIError {
	if len(c.Tools) == 0 {
		if !isNull(w.ToolChoice) {
			return invalid("tool_choice", "", "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.")
		}
		if w.Parallel != nil {
			return invalid("parallel_tool_calls", "", "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.")
		}
		return nil
	}
	if isNull(w.ToolChoice) {
		return nil
	}
	if json.Unmarshal(w.ToolChoice, &c.ToolChoice) == nil {
		if !slices.Contains([]string{"none", "auto", "required"}, c.ToolChoice) {
			return invalid("tool_choice", "invalid_value", "Invalid value: '%s'. Supported values are: 'none', 'auto', and 'required'.", c.ToolChoice)
		}
		return nil
	}
	var choice struct {
		Type     string
		Function struct{ Name string }
	}
	if json.Unmarshal(w.ToolChoice, &choice) != nil || choice.Type != "function" {
		return invalid("tool_choice", "", "'$.tool_choice' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.")
	}
	c.ToolChoice = choice.Function.Name
	if !slices.ContainsFunc(c.Tools, func(t Tool) bool { return t.Name == c.ToolChoice }) {
		return invalid("tool_choice", "", "Invalid value for 'tool_choice': no function named '%s' was specified in the 'tools' parameter.", c.ToolChoice)
	}
	return nil
}

func parseSampling(w *wireRequest, c *ChatRequest) *APIError {
	t := w.Temperature
	if t == nil {
		return nil
	}
	if *t < 0 || *t > 2 {
		return invalid("temperature", "decimal_above_max_value", "Invalid 'temperature': decimal out of range. Expected a value between 0 and 2, but got %v instead.", *t)
	}
	for _, prefix := range []string{"o1", "o3", "o4", "gpt-5"} {
		if strings.HasPrefix(c.Model, prefix) && *t != 1 {
			return invalid("temperature", "unsupported_value", "Unsupported value: 'temperature' does not support %v with this model. Only the default (1) value is supported.", *t)
		}
	}
	return nil
}

func parseFormat(w *wireRequest, c *ChatRequest) *APIError {
	f := w.ResponseFormat
	if f == nil {
		return nil
	}
	if !slices.Contains([]string{"text", "json_object", "json_schema"}, f.Type) {
		return invalid("response_format.type", "invalid_value", "Invalid value: '%s'. Supported values are: 'json_object', 'json_schema', and 'text'.", f.Type)
	}
	if f.Type != "json_schema" {
		return nil
	}
	if f.JSONSchema == nil || !functionName.MatchString(f.JSONSchema.Name) {
		return invalid("response_format.json_schema.name", "missing_required_parameter", "Missing required parameter: 'response_format.json_schema.name'.")
	}
	if problem := checkSchema(f.JSONSchema.Schema, f.JSONSchema.Strict); problem != "" {
		return invalid("response_format", "", "Invalid schema for response_format '%s': %s", f.JSONSchema.Name, problem)
	}
	c.ResponseSchema = f.JSONSchema.Schema
	return nil
}

// checkSchema says what is wrong with the schema of a tool, if anything.
func checkSchema(raw json.RawMessage, strict bool) string {
	if isNull(raw) {
		return ""
	}
	var schema map[string]any
	if json.NewDecoder(bytes.NewReader(raw)).Decode(&schema) != nil || schema["type"] != "object" {
		return `schema must be a JSON Schema of 'type: "object"', got 'type: "None"'.`
	}
	if !strict {
		return ""
	}
	return checkStrict(schema, nil)
}

// checkStrict wants every object to list all its properties and to allow no others.
func checkStrict(v any, path []string) string {
	list, ok := v.([]any)
	if ok {
		for _, item := range list {
			if problem := checkStrict(item, path); problem != "" {
				return problem
			}
		}
		return ""
	}
	schema, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	context := "In context=(" + strings.Join(path, ", ") + "), "
	for _, key := range []string{"oneOf", "allOf", "not", "default", "patternProperties"} {
		if _, ok := schema[key]; ok {
			return context + "'" + key + "' is not permitted."
		}
	}
	if properties, ok := schema["properties"].(map[string]any); ok || schema["type"] == "object" {
		if schema["additionalProperties"] != false {
			return context + "'additionalProperties' is required to be supplied and to be false."
		}
		required, _ := schema["required"].([]any)
		for name, p := range properties {
			if !slices.Contains(required, any(name)) {
				return context + "'required' is required to be supplied and to be an array including every key in properties. Missing '" + name + "'."
			}
			if problem := checkStrict(p, append(path, "'properties'", "'"+name+"'")); problem != "" {
				return problem
			}
		}
	}
	for _, key := range []string{"items", "anyOf", "prefixItems"} {
		if problem := checkStrict(schema[key], append(path, "'"+key+"'")); problem != "" {
			return problem
		}
	}
	defs, _ := schema["$defs"].(map[string]any)
	for name, d := range defs {
		if problem := checkStrict(d, append(path, "'$defs'", "'"+name+"'")); problem != "" {
			return problem
		}
	}
	return ""
}
