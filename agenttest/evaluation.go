package agenttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/parley-voice/agents"
)

// A Verdict is what a judge says of a conversation.
type Verdict string

// The verdicts.
const (
	Pass  Verdict = "pass"
	Fail  Verdict = "fail"
	Maybe Verdict = "maybe"
)

// A Judgment is a verdict and how a judge came to it.
type Judgment struct {
	Judge        string // the name of the judge
	Verdict      Verdict
	Reasoning    string
	Instructions string // what the judge judged by
}

// An Evaluation is a conversation to judge.
type Evaluation struct {
	Conversation *agents.ChatContext
	// Reference, if set, is a conversation that went as it should.
	Reference *agents.ChatContext
	// LLM judges, for judges that need a model. It takes precedence over a judge's own.
	LLM agents.LLM
}

// A Judge judges conversations. It must be safe for concurrent use.
type Judge interface {
	Name() string
	Evaluate(ctx context.Context, e Evaluation) (Judgment, error)
}

// An EvaluationResult holds the judgements of a [JudgeGroup], in the order of its judges.
type EvaluationResult struct {
	Judgments []Judgment
	// Err joins the errors of the judges that came to no judgement; they count for nothing else.
	Err error
}

// Score returns the mean of the judgements: 1 for a pass, 0.5 for a maybe, 0 for a fail. Without judgements it is 0.
func (r EvaluationResult) Score() float64 {
	if len(r.Judgments) == 0 {
		return 0
	}
	return (float64(r.count(Pass)) + float64(r.count(Maybe))/2) / float64(len(r.Judgments))
}

// AllPassed reports whether there is no judgement but passes.
func (r EvaluationResult) AllPassed() bool { return r.count(Pass) == len(r.Judgments) }

// AnyPassed reports whether there is a pass.
func (r EvaluationResult) AnyPassed() bool { return r.count(Pass) > 0 }

// MajorityPassed reports whether more than half of the judgements are passes, or there are none at all.
func (r EvaluationResult) MajorityPassed() bool {
	return len(r.Judgments) == 0 || 2*r.count(Pass) > len(r.Judgments)
}

// NoneFailed reports whether there is no fail.
func (r EvaluationResult) NoneFailed() bool { return r.count(Fail) == 0 }

func (r EvaluationResult) count(v Verdict) int {
	n := 0
	for _, j := range r.Judgments {
		if j.Verdict == v {
			n++
		}
	}
	return n
}

// A JudgeGroup has several judges judge the same conversation.
type JudgeGroup struct {
	LLM    agents.LLM // for all judges; nil leaves each its own
	Judges []Judge
}

// Evaluate has all judges judge at once and returns when the last has. reference may be nil.
func (g *JudgeGroup) Evaluate(ctx context.Context, conversation, reference *agents.ChatContext) EvaluationResult {
	judgments := make([]Judgment, len(g.Judges))
	errs := make([]error, len(g.Judges))
	var wg sync.WaitGroup
	for i, judge := range g.Judges {
		e := Evaluation{Conversation: conversation.Copy(), LLM: g.LLM}
		if reference != nil {
			e.Reference = reference.Copy()
		}
		wg.Go(func() {
			judgments[i], errs[i] = judge.Evaluate(ctx, e)
			judgments[i].Judge = judge.Name()
			if errs[i] != nil {
				errs[i] = fmt.Errorf("judge %s: %w", judge.Name(), errs[i])
			}
		})
	}
	wg.Wait()
	var r EvaluationResult
	for i, j := range judgments {
		if errs[i] == nil {
			r.Judgments = append(r.Judgments, j)
		}
	}
	r.Err = errors.Join(errs...)
	return r
}

// An LLMJudge is a [Judge] that asks a model.
type LLMJudge struct {
	name    string
	llm     agents.LLM
	judgeBy func(*agents.ChatContext) string // the instructions for a conversation
	passes  func(*agents.ChatContext) string // why a conversation passes without being asked about, or ""
}

