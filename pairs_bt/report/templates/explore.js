// A run that trades again as its thresholds move. One module for the page and for notebooks: no library, no network.
// `trade` is the twin of the ledger's kernel: each close marks what is held, reads the signal, fills, re-hedges.

const OPEN = 0, EXIT_LEVEL = 1, STOP = 2, STOP_LOSS = 3, TIME_STOP = 4, DELISTED = 5, WINDOW_END = 6;
const { PI, abs, ceil, exp, floor, max, min, round: nearest, sqrt } = Math, finite = Number.isFinite;
const clamp = (v, low, high) => min(max(v, low), high);
const KINDS = { f8: Float64Array, f4: Float32Array, i4: Int32Array, i1: Int8Array };

// ---- data

async function unpack(text) {
	const letters = atob(text), packed = new Uint8Array(letters.length);
	for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
	const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
	const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
	const size = new DataView(bytes.buffer).getUint32(0, true);
	const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
	const arrays = {};
	let at = 4 + size;
	for (const { name, type, size: count, split } of head.arrays) {
		const width = Number(type[1]), body = bytes.slice(at, at + count * width);
		if (split)
			for (let b = 0; b < width; b++)
				for (let i = b; i < body.length; i += width) body[i] = bytes[at++];
		else at += body.length;
		arrays[name] = new KINDS[type](body.buffer);
	}
	return { head, arrays };
}

// Where each pair's bars stand in the joined arrays, and the calendar of the portfolio.
class Data {
	constructor({ head, arrays }) {
		this.head = head;
		this.arrays = arrays;
		const days = arrays.day, windows = head.windows, { price } = arrays;
		this.days = days;
		this.gap = Float64Array.from(days, (d, i) => (i ? d - days[i - 1] : 0));
		this.first = min(...windows.map((w) => w.split));
		this.last = max(...windows.map((w) => w.stop));
		this.size = this.last - this.first;
		this.quoted = Uint8Array.from(price, finite);
		for (const k of arrays.missing) this.quoted[k] = 0;
		windows.forEach((w, k) => Object.assign(w, { k, pairs: [] }));
		this.pairs = Array.from(arrays.pair_window, (k, p) => {
			const w = windows[k], y = arrays.pair_y[p], x = arrays.pair_x[p], bars = w.stop - w.split;
			// the first bar without a price: a pair that has one is not opened after it
			let dead = 0;
			while (dead < bars && finite(this.price(y, w.split + dead) + this.price(x, w.split + dead))) dead++;
			const pair = { p, w, y, x, bars, dead, name: head.tickers[y] + "/" + head.tickers[x] };
			w.pairs.push(pair);
			return pair;
		});
		this.rules = head.rules.map((rule, r) => this.place(rule, r));
		this.ruleOf = new Map(this.rules.map((rule) => [rule.name, rule]));
		this.spreads = new Map();
	}

	place(rule, r) {
		const own = {};
		for (const name of rule.columns) own[name] = this.arrays[name + r];
		const count = this.pairs.length;
		const out = { ...rule, ...own, at: new Int32Array(count), row: new Int32Array(count), leadAt: new Int32Array(count) };
		let at = 0, row = 0, lead = 0;
		for (const { p, w, bars } of this.pairs) {
			[out.at[p], out.row[p], out.leadAt[p]] = [at, row, lead];
			if (own.refusal[p]) continue;
			at += bars;
			row += 1;
			if (own.bars[p] > 1) lead += min(own.bars[p] - 1, w.split - w.first);
		}
		return out;
	}

	price(ticker, bar) {
		return this.arrays.price[ticker * this.days.length + bar];
	}

	hedge(rule, pair, t) {
		return rule.moving ? rule.hedge[rule.at[pair.p] + t] : rule.hedge[rule.row[pair.p]];
	}

	// Shares of x for a share of y that a rule asks for at a bar of the trade window.
	share(rule, pair, t) {
		const hedge = this.hedge(rule, pair, t), bar = pair.w.split + t;
		return this.head.fixed.log ? hedge * (this.price(pair.y, bar) / this.price(pair.x, bar)) : hedge;
	}

	// Spread of the trade window, made once.
	spread(rule, pair) {
		const key = rule.name + pair.p;
		let out = this.spreads.get(key);
		if (out) return out;
		const at = rule.at[pair.p];
		if (rule.spread) out = rule.spread.subarray(at, at + pair.bars);
		else out = Float64Array.from({ length: pair.bars }, (_, t) => this.formed(rule, pair, t));
		this.spreads.set(key, out);
		return out;
	}

	formed(rule, pair, t) {
		const bar = pair.w.split + t, log = this.head.fixed.log;
		const y = this.price(pair.y, bar), x = this.price(pair.x, bar), hedge = this.hedge(rule, pair, t);
		const value = log ? Math.log(y) - hedge * Math.log(x) : y - hedge * x;
		return rule.shift ? value + rule.shift[rule.row[pair.p]] : value;
	}

	// Spread with the train bars that the first rolling means need, and how many of those there are.
	longSpread(rule, pair) {
		const { w } = pair, trade = this.spread(rule, pair);
		const lead = max(0, min(rule.bars[pair.p] - 1, w.split - w.first));
		const out = new Float64Array(lead + pair.bars);
		for (let i = 0; i < lead; i++)
			out[i] = rule.lead ? rule.lead[rule.leadAt[pair.p] + i] : this.formed(rule, pair, i - lead);
		out.set(trade, lead);
		return { lead, spread: out };
	}

	// What z measures the spread from.
	meanOf(rule, pair) {
		const { lead, spread } = this.longSpread(rule, pair), n = rule.bars[pair.p];
		if (rule.deviation) return spread.map((s, t) => s - rule.z[rule.at[pair.p] + t] * rule.deviation[rule.row[pair.p]]);
		const out = new Float64Array(pair.bars).fill(NaN);
		for (let t = 0; t < pair.bars && n > 1; t++) {
			if (t + lead < n - 1) continue;
			let sum = 0;
			for (let i = t + lead - n + 1; i <= t + lead; i++) sum += spread[i];
			out[t] = sum / n;
		}
		return out;
	}

	// Why a pair is not traded at an entry level; "" where it may be.
	refusal(rule, pair, entry) {
		const reasons = this.head.refusals, code = rule.refusal[pair.p], n = rule.bars[pair.p];
		if (code) return reasons[code];
		// |z| <= (n - 1) / sqrt(n) for any n values
		return rule.reach && (n - 1) / sqrt(max(n, 1)) < entry ? reasons[2] : "";
	}
}

// ---- the ledger

// Daily sums of one cohort: net dollars, and cash tied up at the close.
const sums = (size) => ({ net: new Float64Array(size), value: new Float64Array(size) });

// First bar from `t` on, before `stop`, on which z is beyond the entry level; `stop` where there is none.
function nextSignal(z, at, t, stop, entry) {
	while (t < stop && !(z[at + t] >= entry || z[at + t] <= -entry)) t++;
	return t;
}

