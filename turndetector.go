package agents

// A TurnDetector says how likely it is that the user has finished speaking.
type TurnDetector interface{}
