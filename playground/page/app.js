// The page uses what any LiveKit front end uses: text streams on lk.transcription and lk.chat, and the agent's
// attributes. What the agents do beside talking, handing over, calling tools, waiting, comes on the topic parley.events.
const {Room, RoomEvent, ParticipantKind, Track} = LivekitClient;
const $ = id => document.getElementById(id);

let room = null, examples = [];

async function start() {
	examples = await (await fetch('api/examples')).json();
	for (const e of examples) $('example').add(new Option(e.title, e.id));
	const wanted = new URLSearchParams(location.search).get('example');
	if (examples.some(e => e.id === wanted)) $('example').value = wanted;
	describe();
}

function describe() {
	const e = examples.find(e => e.id === $('example').value);
	$('about').textContent = e ? e.about : '';
	$('hints').replaceChildren(...(e?.say ?? []).map(text => {
		const b = document.createElement('button');
		b.type = 'button';
		b.textContent = text;
		b.onclick = () => send(text);
		b.disabled = !room;
		return b;
	}));
}

async function join() {
	$('join').disabled = true;
	notice('');
	reset();
	try {
		const answer = await fetch('api/join', {
			method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({example: $('example').value}),
		});
		if (!answer.ok) throw new Error(await answer.text());
		const {url, token} = await answer.json();
		room = new Room({adaptiveStream: false, dynacast: false});
		wire(room);
		await room.connect(url, token);
	} catch (err) {
		notice(`Cannot connect: ${err.message}`);
		room?.disconnect();
		room = null;
	}
	connected(room !== null);
	if (room) microphone(true);
}

function connected(is) {
	$('join').disabled = false;
	$('join').textContent = is ? 'Hang up' : 'Start';
	$('join').classList.toggle('primary', !is);
	$('example').disabled = is;
	$('say').disabled = $('say-form').querySelector('button').disabled = $('mic').disabled = !is;
	$('say').placeholder = is ? 'Type to the agent' : 'Start, then talk or type';
	for (const b of $('hints').children) b.disabled = !is;
	if (!is) {
		pressed(false);
		state('off');
	}
}

async function microphone(on) {
	try {
		await room.localParticipant.setMicrophoneEnabled(on);
		pressed(on);
	} catch (err) {
		pressed(false);
		notice(`No microphone (${err.message}). You can type.`);
	}
}

function pressed(on) {
	$('mic').setAttribute('aria-pressed', on);
	$('mic').textContent = on ? 'Microphone on' : 'Microphone off';
}

function wire(room) {
	room.on(RoomEvent.TrackSubscribed, track => {
		if (track.kind === Track.Kind.Audio) $('audio').append(track.attach());
	});
	room.on(RoomEvent.TrackUnsubscribed, track => track.detach().forEach(e => e.remove()));
	room.on(RoomEvent.ParticipantAttributesChanged, (_, p) => agentState(p));
	room.on(RoomEvent.ParticipantConnected, agentState);
	room.on(RoomEvent.Reconnecting, () => notice('Reconnecting…'));
	room.on(RoomEvent.Reconnected, () => notice(''));
	room.on(RoomEvent.AudioPlaybackStatusChanged, () => {
		if (!room.canPlaybackAudio) room.startAudio().catch(() => notice('Click anywhere to hear the agent.'));
	});
	room.on(RoomEvent.Disconnected, () => {
		if (window.parley.room !== room) return;
		notes('The call has ended.');
		$('audio').replaceChildren();
		window.parley.room = null;
		connected(false);
	});
	room.registerTextStreamHandler('lk.transcription', async (reader, from) => {
		const a = reader.info.attributes ?? {};
		const mine = from.identity === room.localParticipant.identity;
		let text = '';
		for await (const piece of reader) {
			text = piece.collected ?? text + piece;
			caption(a['lk.segment_id'] ?? reader.info.id, mine, text, false);
		}
		caption(a['lk.segment_id'] ?? reader.info.id, mine, text, mine ? a['lk.transcription_final'] === 'true' : true);
	});
	room.registerTextStreamHandler('parley.events', async reader => event(JSON.parse(await reader.readAll())));
}

