// The decoder of the chapter "Conditional models" in plain JavaScript: it reads the same file of weights and makes the same
// sounds, down to the noise.
import { fft, hann } from "./explorer.js"

// A .safetensors file -> its configuration, and {name: Float32Array}.
export function readWeights(buffer) {
  const view = new DataView(buffer), size = Number(view.getBigUint64(0, true)), arrays = {}
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)))
  for (const name of Object.keys(header).filter(name => name !== "__metadata__")) {
    const { dtype, data_offsets: [a, b] } = header[name], at = 8 + size + a, half = dtype === "F16", count = (b - a) / (half ? 2 : 4)
    arrays[name] = Float32Array.from({ length: count }, (_, i) => half ? fromHalf(view.getUint16(at + 2 * i, true)) : view.getFloat32(at + 4 * i, true))
  }
  const { config, conditions } = JSON.parse(header.__metadata__.audiogen)
  return { config, conditions, arrays }
}

function fromHalf(h) {                                      // 1 bit of sign, 5 of exponent, 10 of fraction
  const e = h >> 10 & 31, f = h & 1023
  return (h >> 15 ? -1 : 1) * (e ? 2 ** (e - 15) * (1 + f / 1024) : 2 ** -14 * f / 1024)
}

const melOf = hz => hz < 1000 ? 3 * hz / 200 : 15 + 27 * Math.log(hz / 1000) / Math.log(6.4)

// Random numbers from a seed (mulberry32), and normal ones (Box and Muller).
export function randomFrom(seed) {
  return () => {
    seed = seed + 0x6D2B79F5 | 0
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 4294967296
  }
}
export const normal = random => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

// 32 random bits for each of 0, 1, … from jax.random.key(seed): Threefry-2x32 in counter mode.
function randomBits(seed, count) {
  const keys = [0, seed, 0x1BD11BDA ^ seed], turns = [[13, 15, 26, 6], [17, 29, 16, 24]]
  return Uint32Array.from({ length: count }, (_, i) => {
    let a = keys[0], b = i + keys[1] | 0
    for (let round = 0; round < 20; round++) {
      const turn = turns[(round >> 2) % 2][round % 4]
      a = a + b | 0
      b = (b << turn | b >>> 32 - turn) ^ a
      if (round % 4 === 3) {
        const n = (round + 1) / 4
        a = a + keys[n % 3] | 0
        b = b + keys[(n + 1) % 3] + n | 0
      }
    }
    return a ^ b
  })
}

// The inverse of the error function, by Giles's polynomials, as XLA has it.
const CENTRE = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3, -4.17768164e-3, 0.246640727, 1.50140941]
const TAIL = [-2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3, 9.43887047e-3, 1.00167406, 2.83297682]
function inverseErf(x) {
  const w = -Math.log1p(-x * x), at = w < 5 ? w - 2.5 : Math.sqrt(w) - 3
  return x * (w < 5 ? CENTRE : TAIL).reduce((sum, c) => sum * at + c)
}

// White noise, the same as jax.random.normal(jax.random.key(seed), (count,)).
export function whiteNoise(seed, count) {
  const lowest = -1 + 2 ** -24                              // the next 32-bit number after −1
  return Float32Array.from(randomBits(seed, count), bits => Math.SQRT2 * inverseErf(Math.max(lowest, Math.fround((bits >>> 9) / 2 ** 23 * 2 + lowest))))
}

export class Decoder {
  constructor(buffer) {
    const { config: c, conditions, arrays } = readWeights(buffer), layer = /^decoder\.net\.layers\.(\d+)\.kernel$/
    Object.assign(this, { config: c, conditions, arrays, size: c.window_size, hop: c.hop_size, bins: c.window_size / 2 + 1, rate: c.sample_rate })
    this.samples = Math.round(c.duration * c.sample_rate)
    this.frames = 1 + Math.max(Math.floor(this.samples / this.hop), Math.ceil((this.samples - Math.floor(this.size / 4)) / this.hop))
    this.layers = Object.keys(arrays).filter(k => layer.test(k)).sort((a, b) => layer.exec(a)[1] - layer.exec(b)[1])
    this.width = 2 * this.frames + 3 * c.bands + c.partials                           // of one of the strokes
    this.window = hann(this.size)
    this.energy = new Float64Array(this.frames * this.hop + this.size)                // the windows' squares, added up
    for (let t = 0; t < this.frames; t++) this.window.forEach((w, i) => { this.energy[t * this.hop + i] += w * w })
  }

  // The network: latent vector, number of the class, pitch in MIDI numbers (0 for none) -> what it draws.
  network(z, label, midi) {
    const octaves = midi > 0 ? (midi - 60) / 12 : 0
    let x = Float32Array.from([...z, ...this.config.classes.map((_, i) => +(i === label)), +(midi > 0), octaves, octaves ** 2 / 2])
    this.layers.forEach((name, i) => {
      const kernel = this.arrays[name], y = this.arrays[name.replace("kernel", "bias")].slice()
      for (let a = 0; a < x.length; a++) if (x[a]) for (let b = 0, at = a * y.length; b < y.length; b++) y[b] += x[a] * kernel[at + b]
      x = i < this.layers.length - 1 ? y.map(v => Math.max(0, v)) : y
    })
    return x
  }