// Trade one pair through its window: its trades, its daily dollars added to `out` (from the window's first bar).
function trade(data, rule, pair, set, variant, out, work) {
	const { fixed } = data.head, { w, p, bars: n } = pair;
	const days = data.days.length, price = data.arrays.price, quoted = data.quoted;
	const oy = pair.y * days + w.split, ox = pair.x * days + w.split, z = rule.z, oz = rule.at[p];
	const { entry, exit, lag } = set, stop = set.stop ?? Infinity, loss = fixed.delisting_loss;
	const capital = fixed.capital / fixed.slots / w.parts;
	const least = fixed.stop_loss === null ? -Infinity : -fixed.stop_loss * capital;
	const most = set.time_stop === null ? Infinity : set.time_stop * rule.life[p];
	const rate = set.cost / 1e4, { half_spread: half, short_rebate: rebate } = fixed;
	const borrowed = (ticker) => (data.head.borrow[ticker] ?? set.borrow) / 1e4 / 365;
	const rateY = borrowed(pair.y), rateX = borrowed(pair.x), spread = fixed.claim ? data.spread(rule, pair) : null;
	const neutral = fixed.sizing === "dollar_neutral";
	const ratioAt = (t) => {
		if (isHeld && !neutral) return rule.hedge[rule.row[p]];
		const share = data.share(rule, pair, t);
		return neutral ? (share < 0 ? -1 : 1) * (price[oy + t] / price[ox + t]) : share;
	};
	const { target, why, fills } = work, { net, value } = work.day, made = [], stopEntry = w.entry - w.split;
	const isHeld = !rule.moving && !fixed.log;
	const start = nextSignal(z, oz, 0, stopEntry, entry);
	if (start === stopEntry) return made;
	target.fill(0, 0, start);
	net.fill(0, 0, n);
	value.fill(0, 0, n);
	let want = 0, wantBar = 0, bet = 0, entryBar = 0, blocked = 0, dead = 0, leaving = OPEN;
	let ny = 0, nx = 0, ratio = 0, lastY = 0, lastX = 0, worth = 0, lastSpread = 0, now = null;
	let quiet = -1;

	// What changes with every bar is no part of these, so that it can stay in registers.
	const fill = (one, t, ticker, shares, at) => {
		const cost = rate * (abs(shares) * at) + half * abs(shares);
		net[t] -= cost;
		one.net -= cost;
		if (fixed.netting) one.fills.push([t, ticker, shares, at]);
	};
	const cancel = (t, wanted) => {
		let k = t - lag;
		while (k <= t && target[k]) target[k++] = 0;
		return k > t ? 0 : wanted;
	};

	for (let t = start; t < n; t++) {
		if (!want && !bet && !blocked && t > quiet + lag) {
			// nothing is held or due: go to the next bar on which z is beyond the entry level
			const next = nextSignal(z, oz, t, stopEntry, entry);
			if (next >= stopEntry) break;
			target.fill(0, t, next);
			t = next;
		}
		const y = price[oy + t], x = price[ox + t];
		const priced = finite(y) && finite(x), isQuoted = quoted[oy + t] && quoted[ox + t];
		if (bet) {
			// mark what has been held since the last close
			const py = finite(y) ? y : ny > 0 ? lastY * (1 - loss) : lastY;
			const px = finite(x) ? x : nx > 0 ? lastX * (1 - loss) : lastX;
			const dy = py - lastY, dx = px - lastX;
			let gross = ny * dy + nx * dx;
			const short = max(-ny, 0) * lastY * rateY + max(-nx, 0) * lastX * rateX;
			const borrow = short * data.gap[w.split + t];
			if (spread) {
				gross = 0;
				if (finite(spread[t])) {
					gross = worth * (spread[t] - lastSpread);
					lastSpread = spread[t];
				}
			}
			lastY = py;
			lastX = px;
			net[t] += gross - borrow;
			now.net += gross - borrow;
		}
		if (!priced || t > pair.dead) dead = 1;
		// read the signal
		const score = isQuoted ? z[oz + t] : NaN, size = abs(score);
		why[t] = OPEN;
		if (want === 0) {
			if (size < entry) blocked = 0;
			if (size >= entry && !blocked && !dead && t < stopEntry && (!w.closed || t + lag < n - 1)) {
				const hedge = data.share(rule, pair, t);
				if (finite(hedge) && (hedge > 0 || !fixed.reject_negative)) {
					want = score > 0 ? -1 : 1;
					wantBar = t;
				}
			}
		} else if (size === size) {
			const gain = want * score, filled = bet && entryBar - lag === wantBar;
			let reason = OPEN;
			if (gain >= -exit) reason = EXIT_LEVEL;
			else if (gain <= -stop) reason = STOP;
			else if (filled && now.net <= least) reason = STOP_LOSS;
			else if (filled && t - entryBar >= most) reason = TIME_STOP;
			if (reason) {
				why[t] = reason;
				want = 0;
				blocked = reason === EXIT_LEVEL ? 0 : 1;
			}
		}
		target[t] = want;
		if (want) quiet = t;
		// fill what was decided `lag` closes ago
		const due = t >= lag ? target[t - lag] : 0, last = w.closed && t === n - 1;
		if (bet) {
			if (leaving && due) want = cancel(t, want);
			else if (!leaving && !due) leaving = why[t - lag];
			let reason = OPEN;
			if (!priced) reason = DELISTED;
			else if (leaving && (isQuoted || last)) reason = leaving;
			else if (last) reason = WINDOW_END;
			if (reason) {
				fill(now, t, pair.y, -ny, lastY);
				fill(now, t, pair.x, -nx, lastX);
				Object.assign(now, { exitBar: t, reason });
				if (reason === DELISTED) want = 0;
				bet = ny = nx = 0;
				quiet = t;
			} else if (variant.rehedge !== "never" && isQuoted && !leaving && t - lag >= entryBar) {
				const wanted = ratioAt(t - lag), moved = abs(wanted - ratio);
				const still = moved === 0 || (variant.rehedge === "band" && moved <= variant.band * abs(ratio));
				if (finite(wanted) && !(fixed.reject_negative && wanted <= 0) && !still) {
					const change = -ny * wanted - nx;
					nx += change;
					ratio = wanted;
					fill(now, t, pair.x, change, lastX);
				}
			}
		} else if (due && !last) {
			const share = data.share(rule, pair, t), held = ratioAt(t), leg = abs(held) * x;
			const fine = finite(share) && finite(held) && !(fixed.reject_negative && share <= 0)
				&& max(y, leg) <= fixed.max_leg_share * (y + leg);
			if (!dead && isQuoted && fine) {
				let u = capital / (y + leg);
				if (fixed.sizing === "volatility") {
					const [vy, vx, c] = data.arrays.moments.subarray(3 * p, 3 * p + 3);
					const variance = vy - 2 * held * c + held * held * vx;
					if (variance > 0) u = min(u, (fixed.volatility * capital) / sqrt(fixed.year * variance));
				}
				const side = due * fixed.side;
				bet = due;
				leaving = OPEN;
				entryBar = t;
				ny = side * u;
				nx = -side * u * held;
				ratio = held;
				lastY = y;
				lastX = x;
				if (spread) {
					worth = bet * u * (fixed.log ? y : 1);
					lastSpread = spread[t];
				}
				now = { pair, variant, side, signalBar: t - lag, entryBar: t, exitBar: -1, reason: OPEN, ratio: held, capital, net: 0, fills: [] };
				made.push(now);
				fill(now, t, pair.y, ny, y);
				fill(now, t, pair.x, nx, x);
			} else want = cancel(t, want);
		}
		if (bet) value[t] = tiedUp(ny * lastY, rebate) + tiedUp(nx * lastX, rebate);
		else if (!want && t >= stopEntry && t > quiet + lag) break;
	}
	if (!made.length) return made;
	const end = made[made.length - 1];
	if (fixed.drop && (end.reason === OPEN || end.reason === WINDOW_END)) return [];
	const stopBar = end.exitBar < 0 ? n : end.exitBar + 1;
	for (let t = made[0].entryBar; t < stopBar; t++) {
		out.net[t] += net[t];
		out.value[t] += value[t];
	}
	if (fixed.netting) for (const one of made) for (const f of one.fills) fills.push([one, f]);
	return made;
}

const within = (w, from, to) => (!from || w.end >= from) && (!to || w.end <= to);

// Trade every pair of one variant and add its cohorts up to daily returns on committed capital.
function tradeVariant(data, set, variant) {
	const { fixed, windows } = data.head, rule = data.ruleOf.get(variant.rule), size = data.size, first = data.first;
	const longest = max(...windows.map((w) => w.stop - w.split));
	const work = { target: new Int8Array(longest), why: new Int8Array(longest), day: sums(longest), fills: [] }, cohort = sums(longest);
	const total = sums(size), capital = new Float64Array(size);
	const trades = [], slot = fixed.capital / fixed.slots;
	for (const w of windows) {
		if (!within(w, set.from, set.to)) continue;
		const before = trades.length;
		cohort.net.fill(0);
		cohort.value.fill(0);
		for (const pair of w.pairs)
			if (!set.out.has(pair.name) && !data.refusal(rule, pair, set.entry))
				for (const one of trade(data, rule, pair, set, variant, cohort, work)) trades.push(one);
		const birth = w.split - first, scale = fixed.compounding ? scaleAt(data, birth, total, capital) : 1;
		for (let t = 0, i = birth; i < w.stop - first; t++, i++) {
			total.net[i] += scale * cohort.net[t];
			total.value[i] += scale * cohort.value[t];
			capital[i] += scale * slot;
		}
		if (scale !== 1)
			for (const one of trades.slice(before)) {
				one.capital *= scale;
				one.net *= scale;
				for (const f of one.fills) f[2] *= scale;
			}
	}
	const saved = fixed.netting ? netted(data, set, work.fills) : null;
	const out = { variant, trades, net: new Float64Array(size), excess: new Float64Array(size) };
	const interest = interestOn(data, capital, total.value);
	for (let i = 0; i < size; i++) {
		const base = capital[i] > 0 ? capital[i] : 1;
		out.net[i] = (total.net[i] + (saved ? saved[i] : 0) + interest[i]) / base;
		out.excess[i] = out.net[i] - (capital[i] > 0 ? growth(data, i) : 0);
	}
	return out;
}

