// Waveforms to spectra and back, by frames that overlap: what the decoders share.

// ---------------------------------------------------------------------------------- one transform

// Fourier transform in place, for lengths that are powers of two: passes of four points, each of
// which writes its results in the order that the next one reads them.
// Source: Stockham, High-speed convolution and correlation (1966).
export function fft(re, im) {
  const { passes, spare, odd } = planOf(re.length)
  let from = [re, im]
  let to = spare
  for (const { quarter, stride, turns } of passes) {
    passOfFour(quarter, stride, turns, ...from, ...to)
    ;[from, to] = [to, from]
  }
  if (odd) {
    passOfTwo(...from, ...to)
    from = to
  }
  if (from[0] === re) return
  re.set(from[0])
  im.set(from[1])
}

const plans = new Map()                                   // length -> its passes

function planOf(n) {
  if (!plans.has(n)) {
    const passes = []
    let length = n
    for (let stride = 1; length >= 4; length /= 4, stride *= 4) {
      passes.push({ quarter: length / 4, stride, turns: turnsOf(length) })
    }
    const spare = [new Float64Array(n), new Float64Array(n)]
    plans.set(n, { passes, spare, odd: length === 2 })
  }
  return plans.get(n)
}

// Cosines and sines of one, two and three times each angle.
function turnsOf(length) {
  const turns = new Float64Array(6 * length / 4)
  for (let at = 0; at < turns.length; at += 2) {
    const angle = -2 * Math.PI * (at / 2 % 3 + 1) * Math.floor(at / 6) / length
    turns[at] = Math.cos(angle)
    turns[at + 1] = Math.sin(angle)
  }
  return turns
}

function passOfFour(quarter, stride, turns, re, im, toRe, toIm) {
  if (quarter === 1) return lastOfFour(stride, re, im, toRe, toIm)
  const second = stride * quarter
  const third = 2 * second
  const fourth = 3 * second
  for (let p = 0, t = 0; p < quarter; p++, t += 6) {
    const c1 = turns[t], s1 = turns[t + 1]
    const c2 = turns[t + 2], s2 = turns[t + 3]
    const c3 = turns[t + 4], s3 = turns[t + 5]
    for (let i = stride * p, end = i + stride, to = 4 * i; i < end; i++, to++) {
      const evenRe = re[i] + re[i + third], evenIm = im[i] + im[i + third]
      const halfRe = re[i] - re[i + third], halfIm = im[i] - im[i + third]
      const oddRe = re[i + second] + re[i + fourth], oddIm = im[i + second] + im[i + fourth]
      const sideRe = im[i + second] - im[i + fourth], sideIm = re[i + fourth] - re[i + second]
      const re1 = halfRe + sideRe, im1 = halfIm + sideIm
      const re2 = evenRe - oddRe, im2 = evenIm - oddIm
      const re3 = halfRe - sideRe, im3 = halfIm - sideIm
      toRe[to] = evenRe + oddRe
      toIm[to] = evenIm + oddIm
      toRe[to + stride] = re1 * c1 - im1 * s1
      toIm[to + stride] = re1 * s1 + im1 * c1
      toRe[to + 2 * stride] = re2 * c2 - im2 * s2
      toIm[to + 2 * stride] = re2 * s2 + im2 * c2
      toRe[to + 3 * stride] = re3 * c3 - im3 * s3
      toIm[to + 3 * stride] = re3 * s3 + im3 * c3
    }
  }
}

// The same without turns, in the last pass.
function lastOfFour(stride, re, im, toRe, toIm) {
  for (let i = 0; i < stride; i++) {
    const j = i + stride, k = j + stride, l = k + stride
    const evenRe = re[i] + re[k], evenIm = im[i] + im[k]
    const halfRe = re[i] - re[k], halfIm = im[i] - im[k]
    const oddRe = re[j] + re[l], oddIm = im[j] + im[l]
    const sideRe = im[j] - im[l], sideIm = re[l] - re[j]
    toRe[i] = evenRe + oddRe
    toIm[i] = evenIm + oddIm
    toRe[j] = halfRe + sideRe
    toIm[j] = halfIm + sideIm
    toRe[k] = evenRe - oddRe
    toIm[k] = evenIm - oddIm
    toRe[l] = halfRe - sideRe
    toIm[l] = halfIm - sideIm
  }
}

function passOfTwo(re, im, toRe, toIm) {
  const half = re.length / 2
  for (let i = 0; i < half; i++) {
    toRe[i] = re[i] + re[i + half]
    toIm[i] = im[i] + im[i + half]
    toRe[i + half] = re[i] - re[i + half]
    toIm[i + half] = im[i] - im[i + half]
  }
}

// ---------------------------------------------------------------------------------- many frames

const hann = n =>
  Float64Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / n))

// Frames of `size` samples, `hop` apart and centred on multiples of it, as audiogen.stft has them.
// Two of these real frames make one complex transform: one is its real part, one its imaginary.
//
// A waveform is kept with half a frame of zeros before it and enough behind: see padded, cut.
export class Frames {
  constructor(samples, size, hop) {
    const faint = Math.ceil((samples - Math.floor(size / 4)) / hop)
    this.count = 1 + Math.max(Math.floor(samples / hop), faint)
    Object.assign(this, { samples, size, hop, bins: size / 2 + 1, window: hann(size) })
    this.length = (this.count - 1) * hop + size + hop     // of a padded waveform: whole pairs fit
    this.pair = [new Float64Array(size), new Float64Array(size)]
    const power = new Float64Array(this.length)
    for (let t = 0; t < this.count; t++) {
      this.window.forEach((w, i) => { power[t * hop + i] += w * w })
    }
    this.level = power.map(p => p > 1e-12 ? 1 / p : 1)    // turns overlapping frames into a sound
  }

