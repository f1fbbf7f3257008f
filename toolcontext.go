package agents

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// flattenTools returns the tools with toolsets replaced by their members: only *FunctionTool and *ProviderTool remain,
// each once, in order. It reports every problem at once: tools that are nil or were not made by a constructor, toolsets
// within themselves, and different tools of the same name. The tools without a problem are returned all the same, the
// first of each name.
func flattenTools(tools []Tool) ([]Tool, error) {
	f := flattener{names: map[string]Tool{}, seen: map[Tool]bool{}}
	f.add(tools, "", nil)
	return f.out, errors.Join(f.problems...)
}

type flattener struct {
	out      []Tool
	names    map[string]Tool
	seen     map[Tool]bool
	problems []error
}

func (f *flattener) fail(format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf("agents: "+format, args...))
}

// add adds the tools of the toolset that of describes; within are the toolsets around them.
func (f *flattener) add(tools []Tool, of string, within []*Toolset) {
	for i, t := range tools {
		where := fmt.Sprintf("tool %d%s", i, of)
		if t == nil || isNilPointer(t) {
			f.fail("%s is nil", where)
			continue
		}
		switch t := t.(type) {
		case *Toolset:
			if slices.Contains(within, t) {
				f.fail("%s is the toolset %q, which contains itself", where, t.ID)
				continue
			}
			f.add(t.Tools, fmt.Sprintf(" of toolset %q", t.ID), append(slices.Clip(within), t))
		case *FunctionTool:
			if t.call == nil {
				f.fail("%s was not made with NewTool, ToolFunc or NewRawTool", where)
				continue
			}
			f.one(t, t.name, where)
		case *ProviderTool:
			if t.ID == "" {
				f.fail("%s is a ProviderTool without an ID", where)
				continue
			}
			f.one(t, t.ID, where)
		default:
			f.fail("%s is a %T, which is not a tool of this package", where, t)
		}
	}
}

func (f *flattener) one(t Tool, name, where string) {
	if f.seen[t] {
		return
	}
	f.seen[t] = true
	if f.names[name] != nil {
		f.fail("%s has the same name as another tool: %q", where, name)
		return
	}
	f.names[name] = t
	f.out = append(f.out, t)
}

// findTool returns the function tool of that name among flattened tools, or nil.
func findTool(tools []Tool, name string) *FunctionTool {
	for _, t := range tools {
		if t, ok := t.(*FunctionTool); ok && t.name == name {
			return t
		}
	}
	return nil
}

// toolNames returns the names of flattened tools, in order; that of a provider's tool is its ID.
func toolNames(tools []Tool) []string {
	names := make([]string, 0, len(tools))
	for _, t := range tools {
		switch t := t.(type) {
		case *FunctionTool:
			names = append(names, t.name)
		case *ProviderTool:
			names = append(names, t.ID)
		}
	}
	return names
}

// unknownToolOutput is the output of a call of a tool that is not among the flattened tools.
func unknownToolOutput(name string, tools []Tool) string {
	var names []string
	for _, t := range tools {
		if t, ok := t.(*FunctionTool); ok {
			names = append(names, t.name)
		}
	}
	return "Unknown function: " + clipText(name, 80) + ". " + available("functions", names)
}

// available lists names for a message.
func available(what string, names []string) string {
	if len(names) == 0 {
		return "There are no " + what + "."
	}
	slices.Sort(names)
	return "Available " + what + ": " + strings.Join(slices.Compact(names), ", ")
}

// restrictTools flattens the tools and keeps those that are named, or whose toolset is. A name that is neither is an
// error, which lists the names there are. Nil names keep everything, and empty ones nothing.
func restrictTools(tools []Tool, names []string) ([]Tool, error) {
	flat, err := flattenTools(tools)
	if err != nil || names == nil {
		return flat, err
	}
	members := map[string][]Tool{} // of a tool's name, the tool; of a toolset's ID, its tools
	for _, t := range flat {
		for _, name := range toolNames([]Tool{t}) {
			members[name] = append(members[name], t)
		}
	}
	addToolsets(members, tools)
	keep := map[Tool]bool{}
	var unknown []error
	for _, name := range names {
		of, ok := members[name]
		if !ok {
			unknown = append(unknown, fmt.Errorf("agents: there is no tool or toolset %q", name))
		}
		for _, t := range of {
			keep[t] = true
		}
	}
	if unknown != nil {
		known := make([]string, 0, len(members))
		for name := range members {
			known = append(known, name)
		}
		return nil, fmt.Errorf("%w\n%s", errors.Join(unknown...), available("tools", known))
	}
	return slices.DeleteFunc(flat, func(t Tool) bool { return !keep[t] }), nil
}

// addToolsets adds to members the tools of every toolset with an ID.
func addToolsets(members map[string][]Tool, tools []Tool) {
	for _, t := range tools {
		set, ok := t.(*Toolset)
		if !ok {
			continue
		}
		if set.ID != "" {
			flat, _ := flattenTools(set.Tools) // has no errors, since the whole has none
			members[set.ID] = append(members[set.ID], flat...)
		}
		addToolsets(members, set.Tools)
	}
}

// diffNames returns the names that only after has, and those that only before has, each in their order.
func diffNames(before, after []string) (added, removed []string) {
	for _, name := range after {
		if !slices.Contains(before, name) && !slices.Contains(added, name) {
			added = append(added, name)
		}
	}
	for _, name := range before {
		if !slices.Contains(after, name) && !slices.Contains(removed, name) {
			removed = append(removed, name)
		}
	}
	return added, removed
}