const growth = (data, i) => (data.head.fixed.cash_rate * data.gap[data.first + i]) / 365;

// Cash that a leg ties up: a long its value, a short less than none by what a rebate is paid on.
const tiedUp = (value, rebate) => (value < 0 ? rebate * value : value);

// Interest on the committed capital less the cash that the close before left tied up.
function interestOn(data, capital, value) {
	const out = new Float64Array(capital.length);
	if (data.head.fixed.cash_rate)
		for (let i = 0; i < out.length; i++) out[i] = (capital[i] - (i ? value[i - 1] : 0)) * growth(data, i);
	return out;
}

function scaleAt(data, birth, total, capital) {
	const interest = interestOn(data, capital, total.value);
	let before = 0;
	for (let i = 0; i < birth; i++) before += total.net[i] + interest[i];
	return max(1 + before / data.head.fixed.capital, 0);
}

// Dollars that opposite orders in one ticker at one close save.
function netted(data, set, fills) {
	const orders = [], out = new Float64Array(data.size), { fixed, tickers } = data.head;
	for (const [one, [t, ticker, shares, price]] of fills) {
		const day = one.pair.w.split + t, unit = (set.cost / 1e4) * price + fixed.half_spread;
		const order = (orders[day * tickers.length + ticker] ??= { day, shares: 0, charged: 0, unit });
		order.shares += shares;
		order.charged += abs(shares) * unit;
	}
	orders.forEach(({ day, shares, charged, unit }) => {
		const saving = charged - abs(shares) * unit;
		if (saving > 1e-12 * charged) out[day - data.first] += saving;
	});
	return out;
}

// ---- statistics

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// Daily Sharpe ratio (ddof 1), length, skew and kurtosis (3 for a normal); NaN where nothing moves.
function moments(values) {
	const n = values.length, m = mean(values);
	let s2 = 0, s3 = 0, s4 = 0;
	for (const v of values) s2 += (v - m) * (v - m);
	const spread = sqrt(s2 / n), sd = sqrt(s2 / (n - 1));
	if (n < 2 || values.every((v) => v === values[0])) return { n, mean: m, sd: 0, sharpe: NaN };
	for (const v of values) {
		const d = (v - m) / spread, cube = d * d * d;
		s3 += cube;
		s4 += cube * d;
	}
	return { n, mean: m, sd, sharpe: m / sd, skew: s3 / n, kurtosis: s4 / n };
}

// Distribution of the normal: its series (Marsaglia 2004).
function normal(x) {
	if (abs(x) > 9) return x > 0 ? 1 : 0;
	let sum = x, term = x;
	for (let k = 3; sum + term !== sum; k += 2) sum += term *= (x * x) / k;
	return 0.5 + (sum * exp(-0.5 * x * x)) / sqrt(2 * PI);
}

// Quantile of the normal, by halving; from the left tail, where nothing is lost to rounding.
function quantile(p) {
	if (p > 0.5) return -quantile(1 - p);
	let low = -9, high = 0;
	for (let k = 0; k < 60; k++) {
		const middle = (low + high) / 2;
		normal(middle) < p ? (low = middle) : (high = middle);
	}
	return low;
}

// Best daily Sharpe ratio that `trials` independent strategies without skill would show (Bailey and Lopez de Prado 2014).
function expectedMaximum(trials, deviation) {
	if (!(trials > 1)) return 0;
	const gamma = 0.5772156649015329;
	const best = (1 - gamma) * quantile(1 - 1 / trials) + gamma * quantile(1 - 1 / (trials * Math.E));
	return deviation * max(best, 0);
}

// Everything that was looked at: a trial is one variant under one setting.
class Trials {
	constructor() {
		this.seen = new Set();
		this.settings = new Set();
		this.sharpes = [];
		this.total = null;
	}

	add(setting, name, excess, m) {
		this.settings.add(setting);
		const key = setting + " " + name;
		if (this.seen.has(key) || Number.isNaN(m.sharpe)) return;
		this.seen.add(key);
		this.known = null;
		this.sharpes.push(m.sharpe);
		this.total ??= new Float64Array(excess.length);
		const spread = m.sd * sqrt((m.n - 1) / m.n);
		for (let i = 0; i < excess.length; i++) this.total[i] += (excess[i] - m.mean) / spread;
	}

	// Independent trials that they amount to, r + (1 - r) M with the mean correlation r (2014, appendix 3).
	get effective() {
		const count = this.sharpes.length;
		if (count < 2) return count;
		let square = 0;
		for (const v of this.total) square += v * v;
		const r = clamp((square / this.total.length - count) / (count * (count - 1)), 0, 1);
		return r + (1 - r) * count;
	}

	get best() {
		return (this.known ??= expectedMaximum(this.effective, moments(this.sharpes).sd));
	}

	// Probability that the true Sharpe ratio is above that (2012); NaN where nothing moves.
	deflated({ n, sharpe, skew, kurtosis }) {
		const variance = 1 - skew * sharpe + ((kurtosis - 1) / 4) * sharpe ** 2;
		return variance > 0 ? normal(((sharpe - this.best) * sqrt(n - 1)) / sqrt(variance)) : NaN;
	}
}

function summarise(data, result) {
	const { year } = data.head, { net } = result, n = net.length, equity = new Float64Array(n), drawdown = new Float64Array(n);
	let end = 1, peak = 1, depth = 0;
	for (let i = 0; i < n; i++) {
		end *= max(1 + net[i], 0);
		if (end > peak) peak = end;
		equity[i] = end;
		drawdown[i] = end / peak - 1;
		if (drawdown[i] < depth) depth = drawdown[i];
	}
	const m = moments(result.excess), { trades } = result, count = trades.length;
	const closed = trades.filter((one) => one.reason !== OPEN), bp = trades.map((one) => (one.net / one.capital) * 1e4);
	return {
		moments: m, equity, drawdown, depth, trades: count,
		chance: data.head.chance && m.sd ? chanceOf(data, result, m) : null,
		annual: n ? end ** (year / n) - 1 : NaN,
		sharpe: m.sharpe * sqrt(year),
		bp: count ? mean(bp) : NaN,
		winning: count ? trades.filter((one) => one.net > 0).length / count : NaN,
		returned: closed.length ? closed.filter((one) => one.reason === EXIT_LEVEL).length / closed.length : NaN,
	};
}

// Where growth of 1 without an edge would lie on day i, 95 times in 100: no mean beside cash, and the deviation over
// many days that the result has, which cosines measure (Mueller 2007), as they do for the run's Sharpe intervals.
function chanceOf(data, { net, excess }, m) {
	const { terms, times } = data.head.chance, n = net.length, cash = new Float64Array(n);
	const table = (data.cosines ??= Float64Array.from({ length: 4 * n }, (_, k) => Math.cos((PI * k) / (2 * n))));
	let square = 0;
	for (let j = 1; j <= terms; j++) {
		let sum = 0;
		for (let i = 0, k = j; i < n; i++, k += 2 * j) {
			if (k >= 4 * n) k -= 4 * n;
			sum += excess[i] * table[k];
		}
		square += sum * sum;
	}
	for (let i = 0, sum = 0; i < n; i++) cash[i] = sum += net[i] - excess[i];
	const reach = times * sqrt((2 * square) / (n * terms));
	return (i) => [-1, 1].map((side) => exp(cash[i] - 0.5 * m.sd ** 2 * (i + 1) + side * reach * sqrt(i + 1)));
}

// ---- words and numbers

