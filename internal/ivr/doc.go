// Package ivr tells an agent that is on the telephone with an automated system when it is stuck: the system says the same
// things again and again, which a [Loop] notices, or it waits for something while the agent waits for it, which a
// [Silence] notices. Both are pure: they start nothing, wait for nothing and read no clock.
package ivr
