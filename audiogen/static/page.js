// The explorer on a page of the docs, without Python: a decoder in the browser answers it, by the protocol of explorer.js.
//
//   <div class="audiogen-page">what is seen without JavaScript</div>
//   <script type="module" src="static/page.js"></script>
//
// It draws styles with random numbers of its own, so that a seed is another style than in Python; hence its line of Python holds the latent vector.
import explorer from "./explorer.js"
import { Decoder, normal, randomFrom } from "./decoder.js"

const CANDIDATES = 32, BANDWIDTH = 0.1
const SLICE = 30           // ms: how long an answer may keep the page from being drawn

// What the explorer has to know of the model, as audiogen.explorer.explorer_spec has it: from the conditions in the model's file.
export function specOf({ config, conditions }, name = "conditional") {
  const settings = { seed_a: 0, seed_b: 1, interpolation: 0, variation_scale: 0, variation_seed: 0, offsets: Array(Math.min(8, config.latent_dim)).fill(0) }
  const [label, pitch, words] = ["class", "pitch", "words"].map(kind => conditions.find(c => c.kind === kind))
  const numbers = conditions.filter(c => c.kind === "number").map(({ name, low, high, unit }) => ({ name, low, high, unit }))
  Object.assign(settings, { label: label.default, pitch: pitch.example, words: "" })
  for (const c of conditions) if (c.kind === "number") settings[c.name] = c.example
  const pitched = label.choices.map(c => pitch.only_for.includes(c)), pitches = [Math.max(pitch.low, pitch.example - 24), Math.min(pitch.high, pitch.example + 24)]
  return { name, sample_rate: config.sample_rate, classes: label.choices, pitched, words: words.choices, pitches, numbers, reach: 3, settings }
}

// What the page shows beside it: where the styles are that the model remembers, an invitation, and little else at first.
export function pageSpecOf(decoder, name) {
  const { config, arrays } = decoder, d = config.latent_dim, style = i => [...arrays["latents.known"].subarray(i * d, (i + 1) * d)]
  const known = config.classes.map((_, c) => Array.from({ length: config.remembered }, (_, n) => style(c * config.remembered + n)))
  return { ...specOf(decoder, name), known, folded: true, invitation: "Drag the point: every place in the square is another sound." }
}

// ---------------------------------------------------------------------------------------------------- styles

// A style that the model remembers, at home near a pitch, and a small step away.
export function drawStyle({ arrays, config }, random, label, midi) {
  const n = config.remembered, d = config.latent_dim, row = (name, i) => arrays[name].subarray(i * d, (i + 1) * d)
  const weights = Array.from(arrays.known_midi.subarray(label * n, (label + 1) * n), known => Math.exp(-Math.abs(known - midi)))
  let left = random() * weights.reduce((a, b) => a + b), which = 0
  while (which < n - 1 && (left -= weights[which]) > 0) which++
  const mean = row("latents.means", label), known = row("latents.known", label * n + which), step = Array.from({ length: d }, () => normal(random))
  return Array.from(mean, (m, i) => {
    const spread = row("latents.spreads", label * d + i)
    return m + Math.sqrt(1 - BANDWIDTH ** 2) * (known[i] - m) + BANDWIDTH * step.reduce((sum, s, j) => sum + spread[j] * s, 0)
  })
}

// Frames until a curve that rises from 0 to 1 reaches a share, with parts of a frame.
function framesUntil(rising, share) {
  let before = 0, frames = 0
  for (const value of rising) {
    frames += Math.min(1, Math.max(0, (share - before) / Math.max(value - before, 1e-9)))
    before = value
  }
  return frames
}