  padded(x) {
    const longer = new Float64Array(this.length)
    longer.set(x, this.size / 2)
    return longer
  }

  cut(x) {
    return Float32Array.from(x.subarray(this.size / 2, this.size / 2 + this.samples))
  }

  // Frames t and t + 1 of a padded waveform, each through the window: a pair.
  take(x, t, [a, b] = this.pair) {
    const { size, hop, window, count } = this
    const second = t + 1 < count ? 1 : 0
    for (let i = 0, at = t * hop; i < size; i++, at++) {
      a[i] = window[i] * x[at]
      b[i] = second * window[i] * x[at + hop]
    }
  }

  // The reverse: add a pair to a padded waveform.
  add(x, t, [a, b] = this.pair) {
    const { size, hop, window } = this
    for (let i = 0, at = t * hop; i < size; i++, at++) {
      x[at] += window[i] * a[i]
      x[at + hop] += window[i] * b[i]
    }
  }

  // What has been added up, as a sound: with even level, and silence where the sound has ended.
  finish(x) {
    const { size, samples, level } = this
    x.fill(0, 0, size / 2)
    x.fill(0, size / 2 + samples)
    for (let i = size / 2; i < size / 2 + samples; i++) x[i] *= level[i]
    return x
  }

  // A waveform's spectrum: real and imaginary parts, (frame, bin).
  forward(x) {
    const { count, bins, size, pair: [a, b] } = this
    const re = new Float64Array((count + 1) * bins)
    const im = new Float64Array((count + 1) * bins)
    const longer = this.padded(x)
    for (let t = 0; t < count; t += 2) {
      this.take(longer, t)
      fft(a, b)
      for (let k = 0, j = t * bins; k < bins; k++, j++) {
        const m = k && size - k
        re[j] = (a[k] + a[m]) / 2
        im[j] = (b[k] - b[m]) / 2
        re[j + bins] = (b[k] + b[m]) / 2
        im[j + bins] = (a[m] - a[k]) / 2
      }
    }
    return { re: re.subarray(0, count * bins), im: im.subarray(0, count * bins) }
  }

  // The padded waveform of a spectrum. Swapping the parts of a pair swaps fft and its inverse.
  inverse(re, im) {
    const { count, bins, size, pair: [a, b] } = this
    const x = new Float64Array(this.length)
    for (let t = 0; t < count; t += 2) {
      const second = t + 1 < count ? 1 / size : 0
      for (let k = 0, j = t * bins; k < bins; k++, j++) {
        const m = k && size - k
        const inner = m === k || k === 0 ? 0 : 1
        const p = re[j] / size, q = inner * im[j] / size
        const r = second && second * re[j + bins], s = second && inner * second * im[j + bins]
        a[k] = p - s
        b[k] = q + r
        a[m] = p + s
        b[m] = r - q
      }
      fft(b, a)
      this.add(x, t)
    }
    return this.finish(x)
  }
}

// Phases of partials that keep on turning, each at the frequency where the power nearby has its
// centre; as a spectrum of these magnitudes, (frame, bin).
export function steadySpectrum({ count, bins, size, hop }, magnitudes) {
  const re = new Float64Array(count * bins)
  const im = new Float64Array(count * bins)
  const turns = Float64Array.from({ length: bins }, (_, k) => k * k / bins / 2)
  const power = new Float64Array(bins + 4)                // two bins of nothing at either end
  for (let t = 0, j = 0; t < count; t++) {
    for (let k = 0; k < bins; k++) power[k + 2] = magnitudes[t * bins + k] ** 2 + 1e-20
    for (let k = 0; k < bins; k++, j++) {
      const a = power[k], b = power[k + 1], c = power[k + 2], d = power[k + 3], e = power[k + 4]
      const centre = k + (2 * e + d - b - 2 * a) / (a + b + c + d + e)
      turns[k] += centre * hop / size % 1
      if (!magnitudes[j]) continue
      re[j] = magnitudes[j] * Math.cos(2 * Math.PI * turns[k])
      im[j] = magnitudes[j] * Math.sin(2 * Math.PI * turns[k])
    }
  }
  return { re, im }
}

// ---------------------------------------------------------------------------------- its end

// Turn the last two pieces of half a frame down where they are louder than the seven before the one
// in which the gain falls; in place. As audiogen.support.loudness.settle.
export function settle(x, piece) {
  const start = x.length - 10 * piece
  if (start < 0) return
  let power = 0, before = 0, end = 0
  for (let i = 0; i < 10 * piece; i++) {
    const gone = i < piece ? 0 : x[start + i - piece] ** 2
    power += (x[start + i] ** 2 - gone) / piece
    if (i >= piece - 1 && i < 7 * piece) before = Math.max(before, power)
    if (i >= 9 * piece - 1) end = Math.max(end, power)
  }
  const gain = Math.min(1, Math.sqrt((before + 1e-12) / (end + 1e-12)))
  const fade = x.length - 3 * piece
  for (let i = fade; i < x.length; i++) x[i] *= 1 - Math.min(1, (i - fade) / piece) * (1 - gain)
}

// Turn a waveform down, if it would clip; in place.
export function unclip(x) {
  const peak = x.reduce((most, v) => Math.max(most, Math.abs(v)), 1)
  if (peak > 1) for (let i = 0; i < x.length; i++) x[i] /= peak
}
