package agents_test

import (
	"testing"

	"github.com/parley-voice/agents/agenttest"
)

func TestExploreNestedTasks(t *testing.T)   { agenttest.Explore(t, 2000, nestedTasks) }
func TestExploreParallelTasks(t *testing.T) { agenttest.Explore(t, 2000, parallelTasks) }
func TestExploreCloseRace(t *testing.T)     { agenttest.Explore(t, 2000, taskWhileClosing) }
