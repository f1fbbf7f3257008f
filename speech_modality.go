package agents

// Modality says how the user's turn came in that this speech answers. Speech that was not asked for by the user, such
// as a greeting, counts as text unless its Reply said otherwise; for that of Say, it is empty.
func (h *SpeechHandle) Modality() Modality {
	if h.sp == nil {
		return ""
	}
	return h.sp.reply.Modality // does not change once the handle is out
}