function agentState(p) {
	if (p.kind === ParticipantKind.AGENT) state(p.attributes['lk.agent.state'] ?? 'initializing');
}

function state(s) {
	$('state').dataset.state = s;
	$('state-text').textContent = s === 'off' ? 'not connected' : s;
}

// Captions: one line a segment, which is replaced as more of it is known.
const lines = new Map();

function caption(segment, mine, text, final) {
	let li = lines.get(segment);
	if (!li) {
		if (!text) return;
		li = document.createElement('li');
		li.className = mine ? 'user' : 'agent';
		li.append(document.createElement('b'), document.createElement('span'));
		li.firstChild.textContent = mine ? 'You' : graph.now || 'Agent';
		lines.set(segment, li);
		$('lines').append(li);
	}
	li.lastChild.textContent = text;
	li.classList.toggle('open', !final);
	$('lines').scrollTop = $('lines').scrollHeight;
}

function notes(text) {
	const li = document.createElement('li');
	li.className = 'note';
	li.textContent = text;
	$('lines').append(li);
	$('lines').scrollTop = $('lines').scrollHeight;
}

async function send(text) {
	text = text.trim();
	if (!text || !room) return;
	caption('typed-' + crypto.randomUUID(), true, text, true);
	await room.localParticipant.sendText(text, {topic: 'lk.chat'});
}

function event(e) {
	switch (e.type) {
	case 'agent': return handoff(e);
	case 'tool': return tool(e);
	case 'latency': return latency(e);
	case 'error': return notice(`${e.source}: ${e.message}`);
	}
}

// The graph grows with each agent and task that takes the floor; an edge counts how often.
const graph = {nodes: [], edges: new Map(), now: ''};

function handoff({from, to, task}) {
	if (!graph.nodes.some(n => n.id === to)) graph.nodes.push({id: to, task});
	if (from && from !== to) {
		const key = JSON.stringify([from, to]);
		graph.edges.set(key, (graph.edges.get(key) ?? 0) + 1);
		notes(`${from} → ${to}`);
	}
	graph.now = to;
	draw();
}