  // The pitch nearest to one that a class has learned, with a leeway of two semitones.
  learned(label, midi) {
    const n = this.config.remembered, known = this.arrays.known_midi.subarray(label * n, (label + 1) * n), highest = Math.max(...known)
    return midi > 0 && highest > 0 ? Math.min(Math.max(midi, Math.min(...known) - 2), highest + 2) : midi
  }

  // Gains, (frame, bin): strokes over time times strokes along frequency, from bands, evenly spaced in mel, to bins; with a
  // pitch, the bins around each of the first partials have one more point to share, behind those of the bands; and all of it
  // may be moved up by some semitones, for the harmonics of another pitch.
  picture(drawn, over, along, count, first, midi = 0, moved = 0) {
    const { rank, partials } = this.config, { frames, bins, rate, size, width } = this, f0 = 440 * 2 ** ((midi - 69) / 12)
    const base = this.arrays["decoder.base"].subarray(first, first + count), curves = [], gains = new Float32Array(frames * bins)
    for (let r = -1; r < rank; r++) {
      const points = r < 0 ? base : drawn.subarray(r * width + along, r * width + along + count)
      curves.push(Float64Array.from({ length: bins }, (_, k) => {
        const at = melOf(k * rate / size) / melOf(rate / 2) * (count - 1), i = Math.min(Math.floor(at), count - 2)
        const nearest = Math.max(1, Math.round(k * rate / size / f0)) - 1
        const own = r >= 0 && midi > 0 && nearest < partials ? drawn[r * width + along + count + nearest] : 0
        return points[i] + (at - i) * (points[i + 1] - points[i]) + own
      }))
    }
    if (moved) curves.forEach((curve, r) => {
      curves[r] = curve.map((_, k) => {
        const at = Math.min(k * 2 ** (-moved / 12), bins - 1), i = Math.min(Math.floor(at), bins - 2)
        return curve[i] + (at - i) * (curve[i + 1] - curve[i])
      })
    })
    for (let t = 0; t < frames; t++) for (let k = 0; k < bins; k++) {
      let sum = curves[0][k]
      for (let r = 0; r < rank; r++) sum += drawn[r * width + over + t] * curves[r + 1][k]
      gains[t * bins + k] = Math.exp(Math.min(20, sum))
    }
    return gains
  }

  // Three curves: gains of the harmonics (for a class with a pitch) and of the rest, and the bend in semitones, (frame).
  curves(z, label, midi) {
    const { rank, bands, partials } = this.config, F = this.frames, pitch = this.learned(label, midi), drawn = this.network(z, label, pitch)
    const rest = this.picture(drawn, F, 2 * F + bands + partials, 2 * bands, bands)
    for (let i = 0; i < rest.length; i++) rest[i] = Math.max(0, rest[i] - 1e-3)
    const bend = Array.from(drawn.subarray(rank * this.width), v => Math.tanh(v / 5) / 2)
    return { harmonic: midi > 0 ? this.picture(drawn, 0, 2 * F, bands, 0, pitch, midi - pitch) : null, rest, bend }
  }

  // All harmonics below the Nyquist frequency, each a sine of amplitude 1.
  pulses(midi, bend) {
    const x = new Float32Array(this.samples), f0 = new Float64Array(this.samples)
    let highest = 0
    for (let i = 0; i < x.length; i++) {
      const t = Math.floor(i / this.hop), w = i / this.hop - t
      f0[i] = 440 * 2 ** ((midi - 69 + (1 - w) * bend[t] + w * bend[Math.min(t + 1, this.frames - 1)]) / 12)
      highest = Math.max(highest, f0[i])
    }
    const count = Math.floor(0.95 * this.rate / 2 / highest)
    for (let i = 0, cycles = 0; i < x.length; i++) {
      cycles = (cycles + f0[i] / this.rate) % 1
      const half = Math.PI * cycles, s = Math.sin(half)
      x[i] = Math.abs(s) > 1e-4 ? (Math.cos(half) - Math.cos((2 * count + 1) * half)) / (2 * s) : 0
    }
    return x
  }

  // Short-time Fourier transform, (frame, bin); two real frames make one complex transform.
  transform(x) {
    const { size, hop, bins, frames, window } = this, re = new Float64Array(frames * bins), im = new Float64Array(frames * bins)
    const a = new Float64Array(size), b = new Float64Array(size)
    for (let t = 0; t < frames; t += 2) {
      for (let i = 0, at = t * hop - size / 2; i < size; i++, at++) {
        a[i] = at >= 0 && at < x.length ? window[i] * x[at] : 0
        b[i] = at + hop >= 0 && at + hop < x.length ? window[i] * x[at + hop] : 0
      }
      fft(a, b)
      for (let k = 0, j = t * bins; k < bins; k++, j++) {
        const m = (size - k) % size
        re[j] = (a[k] + a[m]) / 2; im[j] = (b[k] - b[m]) / 2
        if (t + 1 < frames) { re[j + bins] = (b[k] + b[m]) / 2; im[j + bins] = (a[m] - a[k]) / 2 }
      }
    }
    return { re, im }
  }

