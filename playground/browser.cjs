// Drives the page in Chromium, for browser_test.go: talks, types, and checks what is there. Its last line of output is
// "ok"; anything else is why it failed.
const {chromium} = require('playwright-core');
const assert = require('node:assert/strict');

const {PAGE, WAV, SHOTS, CHROMIUM} = process.env;

// Within the page: what the stock client sees, recorded from the first packet on.
function record() {
	window.seen = {states: [], streams: []};
	// The page's own script is a module, so it runs once the document is there, and the client with it.
	document.addEventListener('readystatechange', () => {
		if (document.readyState !== 'interactive') return;
		const {Room, RoomEvent} = LivekitClient;
		const register = Room.prototype.registerTextStreamHandler;
		Room.prototype.registerTextStreamHandler = function(topic, handle) {
			if (topic === 'lk.transcription') {
				this.on(RoomEvent.ParticipantAttributesChanged, changed => {
					if (changed['lk.agent.state']) seen.states.push(changed['lk.agent.state']);
				});
			}
			return register.call(this, topic, (reader, from) => {
				seen.streams.push({topic, from: from.identity, info: reader.info});
				return handle(reader, from);
			});
		};
	});
}

// Within the page: what is wrong with it for those who cannot see it, or not well.
function faults() {
	const found = [];
	const shown = e => e.checkVisibility() && e.getClientRects().length > 0;
	const name = e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent.trim() || e.textContent.trim() ||
		(e.getAttribute('aria-labelledby') ?? '').split(' ').map(id => document.getElementById(id)?.textContent ?? '').join(' ').trim();
	if (!document.documentElement.lang) found.push('no language');
	if (!document.title) found.push('no title');
	if (document.querySelectorAll('main').length !== 1) found.push('not one main');
	if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
	const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`two elements ${id}`);
	for (const e of document.querySelectorAll('button, input, select, section, [role=img], [role=group]')) {
		if (!name(e)) found.push(`no name: ${e.outerHTML.slice(0, 90)}`);
	}
	for (const e of document.querySelectorAll('[aria-label]')) {
		if (['DIV', 'SPAN'].includes(e.tagName) && !e.getAttribute('role')) found.push(`a label without a role: #${e.id}`);
	}
	for (const attribute of ['aria-labelledby', 'for', 'aria-describedby']) {
		for (const e of document.querySelectorAll(`[${attribute}]`)) {
			for (const id of e.getAttribute(attribute).split(' ')) if (!document.getElementById(id)) found.push(`${attribute} of nothing: ${id}`);
		}
	}
	for (const e of document.querySelectorAll('button, input:not([type=hidden]), select')) {
		const box = e.getBoundingClientRect();
		if (shown(e) && (box.height < 24 || box.width < 24)) found.push(`too small to hit: ${name(e)} ${box.width}×${box.height}`);
	}
	if (document.documentElement.scrollWidth > innerWidth) found.push(`wider than the screen: ${document.documentElement.scrollWidth} > ${innerWidth}`);
	const parse = c => { const m = c.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0]; return {rgb: m.slice(0, 3), a: m[3] ?? 1}; };
	const light = rgb => rgb.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
	for (const e of document.querySelectorAll('body *')) {
		const text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
		if (!text || !shown(e) || e.matches(':disabled') || e.closest('svg, .hidden, .skip, option, select')) continue;
		let ground = e;
		while (ground.parentElement && parse(getComputedStyle(ground).backgroundColor).a === 0) ground = ground.parentElement;
		const a = light(parse(getComputedStyle(e).color).rgb), b = light(parse(getComputedStyle(ground).backgroundColor).rgb);
		const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(1)}: ${e.textContent.trim().slice(0, 30)}`);
	}
	return found;
}

async function main() {
	const browser = await chromium.launch({executablePath: CHROMIUM, args: [
		'--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
		`--use-file-for-fake-audio-capture=${WAV}%noloop`, '--autoplay-policy=no-user-gesture-required',
	]});
	try {
		const context = await browser.newContext({viewport: {width: 1280, height: 800}, permissions: ['microphone']});
		const page = await context.newPage();
		page.setDefaultTimeout(30_000);
		const complaints = [];
		page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(`${m.type()}: ${m.text()}`); });
		page.on('pageerror', e => complaints.push(`exception: ${e.message}`));
		await page.addInitScript(record);
		await page.goto(PAGE);
		const step = async (what, f) => {
			try {
				await f();
			} catch (err) {
				await page.screenshot({path: `${SHOTS}/failed.png`, fullPage: true});
				const page_ = await page.locator('#notice, #lines').allInnerTexts();
				throw new Error(`${what}: ${err.stack}\nthe console: ${complaints.join('\n')}\nthe page: ${page_.join('\n')}`);
			}
		};
		const line = (who, text) => page.locator(`#lines li.${who}:not(.open)`, {hasText: text}).first().waitFor();
		const sound = async where => assert.deepEqual(await page.evaluate(faults), [], where);

		await step('the page before a call', async () => {
			await page.locator('#example option').nth(5).waitFor({state: 'attached'});
			assert.equal(await page.locator('#example').inputValue(), 'support');
			await sound('before');
			await page.screenshot({path: `${SHOTS}/before.png`});
		});
		await step('the agent speaks first', async () => {
			await page.getByRole('button', {name: 'Start'}).click();
			await page.getByRole('button', {name: 'Hang up'}).waitFor();
			await page.getByRole('button', {name: 'Mic on', pressed: true}).waitFor();
			await line('agent', 'may we record this call');
		});
		await step('the caller is heard', async () => {
			await line('user', /head/i); // of "Sure, go ahead."; the recogniser also understands "Share your head."
			await line('agent', 'What can I do for you?');
			await page.locator('#tools li', {hasText: 'consent_given'}).first().waitFor();
		});
		await step('the caller asks, and what the answer waited for is shown', async () => {
			await line('user', /order/i);
			const bar = page.locator('#waits .bar').first();
			await bar.waitFor();
			assert.match(await bar.getAttribute('aria-label'), /transcript \d+ ms.*model \d+ ms.*voice \d+ ms/);
			assert.ok(await page.locator('#legend dt').count() >= 4);
			await line('agent', "I can't find A-1009");
			await page.locator('#tools li.failed', {hasText: 'order_status'}).waitFor();
		});
		await step('what is typed is answered, and the call handed over', async () => {
			await page.getByLabel('Type to the agent').fill("Oh, sorry, it's A-1002. And I was promised it for last week!");
			await page.keyboard.press('Enter');
			await line('user', 'A-1002');
			await page.locator('#graph g.now', {hasText: 'specialist'}).waitFor();
			await line('agent', 'this is Noor from deliveries');
		});
		await step('a hint is said, and a task takes the floor', async () => {
			await page.getByRole('button', {name: 'have them call me'}).click();
			await line('agent', 'Which number should they call');
			assert.deepEqual(await page.evaluate(() => parley.graph.nodes.map(n => [n.id, !!n.task])),
				[['intake', false], ['consent', true], ['specialist', false], ['callback', true]]);
			assert.deepEqual(await page.evaluate(() => [...parley.graph.edges.keys()]),
				['["intake","consent"]', '["consent","intake"]', '["intake","specialist"]', '["specialist","callback"]']);
		});
		await step('what a stock front end expects', async () => {
			const now = await page.evaluate(() => {
				const {room} = parley, [agent] = room.remoteParticipants.values();
				return {
					others: room.remoteParticipants.size, isAgent: agent.isAgent, kind: agent.kind === LivekitClient.ParticipantKind.AGENT,
					identity: agent.identity, me: room.localParticipant.identity, attributes: agent.attributes,
					voice: [...agent.trackPublications.values()].map(p => [p.kind, p.source, p.trackSid, p.isSubscribed]),
					mic: room.localParticipant.getTrackPublication(LivekitClient.Track.Source.Microphone).trackSid,
					playing: [...document.querySelectorAll('#audio audio')].every(a => !a.paused),
					...seen,
				};
			});
			assert.equal(now.others, 1);
			assert.ok(now.isAgent && now.kind);
			assert.ok(now.playing);
			assert.equal(now.voice.length, 1);
			const [kind, source, voice, subscribed] = now.voice[0];
			assert.deepEqual([kind, source, subscribed], ['audio', 'microphone', true]);
			for (const state of ['listening', 'thinking', 'speaking']) assert.ok(now.states.includes(state), `${state} of ${now.states}`);
			assert.ok(now.states.every(s => ['initializing', 'listening', 'thinking', 'speaking'].includes(s)), now.states.join());
			const spoken = now.streams.filter(s => s.topic === 'lk.transcription');
			const ofMe = spoken.filter(s => s.from === now.me), ofAgent = spoken.filter(s => s.from === now.identity);
			assert.equal(ofMe.length + ofAgent.length, spoken.length);
			assert.ok(ofMe.length >= 1 && ofAgent.length >= 4, `${ofMe.length} and ${ofAgent.length}`);
			for (const s of spoken) {
				const a = s.info.attributes;
				assert.match(a['lk.segment_id'], /^SG_/);
				assert.match(a['lk.transcription_final'], /^(true|false)$/);
				assert.equal(a['lk.transcribed_track_id'], s.from === now.me ? now.mic : voice);
			}
			assert.equal(ofMe.at(-1).info.attributes['lk.transcription_final'], 'true');
			assert.equal(ofAgent[0].info.attributes['lk.transcription_final'], 'true');
			assert.ok(now.streams.every(s => ['lk.transcription', 'parley.events'].includes(s.topic)));
		});
		await step('the page in a call, on screens of all kinds', async () => {
			for (const [width, height] of [[1280, 800], [390, 844]]) {
				for (const colorScheme of ['light', 'dark']) {
					await page.setViewportSize({width, height});
					await page.emulateMedia({colorScheme});
					await sound(`${width} ${colorScheme}`);
					await page.screenshot({path: `${SHOTS}/${width}-${colorScheme}.png`});
				}
			}
			await page.screenshot({path: `${SHOTS}/390-all.png`, fullPage: true});
		});
		await step('hanging up', async () => {
			await page.getByRole('button', {name: 'Hang up'}).click();
			await page.getByRole('button', {name: 'Start'}).waitFor();
			await page.locator('#lines li.note', {hasText: 'The call has ended.'}).waitFor();
			assert.equal(await page.locator('#state').getAttribute('data-state'), 'off');
		});
		await step('another example, by keyboard, until the agent hangs up', async () => {
			await page.locator('#example').selectOption('frontdesk');
			await page.locator('#join').focus();
			await page.keyboard.press('Enter');
			await page.getByRole('button', {name: 'Mic on', pressed: true}).click(); // the recording begins anew
			await page.getByRole('button', {name: 'Mic off', pressed: false}).waitFor();
			await line('agent', 'When would you like to come in?');
			assert.deepEqual(await page.evaluate(() => parley.graph.nodes.map(n => n.id)), ['frontdesk']);
			await page.getByLabel('Type to the agent').fill('Great, thank you!');
			await page.keyboard.press('Enter');
			await line('agent', 'See you tomorrow!');
			await page.locator('#lines li.note', {hasText: 'What came of it:'}).waitFor();
			await page.getByRole('button', {name: 'Start'}).waitFor();
			await page.locator('#lines li.note', {hasText: 'The call has ended.'}).waitFor();
		});
		assert.deepEqual(complaints, [], 'the console');
	} finally {
		await browser.close();
	}
}

main().then(() => console.log('ok'), err => {
	console.log(err.stack ?? err.message);
	process.exitCode = 1;
});