function draw() {
	const svg = (name, attrs, ...children) => {
		const e = document.createElementNS('http://www.w3.org/2000/svg', name);
		for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
		e.append(...children);
		return e;
	};
	const width = 300, high = 36, gap = 34, left = 70, box = 160;
	const y = i => 6 + i * (high + gap);
	const place = new Map(graph.nodes.map((n, i) => [n.id, i]));
	const parts = [svg('defs', {}, svg('marker', {id: 'tip', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse'},
		svg('path', {d: 'M0 0 L8 4 L0 8', style: 'fill:none;stroke:var(--soft)'})))];
	for (const [key, count] of graph.edges) {
		const [from, to] = JSON.parse(key).map(id => place.get(id) ?? 0);
		const down = to > from, next = to === from + 1;
		const x = down ? left + box : left, bend = (down ? 1 : -1) * (18 + 12 * Math.abs(to - from));
		const a = y(from) + high / 2, b = y(to) + high / 2;
		const d = next ? `M${left + box / 2} ${y(from) + high} L${left + box / 2} ${y(to)}` : `M${x} ${a} C${x + bend} ${a} ${x + bend} ${b} ${x} ${b}`;
		parts.push(svg('path', {d, 'marker-end': 'url(#tip)'}));
		if (count > 1) parts.push(svg('text', {class: 'count', x: next ? left + box / 2 + 8 : x + bend * .8, y: (a + b) / 2 + 4, 'text-anchor': down ? 'start' : 'end'}, `×${count}`));
	}
	for (const [i, n] of graph.nodes.entries()) {
		const name = n.id.length > 20 ? n.id.slice(0, 19) + '…' : n.id;
		parts.push(svg('g', {class: (n.task ? 'task ' : '') + (n.id === graph.now ? 'now' : '')},
			svg('rect', {x: left, y: y(i), width: box, height: high, rx: n.task ? 4 : 18}),
			svg('text', {x: left + box / 2, y: y(i) + high / 2 + 5, 'text-anchor': 'middle'}, name)));
	}
	const height = y(graph.nodes.length) - gap + 12;
	$('graph').replaceChildren(svg('svg', {viewBox: `0 0 ${width} ${height}`, width, height}, ...parts));
	$('graph').setAttribute('aria-label', `${graph.nodes.map(n => n.id).join(', ')}. ${graph.now} has the floor.`);
}

const calls = new Map();

function tool({call, name, args, output, failed}) {
	$('tools').querySelector('.empty')?.remove();
	let li = calls.get(call);
	if (!li) {
		li = document.createElement('li');
		li.append(document.createElement('code'), document.createElement('div'));
		li.firstChild.textContent = `${name}(${args})`;
		li.lastChild.className = 'out';
		li.lastChild.textContent = 'running…';
		calls.set(call, li);
		$('tools').prepend(li);
	}
	if (output !== undefined) {
		li.lastChild.textContent = output || '(nothing)';
		li.classList.toggle('failed', !!failed);
	}
}

const colours = new Map();

function colour(part) {
	if (!colours.has(part)) {
		colours.set(part, `var(--c${colours.size % 9})`);
		const div = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
		dt.style.background = colours.get(part);
		dd.textContent = part;
		div.append(dt, dd);
		$('legend').append(div);
	}
	return colours.get(part);
}

let longest = 1;

function latency({total, parts, said}) {
	$('waits').querySelector('.empty')?.remove();
	const li = document.createElement('li'), p = document.createElement('p'), bar = document.createElement('div');
	const what = document.createElement('span'), ms = document.createElement('span');
	what.textContent = said || 'answer';
	ms.textContent = `${Math.round(total)} ms`;
	p.append(what, ms);
	bar.className = 'bar';
	bar.setAttribute('role', 'img');
	bar.setAttribute('aria-label', parts.map(x => `${x.name} ${Math.round(x.ms)} ms`).join(', '));
	for (const x of parts) {
		const i = document.createElement('i');
		i.style.background = colour(x.name);
		i.dataset.ms = x.ms;
		i.title = `${x.name}: ${Math.round(x.ms)} ms`;
		bar.append(i);
	}
	li.append(p, bar);
	$('waits').prepend(li);
	while ($('waits').children.length > 8) $('waits').lastChild.remove();
	longest = Math.max(longest, total);
	for (const i of $('waits').querySelectorAll('.bar i')) i.style.width = `${100 * i.dataset.ms / longest}%`;
}

function reset() {
	lines.clear();
	calls.clear();
	graph.nodes = [];
	graph.edges.clear();
	graph.now = '';
	longest = 1;
	$('lines').replaceChildren();
	$('graph').replaceChildren();
	const empty = (id, text) => {
		const li = document.createElement('li');
		li.className = 'empty';
		li.textContent = text;
		$(id).replaceChildren(li);
	};
	empty('waits', 'Each spoken answer shows here what it waited for.');
	empty('tools', 'No calls yet.');
}

function notice(text) { $('notice').textContent = text; }

// What tests look at.
window.parley = {
	get room() { return room; },
	set room(r) { room = r; },
	graph, event,
};

$('join').onclick = () => room ? room.disconnect() : join();
$('mic').onclick = () => microphone($('mic').getAttribute('aria-pressed') !== 'true');
$('example').onchange = describe;
$('say-form').onsubmit = e => {
	e.preventDefault();
	send($('say').value);
	$('say').value = '';
};
document.addEventListener('click', () => room?.startAudio().catch(() => {}));
start().catch(err => notice(`The page cannot reach its server: ${err.message}`));
