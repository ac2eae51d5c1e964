// The decoder of the chapter "Conditional models" in plain JavaScript: it reads the same file of weights and makes the same
// sounds. Only the noise is another one, unless it is given.
import { fft, hann } from "./explorer.js"

// A .safetensors file -> its configuration, and {name: Float32Array}.
export function readWeights(buffer) {
  const view = new DataView(buffer), size = Number(view.getBigUint64(0, true)), arrays = {}
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)))
  for (const name of Object.keys(header).filter(name => name !== "__metadata__")) {
    const { dtype, data_offsets: [a, b] } = header[name], at = 8 + size + a, half = dtype === "F16", count = (b - a) / (half ? 2 : 4)
    arrays[name] = Float32Array.from({ length: count }, (_, i) => half ? fromHalf(view.getUint16(at + 2 * i, true)) : view.getFloat32(at + 4 * i, true))
  }
  return { config: JSON.parse(header.__metadata__.audiogen).config, arrays }
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

export class Decoder {
  constructor(buffer) {
    const { config: c, arrays } = readWeights(buffer), layer = /^decoder\.net\.layers\.(\d+)\.kernel$/
    Object.assign(this, { config: c, arrays, size: c.window_size, hop: c.hop_size, bins: c.window_size / 2 + 1, rate: c.sample_rate })
    this.samples = Math.round(c.duration * c.sample_rate)
    this.frames = 1 + Math.max(Math.floor(this.samples / this.hop), Math.ceil((this.samples - Math.floor(this.size / 4)) / this.hop))
    this.layers = Object.keys(arrays).filter(k => layer.test(k)).sort((a, b) => layer.exec(a)[1] - layer.exec(b)[1])
    this.window = hann(this.size)
  }

  // The network: latent vector, number of the class, pitch in MIDI numbers (0 for none) -> what it draws.
  network(z, label, midi) {
    const octaves = midi > 0 ? (midi - 60) / 12 : 0
    let x = Float32Array.from([...z, ...this.config.classes.map((_, i) => +(i === label)), +(midi > 0), octaves, octaves ** 2 / 2])
    this.layers.forEach((name, i) => {
      const kernel = this.arrays[name], y = this.arrays[name.replace("kernel", "bias")].slice()
      for (let a = 0; a < x.length; a++) if (x[a]) for (let b = 0; b < y.length; b++) y[b] += x[a] * kernel[a * y.length + b]
      x = i < this.layers.length - 1 ? y.map(v => Math.max(0, v)) : y
    })
    return x
  }

  // Three curves: gains of the harmonics and of the rest, both (frame, bin), and the bend in semitones, (frame).
  curves(z, label, midi) {
    const { rank, bands } = this.config, F = this.frames, drawn = this.network(z, label, midi), width = 2 * F + 3 * bands
    const picture = (over, along, count, first) => {        // strokes over time times strokes along frequency, then bands to bins
      const base = this.arrays["decoder.base"].subarray(first, first + count), gains = new Float32Array(F * this.bins), row = new Float32Array(count + 1)
      for (let t = 0; t < F; t++) {
        for (let b = 0; b < count; b++) {
          row[b] = base[b]
          for (let r = 0; r < rank; r++) row[b] += drawn[r * width + over + t] * drawn[r * width + along + b]
        }
        for (let k = 0; k < this.bins; k++) {
          const at = melOf(k * this.rate / this.size) / melOf(this.rate / 2) * (count - 1), i = Math.min(Math.floor(at), count - 2)
          gains[t * this.bins + k] = Math.exp(row[i] + (at - i) * (row[i + 1] - row[i]))
        }
      }
      return gains
    }
    const harmonic = picture(0, 2 * F, bands, 0), rest = picture(F, 2 * F + bands, 2 * bands, bands).map(g => Math.max(0, g - 1e-3))
    return { harmonic, rest, bend: Array.from(drawn.subarray(rank * width), v => Math.tanh(v / 5) / 2) }
  }