const minus = (text) => text.replace(/^-(?=.*[1-9])/, "\u2212").replace(/^-/, "");
const formats = [];
const format = (digits) => (formats[digits] ??= new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const number = (v, digits = 2) => (finite(v) ? minus(format(digits).format(v)) : "\u2013");
const percent = (v, digits = 2) => (finite(v) ? number(100 * v, digits) + "%" : "\u2013");
const iso = (day) => new Date(nearest(day * 1440) * 6e4).toJSON().slice(0, day % 1 ? 16 : 10);
const filled = (text, ...parts) => text.replace(/\{(\d)\}/g, (_, k) => parts[k]);

function el(tag, attributes = {}, ...children) {
	const out = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on")) out.addEventListener(name.slice(2), value);
		else if (value === true) out.setAttribute(name, "");
		else if (value !== false && value !== null) out.setAttribute(name, value);
	}
	out.append(...children);
	return out;
}

const button = (label, onclick, more = {}) => el("button", { type: "button", onclick, ...more }, label);

const tools = (...kids) => el("div", { class: "tools" }, ...kids);

// A line in a variant's colour and dash, as the report draws it.
function swatch(variant) {
	const out = el("span", { "aria-hidden": "true" }), dash = variant.dash.map((d) => 1.6 * d).join(" ") || "none";
	out.innerHTML = `<svg viewBox="0 0 26 8" width="26" height="8" class="swatch"><path d="M1 4H25" class="v${variant.number}" stroke-dasharray="${dash}"/></svg>`;
	return out;
}

// Cells that a spreadsheet would take for formulas get an apostrophe in front.
function csv(rows) {
	const cell = (v) => {
		if (typeof v === "number") return finite(v) ? String(v) : "";
		const text = /^[=+\-@\t\r]/.test(v) ? "'" + v : v;
		return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
	};
	return rows.map((row) => row.map(cell).join(",") + "\n").join("");
}

// ---- charts

// Stacked panels over one axis of trading days: wheel and drag move it, keys too, the pointer reads values.
class Chart {
	constructor(label, hint, colors) {
		Object.assign(this, { hint, colors });
		this.canvas = el("canvas", { role: "img", tabindex: 0, "aria-label": label, class: "chart" });
		this.output = el("output", { class: "values" });
		this.box = el("div", { class: "chart-box" }, this.canvas, this.output);
		this.at = null;
		this.panels = [];
		this.left = 54;
		this.listen();
	}

	// `days` are day numbers; a panel has title, height, format, series [{name, values, from, color, band}], levels, marks.
	// At first the view begins at `start`.
	set(days, panels, start = 0) {
		if (days.length !== this.days?.length || days[0] !== this.days[0]) [this.view, this.ticked] = [[start, days.length - 1], null];
		this.days = days;
		this.panels = panels;
		if (this.at !== null && this.at >= days.length) this.at = null;
		this.draw();
		this.read();
	}

	listen() {
		let drag = null;
		const drop = () => (drag = null);
		listen(this.canvas, {
			wheel: (event) => {
				event.preventDefault();
				this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.bar(event.offsetX));
			},
			pointerdown: (event) => {
				drag = { x: event.offsetX, view: [...this.view] };
				this.canvas.setPointerCapture(event.pointerId);
			},
			pointermove: (event) => {
				if (drag && abs(event.offsetX - drag.x) > 2) {
					const moved = ((event.offsetX - drag.x) / this.width) * (drag.view[1] - drag.view[0]);
					this.show(drag.view[0] - moved, drag.view[1] - moved);
				}
				this.point(nearest(this.bar(event.offsetX)));
			},
			pointerup: drop,
			pointercancel: drop,
			pointerleave: () => this.point(null),
			dblclick: () => this.show(0, this.days.length - 1),
			keydown: (event) => {
				const [a, b] = this.view, step = (b - a) / 8, at = this.at ?? nearest((a + b) / 2);
				const keys = {
					ArrowLeft: () => (event.shiftKey ? this.show(a - step, b - step) : this.point(at - 1)),
					ArrowRight: () => (event.shiftKey ? this.show(a + step, b + step) : this.point(at + 1)),
					"+": () => this.zoom(0.8, at), "=": () => this.zoom(0.8, at), "-": () => this.zoom(1.25, at),
					Home: () => this.point(ceil(a)), End: () => this.point(floor(b)), 0: () => this.show(0, this.days.length - 1),
					Escape: () => this.point(null),
				};
				if (!keys[event.key]) return;
				event.preventDefault();
				keys[event.key]();
			},
		});
	}

	bar(x) {
		return this.view[0] + ((x - this.left) / this.width) * (this.view[1] - this.view[0]);
	}

	x(bar) {
		return this.left + ((bar - this.view[0]) / (this.view[1] - this.view[0] || 1)) * this.width;
	}

	zoom(factor, about) {
		const [a, b] = this.view;
		this.show(about - (about - a) * factor, about + (b - about) * factor);
	}

	show(a, b) {
		const end = this.days.length - 1, span = clamp(b - a, min(10, end), end);
		a = clamp(a, 0, end - span);
		this.view = [a, a + span];
		this.redraw();
	}

	point(bar) {
		if (bar !== null) bar = clamp(bar, ceil(this.view[0]), floor(this.view[1]));
		if (bar === this.at) return;
		this.at = bar;
		this.redraw();
		this.read();
	}

	redraw() {
		this.waiting ??= requestAnimationFrame(() => {
			this.waiting = null;
			this.draw();
		});
	}

	read() {
		const parts = [];
		if (this.at !== null) {
			parts.push(iso(this.days[this.at]));
			for (const { series, format: show = number } of this.panels)
				for (const s of series) {
					const v = s.values[this.at - (s.from ?? 0)];
					if (v !== undefined && !Number.isNaN(v)) parts.push(`${s.name} ${show(v)}` + (s.band ? ` (by chance ${s.band(this.at).map((e) => show(e)).join(" to ")})` : ""));
				}
		}
		this.output.textContent = parts.length ? parts.join("; ") : this.hint;
	}

	draw() {
		const { css } = this, gap = 24;
		if (!css || !this.days) return;
		const height = this.panels.reduce((a, p) => a + p.height + gap, 24);
		this.width = css - this.left - 8;
		const g = cleared(this.canvas, css, height);
		g.font = "12px system-ui, sans-serif";
		g.lineJoin = "round";
		let top = 0;
		const key = [...this.view, this.width].join();
		if (key !== this.ticked?.key) this.ticked = { key, ticks: this.ticks() };
		const { ticks } = this.ticked;
		for (const panel of this.panels) {
			top += gap;
			this.panel(g, panel, top, ticks);
			top += panel.height;
		}
		g.fillStyle = this.colors.muted;
		g.textAlign = "center";
		for (const [bar, text] of ticks) {
			const x = this.x(bar);
			if (x > this.left + 12 && x < css - 16) g.fillText(text, x, top + 16);
		}
		if (this.at !== null) {
			g.strokeStyle = this.colors.ink;
			g.setLineDash([2, 2]);
			line(g, this.x(this.at), gap, this.x(this.at), top);
			g.setLineDash([]);
		}
	}

	range(panel) {
		let low = Infinity, high = -Infinity;
		const [a, b] = [floor(this.view[0]), ceil(this.view[1])];
		const take = (v) => {
			if (v < low) low = v;
			if (v > high) high = v;
		};
		for (const s of panel.series) {
			const from = s.from ?? 0;
			for (let i = max(a, from), stop = min(b, from + s.values.length - 1); i <= stop; i++) take(s.values[i - from]);
		}
		for (const s of panel.series) s.band?.(b).forEach(take);
		for (const level of panel.levels ?? []) if (level.reach !== false) take(level.y);
		if (!(high >= low)) [low, high] = [0, 1];
		const pad = (high - low || abs(high) || 1) * 0.06;
		return [low - pad, panel.top === undefined ? high + pad : max(panel.top, high) + pad / 3];
	}

	panel(g, panel, top, ticks) {
		const { colors } = this, [low, high] = this.range(panel);
		const y = (v) => top + panel.height - ((v - low) / (high - low)) * panel.height;
		g.fillStyle = colors.ink;
		g.textAlign = "left";
		g.fillText(panel.title, 0, top - 9);
		const clip = (more) => {
			g.save();
			g.beginPath();
			g.rect(this.left, top - more, this.width, panel.height + 2 * more);
			g.clip();
		};
		clip(0);
		if (panel.shade) {
			g.fillStyle = colors.band;
			g.fillRect(this.x(panel.shade[0]), top, this.x(panel.shade[1]) - this.x(panel.shade[0]), panel.height);
		}
		g.lineWidth = 0.8;
		g.strokeStyle = colors.grid;
		for (const [bar] of ticks) line(g, this.x(bar), top, this.x(bar), top + panel.height);
		g.restore();
		const step = niceStep((high - low) / max(2, panel.height / 30)), digits = max(0, -floor(Math.log10(step) + 1e-9));
		g.textAlign = "right";
		for (let v = ceil(low / step) * step; v <= high; v += step) {
			g.strokeStyle = colors.grid;
			line(g, this.left, y(v), this.left + this.width, y(v));
			g.fillStyle = colors.muted;
			g.fillText(panel.percent ? percent(v, max(0, digits - 2)) : number(v, digits), this.left - 6, y(v) + 4);
		}
		clip(4);
		for (const level of panel.levels ?? []) {
			g.strokeStyle = colors.muted;
			g.lineWidth = 1;
			g.setLineDash(level.dash ?? []);
			line(g, this.left, y(level.y), this.left + this.width, y(level.y));
		}
		for (const s of panel.series) if (s.band) this.band(g, s, y);
		for (const s of panel.series) this.series(g, s, y);
		g.setLineDash([]);
		for (const mark of panel.marks ?? []) drawMark(g, this.x(mark.bar), y(mark.value), mark.kind, colors);
		g.restore();
	}

	band(g, { band, color }, y) {
		const [a, b] = this.view, points = Array.from({ length: 61 }, (_, k) => nearest(a + ((b - a) * k) / 60)).map((i) => [this.x(i), ...band(i).map(y)]);
		g.setLineDash([]);
		g.lineWidth = 1;
		g.fillStyle = g.strokeStyle = color;
		g.beginPath();
		for (const [x, low] of points) g.lineTo(x, low);
		for (const [x, , high] of points.reverse()) g.lineTo(x, high);
		g.globalAlpha = 0.07;
		g.fill();
		g.globalAlpha = 0.3;
		g.stroke();
		g.globalAlpha = 1;
	}

	// One line; where bars are denser than pixels, the lowest and highest of each pixel.
	series(g, s, y) {
		const from = s.from ?? 0, a = max(floor(this.view[0]), from), b = min(ceil(this.view[1]), from + s.values.length - 1);
		g.strokeStyle = s.color;
		g.lineWidth = s.width ?? 1.5;
		g.setLineDash(s.dash ?? []);
		g.beginPath();
		const dense = (b - a) / this.width > 1.5, x0 = this.x(0), step = this.x(1) - x0;
		let column = null, low = 0, high = 0, end = 0;
		const flush = () => {
			if (column === null) return;
			g.lineTo(column, y(low));
			if (high !== low) g.lineTo(column, y(high));
			if (end !== high) g.lineTo(column, y(end));
		};
		for (let i = a; i <= b; i++) {
			const v = s.values[i - from], x = x0 + i * step, pixel = dense ? floor(x + 0.5) : x;
			if (Number.isNaN(v)) {
				flush();
				column = null;
			} else if (pixel === column) {
				if (v < low) low = v;
				if (v > high) high = v;
			} else {
				if (column === null) g.moveTo(pixel, y(v));
				flush();
				column = pixel;
				low = high = v;
			}
			end = v;
		}
		flush();
		g.stroke();
	}

	// Years, half-years or months, as many as there is room for.
	ticks() {
		const [a, b] = [floor(this.view[0]), ceil(this.view[1])], room = max(2, this.width / 70), out = [];
		const span = (this.days[b] - this.days[a]) / 30.4, months = [1, 2, 3, 6, 12, 24, 48, 120].find((m) => span / m <= room) ?? 240;
		if (span < 1.5) return [];
		let last = null;
		for (let i = max(a, 0); i <= b; i++) {
			const date = new Date(this.days[i] * 864e5), year = date.getUTCFullYear(), month = year * 12 + date.getUTCMonth(), slot = floor(month / months);
			if (last !== null && slot !== last)
				out.push([i, months >= 12 || month % 12 === 0 ? year : date.toLocaleString("en", { month: "short", timeZone: "UTC" })]);
			last = slot;
		}
		return out;
	}
}

