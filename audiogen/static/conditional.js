// The decoder of the chapter "Conditional models": it shapes pulses and noise by filters that a
// network predicts for a latent vector, a class and a pitch, down to the same noise as in Python.
import { near, rememberedOf } from "./latents.js"
import { gumbel, keyOf, normal, split } from "./random.js"
import { Frames, settle, steadySpectrum, unclip } from "./transform.js"
import { feedForward, layersOf, row } from "./weights.js"
import { serve } from "./worker.js"

const LEEWAY = 2                                          // semitones beyond the pitches learned
const FLOOR = 1e-3                                        // −60 dBFS
const LOUDEST = 20                                        // limits the exponential
const CANDIDATES = 32                                     // styles to choose from, for words
const BANDWIDTH = 0.1                                     // how far a style is from a known one
const USUAL_PITCH = 60

const hertzOf = midi => 440 * 2 ** ((midi - 69) / 12)
const melOf = hz => hz < 1000 ? 3 * hz / 200 : 15 + 27 * Math.log(hz / 1000) / Math.log(6.4)

// A curve of evenly spaced points, between two of them.
function between(points, at) {
  const i = Math.min(Math.floor(at), points.length - 2)
  return points[i] + (at - i) * (points[i + 1] - points[i])
}

export default class ConditionalDecoder {
  constructor({ config, conditions, arrays }) {
    Object.assign(this, { config, conditions, arrays })
    const samples = Math.round(config.duration * config.sample_rate)
    this.frames = new Frames(samples, config.window_size, config.hop_size)
    this.layers = layersOf(arrays, "decoder.net")
    this.known = rememberedOf(this)
    const { bands, partials } = config
    this.width = 2 * this.frames.count + bands + partials + 2 * bands       // of a low-rank factor
  }

  // -------------------------------------------------------------------------------- styles

  // A style of a class, remembered near a pitch; with words, the one of several that fits best.
  sampleLatents(key, { label, pitch = USUAL_PITCH, words = "" }) {
    const c = this.config.classes.indexOf(label)
    const midi = this.config.pitched[c] ? pitch : 0
    const weights = this.weightsOf(words, label)
    if (!weights.some(w => w)) return this.styles(key, c, midi, 1)[0]
    const styles = this.styles(key, c, midi, CANDIDATES)
    const scores = scoresOf(styles.map(z => this.traits(z, c, midi)), weights)
    return styles[scores.indexOf(Math.max(...scores))]
  }

  // Several styles, each a small step from one that is remembered near a pitch.
  styles(key, c, midi, count) {
    const { latent_dim: d, remembered } = this.config
    const [choose, step] = split(key)
    const luck = gumbel(choose, count * remembered)
    const steps = normal(split(step)[1], count * d)
    const known = row(this.arrays.known_midi, c, remembered)
    return Array.from({ length: count }, (_, n) => {
      const chances = row(luck, n, remembered).map((g, i) => g - Math.abs(known[i] - midi))
      const which = chances.indexOf(Math.max(...chances))
      return near(this, c, which, row(steps, n, d), BANDWIDTH)
    })
  }

  // How much of each trait some words ask for. The file lists the words in pairs of opposites, a
  // pair for each trait: first the word for less, then the word for more.
  weightsOf(words, label) {
    const { choices } = this.conditions.find(c => c.kind === "words")
    const weights = [0, 0, 0, 0]
    const asked = words.toLowerCase().split(/[\s,]+/).filter(Boolean)
    for (const word of asked) {
      const at = choices.indexOf(word)
      if (at < 0) throw Error(`'${word}' is not a word I know; want some of ${choices.join(", ")}`)
      weights[at >> 1] += at % 2 ? 1 : -1
    }
    const pitched = this.config.pitched[this.config.classes.indexOf(label)]
    for (const word of asked) {
      const opposite = choices[choices.indexOf(word) ^ 1]
      if (asked.includes(opposite)) {
        const pair = `'${word}' and '${opposite}'`
        throw Error(`words are ${pair}, which cancel each other; leave one out`)
      }
      if (choices.indexOf(word) >> 1 === 3 && !pitched) {
        const reason = `'${word}' says how harmonic a sound with a pitch shall be; leave it out`
        throw Error(`${label} has no pitch, and ${reason}`)
      }
    }
    return weights
  }

