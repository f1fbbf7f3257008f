package endofturn

var german = vocabulary{
	hanging: `und, weil, dass, der, die, dem, den, des, ein, eine, einen, einem, einer, eines, mein, meine, meinen, meinem,
		meiner, meines, ihre, ihren, ihrem, ihrer, deine, deinen, deinem, deiner, unsere, unseren, unserem, unserer, seine,
		seinen, seinem, seiner, im, am, zum, zur, vom, beim, ins, ans, wenn, ob, obwohl, damit ich, sondern, denn ich,
		für, von, gegen, ohne, wegen, zwischen, während, seit, bevor, nachdem, falls, sodass, so dass, kein, keine, keinen,
		keinem, sehr, dieser, diesem, diesen, diese, jede, jeden, jedem, welche, welchen, welcher, ich, bis zum, bis zur`,
	open: `aber, oder, also, das, dann, ihr, dein, unser, nicht, als, wie, auch, noch, nur, was, wo, ungefähr, etwa,
		zwar, entweder, beziehungsweise, außerdem, denn, deswegen, zu einem, statt, dieses, jedes, hinter, neben, unter,
		doch, ja ich, nein ich, ich glaube, ich denke, ich meine, ich dachte, ich hätte gern, ich hätte gerne, und zwar, in der, nach dem, sowie, um`,
	verbs: `wir, man, er, es, ist, sind, bin, bist, war, waren, wäre, habe, hab, hat, haben, hatte, hätte, hätten, möchte, möchten, will,
		wollen, wollte, kann, können, könnte, könnten, muss, müssen, soll, sollte, darf, würde, würden, werde, wird, werden,
		wurde, brauche, suche, heiße`,
	prepositions: `an, auf, aus, bei, bis, durch, in, mit, nach, über, um, vor, zu, ab, ein`,
	fillers:      `äh, ähm, öh, öhm, hm äh, em, na ja, naja, also ähm, sag ich mal, sagen wir mal, tja`,
	pauses: `moment, moment mal, einen moment, einen augenblick, augenblick, kleinen moment, ein moment, warten sie, warten sie
		mal, warte, warte mal, sekunde, eine sekunde, lassen sie mich überlegen, lass mich überlegen, lass mich mal sehen,
		ich muss kurz überlegen, ich schaue kurz nach, ich schau mal nach, ich guck mal, mal sehen, mal schauen`,
	closed: `ja, nein, nee, ne, doch doch, ja doch, okay, ok, gut, genau, richtig, stimmt, klar, sicher, natürlich, gerne, gern,
		danke, danke schön, dankeschön, vielen dank, bitte, tschüss, tschüß, auf wiederhören, auf wiedersehen, hallo, guten tag,
		guten morgen, guten abend, passt, alles klar, in ordnung, das wars, das war's, das war alles, das ist alles, ich glaube
		schon, ich denke schon, ich glaube nicht, ich denke nicht, noch nicht, gar nicht, überhaupt nicht, leider nicht,
		lieber nicht, weiß ich nicht, weiß nicht, ich weiß es nicht, ich weiß nicht, das weiß ich nicht, kann ich nicht,
		möchte ich nicht, will ich nicht, will nicht, geht nicht, funktioniert nicht, nicht mehr, warum nicht, wieso nicht,
		das geht, das ist es, so ist es, das stimmt, kann sein, mag sein, ich auch, ich nicht, wir auch, mir auch, immer
		noch, nicht wahr, oder nicht, oder was, oder so, und so, weiter, egal, macht nichts, kein problem, und ihnen, und
		sie, und dir, bis dann, bis später, bis morgen, bin ich, das bin ich, habe ich, hab ich, mache ich, will ich, kann
		ich, möchte ich, brauche ich, denke ich, glaube ich, hoffe ich, meine ich, weiß ich, das habe ich, verstehe ich, so
		etwas, zu hause, nach hause, ab und zu, vor allem, was ist das, wie geht das, was kostet das, was soll das, kenne
		das, das auch, ohne das, mit wem, wie, was, wo, warum, ich weiß es, ich brauche es, ich mag es, ich will es, das
		war es, was ist es, wer ist es, mir das, ihnen das, uns das, dir das, genau das, ich das, brauche das, möchte das,
		will das, nehme das, kann das, für das, sie das, ich es, wie ist das, geht das, ist das, wer ist das, mit ihr, von
		ihr, bei ihr`,
	whole: `ich bin, das ist, ich habe, ich hab, ich will, ich kann, ich möchte, ich muss, doch, nicht, oder, also, dann, wir,
		wir haben, können wir, sollen wir, machen wir, haben wir, bin, ist, ich, auch, das`,
	asks: `was, wo, wann, wer, wie, warum, wieso, weshalb, wohin, woher, welche, welcher, welches, welchen, kann, können,
		könnte, könnten, haben, hat, ist, sind, gibt, geht, darf, muss, soll, wollen, wem, wen, würden, machen, kommt`,
	clauses: `was, wo, wer, wie, warum, wieso, dass, ob, wenn, weil, wann, damit, obwohl, nachdem, bevor, als, der, die, den, dem,
		wohin, woher, welche, welcher, welches, falls, alles, seit, habe, haben, werde, wird, würde, worden, möchte, kann, muss,
		will, soll`,
	leads:    `wenn, falls, sobald, obwohl, nachdem, bevor, solange, als ich`,
	connects: `und, aber, also, dann, oder, denn, nun`,
	particles: `an: ruf rief melde meld fang fäng biete kommt= komme= komm= nehm nimm schau sehe= sieh hör zieh mach geh schalt
		pass fass klick zeig leg, auf: leg steh hör mach pass schreib geb gib nehm nimm ruf wach räum hol schließ lös fäll,
		aus: mach schalt steig seh sieh füll such logg druck fäll zieh reich wähl tausch, bei: bring leg tret dabei, durch:
		stell les geh führ streich lauf, ein: logg stell schalt steig trag kauf zahl lös lad check fäll geb gib richt seh
		wend bau räum schlaf, mit: komm nehm nimm mach teil bring hör bekomm, nach: schau frag seh sieh prüf denk les guck
		danach, um: zieh buch steig tausch stell dreh bring, vor: stell habe= les schlag bereit komm hat= geh nehm, zu: hör
		mach stimm sag ruf schau geb gib schick trifft send, ab: hol sag bestell lehn meld brech brich schick heb wart
		schließ fahr gab gib geb, über: leg übrig, in: darin`,

	units:       `null eins zwei/zwo drei vier fünf sechs sieben acht neun`,
	ambiguous:   `ein`,
	tens:        `zwanzig, dreißig, dreissig, vierzig, fünfzig, sechzig, siebzig, achtzig, neunzig`,
	teens:       `zehn, elf, zwölf, dreizehn, vierzehn, fünfzehn, sechzehn, siebzehn, achtzehn, neunzehn`,
	hundreds:    `hundert`,
	compounds:   `-und-`,
	double:      `doppel, zweimal`,
	triple:      `dreimal, dreifach`,
	joints:      `strich, und`,
	digits:      `ziffern, stellen, ziffer`,
	digitSuffix: `stellig`,
	phone: `telefonnummer, handynummer, mobilnummer, rückrufnummer, rufnummer, mobilfunknummer, festnetznummer, handy nummer,
		telefon nummer`,
	phoneDigits: 10,
	card:        `kartennummer, kreditkartennummer`,
	number: `kontonummer, kundennummer, bestellnummer, auftragsnummer, buchungsnummer, vertragsnummer, rechnungsnummer,
		versicherungsnummer, mitgliedsnummer, sendungsnummer, referenznummer, vorgangsnummer, seriennummer, iban, code,
		bestätigungscode, zählernummer`,
	postcode:   `postleitzahl, plz`,
	postDigits: 5,
	code3:      `prüfziffer, prüfnummer, sicherheitscode, cvc`,
	code4:      `pin, geheimzahl, geheimnummer`,
	ending:     `endet auf, endet mit, endend auf`,
	email:      `e mail, email, mail, mailadresse, webseite`,
	symbols:    `punkt, unterstrich, bindestrich, minus, at, ät, klammeraffe, strich`,
	letterFor:  `wie`,
}
