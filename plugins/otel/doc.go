// Package otel reports sessions to OpenTelemetry: a trace of each conversation, and metrics. Both are a projection of the
// session's events, with the names that LiveKit Agents gives its spans, attributes and metrics, so that what is built on
// those goes on working.
//
// The application sets up the exporters and passes the providers; the package imports none. A [Telemetry] serves all
// sessions of a process, and makes an [Observer] for each:
//
//	exporter, err := otlptracehttp.New(ctx) // to where OTEL_EXPORTER_OTLP_ENDPOINT says
//	...
//	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
//	defer otel.Shutdown(ctx, tracers) // sends what is left, in 10 s at most
//	tel, err := otel.New(otel.Options{TracerProvider: tracers, MeterProvider: meters})
//	...
//	watch := tel.Observe(ctx, attribute.String("lk.job_id", id)) // for each session
//	defer watch.End()
//	opts.OnEvent = watch.OnEvent
//
// An application that has a receiver of its own calls both:
//
//	opts.OnEvent = func(e agents.Event) {
//		watch.OnEvent(e)
//		show(e)
//	}
//
// # Spans
//
//	agent_session                     from the first event to the last; errors, pauses and kept turns are its events
//	├ start_agent_activity            a moment: who has the floor; also pause_, resume_ and drain_agent_activity
//	├ user_speaking                   while the user speaks
//	├ user_turn                       from the first word to the end of the turn, with what the STT did
//	│ └ eou_detection                 a prediction of the TurnDetector
//	├ agent_turn                      a speech: all replies of the model and all calls that make up one answer
//	│ ├ llm_node / llm_request        a request to the LLM, with the time to the first token and the tokens
//	│ ├ tts_node / tts_request        a stream of the TTS, with the time to the first audio
//	│ ├ function_tool                 a call, also when it goes on after the turn
//	│ └ agent_speaking                while the agent is heard
//	└ realtime_metrics                what a realtime model used
//
// Times are those of the events. A reply that was prepared before the user's turn was over has a request that begins
// before its agent_turn; one that was prepared and not used has a request below agent_session. What an answer takes more
// than one reply for is one agent_turn here, where LiveKit makes one of each reply; lk.generation_id and
// lk.parent_generation_id are on llm_node.
//
// A span is given to its processors when it is known to be complete. Of an agent_turn that is with the first event that
// happens after it, which may be that the user has gone away, or the end of the session.
//
// # Metrics
//
// Histograms, in seconds: lk.agents.turn.{e2e_latency, llm_ttft, tts_ttfb, transcription_delay, end_of_turn_delay,
// on_user_turn_completed_delay} and lk.agents.connection.acquire_time. Counters: lk.agents.usage.{llm_input_tokens,
// llm_input_cached_tokens, llm_output_tokens, llm_input_audio_tokens, llm_input_text_tokens, llm_output_audio_tokens,
// llm_output_text_tokens, llm_session_duration, tts_characters, tts_audio_duration, stt_audio_duration}. Their attributes
// are model_name and model_provider.
//
// # What is not told
//
// Without [Options].Content nothing that was said is on a span, nor the keys of a telephone that were pressed, nor the
// arguments and outputs of calls, nor the texts of errors, of which only the type is told, nor a name of a tool that does not exist, which the model may have made up. With it, what was said is in
// attributes with a segment pii, such as lk.pii.user_transcript, which a collector can strip. Metrics hold no content.
package otel