  // Length (s), brightness (octaves above 1 kHz), attack (s) and noise (share of the energy) of a
  // style, as its predicted spectrogram has them.
  traits(z, c, midi) {
    const { harmonic, rest, bend } = this.curves(z, c, midi)
    const { count, bins, size, hop } = this.frames
    const rate = this.config.sample_rate
    const level = new Float64Array(count)
    const spectrum = new Float64Array(bins)
    let tone = 0
    for (let t = 0, j = 0; t < count; t++) {
      const f0 = midi > 0 ? hertzOf(midi + bend[t]) : 0
      for (let k = 0; k < bins; k++, j++) {
        const partial = f0 && combOf(k * rate / size, f0, rate, size) * harmonic[j]
        const power = partial * partial + rest[j] * rest[j]
        tone += partial * partial
        level[t] += power
        spectrum[k] += power
      }
    }
    const energy = level.reduce((a, b) => a + b)
    const loudest = Math.max(...level)
    let sum = 0, most = 0
    const passed = level.map(power => (sum += power) / energy)
    const swell = level.map(power => Math.sqrt((most = Math.max(most, power)) / loudest))
    const moment = spectrum.reduce((s, power, k) => s + power * k * rate / size, 0)
    const second = count => count * hop / rate
    return [
      second(framesUntil(passed, 0.9)),
      Math.log2(moment / energy / 1000),
      second(framesUntil(swell, 0.9) - framesUntil(swell, 0.1)),
      1 - tone / energy,
    ]
  }

  // -------------------------------------------------------------------------------- filters

  // The network: latent vector, number of the class, pitch (MIDI number, 0 for none).
  network(z, c, midi) {
    const octaves = midi > 0 ? (midi - USUAL_PITCH) / 12 : 0
    const oneHot = this.config.classes.map((_, i) => Number(i === c))
    const told = [...oneHot, Number(midi > 0), octaves, octaves * octaves / 2]
    return feedForward(this.layers, Float32Array.from([...z, ...told]))
  }

  // The pitch nearest to one that a class has learned.
  learned(c, midi) {
    const known = row(this.arrays.known_midi, c, this.config.remembered)
    const highest = Math.max(...known)
    if (!(midi > 0 && highest > 0)) return midi
    return Math.min(Math.max(midi, Math.min(...known) - LEEWAY), highest + LEEWAY)
  }

  // Gains of the harmonics (for a pitch) and of the rest, (frame, bin), and the bend in semitones.
  curves(z, c, midi) {
    const { rank, bands, partials } = this.config
    const { count } = this.frames
    const learned = this.learned(c, midi)
    const predicted = this.network(z, c, learned)
    const noise = { over: count, along: 2 * count + bands + partials, points: 2 * bands }
    const rest = this.gains(predicted, { ...noise, first: bands }).map(g => Math.max(0, g - FLOOR))
    const bend = Array.from(predicted.subarray(rank * this.width), v => Math.tanh(v / 5) / 2)
    if (!(midi > 0)) return { harmonic: null, rest, bend }
    const tone = { over: 0, along: 2 * count, points: bands, first: 0 }
    const harmonic = this.gains(predicted, { ...tone, midi: learned, moved: midi - learned })
    return { harmonic, rest, bend }
  }

  // Gains, (frame, bin): low-rank factors, each a curve over time (it begins at `over`) times one
  // along frequency (at `along`, so many `points`, evenly spaced in mel), on top of a base.
  // With a pitch, the bins around each of the first partials share one more point. All of it may
  // be moved up by some semitones, for the harmonics of another pitch.
  gains(predicted, { over, along, points, first, midi = 0, moved = 0 }) {
    const { rank, partials, sample_rate: rate } = this.config
    const { count, bins, size } = this.frames
    const alongFrequency = (values, extra) => Float64Array.from({ length: bins }, (_, k) => {
      const hz = k * rate / size
      const nearest = Math.max(1, Math.round(hz / hertzOf(midi))) - 1
      const own = extra && midi > 0 && nearest < partials ? extra[nearest] : 0
      return between(values, melOf(hz) / melOf(rate / 2) * (points - 1)) + own
    })
    const factors = Array.from({ length: rank }, (_, r) => row(predicted, r, this.width))
    let curves = [alongFrequency(this.arrays["decoder.base"].subarray(first, first + points))]
    for (const factor of factors) {
      const end = along + points
      curves.push(alongFrequency(factor.subarray(along, end), factor.subarray(end)))
    }
    if (moved) {
      const ratio = 2 ** (-moved / 12)
      curves = curves.map(curve => curve.map((_, k) => between(curve, Math.min(k * ratio, bins - 1))))
    }
    const gains = new Float32Array(count * bins)
    for (let t = 0, j = 0; t < count; t++) {
      for (let k = 0; k < bins; k++, j++) {
        let sum = curves[0][k]
        for (let r = 0; r < rank; r++) sum += factors[r][over + t] * curves[r + 1][k]
        gains[j] = Math.exp(Math.min(LOUDEST, sum))
      }
    }
    return gains
  }

  // -------------------------------------------------------------------------------- sources

