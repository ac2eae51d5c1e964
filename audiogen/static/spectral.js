// The decoder of the chapter "Spectral": a network predicts log-magnitudes, and an algorithm finds
// the phases. It plays the chapter "VAE", too, whose decoder is the same.
import { near, rememberedOf } from "./latents.js"
import { integer, normal, split, uniform } from "./random.js"
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

  // A latent vector of a class, or of any: near one that is remembered; of a model of a few
  // recordings, between two of them.
  sampleLatents(key, { label = null }) {
    const { classes, remembered, latent_dim: d, bandwidth = BANDWIDTH } = this.config
    const [which, how] = split(key)
    const c = label === null ? integer(which, classes.length) : classes.indexOf(label)
    const place = (key, number) => near(this, c, number, normal(split(key)[1], d), bandwidth)
    if (!this.config.few) return place(how, integer(split(how)[0], remembered))
    const keys = split(how, 5)
    const half = Math.floor(remembered / 2)
    const one = place(keys[2], integer(keys[0], half))
    const two = place(keys[3], half + integer(keys[1], remembered - half))
    const [share] = uniform(keys[4], 1, 0.25, 0.75)
    return one.map((v, i) => v + share * (two[i] - v))
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
  const pairs = Math.ceil(count / 2)
  const before = [new Float32Array(pairs * size), new Float32Array(pairs * size)]
  let x = frames.inverse(re, im)
  let next = new Float64Array(x.length)
  for (let round = 0; round < ROUNDS; round++) {
    next.fill(0)
    for (let t = 0; t < count; t += 2) {
      frames.take(x, t)
      fft(a, b)
      putRight(frames, magnitudes, t, before)
      fft(b, a)
      frames.add(next, t)
    }
    ;[x, next] = [frames.finish(next), x]
  }
  return frames.cut(x)
}

// Give a pair of frames the magnitudes wanted, in place, where they would be after one more step in
// the direction of the last. With P and Q the transform at k and at size − k, the first frame is
// (P + Q*) / 2, and i times the second is (P − Q*) / 2.
function putRight({ size, bins, count, pair: [a, b] }, magnitudes, t, [beforeRe, beforeIm]) {
  const start = t / 2 * size
  const level = 1 / size
  const after = t + 1 < count ? bins : 0
  const ahead = 1 + MOMENTUM
  for (let k = 0, j = t * bins; k < bins; k++, j++) {
    const m = k && size - k
    const pRe = ahead * a[k] - MOMENTUM * beforeRe[start + k]
    const pIm = ahead * b[k] - MOMENTUM * beforeIm[start + k]
    const qRe = ahead * a[m] - MOMENTUM * beforeRe[start + m]
    const qIm = ahead * b[m] - MOMENTUM * beforeIm[start + m]
    beforeRe[start + k] = a[k]
    beforeIm[start + k] = b[k]
    beforeRe[start + m] = a[m]
    beforeIm[start + m] = b[m]
    const re1 = pRe + qRe, im1 = pIm - qIm
    const re2 = pRe - qRe, im2 = pIm + qIm
    const gain1 = level * magnitudes[j] / Math.max(Math.sqrt(re1 * re1 + im1 * im1), 2e-12)
    const gain2 = level * magnitudes[j + after] / Math.max(Math.sqrt(re2 * re2 + im2 * im2), 2e-12)
    a[k] = gain1 * re1 + gain2 * re2
    b[k] = gain1 * im1 + gain2 * im2
    a[m] = gain1 * re1 - gain2 * re2
    b[m] = gain2 * im2 - gain1 * im1
  }
}

serve(SpectralDecoder)
