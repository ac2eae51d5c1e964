// The decoder of the chapter "Spectral": a network predicts log-magnitudes, and an algorithm finds
// the phases. It plays the chapter "VAE", too, whose decoder is the same.
import { near, rememberedOf } from "./latents.js"
import { integer, normal, split } from "./random.js"
import { fft, Frames, settle, steadySpectrum, unclip } from "./transform.js"
import { feedForward, layersOf } from "./weights.js"
import { serve } from "./worker.js"

const LOUDEST = 20                                        // limits the exponential
const BANDWIDTH = 0.2                                     // how far a sound is from a known one
const ROUNDS = 32
const MOMENTUM = 0.99

export default class SpectralDecoder {
  constructor({ config, conditions, arrays }) {
    Object.assign(this, { config, conditions, arrays })
    const samples = Math.round(config.duration * config.sample_rate)
    this.frames = new Frames(samples, config.window_size, config.hop_size)
    this.layers = layersOf(arrays, "generator")
    this.known = rememberedOf(this)
  }

  // A latent vector of a class, or of any: near one that is remembered.
  sampleLatents(key, { label = null }) {
    const { classes, remembered, latent_dim: d } = this.config
    const [which, how] = split(key)
    const c = label === null ? integer(which, classes.length) : classes.indexOf(label)
    const [draw, step] = split(how)
    return near(this, c, integer(draw, remembered), normal(step, d), BANDWIDTH)
  }

  // Log-magnitudes, (frame, bin): a few curves over time, each times one along frequency.
  draw(z) {
    const { count, bins } = this.frames
    const { rank } = this.config
    const factors = feedForward(this.layers, z)
    const L = new Float32Array(count * bins)
    for (let t = 0; t < count; t++) {
      const frame = L.subarray(t * bins, (t + 1) * bins)
      frame.set(this.arrays.base)
      for (let r = 0; r < rank; r++) {
        const start = r * (count + bins)
        const gain = factors[start + t]
        for (let k = 0, at = start + count; k < bins; k++, at++) frame[k] += gain * factors[at]
      }
    }
    return L
  }

  sound(z) {
    const fullScale = this.config.window_size / 4
    const magnitudes = this.draw(z).map(
      l => fullScale * Math.max(0, Math.exp(Math.min(l, LOUDEST)) - 1e-3))
    const x = griffinLim(this.frames, magnitudes)
    unclip(x)
    settle(x, this.config.window_size / 2)
    return x
  }
}

// A waveform whose spectrogram is close to the one given. Each round keeps the phases of the sound
// so far, with momentum, and puts the magnitudes right.
// Source: Griffin & Lim (1984); with momentum, Perraudin et al. (2013).
export function griffinLim(frames, magnitudes) {
  const { re, im } = steadySpectrum(frames, magnitudes)
  const { size, count, pair: [a, b] } = frames
  const before = Array.from({ length: Math.ceil(count / 2) }, () =>
    [new Float64Array(size), new Float64Array(size)])
  let x = frames.inverse(re, im)
  let next = new Float64Array(x.length)
  for (let round = 0; round < ROUNDS; round++) {
    next.fill(0)
    for (let t = 0; t < count; t += 2) {
      frames.take(x, t)
      fft(a, b)
      overshoot(a, before[t / 2][0])
      overshoot(b, before[t / 2][1])
      putRight(frames, magnitudes, t)
      fft(b, a)
      frames.add(next, t)
    }
    ;[x, next] = [frames.finish(next), x]
  }
  return frames.cut(x)
}

// Go further in the direction of the last change; in place.
function overshoot(now, before) {
  for (let i = 0; i < now.length; i++) {
    const value = now[i]
    now[i] += MOMENTUM * (value - before[i])
    before[i] = value
  }
}

// Give a pair of frames the magnitudes wanted, in place. With P and Q the transform at k and at
// size − k, the first frame is (P + Q*) / 2 and i times the second is (P − Q*) / 2.
function putRight({ size, bins, count, pair: [a, b] }, magnitudes, t) {
  for (let k = 0, j = t * bins; k < bins; k++, j++) {
    const m = k && size - k
    const firstRe = a[k] + a[m], firstIm = b[k] - b[m]
    const secondRe = a[k] - a[m], secondIm = b[k] + b[m]
    const first = magnitudes[j] / size / Math.max(Math.sqrt(firstRe ** 2 + firstIm ** 2), 2e-12)
    const other = t + 1 < count ? magnitudes[j + bins] / size : 0
    const second = other / Math.max(Math.sqrt(secondRe ** 2 + secondIm ** 2), 2e-12)
    a[k] = first * firstRe + second * secondRe
    b[k] = first * firstIm + second * secondIm
    a[m] = first * firstRe - second * secondRe
    b[m] = second * secondIm - first * firstIm
  }
}

serve(SpectralDecoder)