  // All harmonics below the Nyquist frequency, each a sine of amplitude 1.
  pulses(midi, bend) {
    const { samples, hop, count } = this.frames
    const rate = this.config.sample_rate
    const f0 = Float64Array.from({ length: samples }, (_, i) => {
      const t = Math.floor(i / hop)
      const part = i / hop - t
      return hertzOf(midi + (1 - part) * bend[t] + part * bend[Math.min(t + 1, count - 1)])
    })
    const highest = f0.reduce((most, f) => Math.max(most, f))
    const partials = Math.floor(0.95 * rate / 2 / highest)
    let cycles = 0
    return Float32Array.from(f0, f => {
      cycles = (cycles + f / rate) % 1
      const half = Math.PI * cycles
      const s = Math.sin(half)
      if (Math.abs(s) <= 1e-4) return 0
      return (Math.cos(half) - Math.cos((2 * partials + 1) * half)) / (2 * s)
    })
  }

  // White noise's spectrum; the mean of its log-magnitudes is 0. It is always the same.
  hiss(noise) {
    if (!noise && this.kept) return this.kept
    const { samples, window } = this.frames
    const spectrum = this.frames.forward(noise ?? normal(keyOf(0), samples))
    const norm = Math.sqrt(window.reduce((sum, w) => sum + w * w, 0))
    const level = Math.exp(0.5772157 / 2) / norm
    const scaled = { re: spectrum.re.map(v => level * v), im: spectrum.im.map(v => level * v) }
    if (!noise) this.kept = scaled
    return scaled
  }

  // A waveform for a latent vector, a class, a pitch and a loudness (dBFS).
  sound(z, { label, pitch, loudness = null }, { noise = null } = {}) {
    const c = this.config.classes.indexOf(label)
    const midi = this.config.pitched[c] ? pitch ?? USUAL_PITCH : 0
    const { harmonic, rest, bend } = this.curves(z, c, midi)
    const { bins, size, count } = this.frames
    const hiss = this.hiss(noise)
    const steady = row(this.arrays.steady, c, bins)
    const spectrum = harmonic && this.frames.forward(this.pulses(midi, bend))
    const re = new Float64Array(count * bins)
    const im = new Float64Array(count * bins)
    const hissing = Float64Array.from(steady, s => size / 4 * Math.sqrt(1 - s * s))
    for (let t = 0, j = 0; t < count; t++) {
      for (let k = 0; k < bins; k++, j++) {
        const noisy = rest[j] * hissing[k]
        re[j] = noisy * hiss.re[j]
        im[j] = noisy * hiss.im[j]
        if (!harmonic) continue
        re[j] += harmonic[j] * spectrum.re[j]
        im[j] += harmonic[j] * spectrum.im[j]
      }
    }
    if (steady.some(s => s > 0)) this.ring(rest, steady, re, im)
    const x = this.frames.cut(this.frames.inverse(re, im))
    settle(x, size / 2)
    unclip(x)
    if (loudness !== null) setLoudness(x, loudness, this.config.sample_rate)
    return x
  }

  // Add the partials that ring; `steady` says how much each bin does.
  ring(rest, steady, re, im) {
    const { bins, count, size } = this.frames
    const ringing = steadySpectrum(this.frames, rest)
    for (let t = 0, j = 0; t < count; t++) {
      for (let k = 0; k < bins; k++, j++) {
        re[j] += steady[k] * size / 4 * ringing.re[j]
        im[j] += steady[k] * size / 4 * ringing.im[j]
      }
    }
  }
}

// The magnitude of a pulse train at a frequency, through a Hann window: 1 at each harmonic.
function combOf(hz, f0, rate, size) {
  const nearest = f0 * Math.max(1, Math.round(hz / f0))
  const square = ((hz - nearest) * size / rate) ** 2
  if (square >= 4 || nearest >= 0.95 * rate / 2) return 0
  return (1 - square / 4) ** 2 * (1 - square / 10)
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

// How well styles fit weights of their traits, each trait in standard deviations.
function scoresOf(measured, weights) {
  const scores = measured.map(() => 0)
  weights.forEach((weight, i) => {
    const column = measured.map(traits => traits[i])
    const mean = column.reduce((a, b) => a + b) / column.length
    const variance = column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / column.length
    column.forEach((v, n) => { scores[n] += weight * (v - mean) / (Math.sqrt(variance) + 1e-6) })
  })
  return scores
}

// Bring the loudest 50 ms to a level (dBFS), or as near to it as it gets without clipping; in place.
export function setLoudness(x, level, sampleRate) {
  const n = Math.min(Math.round(0.05 * sampleRate), x.length)
  let energy = 0, most = 0, peak = 0
  for (let i = 0; i < x.length; i++) {
    energy += x[i] * x[i] - (i < n ? 0 : x[i - n] * x[i - n])
    if (i >= n - 1) most = Math.max(most, energy)
    peak = Math.max(peak, Math.abs(x[i]))
  }
  const wanted = 10 ** (level / 20) / Math.sqrt(most / n + 1e-10)
  const gain = Math.min(wanted, 1 / (peak + 1e-9))
  for (let i = 0; i < x.length; i++) x[i] *= gain
}

serve(ConditionalDecoder)