// The context of an empty canvas of this many CSS pixels.
function cleared(c, css, high) {
	const ratio = devicePixelRatio || 1, width = nearest(css * ratio), height = nearest(high * ratio), g = c.getContext("2d");
	if (c.width !== width || c.height !== height) Object.assign(c, { width, height }).style.height = high + "px";
	g.setTransform(ratio, 0, 0, ratio, 0, 0);
	g.clearRect(0, 0, css, high);
	return g;
}

function listen(node, handlers) {
	for (const [name, handle] of Object.entries(handlers)) node.addEventListener(name, handle);
}

function line(g, x0, y0, x1, y1) {
	g.beginPath();
	g.moveTo(x0, y0);
	g.lineTo(x1, y1);
	g.stroke();
}

function niceStep(rough) {
	const size = 10 ** floor(Math.log10(rough));
	return [1, 2, 5, 10].find((k) => k * size >= rough) * size;
}

// Told apart by shape: a ring where a signal was given, triangles where a fill opened, a cross where it closed.
const MARKS = { signal: "M4 0A4 4 0 1 1 4-.01", buy: "M0-6L-5 4H5Z", sell: "M0 6L-5-4H5Z", close: "M-4-4L4 4M4-4L-4 4" };

function drawMark(g, x, y, kind, { gain: buy, loss: sell, ink }) {
	const path = new Path2D(MARKS[kind]);
	g.save();
	g.translate(x, y);
	g.lineWidth = 1.6;
	g.strokeStyle = g.fillStyle = { buy, sell }[kind] ?? ink;
	g.stroke(path);
	if (kind !== "signal") g.fill(path);
	g.restore();
}

// ---- the settings

function problem(set, T) {
	if (!(set.entry > 0)) return T.entry;
	if (set.exit >= set.entry) return T.exit;
	if (set.stop !== null && set.stop <= set.entry) return T.stop;
	if (set.time_stop !== null && !(set.time_stop > 0)) return T.time;
	if (set.cost < 0 || set.borrow < 0) return T.cost;
	if (!Number.isInteger(set.lag) || set.lag < 0 || set.lag > 20) return T.lag;
	return "";
}

const beyond = (v, [low, high]) => (v > high ? 1 : v < low ? -1 : 0);

const isOwn = (head, shown) => head.variants.every((v) => shown.has(v.name) === v.in_run);

// What of a state the address holds: differences from the run, and the pair that is open.
function toHash(head, set, shown, view) {
	const out = new URLSearchParams();
	for (const { name } of head.controls) if (set[name] !== head.own[name]) out.set(name, set[name] ?? "none");
	if (!isOwn(head, shown)) out.set("on", [...shown].join(" "));
	const others = { from: set.from, to: set.to, out: [...set.out].sort().join(" "), ...view };
	for (const [name, value] of Object.entries(others)) if (value) out.set(name, value);
	return out.toString();
}