// Length, brightness, attack and noise of a style, as its picture shows them.
export function traits(decoder, z, label, midi) {
  const { harmonic, rest, bend } = decoder.curves(z, label, midi), { frames, bins, size, rate } = decoder
  const level = new Float64Array(frames), spectrum = new Float64Array(bins)
  let tone = 0
  for (let t = 0; t < frames; t++) {
    const f0 = midi > 0 ? 440 * 2 ** ((midi - 69 + bend[t]) / 12) : 0
    for (let k = 0; k < bins; k++) {
      const f = k * rate / size, nearest = f0 && f0 * Math.max(1, Math.round(f / f0)), square = ((f - nearest) * size / rate) ** 2
      const comb = f0 && square < 4 && nearest < 0.95 * rate / 2 ? (1 - square / 4) ** 2 * (1 - square / 10) : 0
      const a = comb && (comb * harmonic[t * bins + k]) ** 2, power = a + rest[t * bins + k] ** 2
      tone += a; level[t] += power; spectrum[k] += power
    }
  }
  const all = level.reduce((a, b) => a + b), frame = decoder.hop / rate, loudest = Math.max(...level)
  let sum = 0, most = 0
  const passed = level.map(power => (sum += power) / all), swell = level.map(power => Math.sqrt((most = Math.max(most, power)) / loudest))
  const bright = Math.log2(spectrum.reduce((s, p, k) => s + p * k * rate / size, 0) / all / 1000)
  return [frame * framesUntil(passed, 0.9), bright, frame * (framesUntil(swell, 0.9) - framesUntil(swell, 0.1)), 1 - tone / all]
}

// How much of each trait some words ask for. The words that the model knows are listed in its file: pairs of opposites, a pair for each
// of the traits above, first the word for less, then the word for more.
export function weigh({ conditions }, words) {
  const weights = [0, 0, 0, 0], known = conditions.find(c => c.kind === "words").choices
  for (const word of words.toLowerCase().split(/[\s,]+/).filter(Boolean)) {
    const at = known.indexOf(word)
    if (at < 0) throw Error(`'${word}' is not a word I know; want some of ${known.join(", ")}`)
    weights[at >> 1] += at % 2 ? 1 : -1
  }
  return weights
}

// The style of a seed; if there are words, the one of several that fits them best. To measure several takes a while: a generator, which
// yields after each.
function* style(decoder, seed, label, midi, words) {
  const weights = weigh(decoder, words), random = randomFrom(64 * seed + label)
  if (weights[3] && !decoder.config.pitched[label]) {
    const [first] = words.toLowerCase().split(/[\s,]+/).filter(word => word && weigh(decoder, word)[3])
    throw Error(`${decoder.config.classes[label]} has no pitch, and '${first}' says how harmonic a sound with a pitch shall be; leave it out`)
  }
  if (!weights.some(w => w)) return drawStyle(decoder, random, label, midi)
  const styles = Array.from({ length: CANDIDATES }, () => drawStyle(decoder, random, label, midi)), measured = []
  for (const z of styles) {
    measured.push(traits(decoder, z, label, midi))
    yield
  }
  const scores = styles.map(() => 0)
  weights.forEach((weight, i) => {
    const column = measured.map(m => m[i]), mean = column.reduce((a, b) => a + b) / CANDIDATES
    const deviation = Math.sqrt(column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / CANDIDATES)
    column.forEach((v, n) => { scores[n] += weight * (v - mean) / (deviation + 1e-6) })
  })
  return styles[scores.indexOf(Math.max(...scores))]
}

// From a to b along a great circle.
export function slerp(a, b, alpha) {
  const dot = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0), cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
  const theta = Math.acos(cosine), straight = Math.abs(cosine) > 0.9999
  const [p, q] = straight ? [1 - alpha, alpha] : [Math.sin((1 - alpha) * theta) / Math.sin(theta), Math.sin(alpha * theta) / Math.sin(theta)]
  return a.map((x, i) => p * x + q * b[i])
}

// ---------------------------------------------------------------------------------------------------- answers

