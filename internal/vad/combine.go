package vad

import "math"

// hiddenN is the number of units between the features and the probability.
const hiddenN = 12

// judge combines the features into a probability, with the weights that TestFit found.
func judge(x *features) float64 {
	z := outputBias
	for k := range hiddenWeights {
		s := hiddenBiases[k]
		for j, w := range hiddenWeights[k] {
			s += w * x[j]
		}
		z += outputWeights[k] * math.Tanh(s)
	}
	return 1 / (1 + math.Exp(-z))
}