function fromHash(head, text) {
	const given = new URLSearchParams(text.replace(/^#/, "")), set = { ...head.own, from: "", to: "", out: new Set() };
	for (const { name, optional } of head.controls) {
		const value = given.get(name);
		if (value === null) continue;
		if (value === "none" && optional) set[name] = null;
		else if (value.trim() && finite(Number(value))) set[name] = Number(value);
	}
	for (const name of ["from", "to"]) if (head.windows.some((w) => w.end === given.get(name))) set[name] = given.get(name);
	for (const name of (given.get("out") ?? "").split(" ")) if (name) set.out.add(name);
	const on = given.has("on") ? given.get("on").split(" ") : null;
	const shown = new Set(head.variants.filter((v) => (on ? on.includes(v.name) : v.in_run)).map((v) => v.name));
	return { set: problem(set, head.texts) ? { ...set, ...head.own } : set, shown, view: Object.fromEntries(["pair", "window", "variant"].map((name) => [name, given.get(name)])) };
}

// The config keys that a state changes, as [table, key, TOML value].
function changes(head, set, shown) {
	const out = [];
	for (const { name, path, whole } of head.controls) {
		if (set[name] === head.own[name]) continue;
		// a stop cannot be taken out by an override: one that nothing reaches does the same
		const value = set[name] ?? 1e9;
		const text = whole || !Number.isInteger(value) ? String(value) : value.toFixed(1);
		out.push([...path.split("."), text]);
	}
	const on = head.variants.filter((v) => shown.has(v.name));
	if (on.length && !isOwn(head, shown)) {
		const list = (values) => "[" + [...new Set(values)].join(", ") + "]";
		out.push(["hedge", "variants", list(on.map((v) => `"${v.rule}"`))]);
		const moving = on.filter((v) => v.moving);
		if (moving.length) out.push(["hedge", "rehedge", list(moving.map((v) => (v.rehedge === "band" ? `{ band = ${v.band} }` : `"${v.rehedge}"`)))]);
	}
	return out;
}

const asOptions = (list) => list.map(([table, key, value]) => `--set '${table}.${key}=${value}'`).join(" ");

function asToml(list) {
	const tables = new Map();
	for (const [table, key, value] of list) tables.set(table, [...(tables.get(table) ?? []), `${key} = ${value}`]);
	return [...tables].map(([table, lines]) => `[${table}]\n${lines.join("\n")}\n`).join("\n");
}

// ---- tables

const table = (caption, heads, body) =>
	el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body));

// A table that sorts by its heads and shows as many rows as are asked for.
class Grid {
	constructor([caption, ...labels], columns, sort) {
		this.columns = columns;
		columns.forEach((column, k) => (column.label = labels[k]));
		this.sort = sort;
		this.limit = 50;
		this.rows = [];
		this.text = "";
		this.heads = columns.map((column, k) => {
			const name = column.plain ? column.label : button(column.label, () => this.by(k));
			return el("th", { scope: "col", class: column.text ? "text" : null }, name);
		});
		this.body = el("tbody");
		this.filter = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter " + caption, oninput: () => this.fill((this.text = this.filter.value.toLowerCase())) });
		this.count = el("output", { class: "muted" });
		this.more = button("Show more", () => this.fill((this.limit += 200)));
		this.tools = tools(this.filter, this.count);
		const scroll = table(caption, this.heads, this.body);
		this.box = el("div", {}, this.tools, scroll, this.more);
	}

	by(k) {
		this.sort = [k, this.sort[0] === k ? -this.sort[1] : this.columns[k].text ? 1 : -1];
		this.fill();
	}

	get shown() {
		const [k, way] = this.sort, key = this.columns[k].value;
		const rows = this.text ? this.rows.filter((row) => this.columns.some((c) => c.text && String(c.value(row)).toLowerCase().includes(this.text))) : [...this.rows];
		const keys = new Map(rows.map((row) => [row, key(row)]));
		const compare = (a, b) => (a === b ? 0 : Number.isNaN(a) ? 1 : Number.isNaN(b) ? -1 : (a < b ? -1 : 1) * way);
		return rows.sort((a, b) => compare(keys.get(a), keys.get(b)));
	}

	fill() {
		const rows = this.shown;
		this.heads.forEach((head, k) => (head.ariaSort = this.sort[0] !== k ? "none" : this.sort[1] > 0 ? "ascending" : "descending"));
		this.body.replaceChildren(...rows.slice(0, this.limit).map((row) =>
			el("tr", {}, ...this.columns.map((c) => el("td", { class: c.text ? "text" : null }, c.show ? c.show(row) : String(c.value(row)))))));
		this.count.textContent = `${number(rows.length, 0)} of ${number(this.rows.length, 0)}`;
		this.more.hidden = rows.length <= this.limit;
	}

	csv() {
		const columns = this.columns.filter((c) => !c.plain);
		return csv([columns.map((c) => c.label), ...this.shown.map((row) => columns.map((c) => c.value(row)))]);
	}
}

// ---- the page

