package agents

import (
	"errors"
	"fmt"
	"reflect"
)

// UserData returns the session's Options.UserData as a D. Tools get it typed in their [RunContext]; this is for hooks
// and for code outside.
func UserData[D any](s *AgentSession) (D, error) {
	var zero D
	if s.c.opts.UserData == nil {
		return zero, ErrNoUserData
	}
	d, ok := s.c.opts.UserData.(D)
	if !ok {
		return zero, fmt.Errorf("agents: Options.UserData is a %T, not a %s", s.c.opts.UserData, typeName[D]())
	}
	return d, nil
}

// Check reports, in one joined error, what would keep the activities from taking the floor of a session with these
// options: bad options, tools with the same name, and tools that want another type of user data. It is meant for tests.
func Check(opts Options, activities ...Activity) error {
	errs := []error{opts.validate()}
	c := &core{opts: opts, sessionTools: opts.Tools}
	if len(activities) == 0 {
		tools, err := flattenTools(opts.Tools)
		errs = append(errs, err, checkUserData("Options", tools, opts.UserData))
	}
	for _, a := range activities {
		errs = append(errs, c.checkActivity(a))
	}
	return errors.Join(errs...)
}

// checkUserData lists the tools that want user data of another type than there is.
func checkUserData(id string, tools []Tool, data any) error {
	var errs []error
	for _, t := range tools {
		ft, ok := t.(*FunctionTool)
		if !ok || ft.userData == nil {
			continue
		}
		switch has := reflect.TypeOf(data); {
		case has == nil:
			errs = append(errs, fmt.Errorf("agents: %s: tool %s needs user data of type %v: %w", id, ft.name, ft.userData, ErrNoUserData))
		case !has.AssignableTo(ft.userData):
			errs = append(errs, fmt.Errorf("agents: %s: tool %s needs user data of type %v, but Options.UserData is a %v", id, ft.name, ft.userData, has))
		}
	}
	return errors.Join(errs...)
}
