package livekit

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentpb "github.com/livekit/protocol/livekit/agent"

	agents "github.com/parley-voice/agents"
)

// What a session is made of, as the session protocol has it.

func remoteAgentState(s agents.AgentState) agentpb.AgentState {
	switch s {
	case agents.AgentListening:
		return agentpb.AgentState_AS_LISTENING
	case agents.AgentThinking:
		return agentpb.AgentState_AS_THINKING
	case agents.AgentSpeaking:
		return agentpb.AgentState_AS_SPEAKING
	}
	return agentpb.AgentState_AS_INITIALIZING
}

func remoteUserState(s agents.UserState) agentpb.UserState {
	switch s {
	case agents.UserSpeaking:
		return agentpb.UserState_US_SPEAKING
	case agents.UserAway:
		return agentpb.UserState_US_AWAY
	}
	return agentpb.UserState_US_LISTENING
}

func remoteItems(items []agents.ChatItem) []*agentpb.ChatContext_ChatItem {
	var all []*agentpb.ChatContext_ChatItem
	for _, item := range items {
		if i := remoteItem(item); i != nil {
			all = append(all, i)
		}
	}
	return all
}

func remoteItem(item agents.ChatItem) *agentpb.ChatContext_ChatItem {
	switch i := item.(type) {
	case *agents.ChatMessage:
		return &agentpb.ChatContext_ChatItem{Item: &agentpb.ChatContext_ChatItem_Message{Message: remoteMessage(i)}}
	case *agents.FunctionCall:
		return &agentpb.ChatContext_ChatItem{Item: &agentpb.ChatContext_ChatItem_FunctionCall{FunctionCall: remoteCall(i)}}
	case *agents.FunctionCallOutput:
		return &agentpb.ChatContext_ChatItem{Item: &agentpb.ChatContext_ChatItem_FunctionCallOutput{FunctionCallOutput: remoteOutput(i)}}
	case *agents.AgentHandoff:
		h := &agentpb.AgentHandoff{Id: i.ID, NewAgentId: i.NewAgentID, CreatedAt: remoteTime(i.CreatedAt)}
		if i.OldAgentID != "" {
			h.OldAgentId = &i.OldAgentID
		}
		return &agentpb.ChatContext_ChatItem{Item: &agentpb.ChatContext_ChatItem_AgentHandoff{AgentHandoff: h}}
	case *agents.AgentConfigUpdate:
		u := &agentpb.AgentConfigUpdate{
			Id: i.ID, ToolsAdded: i.ToolsAdded, ToolsRemoved: i.ToolsRemoved, CreatedAt: remoteTime(i.CreatedAt),
		}
		if i.Instructions != "" {
			u.Instructions = &i.Instructions
		}
		return &agentpb.ChatContext_ChatItem{Item: &agentpb.ChatContext_ChatItem_AgentConfigUpdate{AgentConfigUpdate: u}}
	}
	return nil
}

// remoteMessage makes a message, of which only the text is told.
func remoteMessage(m *agents.ChatMessage) *agentpb.ChatMessage {
	role := agentpb.ChatRole_ASSISTANT
	switch m.Role {
	case agents.RoleDeveloper:
		role = agentpb.ChatRole_DEVELOPER
	case agents.RoleSystem:
		role = agentpb.ChatRole_SYSTEM
	case agents.RoleUser:
		role = agentpb.ChatRole_USER
	}
	p := &agentpb.ChatMessage{
		Id: m.ID, Role: role, Interrupted: m.Interrupted, CreatedAt: remoteTime(m.CreatedAt),
		Content: []*agentpb.ChatMessage_ChatContent{{Payload: &agentpb.ChatMessage_ChatContent_Text{Text: m.Text()}}},
		Metrics: &agentpb.MetricsReport{
			StartedSpeakingAt: remoteTime(m.Metrics.StartedSpeakingAt), StoppedSpeakingAt: remoteTime(m.Metrics.StoppedSpeakingAt),
			TranscriptionDelay: remoteSeconds(m.Metrics.TranscriptionDelay), EndOfTurnDelay: remoteSeconds(m.Metrics.EndOfTurnDelay),
			OnUserTurnCompletedDelay: remoteSeconds(m.Metrics.TurnCompletedDelay), LlmNodeTtft: remoteSeconds(m.Metrics.LLMTTFT),
			TtsNodeTtfb: remoteSeconds(m.Metrics.TTSTTFB), E2ELatency: remoteSeconds(m.Metrics.E2ELatency),
		},
	}
	if m.Confidence != 0 {
		p.TranscriptConfidence = &m.Confidence
	}
	return p
}

