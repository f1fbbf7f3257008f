#!/bin/sh
# Makes the speech to which the weights of the estimator are fitted, in the directory given. The sentences are
# others than those of make.sh, on which it is judged, and so are the voices of espeak-ng; flite has only these. Then:
#
#	go test -run TestFit -v -fit directory
set -eu
mkdir -p "$1"
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
sed -n '/^finish()/,/^}/p;/^say()/,/^}/p;/^form()/,/^}/p' "$here/make.sh" >functions
. ./functions
rm functions

say d1 slt "When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow. People look for it, but nobody ever finds it."
say d2 rms "She had your dark suit in greasy wash water all year. Don't ask me to carry an oily rag like that."
say d3 awb "The quick brown fox jumps over the lazy dog. Hello? Is anyone there? I can't hear you."
say d4 kal16 "I want to book a table for four people tonight at eight o'clock. Thanks a lot."
form d5 en-us+f4 175 "Hello, my laptop does not start any more. It shows a blue screen and then switches off."
form d6 en-gb+m7 150 "Okay. Um, let me think. I believe it was the fifteenth of March."
form d7 fr+f1 165 "Bonjour, je voudrais savoir quand ma commande sera livrée, s'il vous plaît."
form d8 it+m2 165 "Vorrei parlare con un operatore, per favore. Il mio numero è tre due sette."
form d9 pl+f2 160 "Dzień dobry, chciałbym zmienić termin wizyty na przyszły tydzień."
form d10 nl+m1 160 "Ik heb een vraag over mijn rekening van vorige maand, kunt u mij helpen?"
say e1 awb "Could you repeat that? I'm calling about the delivery that never arrived, and it is quite urgent."
say e2 slt "No thanks. That's all for today, have a nice weekend."
say e3 rms "Please transfer me to the billing department. Zero eight, five five, one nine."
form e4 en-us+m5 150 "I would prefer a window seat, if there is still one left on that flight."
form e5 en-us+f5 180 "What does it cost? Fifty dollars sounds too much for such a short trip."
form e6 en-gb-scotland 160 "It was a cold morning, and the fishing boats had not yet come back."
form e7 pt+f3 165 "Boa tarde, preciso de ajuda com a minha senha, por favor."
form e8 sv+m4 160 "Hej, jag skulle vilja boka en tid hos doktorn i nästa vecka."
form e9 tr+f2 165 "Merhaba, siparişim hakkında bilgi almak istiyorum."
form e10 hi+m1 160 "नमस्ते, मुझे अपने बिल के बारे में पूछना है।"
form e11 cs+f4 165 "Dobrý den, potřebuji změnit svou adresu a telefonní číslo."
form e12 fi+m3 160 "Hyvää päivää, haluaisin varata pöydän neljälle hengelle."