// The waveform at a level of its loudest 50 ms (dBFS), or as near to it as it gets without clipping.
export function atLoudness(x, level, sampleRate) {
  const n = Math.min(Math.round(0.05 * sampleRate), x.length)
  let energy = 0, most = 0, peak = 0
  for (let i = 0; i < x.length; i++) {
    energy += x[i] ** 2 - (i < n ? 0 : x[i - n] ** 2)
    if (i >= n - 1) most = Math.max(most, energy)
    peak = Math.max(peak, Math.abs(x[i]))
  }
  const gain = Math.min(10 ** (level / 20) / Math.sqrt(most / n + 1e-10), 1 / (peak + 1e-9))
  return x.map(v => gain * v)
}

// Answers to the explorer's settings, {python, x, base}, in steps: a generator for each.
function answering(decoder, name) {
  const { classes, pitched } = decoder.config, styles = new Map()
  function* remembered(...asked) {
    const key = asked.join("|")
    if (styles.size > 1000) styles.clear()
    if (!styles.has(key)) styles.set(key, yield* style(decoder, ...asked))
    return styles.get(key)
  }
  return function* ({ label, pitch, loudness, words, seed_a, seed_b, interpolation, variation_scale, variation_seed, offsets }) {
    const c = classes.indexOf(label), home = pitched[c] ? 60 : 0, midi = pitched[c] ? pitch : 0, step = randomFrom(~variation_seed)
    let z = yield* remembered(seed_a, c, home, words)
    if (interpolation) z = slerp(z, yield* remembered(seed_b, c, home, words), interpolation)
    const base = z.map(v => v + (variation_scale && variation_scale * normal(step)))
    z = base.map((v, i) => Math.round(1e4 * (v + (offsets[i] ?? 0))) / 1e4)
    const asked = [`label='${label}'`, ...(midi ? [`pitch=${midi}`] : []), `loudness=${loudness}`].join(", ")
    const python = `from audiogen import load_model, play, synthesize; model = load_model('${name}'); x = synthesize(model, [${z.map(v => v || 0).join(", ")}], ${asked}); play(x, sample_rate=model.sample_rate)`
    return { python, base, x: atLoudness(decoder.sound(z, c, midi), loudness, decoder.rate) }
  }
}

// The same at once.
export function answers(decoder, name = "conditional") {
  const answer = answering(decoder, name)
  return settings => {
    const steps = answer(settings)
    for (;;) {
      const { done, value } = steps.next()
      if (done) return value
    }
  }
}

// The last value of a generator whose steps are run a few at a time, so that the page can show meanwhile that work goes on.
async function inSlices(steps) {
  for (let start = performance.now(); ;) {
    const { done, value } = steps.next()
    if (done) return value
    if (performance.now() - start < SLICE) continue
    await new Promise(resolve => setTimeout(resolve))
    start = performance.now()
  }
}

// A stand-in for Python: what the explorer asks of a model.
export function modelOf(decoder, name) {
  const listeners = [], spec = pageSpecOf(decoder, name), answer = answering(decoder, name)
  const reply = async ({ id, settings }) => {
    try { const { python, x, base } = await inSlices(answer(settings)); return [{ kind: "sound", id, python, base }, [x]] }
    catch (error) { return [{ kind: "error", id, message: error.message }, []] }
  }
  return { get: key => ({ spec })[key], on: (_, f) => listeners.push(f), send: async request => { const it = await reply(request); listeners.forEach(f => f(...it)) } }
}

// Put an explorer in the place of an element's contents. If the weights can't be had, the contents stay.
export async function mount(el, name = "conditional") {
  const response = await fetch(new URL(`${name}.safetensors`, import.meta.url))
  if (!response.ok) throw Error(`${response.url}: ${response.status}`)
  const decoder = new Decoder(await response.arrayBuffer()), style = document.createElement("link")
  Object.assign(style, { rel: "stylesheet", href: new URL("explorer.css", import.meta.url) })
  await new Promise((resolve, reject) => { style.onload = resolve; style.onerror = reject; document.head.append(style) })
  el.replaceChildren()
  explorer.render({ el, model: modelOf(decoder, name) })
}

document.querySelectorAll(".audiogen-page").forEach(el => mount(el, el.dataset.model))