// NewJudge returns a judge that has a model judge by the instructions. llm may be nil if a [JudgeGroup] provides one.
func NewJudge(name string, llm agents.LLM, instructions string) *LLMJudge {
	return &LLMJudge{name: name, llm: llm, judgeBy: func(*agents.ChatContext) string { return instructions }}
}

// Name implements [Judge].
func (j *LLMJudge) Name() string { return j.name }

const evaluationInstructions = `You judge a conversation between a user and an assistant. Judge only what you are asked to judge:

%s

Call submit_verdict with your verdict: "pass" if the conversation meets this, "fail" if it does not, and "maybe" if the
conversation does not let you decide. Give your reasoning in a few sentences and refer to what was said.`

type submittedVerdict struct {
	Verdict   Verdict `json:"verdict" enum:"pass,fail,maybe" jsonschema:"the verdict"`
	Reasoning string  `json:"reasoning" jsonschema:"how you came to it, in a few sentences"`
}

// Evaluate implements [Judge]. It makes one request, which takes 90 seconds at most.
func (j *LLMJudge) Evaluate(ctx context.Context, e Evaluation) (Judgment, error) {
	by := j.judgeBy(e.Conversation)
	if j.passes != nil {
		if why := j.passes(e.Conversation); why != "" {
			return Judgment{Judge: j.name, Verdict: Pass, Reasoning: why, Instructions: by}, nil
		}
	}
	llm := e.LLM
	if llm == nil {
		llm = j.llm
	}
	if llm == nil {
		return Judgment{}, errors.New("there is no LLM to judge with")
	}
	question := "The conversation:\n" + transcript(e.Conversation)
	if e.Reference != nil {
		question += "\n\nA conversation that went as it should, for comparison:\n" + transcript(withoutInstructions(e.Reference))
	}
	var v submittedVerdict
	err := askByTool(ctx, llm, fmt.Sprintf(evaluationInstructions, by), question, "submit_verdict", "Submit your verdict.", &v)
	if err != nil {
		return Judgment{}, err
	}
	switch v.Verdict {
	case Pass, Fail, Maybe:
		return Judgment{Judge: j.name, Verdict: v.Verdict, Reasoning: v.Reasoning, Instructions: by}, nil
	}
	return Judgment{}, fmt.Errorf("the model gave the verdict %q", v.Verdict)
}

func withoutInstructions(c *agents.ChatContext) *agents.ChatContext {
	var kept []agents.ChatItem
	for _, item := range c.Items() {
		if _, config := item.(*agents.AgentConfigUpdate); !config && !isInstruction(item) {
			kept = append(kept, item)
		}
	}
	return agents.NewChatContext(kept...)
}

// transcript renders a conversation for a model, an item a line.
func transcript(c *agents.ChatContext) string {
	b := &strings.Builder{}
	for _, item := range c.Items() {
		switch it := item.(type) {
		case *agents.ChatMessage:
			fmt.Fprintf(b, "%s: %s", it.Role, it.Text())
			if it.Interrupted {
				b.WriteString(" [interrupted]")
			}
		case *agents.FunctionCall:
			fmt.Fprintf(b, "[call of %s with %s]", it.Name, it.Arguments)
		case *agents.FunctionCallOutput:
			if it.IsError {
				fmt.Fprintf(b, "[%s failed: %s]", it.Name, it.Output)
			} else {
				fmt.Fprintf(b, "[%s returned: %s]", it.Name, it.Output)
			}
		case *agents.AgentHandoff:
			fmt.Fprintf(b, "[handoff from %q to %q]", it.OldAgentID, it.NewAgentID)
		case *agents.AgentConfigUpdate:
			b.WriteString("[the assistant's configuration changed")
			if it.Instructions != "" {
				fmt.Fprintf(b, "; its instructions: %s", it.Instructions)
			}
			if len(it.ToolsAdded) > 0 {
				fmt.Fprintf(b, "; tools added: %s", strings.Join(it.ToolsAdded, ", "))
			}
			if len(it.ToolsRemoved) > 0 {
				fmt.Fprintf(b, "; tools removed: %s", strings.Join(it.ToolsRemoved, ", "))
			}
			b.WriteByte(']')
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}