class App {
	constructor(root, data, { hash = true } = {}) {
		this.root = root;
		this.data = data;
		this.head = data.head;
		this.hash = hash;
		this.trials = new Trials();
		this.times = [];
		Object.assign(this, fromHash(this.head, ""));
		this.colors = {};
		this.build();
		this.paint();
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint() || this.draw());
		new ResizeObserver(() => this.fit()).observe(this.main);
		this.fit();
		// the run's own settings are the first that were looked at, whatever the address asks for
		this.update(true);
		this.own = new Map(this.results.map((r) => [r.variant.name, this.trials.deflated(r.summary.moments)]));
		if (hash) {
			addEventListener("hashchange", () => location.hash.slice(1) !== this.text && this.restore(location.hash));
			if (location.hash.length > 1) this.restore(location.hash);
		}
		this.showSummary();
		// the tables are below the fold: they come when the first picture is on the screen
		this.resting = setTimeout(() => this.settle(), 100);
	}

	paint() {
		const style = getComputedStyle(this.root), value = (name) => style.getPropertyValue("--" + name).trim();
		for (const name of ["ink", "muted", "grid", "gain", "loss", "band"]) this.colors[name] = value(name);
		this.lines = new Map(this.head.variants.map((v) => [v.name, { color: value("v" + v.number), dash: v.dash, width: v.dash.length ? 1.6 : 2.2 }]));
	}

	build() {
		const { head } = this, T = head.texts, section = (id, ...kids) => el("section", { id: "x-" + id, "aria-labelledby": "h-" + id }, el("h2", { id: "h-" + id }, T.titles[id]), ...kids);
		this.inputs = {};
		const fields = head.controls.map((control) => this.control(control));
		this.checks = new Map(head.variants.map((v) => [v.name, el("input", { type: "checkbox", onchange: (e) => this.put(this.shown, v.name, e.target.checked) })]));
		const variants = el("fieldset", {}, el("legend", {}, "Variants"),
			...head.variants.map((v) => el("label", { class: "check" }, this.checks.get(v.name), swatch(v), v.label, v.in_run ? "" : el("small", {}, T.added))));
		this.ends = ["from", "to"].map((name) => el("select", { onchange: (e) => this.change(name, e.target.value) },
			el("option", { value: "" }, name === "from" ? "first" : "last"), ...head.windows.map((w) => el("option", { value: w.end }, w.end))));
		this.alert = el("p", { class: "alert", role: "alert" });
		this.shareText = el("textarea", { readonly: true, rows: 3, "aria-label": T.copied, hidden: true });
		const copy = (label, make) => button(label, () => this.copy(make()));
		const actions = el("div", { class: "actions" },
			button(T.back, () => this.reset()),
			copy("Copy link", () => location.href.replace(/#.*/, "") + "#" + this.text),
			copy("Copy --set", () => asOptions(changes(head, this.set, this.shown)) || T.unchanged),
			copy("Copy TOML", () => asToml(changes(head, this.set, this.shown)) || "# " + T.unchanged), this.shareText);
		const controls = el("form", { class: "controls", "aria-label": T.settings, onsubmit: (e) => e.preventDefault() }, this.alert,
			el("fieldset", {}, el("legend", {}, "Signals"), ...fields.slice(0, 4)), el("fieldset", {}, el("legend", {}, "Costs and fills"), ...fields.slice(4)), variants, actions);

		this.cost = el("p", { class: "verdict", "aria-live": "polite" });
		this.rows = el("tbody");
		const summary = table(T.table, T.summary.map((h, k) => el("th", { scope: "col", class: k ? null : "text" }, h)), this.rows);
		this.equity = new Chart(T.equity_label, T.keys, this.colors);
		this.chance = el("p", { class: "muted" });
		this.bars = el("canvas", { class: "bars", role: "img", "aria-label": T.bars_label });
		this.brush();
		const windows = tools(el("label", {}, "Windows from ", this.ends[0]), el("label", {}, "to ", this.ends[1]),
			button(T.all, () => this.range("", "")));

		const day = (one, t) => (t < 0 ? "" : iso(this.data.days[one.pair.w.split + t]));
		const open = (name, one) => button(name, () => this.open(name, one?.window, one?.variant), { class: "link" });
		const text = (value, show) => ({ text: true, value, show });
		const net = { value: (o) => o.net, show: (o) => number(o.net, 0) };
		this.trades = new Grid(T.trades, [
			text((o) => o.pair.w.end),
			text((o) => o.pair.name, (o) => open(o.pair.name, { window: o.pair.w.end, variant: o.variant.name })),
			text((o) => o.variant.label),
			{ value: (o) => o.side, show: (o) => (o.side > 0 ? "long" : "short") },
			text((o) => day(o, o.signalBar)),
			text((o) => day(o, o.entryBar)),
			text((o) => day(o, o.exitBar)),
			text((o) => head.reasons[o.reason].replaceAll("_", " ")),
			{ value: (o) => o.ratio, show: (o) => number(o.ratio, 3) },
			net,
			{ value: (o) => (o.net / o.capital) * 1e4, show: (o) => number((o.net / o.capital) * 1e4, 1) },
		], [9, -1]);
		this.pairs = new Grid(T.pairs_table, [
			{ plain: true, value: (o) => (this.set.out.has(o.name) ? 0 : 1), show: (o) => this.keep(o.name) },
			text((o) => o.name, (o) => open(o.name)),
			{ value: (o) => o.windows },
			{ value: (o) => o.trades },
			{ ...net },
		], [4, -1]);
		const save = (grid, name) => grid.tools.append(button("CSV", () => this.save(name, grid.csv())));
		save(this.trades, "trades.csv");
		save(this.pairs, "pairs.csv");
		const only = (keep) => () => {
			for (const { name } of this.pairs.shown) this.put(this.set.out, name, !keep);
		};
		this.pairs.tools.append(button(T.all_in, only(true)), button(T.all_out, only(false)));
		this.pairChart = new Chart(T.pair_label, T.keys, this.colors);
		this.pairWindow = el("select", { onchange: (e) => this.open(this.view.pair, e.target.value, this.view.variant) });
		this.pairVariant = el("select", { onchange: (e) => this.open(this.view.pair, this.view.window, e.target.value) });
		this.pairTitle = el("h2", { id: "h-pair", tabindex: -1 });
		this.pairNote = el("p", { class: "muted" });
		this.pairBox = el("section", { id: "x-pair", "aria-labelledby": "h-pair", hidden: true }, this.pairTitle,
			tools(el("label", {}, "Window ", this.pairWindow), el("label", {}, "Variant ", this.pairVariant),
				button(T.close, () => this.open(null))), this.pairNote, this.pairChart.box);
		const daily = button(T.daily, () => this.save("daily.csv", this.dailyCsv()));
		const notices = head.notices.map((text) => el("p", { class: "warning" }, text));
		this.main = el("main", {},
			section("cost", this.cost, summary),
			section("equity", this.equity.box, this.chance, daily),
			section("windows", el("p", { class: "muted" }, T.windows), this.bars, windows),
			this.pairBox,
			section("trades", this.trades.box),
			section("pairs", el("p", { class: "muted" }, T.pairs), this.pairs.box));
		this.root.replaceChildren(el("div", { class: "explorer" },
			el("header", {}, el("p", { class: "eyebrow" }, "pairs_bt: " + head.title), el("h1", {}, T.heading), ...notices),
			el("div", { class: "columns" }, controls, this.main)));
	}

	control({ name, label, unit, low, high, step, optional }) {
		const own = this.head.own[name], top = max(high, own ?? high), bottom = min(low, own ?? low);
		const slider = el("input", { type: "range", min: bottom, max: optional ? top + step : top, step, id: "s-" + name, "aria-describedby": "u-" + name,
			oninput: () => this.change(name, optional && Number(slider.value) > top ? null : round(Number(slider.value))) });
		const box = el("input", { type: "number", step: "any", "aria-label": label + ", exact", placeholder: optional ? "none" : "",
			onchange: () => this.change(name, box.value === "" ? (optional ? null : own) : Number(box.value)) });
		this.inputs[name] = { slider, box, top, step };
		return el("div", { class: "control" }, el("label", { for: "s-" + name }, label), box, slider, el("small", { id: "u-" + name }, unit));
	}

	keep(name) {
		return el("input", { type: "checkbox", "aria-label": "Trade " + name, ...(this.set.out.has(name) ? {} : { checked: true }),
			onchange: (e) => this.put(this.set.out, name, !e.target.checked) });
	}

	put(names, name, inside) {
		inside ? names.add(name) : names.delete(name);
		this.update();
	}

	change(name, value) {
		this.set[name] = value;
		this.update();
	}

	range(from, to) {
		this.set.from = from;
		this.change("to", to);
	}

	reset() {
		const { view } = this;
		Object.assign(this, fromHash(this.head, ""), { view });
		this.update();
	}

	restore(text) {
		Object.assign(this, fromHash(this.head, text));
		this.update();
	}

	// At most one new picture a frame; tables and the address follow when the hand rests.
	update(now = false) {
		if (now) return this.frame();
		this.waiting ??= requestAnimationFrame(() => {
			this.waiting = null;
			this.frame();
			clearTimeout(this.resting);
			this.resting = setTimeout(() => this.settle(), 120);
		});
	}

	frame() {
		const { head } = this, start = performance.now();
		this.showControls();
		this.alert.textContent = problem(this.set, head.texts) || (this.shown.size ? "" : head.texts.none_shown);
		if (!this.alert.textContent) {
			this.results = this.compute(this.set);
			const key = JSON.stringify([head.controls.map(({ name }) => this.set[name]), this.set.from, this.set.to, [...this.set.out].sort()]);
			for (const r of this.results) this.trials.add(key, r.variant.name, r.excess, r.summary.moments);
			this.showSummary();
			this.draw();
		}
		this.times.push(performance.now() - start);
	}

	// Everything traded at these settings, one result a variant shown.
	compute(set) {
		return this.head.variants.filter((v) => this.shown.has(v.name)).map((v) => {
			const result = tradeVariant(this.data, set, v);
			result.summary = summarise(this.data, result);
			return result;
		});
	}

	showControls() {
		for (const [name, { slider, box, top, step }] of Object.entries(this.inputs)) {
			const value = this.set[name];
			slider.value = value ?? top + step;
			slider.ariaValueText = value === null ? "none" : number(value);
			if (document.activeElement !== box) box.value = value ?? "";
		}
		for (const [name, box] of this.checks) box.checked = this.shown.has(name);
		this.ends[0].value = this.set.from;
		this.ends[1].value = this.set.to;
	}

	showSummary() {
		const { head, trials } = this, luck = trials.best * sqrt(head.year), settings = trials.settings.size;
		this.cost.textContent = filled(head.texts.looked, settings + (settings === 1 ? " setting" : " settings"), trials.sharpes.length, number(trials.effective, 1), number(luck));
		const listed = this.results.map((r) => r.variant.name).join();
		if (listed !== this.listed)
			this.rows.replaceChildren(...this.results.map(({ variant }) =>
				el("tr", {}, el("th", { scope: "row" }, swatch(variant), variant.label), ...head.texts.summary.slice(1).map(() => el("td", {}, "")))));
		this.listed = listed;
		this.results.forEach(({ summary: s, variant: { name } }, k) => {
			const cells = [percent(s.annual), number(s.sharpe), percent(trials.deflated(s.moments), 0), number(head.summary[name]?.net_sharpe),
				percent(this.own?.get(name), 0), percent(s.depth), number(s.trades, 0), number(s.bp, 1), percent(s.winning, 0), percent(s.returned, 0)];
			cells.forEach((text, c) => {
				const cell = this.rows.children[k].children[c + 1].firstChild;
				if (cell.data !== text) cell.data = text;
			});
		});
	}

	// Widths are read here alone: to read one in a frame makes the browser lay the page out twice.
	fit() {
		this.css = this.equity.css = this.pairChart.css = this.main.clientWidth;
		this.draw();
	}

	draw() {
		if (!this.results) return;
		const { data, head } = this, days = data.days.subarray(data.first, data.last);
		const lines = (key, band) => this.results.map((r) => ({ name: r.variant.label, values: r.summary[key], band: r.summary[band], ...this.lines.get(r.variant.name) }));
		this.equity.set(days, [
			{ title: head.texts.equity, height: 230, series: lines("equity", "chance"), levels: [{ y: 1 }], format: (v) => number(v, 3) },
			{ title: "Drawdown", height: 100, series: lines("drawdown"), percent: true, format: percent, top: 0 },
		]);
		const last = data.size - 1, ended = (side) => this.results.filter(({ summary: s }) => s.chance && beyond(s.equity[last], s.chance(last)) === side).map((r) => r.variant.label).join(", ") || "none";
		this.chance.textContent = head.chance ? filled(head.texts.chance, ended(1), ended(-1)) : head.texts.no_chance;
		this.drawBars();
		this.drawPair();
	}

	// ---- windows

	drawBars() {
		const { css } = this, height = 90, g = cleared(this.bars, css, height), dollars = this.head.windows.map(() => 0);
		for (const r of this.results) for (const one of r.trades) dollars[one.pair.w.k] += one.net;
		const most = max(...dollars.map(abs), 1e-9), wide = css / dollars.length;
		const range = this.dragged ?? [this.set.from, this.set.to];
		dollars.forEach((sum, k) => {
			const inside = within(this.head.windows[k], ...range);
			g.fillStyle = inside ? this.colors.band : "transparent";
			g.fillRect(k * wide, 0, wide + 0.5, height);
			g.fillStyle = sum >= 0 ? this.colors.gain : this.colors.loss;
			g.globalAlpha = inside ? 1 : 0.3;
			const tall = (abs(sum) / most) * (height / 2 - 4);
			g.fillRect(k * wide + 0.15 * wide, sum >= 0 ? height / 2 - tall : height / 2, 0.7 * wide, max(tall, sum ? 1 : 0));
			g.globalAlpha = 1;
		});
		g.strokeStyle = this.colors.muted;
		line(g, 0, height / 2, css, height / 2);
	}

	brush() {
		const c = this.bars, { windows } = this.head;
		const at = (event) => windows[clamp(floor((event.offsetX / c.clientWidth) * windows.length), 0, windows.length - 1)].end;
		let start = null;
		listen(c, {
			pointerdown: (event) => {
				start = at(event);
				c.setPointerCapture(event.pointerId);
			},
			pointermove: (event) => {
				if (start === null) return;
				const end = at(event);
				this.dragged = start < end ? [start, end] : [end, start];
				this.drawBars();
			},
			pointerup: () => {
				if (this.dragged) this.range(...this.dragged);
				start = this.dragged = null;
			},
		});
	}

	// ---- one pair

	open(name, window, variant) {
		this.view = { pair: name, window, variant };
		this.draw();
		this.settle();
		if (name) {
			this.pairBox.scrollIntoView({ block: "start" });
			this.pairTitle.focus({ preventScroll: true });
		}
	}

	drawPair() {
		const { data, head } = this, T = head.texts, found = data.pairs.filter((p) => p.name === this.view.pair);
		this.pairBox.hidden = !found.length;
		if (!found.length) return;
		const pair = found.find((p) => p.w.end === this.view.window) ?? found[0];
		const result = this.results.find((r) => r.variant.name === this.view.variant) ?? this.results[0];
		if (!result) return;
		const choose = (select, options, value) => {
			const listed = options.join();
			if (select.listed !== listed) select.replaceChildren(...options.map(([v, text]) => el("option", { value: v }, text)));
			Object.assign(select, { listed, value });
		};
		choose(this.pairWindow, found.map((p) => [p.w.end, p.w.end]), pair.w.end);
		choose(this.pairVariant, this.results.map((r) => [r.variant.name, r.variant.label]), result.variant.name);
		const y = head.tickers[pair.y], x = head.tickers[pair.x], { w } = pair, rule = data.ruleOf.get(result.variant.rule), refused = data.refusal(rule, pair, this.set.entry), train = w.split - w.first;
		const own = result.trades.filter((one) => one.pair === pair);
		this.pairTitle.textContent = `${pair.name}, window of ${w.end}`;
		this.pairNote.textContent = (refused ? filled(T.refused, refused) : `${own.length} trade${own.length === 1 ? "" : "s"}, net $${number(own.reduce((a, o) => a + o.net, 0), 0)}. `)
			+ filled(T.legend, number(rule.life[pair.p], 1), filled(T[rule.form], rule.bars[pair.p]));
		const indexed = (ticker) => Float64Array.from({ length: train + pair.bars }, (_, i) => (100 * data.price(ticker, w.first + i)) / data.price(ticker, w.first));
		const { ink, muted } = this.colors, style = { ...this.lines.get(result.variant.name), dash: [] }, shade = [0, train - 0.5];
		const panels = [{ title: filled(T.prices, y, x), height: 130, shade,
			series: [{ name: y, values: indexed(pair.y), color: ink }, { name: x, values: indexed(pair.x), color: ink, dash: [2, 2] }] }];
		if (!rule.refusal[pair.p]) {
			const at = rule.at[pair.p], z = rule.z.subarray(at, at + pair.bars), { lead, spread } = data.longSpread(rule, pair);
			const marks = own.flatMap((one) => [[one.signalBar, "signal"], [one.entryBar, one.side > 0 ? "buy" : "sell"], [one.exitBar, "close"]]).filter(([t]) => t >= 0);
			const on = (values) => marks.map(([t, kind]) => ({ bar: train + t, kind, value: values[t] }));
			const { entry, exit, stop } = this.set, dash = [4, 3];
			const levels = [entry, -entry, ...(stop === null ? [] : [stop, -stop])].map((y) => ({ y, dash, reach: abs(y) === entry })).concat([exit, -exit].map((y) => ({ y, dash: [1, 3] })));
			panels.push(
				{ title: head.fixed.log ? T.log_ratio : T.ratio, height: 80, shade, format: (v) => number(v, 4),
					series: [{ name: "ratio", from: train, values: Float64Array.from(z, (_, t) => data.hedge(rule, pair, t)), ...style }] },
				{ title: T.spread, height: 110, shade, marks: on(spread.subarray(lead)),
					series: [{ name: "spread", from: train - lead, values: spread, ...style }, { name: "mean", from: train, values: data.meanOf(rule, pair), color: muted, dash: [2, 2] }] },
				{ title: T.z, height: 130, shade, levels, series: [{ name: "z", from: train, values: z, ...style }], marks: on(z) });
		}
		this.pairChart.set(data.days.subarray(w.first, w.stop), panels, max(train - pair.bars, 0));
	}

	// ---- when the hand rests

	settle() {
		if (!this.results) return;
		this.trades.rows = this.results.flatMap((r) => r.trades);
		this.trades.fill();
		const byPair = new Map();
		for (const { name } of this.data.pairs) {
			const row = byPair.get(name) ?? { name, windows: 0, trades: 0, net: 0 };
			row.windows += 1;
			byPair.set(name, row);
		}
		for (const one of this.trades.rows) {
			const row = byPair.get(one.pair.name);
			row.trades += 1;
			row.net += one.net;
		}
		this.pairs.rows = [...byPair.values()];
		this.pairs.fill();
		this.text = toHash(this.head, this.set, this.shown, this.view);
		if (!this.hash) return;
		try {
			history.replaceState(null, "", "#" + this.text);
		} catch {
			this.hash = false; // a frame without an address of its own
		}
	}

	dailyCsv() {
		const { data } = this, rows = [["date", ...this.results.map((r) => r.variant.name)]];
		for (let i = 0; i < data.size; i++) rows.push([iso(data.days[data.first + i]), ...this.results.map((r) => r.net[i])]);
		return csv(rows);
	}

	save(name, text) {
		const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 1000);
	}

	copy(text) {
		this.shareText.hidden = false;
		this.shareText.value = text;
		this.shareText.select();
		navigator.clipboard?.writeText(text).catch(() => document.execCommand("copy"));
	}
}

const round = (v) => nearest(v * 1e6) / 1e6;

// Read the block and show the page in `root`.
export async function mount(root, text, options = {}) {
	root.explorer = new App(root, new Data(await unpack(text)), options);
	root.dataset.ready = "true";
}

// The face that notebooks call (anywidget).
export default {
	async render({ model, el: root }) {
		root.classList.add("pairs-bt-explorer");
		const page = el("div");
		root.replaceChildren(...(model.get("notice") ? [el("p", { class: "notice" }, model.get("notice"))] : []), page);
		await mount(page, model.get("block"), { hash: false });
	},
};