func remoteCall(c *agents.FunctionCall) *agentpb.FunctionCall {
	return &agentpb.FunctionCall{Id: c.ID, CallId: c.CallID, Name: c.Name, Arguments: c.Arguments, CreatedAt: remoteTime(c.CreatedAt)}
}

func remoteOutput(o *agents.FunctionCallOutput) *agentpb.FunctionCallOutput {
	return &agentpb.FunctionCallOutput{
		Id: o.ID, CallId: o.CallID, Name: o.Name, Output: o.Output, IsError: o.IsError, CreatedAt: remoteTime(o.CreatedAt),
	}
}

func remoteTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func remoteSeconds(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

func remoteUsage(usage []agents.ModelUsage) *agentpb.AgentSessionUsage {
	u := &agentpb.AgentSessionUsage{}
	for _, m := range usage {
		var p agentpb.ModelUsage
		switch m.Kind {
		case "llm", "realtime":
			p.Usage = &agentpb.ModelUsage_Llm{Llm: &agentpb.LLMModelUsage{
				Provider: m.Provider, Model: m.Model, InputTokens: int32(m.LLM.PromptTokens),
				InputCachedTokens: int32(m.LLM.CachedTokens), OutputTokens: int32(m.LLM.CompletionTokens),
			}}
		case "stt":
			p.Usage = &agentpb.ModelUsage_Stt{Stt: &agentpb.STTModelUsage{
				Provider: m.Provider, Model: m.Model, InputTokens: int32(m.STT.InputTokens), OutputTokens: int32(m.STT.OutputTokens),
				AudioDuration: m.STT.Audio.Seconds(),
			}}
		case "tts":
			p.Usage = &agentpb.ModelUsage_Tts{Tts: &agentpb.TTSModelUsage{
				Provider: m.Provider, Model: m.Model, InputTokens: int32(m.TTS.InputTokens), OutputTokens: int32(m.TTS.OutputTokens),
				CharactersCount: int32(m.TTS.Characters), AudioDuration: m.Audio.Seconds(),
			}}
		default:
			continue
		}
		u.ModelUsage = append(u.ModelUsage, &p)
	}
	return u
}

// remoteInfo is what the history says about the agent that has the floor: who it is, and what its model was told last.
func remoteInfo(history *agents.ChatContext) *agentpb.SessionResponse_GetAgentInfoResponse {
	info := &agentpb.SessionResponse_GetAgentInfoResponse{}
	for _, item := range history.Items() {
		switch i := item.(type) {
		case *agents.AgentHandoff:
			info.Id, info.Instructions, info.Tools = i.NewAgentID, nil, nil
		case *agents.AgentConfigUpdate:
			if i.Instructions != "" {
				info.Instructions = &i.Instructions
			}
			gone := func(name string) bool {
				return slices.Contains(i.ToolsRemoved, name) || slices.Contains(i.ToolsAdded, name)
			}
			info.Tools = append(slices.DeleteFunc(info.Tools, gone), i.ToolsAdded...)
		}
	}
	return info
}

// remoteEvent makes an event, or nil of one that is not told.
func remoteEvent(e agents.Event) *agentpb.AgentSessionEvent {
	p := &agentpb.AgentSessionEvent{CreatedAt: timestamppb.New(e.Time())}
	switch e := e.(type) {
	case *agents.AgentStateChanged:
		p.Event = &agentpb.AgentSessionEvent_AgentStateChanged_{AgentStateChanged: &agentpb.AgentSessionEvent_AgentStateChanged{
			OldState: remoteAgentState(e.Old), NewState: remoteAgentState(e.New),
		}}
	case *agents.UserStateChanged:
		if !e.Since.IsZero() {
			p.CreatedAt = timestamppb.New(e.Since)
		}
		p.Event = &agentpb.AgentSessionEvent_UserStateChanged_{UserStateChanged: &agentpb.AgentSessionEvent_UserStateChanged{
			OldState: remoteUserState(e.Old), NewState: remoteUserState(e.New),
		}}
	case *agents.ItemAdded:
		item := remoteItem(e.Item)
		if item == nil {
			return nil
		}
		p.Event = &agentpb.AgentSessionEvent_ConversationItemAdded_{ConversationItemAdded: &agentpb.AgentSessionEvent_ConversationItemAdded{Item: item}}
	case *agents.UserInputTranscribed:
		t := &agentpb.AgentSessionEvent_UserInputTranscribed{Transcript: e.Transcript, IsFinal: e.Final}
		if e.Language != "" {
			t.Language = &e.Language
		}
		p.Event = &agentpb.AgentSessionEvent_UserInputTranscribed_{UserInputTranscribed: t}
	case *agents.ToolsExecuted:
		t := &agentpb.AgentSessionEvent_FunctionToolsExecuted{}
		for _, c := range e.Calls {
			t.FunctionCalls = append(t.FunctionCalls, remoteCall(c))
		}
		for _, o := range e.Outputs {
			if o != nil {
				t.FunctionCallOutputs = append(t.FunctionCallOutputs, remoteOutput(o))
			}
		}
		p.Event = &agentpb.AgentSessionEvent_FunctionToolsExecuted_{FunctionToolsExecuted: t}
	case *agents.ToolStarted, *agents.ToolUpdated, *agents.ToolEnded, *agents.ToolReplyUpdated:
		p.Event = &agentpb.AgentSessionEvent_ToolExecutionUpdated_{ToolExecutionUpdated: remoteTool(e)}
	case *agents.UsageUpdated:
		p.Event = &agentpb.AgentSessionEvent_SessionUsageUpdated_{SessionUsageUpdated: &agentpb.AgentSessionEvent_SessionUsageUpdated{Usage: remoteUsage(e.Usage)}}
	case *agents.OverlappingSpeech:
		o := &agentpb.AgentSessionEvent_OverlappingSpeech{IsInterruption: e.Interruption, DetectedAt: timestamppb.New(e.At)}
		if !e.Since.IsZero() {
			o.OverlapStartedAt, o.DetectionDelay = timestamppb.New(e.Since), e.At.Sub(e.Since).Seconds()
		}
		p.Event = &agentpb.AgentSessionEvent_OverlappingSpeech_{OverlappingSpeech: o}
	case *agents.FalseInterruption:
		p.Event = &agentpb.AgentSessionEvent_AgentFalseInterruption_{AgentFalseInterruption: &agentpb.AgentSessionEvent_AgentFalseInterruption{Resumed: e.Resumed}}
	case *agents.TurnPredicted:
		p.Event = &agentpb.AgentSessionEvent_EotPrediction_{EotPrediction: &agentpb.AgentSessionEvent_EotPrediction{
			Probability: float32(e.Probability), Threshold: float32(e.Threshold),
			InferenceDuration: durationpb.New(e.Inference), Delay: durationpb.New(e.Delay),
		}}
	case *agents.ErrorOccurred:
		p.Event = &agentpb.AgentSessionEvent_Error_{Error: &agentpb.AgentSessionEvent_Error{
			Message: fmt.Sprintf("%s: %v", e.Source, tokensOnly.err(e.Err)),
		}}
	default:
		return nil
	}
	return p
}

func remoteTool(e agents.Event) *agentpb.AgentSessionEvent_ToolExecutionUpdated {
	u := &agentpb.AgentSessionEvent_ToolExecutionUpdated{}
	switch e := e.(type) {
	case *agents.ToolStarted:
		u.Update = &agentpb.AgentSessionEvent_ToolExecutionUpdated_Started_{
			Started: &agentpb.AgentSessionEvent_ToolExecutionUpdated_Started{FunctionCall: remoteCall(e.Call)},
		}
	case *agents.ToolUpdated:
		u.Update = &agentpb.AgentSessionEvent_ToolExecutionUpdated_CallUpdated_{
			CallUpdated: &agentpb.AgentSessionEvent_ToolExecutionUpdated_CallUpdated{Id: e.ID, CallId: e.CallID, Message: e.Message},
		}
	case *agents.ToolEnded:
		ended := &agentpb.AgentSessionEvent_ToolExecutionUpdated_Ended{Id: e.ID, CallId: e.CallID, Status: agentpb.ToolCallStatus_TC_DONE}
		switch e.Status {
		case agents.ToolFailed:
			ended.Status = agentpb.ToolCallStatus_TC_ERROR
		case agents.ToolCancelled:
			ended.Status = agentpb.ToolCallStatus_TC_CANCELLED
		}
		if e.Message != "" {
			ended.Message = &e.Message
		}
		u.Update = &agentpb.AgentSessionEvent_ToolExecutionUpdated_Ended_{Ended: ended}
	case *agents.ToolReplyUpdated:
		status := agentpb.ToolReplyStatus_TR_SCHEDULED
		switch e.Status {
		case agents.ToolReplyCompleted:
			status = agentpb.ToolReplyStatus_TR_COMPLETED
		case agents.ToolReplyInterrupted:
			status = agentpb.ToolReplyStatus_TR_INTERRUPTED
		case agents.ToolReplySkipped:
			status = agentpb.ToolReplyStatus_TR_SKIPPED
		}
		u.Update = &agentpb.AgentSessionEvent_ToolExecutionUpdated_ReplyUpdated_{
			ReplyUpdated: &agentpb.AgentSessionEvent_ToolExecutionUpdated_ReplyUpdated{UpdateIds: e.IDs, SpeechId: e.SpeechID, Status: status},
		}
	}
	return u
}
