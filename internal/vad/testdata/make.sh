#!/bin/sh
# Makes the speech that the evaluation is run on, with flite, espeak-ng and sox:
#
#	apt-get install flite espeak-ng sox
#
# Everything is 16 kHz mono 16-bit, normalised to -3 dBFS, and trimmed so that little silence is left at the ends: the
# test puts in pauses of its own. Where there is speech is written to segments.txt by go test -run TestSegments -update.
set -eu
cd "$(dirname "$0")"

finish() { # raw.wav name
	sox "$1" -r 16000 -b 16 -c 1 -D "$2.wav" highpass 40 gain -n -3 silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse pad 0.05 0.05
	rm "$1"
}
say() { # name voice text, with flite
	flite -voice "$2" -t "$3" -o raw.wav
	finish raw.wav "$1"
}
form() { # name voice speed text, with espeak-ng
	espeak-ng -v "$2" -s "$3" -w raw.wav "$4"
	finish raw.wav "$1"
}

say flite-slt slt "Hi there, I would like to change my appointment, please. Could you find a slot on Thursday morning?"
say flite-rms rms "The invoice is wrong. I was charged twice for the same order, and nobody has called me back."
say flite-awb awb "My name is John Harper. You can reach me at seven three nine, four two one."
say flite-kal kal16 "Yes. No, that is not what I meant. Please cancel everything."
form espeak-en-m en-us 165 "Sure, go ahead. The parcel should be shipped to my office instead of my house."
form espeak-en-f en-gb-x-rp+f3 170 "Six thirty suits us fine. What else should I bring to the first session?"
form espeak-de de+m3 160 "Guten Tag, ich habe eine Frage zu meiner letzten Rechnung."
form espeak-es es+f2 170 "Buenos días, quisiera hablar con alguien del servicio técnico."