  // White noise's transform, kept for the next sound; the mean of its log-magnitudes is 0.
  hiss(seed, noise) {
    if (!noise && this.kept?.seed === seed) return this.kept
    const spectrum = this.transform(noise ?? whiteNoise(seed, this.samples))
    const level = Math.exp(0.5772157 / 2) / Math.sqrt(this.window.reduce((sum, w) => sum + w * w, 0))
    for (const part of [spectrum.re, spectrum.im]) for (let j = 0; j < part.length; j++) part[j] *= level
    if (!noise) this.kept = { seed, ...spectrum }
    return spectrum
  }

  // A waveform for a latent vector, a class and a pitch.
  sound(z, label, midi, { seed = 0, noise = null } = {}) {
    const { harmonic, rest, bend } = this.curves(z, label, midi), { bins, size, frames } = this
    const steady = this.arrays.steady.subarray(label * bins, (label + 1) * bins), hiss = this.hiss(seed, noise)
    const { re, im } = harmonic ? this.transform(this.pulses(midi, bend)) : { re: new Float64Array(frames * bins), im: new Float64Array(frames * bins) }
    const hissing = Float64Array.from(steady, s => size / 4 * Math.sqrt(1 - s ** 2))
    for (let t = 0, j = 0; t < frames; t++) for (let k = 0; k < bins; k++, j++) {
      const h = harmonic ? harmonic[j] : 0, n = rest[j] * hissing[k]
      re[j] = h * re[j] + n * hiss.re[j]
      im[j] = h * im[j] + n * hiss.im[j]
    }
    if (steady.some(s => s > 0)) this.ring(rest, steady, re, im)
    return this.inverse(re, im)
  }

  // Partials that keep on turning, each at the frequency where the power nearby has its centre.
  ring(rest, steady, re, im) {
    const { bins, frames, size, hop } = this, power = new Float64Array(bins + 4)      // two bins of nothing at either end
    const phase = Float64Array.from({ length: bins }, (_, k) => Math.PI * k * k / bins)
    for (let t = 0; t < frames; t++) {
      for (let k = 0; k < bins; k++) power[k + 2] = rest[t * bins + k] ** 2 + 1e-20
      for (let k = 0, j = t * bins; k < bins; k++, j++) {
        if (!steady[k]) continue
        const [a, b, c, d, e] = [power[k], power[k + 1], power[k + 2], power[k + 3], power[k + 4]]
        phase[k] += 2 * Math.PI * ((k + (2 * e + d - b - 2 * a) / (a + b + c + d + e)) * hop / size % 1)
        const loud = rest[j] * steady[k] * size / 4
        re[j] += loud * Math.cos(phase[k])
        im[j] += loud * Math.sin(phase[k])
      }
    }
  }

  // Inverse transform, again two frames at a time: overlapping windows, added up, over the sum of their squares; in [-1, 1].
  inverse(re, im) {
    const { bins, frames, size, hop, window, energy } = this, x = new Float64Array(frames * hop + size)
    const a = new Float64Array(size), b = new Float64Array(size)
    for (let t = 0; t < frames; t += 2) {
      const two = t + 1 < frames
      for (let k = 0; k < bins; k++) {                      // the conjugate of first + i · second, so that the transform forwards is the one back
        const j = t * bins + k, m = (size - k) % size, edge = m === k || k === 0
        const p = re[j], q = edge ? 0 : im[j], r = two ? re[j + bins] : 0, s = edge || !two ? 0 : im[j + bins]
        a[k] = p - s; b[k] = -(q + r)
        a[m] = p + s; b[m] = q - r
      }
      fft(a, b)
      for (let i = 0, at = t * hop; i < size; i++, at++) {
        x[at] += a[i] * window[i] / size
        if (two) x[at + hop] -= b[i] * window[i] / size
      }
    }
    const y = Float32Array.from({ length: this.samples }, (_, i) => x[i + size / 2] / Math.max(energy[i + size / 2], 1e-12))
    this.settle(y)
    const peak = y.reduce((top, v) => Math.max(top, Math.abs(v)), 1)
    return peak > 1 ? y.map(v => v / peak) : y
  }

  // Turn the end down, where the last two pieces of half a window are louder than the seven before the one in which it is turned down.
  settle(y) {
    const piece = this.size / 2, start = y.length - 10 * piece
    if (start < 0) return
    let power = 0, before = 0, end = 0
    for (let i = 0; i < 10 * piece; i++) {
      power += (y[start + i] ** 2 - (i < piece ? 0 : y[start + i - piece] ** 2)) / piece
      if (i >= piece - 1 && i < 7 * piece) before = Math.max(before, power)
      if (i >= 9 * piece - 1) end = Math.max(end, power)
    }
    const gain = Math.min(1, Math.sqrt((before + 1e-12) / (end + 1e-12)))
    for (let i = y.length - 3 * piece; i < y.length; i++) y[i] *= 1 - Math.min(1, (i - y.length + 3 * piece) / piece) * (1 - gain)
  }
}
