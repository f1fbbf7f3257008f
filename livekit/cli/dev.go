package cli

import "context"

// dev is the command.
func (p *process) dev(ctx context.Context, name string, args []string) error {
	s := &settings{dev: true}
	fs := p.flags(name)
	s.connectionFlags(fs)
	s.logFlags(fs, "debug", "colored")
	s.workerFlags(fs)
	if err := p.parse(fs, args); err != nil {
		return err
	}
	devMode()
	return p.register(ctx, s, "debug")
}