  // All harmonics below the Nyquist frequency, each a sine of amplitude 1.
  pulses(midi, bend) {
    const x = new Float32Array(this.samples), f0 = new Float64Array(this.samples)
    for (let i = 0; i < x.length; i++) {
      const t = Math.floor(i / this.hop), w = i / this.hop - t
      f0[i] = 440 * 2 ** ((midi - 69 + (1 - w) * bend[t] + w * bend[Math.min(t + 1, this.frames - 1)]) / 12)
    }
    const count = Math.floor(0.95 * this.rate / 2 / f0.reduce((a, b) => Math.max(a, b)))
    for (let i = 0, cycles = 0; i < x.length; i++) {
      cycles = (cycles + f0[i] / this.rate) % 1
      const half = Math.PI * cycles, s = Math.sin(half)
      x[i] = Math.abs(s) > 1e-4 ? (Math.cos(half) - Math.cos((2 * count + 1) * half)) / (2 * s) : 0
    }
    return x
  }

  // Short-time Fourier transform, frame after frame: visit(t, re, im).
  transform(x, visit) {
    const re = new Float64Array(this.size), im = new Float64Array(this.size)
    for (let t = 0; t < this.frames; t++) {
      for (let i = 0; i < this.size; i++) { re[i] = this.window[i] * (x[t * this.hop - this.size / 2 + i] ?? 0); im[i] = 0 }
      fft(re, im)
      visit(t, re, im)
    }
  }

  // A waveform for a latent vector, a class and a pitch.
  sound(z, label, midi, { seed = 0, noise = null } = {}) {
    const { harmonic, rest, bend } = this.curves(z, label, midi), { bins, size, frames } = this, full = size / 4
    const steady = this.arrays.steady.subarray(label * bins, (label + 1) * bins), random = randomFrom(seed)
    const re = new Float64Array(frames * bins), im = new Float64Array(frames * bins)
    if (midi > 0) this.transform(this.pulses(midi, bend), (t, a, b) => {
      for (let k = 0, j = t * bins; k < bins; k++, j++) { re[j] += harmonic[j] * a[k]; im[j] += harmonic[j] * b[k] }
    })
    noise ??= Float32Array.from({ length: this.samples }, () => normal(random))
    const level = full * Math.exp(0.5772157 / 2) / Math.sqrt(this.window.reduce((sum, w) => sum + w * w, 0))
    this.transform(noise, (t, a, b) => {
      for (let k = 0, j = t * bins; k < bins; k++, j++) {
        const gain = rest[j] * level * Math.sqrt(1 - steady[k] ** 2)
        re[j] += gain * a[k]; im[j] += gain * b[k]
      }
    })
    this.ring(rest, steady, re, im)
    return this.inverse(re, im)
  }

  // Partials that keep on turning, each at the frequency where the power nearby has its centre.
  ring(rest, steady, re, im) {
    const { bins, frames, size, hop } = this, phase = Float64Array.from({ length: bins }, (_, k) => Math.PI * k * k / bins)
    for (let t = 0; t < frames; t++) for (let k = 0, j = t * bins; k < bins; k++, j++) {
      let power = 0, centre = 0
      for (let i = Math.max(0, k - 2); i <= Math.min(bins - 1, k + 2); i++) {
        const p = rest[t * bins + i] ** 2 + 1e-20
        power += p; centre += i * p
      }
      phase[k] += 2 * Math.PI * (centre / power * hop / size % 1)
      re[j] += rest[j] * steady[k] * size / 4 * Math.cos(phase[k])
      im[j] += rest[j] * steady[k] * size / 4 * Math.sin(phase[k])
    }
  }

  // Inverse transform: overlapping windows, added up, over the sum of their squares; in [-1, 1].
  inverse(re, im) {
    const { bins, frames, size, hop, window } = this, x = new Float64Array(frames * hop + size), energy = new Float64Array(x.length)
    const a = new Float64Array(size), b = new Float64Array(size)
    for (let t = 0; t < frames; t++) {
      for (let k = 0; k < size; k++) {                      // the spectrum's conjugate, so that the transform forwards is the one back
        const j = t * bins + (k < bins ? k : size - k), edge = k % (size / 2) === 0
        a[k] = re[j]
        b[k] = edge ? 0 : (k < bins ? -1 : 1) * im[j]
      }
      fft(a, b)
      for (let i = 0; i < size; i++) { x[t * hop + i] += a[i] / size * window[i]; energy[t * hop + i] += window[i] ** 2 }
    }
    const y = Float32Array.from({ length: this.samples }, (_, i) => x[i + size / 2] / Math.max(energy[i + size / 2], 1e-12))
    const peak = y.reduce((m, v) => Math.max(m, Math.abs(v)), 1)
    return y.map(v => v / peak)
  }
}
