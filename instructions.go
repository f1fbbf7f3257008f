package agents

// A Modality says how a turn came in: by voice or as text.
type Modality string

// The modalities.
const (
	ModalityAudio Modality = "audio"
	ModalityText  Modality = "text"
)

// Instructions are a system prompt with additions that depend on how the user's turn came in.
type Instructions struct {
	Common string
	Audio  string // added for spoken turns
	Text   string // added for written turns
}

// For renders the instructions for a modality.
func (in *Instructions) For(m Modality) string {
	add := in.Audio
	if m == ModalityText {
		add = in.Text
	}
	if add == "" {
		return in.Common
	}
	return in.Common + "\n\n" + add
}
